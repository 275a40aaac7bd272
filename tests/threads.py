"""All chapters in one process, called from eight threads at once, without a wrong bit.

    python3 tests/threads.py [--seconds 60] [--threads 8] [--seed 0]

Three parts. First the threads make every call of the table below, each in an order of its own, while nothing is
compiled yet. Then one thread makes every call alone: each answer is compared with an oracle (NumPy, another chapter),
and what the threads got with it, bit by bit. Then the threads call at random for the given time, and compare every
answer with that of the single thread. Meanwhile caches are cleared under running calls, and functions that were never
seen before are compiled beside them. Prints what was done and exits with 0, or prints what was wrong and exits with 1.

A chapter has its calls in a function `@chapter(N)`; tests/test_threads.py asks for one for every chapter there is.
"""

import argparse
import ctypes
import pathlib
import sys
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import numpy as np

import chapters

from threads_load import Call, Fresh, Load, Wrong

CHAPTERS: dict[int, Callable] = {}  # number: a function that yields its calls
MEGABYTE = 1024  # of the kB that resident_kb() counts


def chapter(number: int):
    def register(calls):
        CHAPTERS[number] = calls
        return calls

    return register


# --- inputs and oracles -------------------------------------------------------------------------------------

INPUTS: list[tuple[np.ndarray, bytes]] = []


