"""What chapter 12 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree

import ch12
import ch12_transformer

HERE = pathlib.Path(__file__).resolve().parent
EPS = 2.0**-24  # one rounding of float32


def draw(*shape, seed=0, size=1.0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * size).astype(np.float32)


def double(a):
    return torch.from_numpy(np.ascontiguousarray(a).astype(np.float64))


def block_weights(D, hidden, seed=0):
    """The 16 arrays of one block, of the size that keeps activations around 1."""
    s = D**-0.5
    shapes = [(D, D), (D,)] * 4 + [(D,), (D,), (hidden, D), (hidden,), (D, hidden), (D,), (D,), (D,)]
    weights = [draw(*shape, seed=100 * seed + i, size=s) for i, shape in enumerate(shapes)]
    for gamma in (8, 14):
        weights[gamma] += 1
    return weights


# --- the reference: PyTorch in float64 ------------------------------------------------------------------


def torch_attention(x, wq, bq, wk, bk, wv, bv, wo, bo, num_heads=1):
    def heads(w, b):
        return F.linear(x, w, b).reshape(len(x), num_heads, -1).transpose(0, 1)

    out = F.scaled_dot_product_attention(heads(wq, bq), heads(wk, bk), heads(wv, bv))
    return F.linear(out.transpose(0, 1).reshape(x.shape), wo, bo)


def torch_ffn(x, w1, b1, w2, b2):
    return F.linear(F.gelu(F.linear(x, w1, b1), approximate="tanh"), w2, b2)


def torch_block(x, weights, num_heads):
    width = x.shape[1:]
    y = x + torch_attention(F.layer_norm(x, width, *weights[8:10]), *weights[:8], num_heads)
    return y + torch_ffn(F.layer_norm(y, width, *weights[14:16]), *weights[10:14])


def assert_close(ours, theirs, roundings):
    """Off by at most so many roundings of the largest value: errors of a product's terms and of the rows they
    are normalized with spread over all elements, so each is measured by the largest."""
    theirs = theirs.numpy()
    assert isinstance(ours, np.ndarray) and ours.dtype == np.float32 and ours.shape == theirs.shape
    assert np.abs(ours - theirs).max(initial=0) <= roundings * EPS * np.abs(theirs).max(initial=0)


# --- layer_norm -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("T, D", [(1, 1), (3, 5), (17, 33), (4, 768), (0, 8), (3, 0)])
def test_layer_norm(T, D):
    x, gamma, beta = draw(T, D), draw(D, seed=1), draw(D, seed=2)
    expected = F.layer_norm(double(x), (D,), double(gamma), double(beta)) if D else double(x)
    assert_close(ch12.layer_norm(x, gamma, beta).numpy(), expected, roundings=40)


def test_layer_norm_far_from_zero():
    """Rows around 1000 with a deviation of 3: mean(x^2) - mean^2 would keep one correct digit. What is left
    is the rounding of the mean, 33 additions around 33,000, seen in units of the deviation."""
    x, gamma, beta = draw(17, 33, size=3) + 1000, draw(33, seed=1), draw(33, seed=2)
    expected = F.layer_norm(double(x), (33,), double(gamma), double(beta)).numpy()
    rounding_of_mean = 33 * EPS * 1000 / 3
    assert (
        np.abs(ch12.layer_norm(x, gamma, beta).numpy() - expected).max()
        <= rounding_of_mean * np.abs(gamma).max()
    )


def test_layer_norm_of_equal_numbers_is_beta():
    gamma, beta = draw(8, seed=1), draw(8, seed=2)
    x = np.full((2, 8), 0.5, np.float32)  # a mean without rounding
    assert np.array_equal(ch12.layer_norm(x, gamma, beta).numpy(), np.stack([beta, beta]))


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.5, 100.0])
def test_epsilon(epsilon):
    x, one, zero = draw(4, 6), np.ones(6, np.float32), np.zeros(6, np.float32)
    expected = F.layer_norm(double(x), (6,), double(one), double(zero), epsilon)
    assert_close(ch12.layer_norm(x, one, zero, epsilon=epsilon).numpy(), expected, roundings=20)


# --- gelu -----------------------------------------------------------------------------------------------


def test_gelu():
    x = np.linspace(-12, 12, 200_001, dtype=np.float32)
    exact = F.gelu(double(x), approximate="tanh").numpy()
    ours = ch12.gelu(x).numpy()
    # exp(-2u) has the error of u in its exponent, so the tail is off by |u| roundings of itself.
    assert (np.abs(ours - exact) <= 4 * EPS * np.maximum(np.abs(x), 1)).all()


def test_gelu_far_out():
    x = np.array(
        [-0.0, 0, 20, -20, 1e4, -1e4, 1e30, -1e30, 3e38, -3e38, np.inf, -np.inf, np.nan, 1e-40], np.float32
    )
    exact = F.gelu(double(x), approximate="tanh").numpy()
    # Also for x = -1e30: nothing of the order of 1e30 times a rounding error may be left.
    assert np.allclose(ch12.gelu(x).numpy(), exact, rtol=1e-6, atol=1e-30, equal_nan=True)


def test_gelu_is_vectorized():
    ir = ch12.llvm_ir(ch12.gelu(draw(8, 256)))
    assert re.search(r"call <\d+ x float> @llvm\.fma", ir) and "tanhf" not in ir and "expf" not in ir


# --- linear and ffn -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "T, n_in, n_out", [(1, 1, 1), (3, 5, 7), (1, 300, 2), (40, 8, 16), (0, 3, 4), (2, 0, 3)]
)
def test_linear(T, n_in, n_out):
    x, w, b = draw(T, n_in), draw(n_out, n_in, seed=1), draw(n_out, seed=2)
    exact = F.linear(double(x), double(w), double(b)).numpy()
    size = np.abs(x).astype(np.float64) @ np.abs(w).astype(np.float64).T + np.abs(b)
    assert (np.abs(ch12.linear(x, w, b).numpy() - exact) <= (n_in + 2) * EPS * size).all()


def test_ffn():
    x, w1, b1, w2, b2 = (
        draw(5, 12),
        draw(31, 12, seed=1),
        draw(31, seed=2),
        draw(12, 31, seed=3),
        draw(12, seed=4),
    )
    expected = torch_ffn(*map(double, (x, w1, b1, w2, b2)))
    assert_close(ch12.ffn(x, w1, b1, w2, b2).numpy(), expected, roundings=20)


# --- attention, blocks, layers --------------------------------------------------------------------------


def test_scaled_dot_product_attention():
    q, k, v = draw(5, 12), draw(9, 12, seed=1), draw(9, 7, seed=2)
    expected = F.scaled_dot_product_attention(double(q)[None], double(k)[None], double(v)[None])[0]
    assert_close(ch12.scaled_dot_product_attention(q, k, v).numpy(), expected, roundings=20)


@pytest.mark.parametrize("T, D, heads", [(1, 1, 1), (5, 12, 3), (9, 24, 24), (33, 40, 5)])
def test_attention(T, D, heads):
    x, weights = draw(T, D), block_weights(D, D)[:8]
    expected = torch_attention(double(x), *map(double, weights), heads)
    assert_close(ch12.attention(x, *weights, num_heads=heads).numpy(), expected, roundings=60)


def test_no_rows_give_no_rows():
    weights = block_weights(4, 8)
    assert ch12.transformer_block(draw(0, 4), *weights, num_heads=2).numpy().shape == (0, 4)


def test_attention_is_pytorchs_module():
    """The same weights in torch.nn.MultiheadAttention, which packs q, k and v into one matrix."""
    D, heads = 24, 4
    x, (wq, bq, wk, bk, wv, bv, wo, bo) = draw(7, D), block_weights(D, D)[:8]
    module = torch.nn.MultiheadAttention(D, heads, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.in_proj_weight.copy_(double(np.concatenate([wq, wk, wv])))
        module.in_proj_bias.copy_(double(np.concatenate([bq, bk, bv])))
        module.out_proj.weight.copy_(double(wo))
        module.out_proj.bias.copy_(double(bo))
        expected = module(double(x)[None], double(x)[None], double(x)[None])[0][0]
    assert_close(ch12.attention(x, wq, bq, wk, bk, wv, bv, wo, bo, heads).numpy(), expected, roundings=60)


@pytest.mark.parametrize("T, D, heads, hidden", [(1, 2, 1, 1), (9, 24, 3, 96), (20, 36, 6, 50)])
def test_transformer_block(T, D, heads, hidden):
    x, weights = draw(T, D), block_weights(D, hidden)
    expected = torch_block(double(x), [*map(double, weights)], heads)
    assert_close(ch12.transformer_block(x, *weights, num_heads=heads).numpy(), expected, roundings=100)


def test_block_is_pytorchs_encoder_layer():
    D, heads, hidden = 24, 4, 60
    weights = block_weights(D, hidden)
    wq, bq, wk, bk, wv, bv, wo, bo, gamma1, beta1, w1, b1, w2, b2, gamma2, beta2 = weights
    layer = torch.nn.TransformerEncoderLayer(
        D,
        heads,
        hidden,
        dropout=0,
        activation=lambda x: F.gelu(x, approximate="tanh"),
        batch_first=True,
        norm_first=True,
        dtype=torch.float64,
    )
    names = {
        "self_attn.in_proj_weight": np.concatenate([wq, wk, wv]),
        "self_attn.in_proj_bias": np.concatenate([bq, bk, bv]),
        "self_attn.out_proj.weight": wo,
        "self_attn.out_proj.bias": bo,
        "linear1.weight": w1,
        "linear1.bias": b1,
        "linear2.weight": w2,
        "linear2.bias": b2,
        "norm1.weight": gamma1,
        "norm1.bias": beta1,
        "norm2.weight": gamma2,
        "norm2.bias": beta2,
    }
    layer.load_state_dict({name: double(value) for name, value in names.items()})
    x = draw(11, D)
    with torch.no_grad():
        expected = layer(double(x)[None])[0]
    assert_close(ch12.transformer_block(x, *weights, num_heads=heads).numpy(), expected, roundings=100)


@pytest.mark.parametrize("layers", [0, 1, 2, 5])
def test_multi_layer_transformer(layers):
    x, weights = draw(9, 24), [block_weights(24, 48, seed=i) for i in range(layers)]
    expected = double(x)
    for layer in weights:
        expected = torch_block(expected, [*map(double, layer)], 3)
    flat = [array for layer in weights for array in layer]
    ours = ch12.multi_layer_transformer(x, flat, num_heads=3).numpy()
    assert_close(ours, expected, roundings=100 * max(layers, 1))
    assert np.array_equal(ours, ch12.multi_layer_transformer(x, weights, num_heads=3).numpy())


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 4), st.integers(2, 6), st.integers(1, 12), st.integers(1, 40))
def test_a_block_of_any_shape(heads, width, T, hidden):
    D = heads * width
    x, weights = draw(T, D), block_weights(D, hidden)
    expected = torch_block(double(x), [*map(double, weights)], heads)
    # Rows of few numbers can have a tiny deviation, by which layer_norm multiplies what was rounded before.
    assert_close(ch12.transformer_block(x, *weights, num_heads=heads).numpy(), expected, roundings=5000)


def test_rows_do_not_depend_on_how_many_there_are():
    """Everything but attention treats each row on its own: equal bits, whatever T is."""
    weights = block_weights(24, 96)
    ffn, norm = weights[10:14], weights[8:10]
    x = draw(40, 24)
    whole = ch12.ffn(ch12.layer_norm(x, *norm), *ffn).numpy()
    for T in (1, 2, 7, 16, 33):
        assert np.array_equal(ch12.ffn(ch12.layer_norm(x[:T], *norm), *ffn).numpy(), whole[:T])


def test_strides_and_inputs_that_stay_as_they_are():
    x = draw(24, 18)[:, ::-2].T  # [9, 24]
    weights = [np.asfortranarray(w) for w in block_weights(24, 96)]
    before = [x.copy(), *(w.copy() for w in weights)]
    result = ch12.transformer_block(x, *weights, num_heads=2).numpy()
    assert np.array_equal(result, ch12.transformer_block(*before, num_heads=2).numpy())
    assert all(np.array_equal(a, b) for a, b in zip([x, *weights], before))


def test_expressions_mix_with_ch11s_ops():
    x, w, b = ch12.Tensor(draw(4, 6)), draw(5, 6, seed=1), draw(5, seed=2)
    mixed = ch12.softmax(ch12.linear(x + x, w, b)) * 2.0
    logits = F.linear(2 * double(draw(4, 6)), double(w), double(b))
    assert np.allclose(mixed.numpy(), 2 * torch.softmax(logits, -1).numpy(), atol=1e-5)


# --- the errors -----------------------------------------------------------------------------------------

X, W = draw(3, 4), block_weights(4, 8)


def replaced(index, array):
    return [*W[:index], array, *W[index + 1 :]]


@pytest.mark.parametrize(
    "call, error, sentence",
    [
        (lambda: ch12.layer_norm(X, draw(3), draw(4)), ValueError, "gamma: expected shape (4,), got (3,)"),
        (
            lambda: ch12.layer_norm(X, draw(4), draw(4, 1)),
            ValueError,
            "beta: expected shape (4,), got (4, 1)",
        ),
        (
            lambda: ch12.layer_norm(draw(4), draw(4), draw(4)),
            ValueError,
            "x: expected shape (any, any), got (4,)",
        ),
        (
            lambda: ch12.layer_norm(X, draw(4), draw(4), -1),
            ValueError,
            "epsilon: expected a number of 0 or more, got -1.000000",
        ),
        (
            lambda: ch12.layer_norm(X, draw(4), draw(4), np.nan),
            ValueError,
            "epsilon: expected a number of 0 or more, got nan",
        ),
        (lambda: ch12.linear(X, draw(4, 5), draw(4)), ValueError, "w: expected shape (any, 4), got (4, 5)"),
        (lambda: ch12.linear(X, draw(5, 4), draw(4)), ValueError, "b: expected shape (5,), got (4,)"),
        (lambda: ch12.gelu([1.0]), TypeError, "x: expected a Tensor or a NumPy array of float32, got list"),
        (lambda: ch12.ffn(X, *W[10:12], W[12].T, W[13]), ValueError, "w2: expected shape (4, 8), got (8, 4)"),
        (
            lambda: ch12.attention(X, *replaced(2, draw(4, 3))[:8]),
            ValueError,
            "wk: expected shape (4, 4), got (4, 3)",
        ),
        (
            lambda: ch12.attention(X, *replaced(7, draw(5))[:8]),
            ValueError,
            "bo: expected shape (4,), got (5,)",
        ),
        (
            lambda: ch12.attention(X, *W[:8], num_heads=3),
            ValueError,
            "num_heads: expected a divisor of the columns of q, 4, got 3",
        ),
        (
            lambda: ch12.transformer_block(X, *replaced(9, draw(3))),
            ValueError,
            "beta1: expected shape (4,), got (3,)",
        ),
        (
            lambda: ch12.transformer_block(X, *replaced(10, W[10].astype(np.float64))),
            TypeError,
            "w1: expected an array of float32, got one of float64",
        ),
        (
            lambda: ch12.multi_layer_transformer(X, [*W, *W[:3]]),
            ValueError,
            "weights: expected 16 arrays for each layer, got 19 in all",
        ),
        (
            lambda: ch12.multi_layer_transformer(X, [W, W[:3]]),
            ValueError,
            "weights: expected 16 arrays in each layer, got 3",
        ),
        (
            lambda: ch12.multi_layer_transformer(X, [W, replaced(6, draw(4))]),
            ValueError,
            "layer 1: wo: expected shape (4, 4), got (4,)",
        ),
        (
            lambda: ch12.multi_layer_transformer(X, [W, replaced(6, None)]),
            TypeError,
            "layer 1: wo: expected a Tensor or a NumPy array of float32, got NoneType",
        ),
    ],
)
def test_error_sentences(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_a_tensor_of_another_module_is_refused():
    import ch11

    with pytest.raises(TypeError, match="x: expected a Tensor or a NumPy array of float32, got Tensor"):
        ch12.gelu(ch11.Tensor(X))


# --- compiled once --------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache():
    ch12.clear_cache()
    yield
    ch12.clear_cache()


def test_other_weights_compile_nothing(empty_cache):
    for seed in range(3):
        ch12.forward(ch12.transformer_block(X, *block_weights(4, 8, seed=seed)))
    assert ch12.cache_info()[:2] == (2, 1)


def test_eight_threads(empty_cache):
    expected = ch12.transformer_block(X, *W).numpy()
    ready, wrong = threading.Barrier(8), []

    def work():
        ready.wait()
        for _ in range(200):
            if not np.array_equal(ch12.transformer_block(X, *W).numpy(), expected):
                wrong.append(1)

    ch12.clear_cache()
    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == [] and ch12.cache_info()[:2] == (8 * 200 - 1, 1)


def test_ten_thousand_calls_leave_no_memory_behind():
    def resident_kib():
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4

    block = ch12.transformer_block(X, *W, num_heads=2)
    for _ in range(500):
        ch12.forward(block)
    before = resident_kib()
    for _ in range(10_000):
        ch12.forward(block)
    assert resident_kib() - before < 2048


# --- the IR ---------------------------------------------------------------------------------------------


def test_ir_of_a_block():
    chapters.filecheck(
        ch12.ir(ch12.transformer_block(X, *W, num_heads=2)),
        """
        CHECK:      %[[N:.*]] = transformer.layer_norm %[[X:.*]], %{{.*}}, %{{.*}} epsilon 9.99999974E-6
        CHECK-NEXT: %[[Q:.*]] = transformer.linear %[[N]],
        CHECK-NEXT: %[[K:.*]] = transformer.linear %[[N]],
        CHECK-NEXT: %[[V:.*]] = transformer.linear %[[N]],
        CHECK-NEXT: %[[A:.*]] = transformer.attention %[[Q]], %[[K]], %[[V]] heads 2 : tensor
        CHECK-NEXT: %[[O:.*]] = transformer.linear %[[A]],
        CHECK-NEXT: %[[Y:.*]] = transformer.add %[[X]], %[[O]]
        CHECK-NEXT: %[[N2:.*]] = transformer.layer_norm %[[Y]],
        CHECK-NEXT: %[[H:.*]] = transformer.linear %[[N2]],
        CHECK-NEXT: %[[G:.*]] = transformer.gelu %[[H]]
        CHECK-NEXT: %[[F:.*]] = transformer.linear %[[G]],
        CHECK-NEXT: %[[Z:.*]] = transformer.add %[[Y]], %[[F]]
        CHECK-NEXT: materialize_in_destination %[[Z]]
        """,
    )


def test_the_pipeline_is_one_pass_and_then_ch11s():
    import ch11

    ours = [name for name, _ in ch12.stages(ch12.softmax(X))]
    theirs = [name for name, _ in ch11.stages(ch11.softmax(X))]
    assert ours == ["input", "ch12-lower", *theirs[1:]]


def test_every_pass_is_known_to_the_tool():
    passes = {name for name, _ in ch12.stages(ch12.softmax(X))[1:]}
    done = subprocess.run(["ch12-opt", "--help"], env=chapters.environment(), capture_output=True, text=True)
    assert passes <= set(re.findall(r"^\s+--([\w-]+)", done.stdout, re.M))


def test_more_layers_need_no_more_kernels():
    def kernels(layers):
        stages = dict(ch12.stages(ch12.multi_layer_transformer(X, W * layers)))
        return stages["ch11-outline-kernels"].count("func.func private @kernel")

    assert kernels(1) == kernels(6)


# --- the lesson -------------------------------------------------------------------------------------------


def run_script(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env=chapters.environment(), capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    "case, sentence",
    [
        ("layer", "ValueError: layer 1: w1: expected shape (any, 4), got (4, 16)"),
        ("unknown", "gelu.mlir:3:8: error: custom op 'transformer.gelu' is unknown"),
        ("tanh", "x (1 + tanh(u)) / 2: -0.0298, x / (1 + exp(-2u)): -0.0"),
        ("variance", "exact 1.1255, mean(x^2) - mean^2 1.1875; error of layer_norm 7e-05"),
    ],
)
def test_what_breaks(case, sentence):
    assert run_script("broken.py", case) == (0, sentence)


@pytest.mark.parametrize(
    "number, problem",
    [
        ("1", "write silu"),
        ("2", "the result is not the RMS norm"),
        ("3", "ch12-opt knows no transformer.relu yet"),
    ],
)
def test_a_stub_is_not_a_solution(number, problem):
    assert run_script("exercises/check.py", number) == (1, f"exercise {number}: not yet: {problem}")


@pytest.mark.parametrize("solution", sorted(HERE.glob("exercises/solutions/*")), ids=lambda file: file.name)
def test_a_solution_is_one(solution):
    number = solution.name[0]
    assert run_script("exercises/check.py", number, solution) == (0, f"exercise {number}: solved")


def test_names():
    assert ch12 is ch12_transformer
    for name in [
        *("layer_norm", "linear", "gelu", "ffn", "scaled_dot_product_attention", "attention"),
        *("transformer_block", "multi_layer_transformer"),
        *("Tensor", "add", "mul", "matmul", "transpose", "softmax", "scale", "forward"),
    ]:
        assert callable(getattr(ch12, name)) and getattr(ch12, name).__doc__
    for name in ["ir", "stages", "llvm_ir", "assembly", "cache_info", "clear_cache", "CompileError"]:
        assert callable(getattr(ch12, name))


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