def keep(array: np.ndarray) -> np.ndarray:
    """An input that all threads share. It must be the same at the end."""
    array.flags.writeable = False
    INPUTS.append((array, array.tobytes()))
    return array


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Small integers as float32: their products and sums are exact, in any order."""
    return keep(np.random.default_rng([seed, *shape]).integers(-4, 5, shape).astype(np.float32))


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return keep(np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32))


def exactly(expected) -> Callable[[object], bool]:
    return lambda result: np.array_equal(result, expected)


def nearly(expected, tolerance: float = 1e-5) -> Callable[[object], bool]:
    """Up to rounding, in units of the largest number."""
    expected = np.asarray(expected, np.float64)
    bound = tolerance * max(1.0, np.abs(expected).max(initial=0))
    return lambda result: result.shape == expected.shape and np.abs(result - expected).max(initial=0) <= bound


def np_softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def np_layer_norm(x, gamma, beta):
    x = x.astype(np.float64)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta


def np_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def np_attention(q, k, v, heads=1):
    """[T, D], each head a group of columns."""
    parts = [np.split(a.astype(np.float64), heads, axis=1) for a in (q, k, v)]
    return np.hstack([np_softmax(a @ b.T / np.sqrt(a.shape[1])) @ c for a, b, c in zip(*parts)])


# --- the calls ----------------------------------------------------------------------------------------------


@chapter(1)
def fixed_size():
    import ch1

    A, B = integers(8, 32), integers(32, 16)
    yield Call("ch1.gemm", lambda: ch1.gemm(A, B), exactly(A @ B))
    yield Call("ch1.gemm, strided", lambda: ch1.gemm(A[::-1], B[:, ::-1]), exactly(A[::-1] @ B[:, ::-1]))


@chapter(2)
def dynamic_size():
    import ch2

    A, B = integers(7, 30), integers(30, 11)
    yield Call("ch2.gemm", lambda: ch2.gemm(A, B), exactly(A @ B))
    yield Call("ch2.gemm, strided", lambda: ch2.gemm(B.T, A[::-1].T), exactly(B.T @ A[::-1].T))
    yield Call("ch2.gemm, empty", lambda: ch2.gemm(A[:, :0], B[:0]), exactly(np.zeros((7, 11))))


@chapter(3)
def jit_caching():
    import ch3

    A, B = integers(5, 23), integers(23, 9)
    yield Call("ch3.gemm", lambda: ch3.gemm(A, B), exactly(A @ B))

    def another_shape(n):
        A, B = np.ones((1 + n % 7, 1 + n % 11), np.float32), np.full((1 + n % 11, 1 + n % 13), 2, np.float32)
        return np.array_equal(ch3.gemm_fixed(A, B), A @ B)

    yield Fresh("ch3.gemm_fixed", another_shape)


@chapter(4)
def tensor_bufferization():
    import ch4

    A, B = integers(6, 17), integers(17, 10)
    for variant in ("naive", "destination", "out_parameter"):
        call = lambda variant=variant: ch4.gemm(A, B, variant=variant)  # noqa: E731
        yield Call(f"ch4.gemm, {variant}", call, exactly(A @ B))


@chapter(5)
def vector_ops():
    import ch5

    A, B = normal(1003), normal(1003, seed=1)
    expected = np.float32(1.7) * A + B
    yield Call("ch5.saxpy", lambda: ch5.saxpy(1.7, A, B), exactly(expected))
    yield Call("ch5.saxpy_linalg", lambda: ch5.saxpy_linalg(1.7, A, B), exactly(expected))
    yield Call("ch5.saxpy_vector", lambda: ch5.saxpy_vector(1.7, A, B), exactly(expected))


@chapter(6)
def softmax():
    import ch6

    x, rows = normal(257), normal(9, 33)
    for lowering in ("llvm", "libm", "polynomial"):
        call = lambda lowering=lowering: ch6.softmax(x, lowering=lowering)  # noqa: E731
        yield Call(f"ch6.softmax, {lowering}", call, nearly(np_softmax(x)))
    yield Call("ch6.softmax, rows", lambda: ch6.softmax(rows), nearly(np_softmax(rows)))


@chapter(7)
def neural_ops():
    import ch7

    x, w, b = integers(6, 13), integers(13, 8), integers(8)

    def layer():
        g = ch7.Graph()
        vx, vw, vb = (g.variable(a.shape) for a in (x, w, b))
        fn = g.compile(g.relu(g.add(g.matmul(vx, vw), vb)), "layer")
        return ch7.execute_generic(fn, [x, w, b], (6, 8))

    def scores():
        g = ch7.Graph()
        vx = g.variable(x.shape)
        fn = g.compile(g.softmax(g.mul(vx, vx)), "scores")
        return ch7.execute_generic(fn, [x], x.shape)

    g = ch7.Graph()
    values = [g.variable(x.shape), g.variable(x.shape)]
    shared = g.compile(g.mul(*values), "shared")
    call = lambda: ch7.execute_generic(shared, [x, x], x.shape)  # noqa: E731
    yield Call("ch7 one function for all threads", call, exactly(x * x))
    yield Call("ch7 a layer", layer, exactly(np.maximum(x @ w + b, 0)))
    yield Call("ch7 softmax", scores, nearly(np_softmax(x * x)))


@chapter(8)
def custom_dialect():
    import ch8
    from graph_builder import Graph
    from lowering import MLIRLowering

    product = """
    func.func @product(%A: memref<?x?xf64>, %B: memref<?x?xf64>, %C: memref<?x?xf64>) {
      linalg.matmul ins(%A, %B : memref<?x?xf64>, memref<?x?xf64>) outs(%C : memref<?x?xf64>)
      return
    }"""
    constant = """
    func.func @constant(%x: memref<4xi64>) {
      %n = arith.constant NUMBER : i64
      linalg.fill ins(%n : i64) outs(%x : memref<4xi64>)
      return
    }"""
    A, B = keep(integers(5, 8).astype(np.float64)), keep(integers(8, 3).astype(np.float64))
    x, w = integers(4, 9), integers(9, 7)

    def layer():
        g = Graph()
        vx, vw = g.variable(x.shape), g.variable(w.shape)
        text = MLIRLowering().lower_graph(g, g.relu(g.matmul(vx, vw)), "layer")
        return ch8.execute(text, "layer", [x, w], (4, 7))

    def another_text(n):
        result = ch8.execute(constant.replace("NUMBER", str(n)), "constant", [], (4,))
        return np.array_equal(result, [n] * 4)

    yield Call("ch8.execute", lambda: ch8.execute(product, "product", [A, B], (5, 3)), exactly(A @ B))
    yield Call("ch8 a layer", layer, exactly(np.maximum(x @ w, 0)))
    yield Fresh("ch8.execute", another_text)


@chapter(9)
def tablegen_dialect():
    import ch9

    x, w, b = integers(5, 12), integers(7, 12), integers(7)
    yield Call(
        "ch9.linear", lambda: ch9.forward(ch9.relu(ch9.linear(x, w, b))), exactly(np.maximum(x @ w.T + b, 0))
    )
    yield Call("ch9.softmax", lambda: ch9.forward(ch9.softmax(ch9.Tensor(x) * x)), nearly(np_softmax(x * x)))

    def another_structure(n):
        value = ch9.Tensor(np.ones(3, np.float32))
        for digit in format(n % 512, "b"):
            value = value + value if digit == "1" else value * value
        expected = 1.0
        for digit in format(n % 512, "b"):
            expected = expected + expected if digit == "1" else expected * expected
        return np.array_equal(ch9.forward(value), np.full(3, expected, np.float32))

    yield Fresh("ch9.forward", another_structure)


@chapter(10)
def optimization():
    import ch10

    x, w, b = integers(19, 40), integers(33, 40), integers(33)
    expected = np.maximum(x @ w.T + b, 0)
    for pipeline in ("baseline", "fused", "optimized"):
        call = lambda pipeline=pipeline: ch10.forward(ch10.relu(ch10.linear(x, w, b)), pipeline=pipeline)  # noqa: E731
        yield Call(f"ch10.forward, {pipeline}", call, exactly(expected))


@chapter(11)
def attention():
    import ch11

    q, k, v = normal(6, 16), normal(9, 16, seed=1), normal(9, 8, seed=2)
    expected = np_attention(q, k, v, heads=4)
    yield Call("ch11.attention", lambda: ch11.forward(ch11.attention(q, k, v, num_heads=4)), nearly(expected))
    yield Call("ch11.attention_reference", lambda: ch11.attention_reference(q, k, v, 4), nearly(expected))

    def another_shape(n):
        x = np.ones((1 + n % 6, 1 + n % 17), np.float32)
        return np.array_equal(ch11.forward(ch11.matmul(x, ch11.transpose(x))), x @ x.T)

    yield Fresh("ch11.forward", another_shape)


@chapter(12)
def transformer():
    import ch12

    x, gamma, beta = normal(5, 24), normal(24), normal(24, seed=1)
    w1, b1, w2, b2 = normal(40, 24), normal(40), normal(24, 40), normal(24, seed=2)
    wq, wk, wv, wo = (normal(24, 24, seed=n) for n in range(4))
    weights = [wq, beta, wk, beta, wv, beta, wo, beta, gamma, beta, w1, b1, w2, b2, gamma, beta]

    def block(x):
        n = np_layer_norm(x, gamma, beta)
        q, k, v = (n @ w.T + beta for w in (wq, wk, wv))
        x = x + np_attention(q, k, v, heads=3) @ wo.T + beta
        return x + np_gelu(np_layer_norm(x, gamma, beta) @ w1.T + b1) @ w2.T + b2

    yield Call(
        "ch12.layer_norm",
        lambda: ch12.forward(ch12.layer_norm(x, gamma, beta)),
        nearly(np_layer_norm(x, gamma, beta)),
    )
    call = lambda: ch12.forward(ch12.transformer_block(x, *weights, num_heads=3))  # noqa: E731
    yield Call("ch12.transformer_block", call, nearly(block(x), 1e-4))


@chapter(13)
def gpt():
    import ch13
    import ch14
    from ch13_weights import GPT2Config, GPT2Weights

    table, ids = normal(50, 12), keep(np.array([4, 49, 0, 4], np.int32))
    x, mask = normal(6, 6), ch13.create_causal_mask(6)
    weights = GPT2Weights.random(GPT2Config(101, 2, 3, 36, 37), 0)
    text = [5, 100, 0, 7, 7]
    last = ch14.GPT2(weights).prefill([text])[0]
    visible = np.tril(np.ones((6, 6), bool))
    masked = np_softmax(np.where(visible, x, -np.inf))
    yield Call("ch13.embedding", lambda: ch13.forward(ch13.embedding(ids, table)), exactly(table[ids]))
    yield Call("ch13.masked_softmax", lambda: ch13.forward(ch13.masked_softmax(x, mask)), nearly(masked))
    yield Call("ch13.gpt2_logits", lambda: ch13.gpt2_logits(weights, text), lambda r: nearly(last)(r[-1]))


@chapter(14)
def gpt_optimized():
    import ch13
    import ch14
    from ch13_weights import GPT2Config, GPT2Weights

    weights = GPT2Weights.random(GPT2Config(101, 2, 3, 36, 37), 1)
    packed = ch14.PackedWeights.pack(weights)
    prompts, then = [[5, 100, 0, 7], [3], [9] * 20], [8, 8, 1]

    def prefill_and_decode():
        model = ch14.GPT2(packed, page_size=8)
        model.prefill(prompts)
        return model.decode(then)

    expected = [ch13.next_logits(weights, [*prompt, token]) for prompt, token in zip(prompts, then)]
    yield Call("ch14.GPT2", prefill_and_decode, nearly(expected))


@chapter(15)
def gpu_concepts():
    import ch15

    a, b, x = normal(1000), normal(1000, seed=1), normal(9, 300)
    A, B = integers(37, 50), integers(50, 21)
    yield Call("ch15.vector_add", lambda: ch15.vector_add(a, b), exactly(a + b))
    yield Call("ch15.matmul", lambda: ch15.matmul(A, B), exactly(A @ B))
    yield Call("ch15.softmax", lambda: ch15.softmax(x), nearly(np_softmax(x)))
    yield Call("ch15.ptx", lambda: ch15.ptx("matmul", "sm_80"), lambda text: ".entry matmul(" in text)

    def another_kernel(n):
        ir = ch15.vector_add_ir().replace("arith.addf", "arith.subf") + f"// {n}\n"
        return np.array_equal(ch15.run(ir, "vector_add", a, b), a - b)

    yield Fresh("ch15.run", another_kernel)


@chapter(16)
def nano_serving():
    import ch14
    import ch16
    from nano_engine import NanoServingEngine, SamplingParams

    weights = ch14.load_gpt2_weights()
    engine = NanoServingEngine(weights.config, weights, kv_cache_pages=400)
    prompts, params = [[1, 2, 3], [500] * 20], SamplingParams(max_tokens=3, temperature=0)
    k, v = normal(5, 2, 4), normal(5, 2, 4, seed=1)

    def serve():
        return [list(request.output_tokens) for request in engine.generate(prompts, params)]

    def store():
        pool = ch16.KVCachePool(num_pages=6, page_size=4, num_layers=1, num_heads=2, head_dim=4)
        pages = pool.allocate(5)
        pool.store_kv(k, v, pages, 0)
        free = pool.num_free_pages
        pool.free(pages)
        return free, pool.num_free_pages

    yield Call(
        "ch16 engine", serve, lambda r: r == ch14.generate_ids(ch14.GPT2(weights), prompts, max_tokens=3)
    )
    yield Call("ch16.KVCachePool", store, lambda r: r == (4, 6))


# --- the three parts ---------------------------------------------------------------------------------------


def run(numbers: list[int], seconds: float, count: int = 8, seed: int = 0) -> str:
    """Runs the three parts with the calls of these chapters. Returns what was done; raises Wrong."""
    modules = [__import__(f"ch{number}") for number in numbers]
    made = [call for number in numbers for call in CHAPTERS[number]()]
    load = Load([c for c in made if isinstance(c, Call)], [c for c in made if isinstance(c, Fresh)])
    for module in modules:  # what the oracles compiled
        if hasattr(module, "clear_cache"):
            module.clear_cache()

    start = time.monotonic()
    answers = load.first_calls(count, seed)
    first_seconds = time.monotonic() - start
    if load.wrong:
        raise Wrong("; ".join(load.wrong))
    for module in modules:
        if hasattr(module, "clear_cache"):
            load.clears.append((module, module.cache_info().compile_seconds))
    load.alone()
    for index, got in enumerate(answers):
        for call in load.calls:
            if got[call.name] != load.expected[call.name]:
                raise Wrong(
                    f"{call.name}: the first call of thread {index} got another answer than one thread alone"
                )

    give_back = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)  # glibc's
    memory: list[tuple[float, int]] = []  # (seconds since the start of the last part, kB)
    start = time.monotonic()

    def sample() -> None:
        now = time.monotonic() - start
        if not memory or now > memory[-1][0] + seconds / 50:
            give_back(0)  # what was freed and what is in use: only the latter may not grow
            memory.append((now, chapters.resident_kb()))

    load.any_calls(count, seed, seconds, sample)
    if load.wrong:
        raise Wrong("; ".join(load.wrong))
    for array, before in INPUTS:
        if array.tobytes() != before:
            raise Wrong(f"an input of shape {array.shape} was written into")
    early = [kb for when, kb in memory if when < seconds / 2]
    late = [kb for when, kb in memory if when >= seconds / 2]
    growth = (min(late) - min(early[len(early) // 2 :])) / MEGABYTE
    return (
        f"{len(modules)} chapters, {len(load.calls)} calls, {count} threads. First calls {first_seconds:.1f} s; then "
        f"{load.num_calls} calls in {seconds:g} s, {load.num_fresh} new functions, {load.num_clears} caches cleared; "
        f"memory {growth:+.1f} MB of {max(late) / MEGABYTE:.0f} in the second half; no wrong bit."
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chapters", type=int, nargs="*", default=sorted(CHAPTERS), metavar="N")
    arguments = parser.parse_args()
    sys.setswitchinterval(0.0005)  # threads take turns more often
    try:
        print(run(arguments.chapters, arguments.seconds, arguments.threads, arguments.seed))
    except Wrong as wrong:
        print(f"wrong: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
