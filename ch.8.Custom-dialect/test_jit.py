"""What chapter 8 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import EPSILON, assert_is_product, run_python, strided, ticks_during

import ch2_dynamic_size as ch2
import ch8
import ch8_custom_dialect

HERE = pathlib.Path(__file__).resolve().parent
corpus = chapters.run_script(HERE / "fuzz" / "texts.py")
example = chapters.run_script(HERE / "example.py")
TEXTS = corpus.TEXTS
GEMM = ch2.ir()
OWN_PASSES = {"ch8-own-names", "ch8-copies-to-loops", "ch6-approximate-math"}


def random_matrices(seed=0, m=4, k=5, n=6):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((k, n), dtype=np.float32)


def function(body: str, arguments: str = "%m: memref<4xf32>") -> str:
    return f"func.func @f({arguments}) {{\n{body}\nreturn\n}}\n"


# --- any signature -------------------------------------------------------------------------------------


def test_the_text_of_chapter_2_is_chapter_2s_product():
    A, B = random_matrices()
    for a, b in ((A, B), (B.T, A.T), (A[::2], B[:, ::3]), (A[:0], B), (A[:, :0], B[:0])):
        C = ch8.execute(GEMM, "gemm", [a, b], (a.shape[0], b.shape[1]))
        assert_is_product(C, a, b)
        assert np.array_equal(C, ch2.gemm(a, b))


KINDS = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64}
TO_F64 = {"f32": "arith.extf", "f64": None, "i32": "arith.sitofp", "i64": "arith.sitofp"}


def convert(name: str, kind: str) -> tuple[str, str]:
    """(IR, name of the value in f64)."""
    if kind == "index":
        to_int = f"%{name}i = arith.index_cast %{name} : index to i64\n"
        return to_int + f"%{name}w = arith.sitofp %{name}i : i64 to f64\n", f"%{name}w"
    if TO_F64[kind] is None:
        return "", f"%{name}"
    return f"%{name}w = {TO_F64[kind]} %{name} : {kind} to f64\n", f"%{name}w"


@st.composite
def any_call(draw):
    """(text, arguments, expected): out[i] = what argument i is, or the sum of its elements, each weighted by its
    place, so that a wrong stride, size or order changes the sum."""
    parameters, body, arguments, expected, scale = [], "", [], [], []
    for i in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from([*KINDS, "index"]))
        if kind == "index" or draw(st.integers(0, 3)) == 0:
            value = draw(st.integers(-1000, 1000))
            value = value / 8 if kind[0] == "f" else value
            parameters.append(f"%a{i}: {kind}")
            line, wide = convert(f"a{i}", kind)
            body += (
                line
                + f"%p{i} = arith.constant {i} : index\nmemref.store {wide}, %out[%p{i}] : memref<?xf64>\n"
            )
            arguments.append(value)
            expected.append(value)
            scale.append(abs(value))
            continue
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        array = (
            draw(strided(tuple(shape), KINDS[kind]))
            if shape
            else np.array(draw(st.integers(-9, 9)), KINDS[kind])
        )
        sizes = "".join(f"{draw(st.sampled_from(['?', size]))}x" for size in shape)
        layout = draw(st.sampled_from(["", f", strided<[{', '.join('?' * len(shape))}], offset: ?>"]))
        loops = ", ".join(f"d{d}" for d in range(len(shape)))
        kinds = ", ".join(['"reduction"'] * len(shape))
        parameters.append(f"%a{i}: memref<{sizes}{kind}{layout}>")
        line, wide = convert("x", kind)
        body += (
            f"%s{i} = memref.alloca() : memref<f64>\n%z{i} = arith.constant 0.0 : f64\n"
            f"memref.store %z{i}, %s{i}[] : memref<f64>\n"
            f"linalg.generic {{indexing_maps = [affine_map<({loops}) -> ({loops})>, affine_map<({loops}) -> ()>], "
            f"iterator_types = [{kinds}]}} "
            f"ins(%a{i} : memref<{sizes}{kind}{layout}>) outs(%s{i} : memref<f64>) {{"
            f"\n^bb0(%x: {kind}, %s: f64):\n{line}"
            f"%w0 = arith.constant 1.0 : f64\n"
        )
        weights = np.ones(shape)
        for d in range(len(shape)):
            body += (
                f"%d{d} = linalg.index {d} : index\n%di{d} = arith.index_cast %d{d} : index to i64\n"
                f"%df{d} = arith.sitofp %di{d} : i64 to f64\n%c{d} = arith.constant {10.0**d} : f64\n"
                f"%m{d} = arith.mulf %df{d}, %c{d} : f64\n%w{d + 1} = arith.addf %w{d}, %m{d} : f64\n"
            )
            weights = weights + 10.0**d * np.arange(shape[d]).reshape([-1] + [1] * (len(shape) - d - 1))
        body += (
            f"%t = arith.mulf {wide}, %w{len(shape)} : f64\n%r = arith.addf %s, %t : f64\nlinalg.yield %r : f64\n}}\n"
            f"%v{i} = memref.load %s{i}[] : memref<f64>\n%p{i} = arith.constant {i} : index\n"
            f"memref.store %v{i}, %out[%p{i}] : memref<?xf64>\n"
        )
        arguments.append(array)
        expected.append((array.astype(np.float64) * weights).sum())
        scale.append((np.abs(array.astype(np.float64)) * weights).sum())
    text = function(body, ", ".join([*parameters, "%out: memref<?xf64>"]))
    return text, arguments, np.array(expected), np.array(scale)


@settings(deadline=None, max_examples=60)
@given(any_call())
def test_any_number_of_arguments_of_any_kind(call):
    text, arguments, expected, scale = call
    out = ch8.execute(text, "f", arguments, (len(arguments),), trusted=True)
    assert (np.abs(out - expected) <= 400 * 2.0**-53 * scale).all()  # at most 256 terms in another order


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_has_the_dtype_of_the_signature(kind):
    text = function(
        "%c = memref.load %x[] : memref<K>\nmemref.store %c, %out[] : memref<K>",
        "%x: memref<K>, %out: memref<K>",
    )
    out = ch8.execute(text.replace("K", kind), "f", [np.array(7, KINDS[kind])], ())
    assert out.dtype == KINDS[kind] and out.shape == () and out == 7


def test_forty_arrays():
    """More words than registers, and more than ch.7's table has wrappers for."""
    names = [f"%a{i}" for i in range(40)]
    body = "%c0 = arith.constant 0 : index\n" + "".join(
        f"%v{i} = memref.load %a{i}[%c0, %c0] : memref<?x?xf32>\n" for i in range(40)
    )
    body += "%s0 = arith.addf %v0, %v0 : f32\n"
    body += "".join(f"%s{i} = arith.addf %s{i - 1}, %v{i} : f32\n" for i in range(1, 40))
    text = function(
        body + "memref.store %s39, %out[] : memref<f32>",
        ", ".join(f"{name}: memref<?x?xf32>" for name in names) + ", %out: memref<f32>",
    )
    arrays = [np.full((1, 1), i, np.float32) for i in range(40)]
    assert ch8.execute(text, "f", arrays, ()) == sum(range(40))
    assert len(ch8.signature(text, "f")) == 40 * 7 + 3


@pytest.mark.parametrize(
    "argument, value, given",
    [
        ("f32", 0.5, 0.5),
        ("f32", 2.0, 2),
        ("f32", 1.5, np.float64(1.5)),
        ("f32", -np.inf, -np.inf),
        ("f64", 1e300, 1e300),
    ]
    + [
        ("i32", -(2**31), -(2**31)),
        ("i64", 2**63 - 1, 2**63 - 1),
        ("i64", 5, np.int8(5)),
        ("index", 9, np.uint64(9)),
    ],
)
def test_numbers(argument, value, given):
    line, wide = convert("n", argument)
    text = function(line + f"memref.store {wide}, %out[] : memref<f64>", f"%n: {argument}, %out: memref<f64>")
    assert ch8.execute(text, "f", [given], ()) == np.float64(value)


def test_static_strides_are_taken_from_the_array_or_a_copy():
    columns = "memref<3x4xf32, strided<[1, 3]>>"  # Fortran order
    text = function(
        f"memref.copy %x, %out : {columns} to memref<3x4xf32>", f"%x: {columns}, %out: memref<3x4xf32>"
    )
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(ch8.execute(text, "f", [np.asfortranarray(x)], (3, 4)), x)
    with pytest.raises(
        ValueError, match=r"arrays\[0\]: neither an array of shape \(3, 4\) nor a copy of it has the strides"
    ):
        ch8.execute(text, "f", [x], (3, 4))
    rows = text.replace("strided<[1, 3]>", "strided<[?, 1], offset: ?>")
    for array in (x, np.asfortranarray(x), x[::-1], np.repeat(x, 2, axis=0)[::2]):
        assert np.array_equal(ch8.execute(rows, "f", [array], (3, 4)), array)


def test_inputs_are_not_written_and_results_are_fresh():
    A, B = random_matrices()
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    first = ch8.execute(GEMM, "gemm", [A, B], (4, 6))
    kept = first.copy()
    second = ch8.execute(GEMM, "gemm", [-A, B], (4, 6))
    assert (A.tobytes(), B.tobytes()) == before
    assert (
        not np.shares_memory(first, second) and np.array_equal(first, kept) and np.array_equal(second, -kept)
    )
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


def test_the_output_begins_as_zeros():
    np.full(1000, 7.0, np.float32)  # dirty memory for the allocator to hand out
    assert not ch8.execute(function("", "%m: memref<?xf32>"), "f", [], (1000,)).any()


# --- tensors -------------------------------------------------------------------------------------------


def test_a_tensor_that_is_returned_is_the_output():
    rng = np.random.default_rng(0)
    a, row = rng.standard_normal((4, 8), dtype=np.float32), rng.standard_normal(8, dtype=np.float32)
    a.flags.writeable = False
    before = a.tobytes()
    out = ch8.execute(TEXTS["tensor"], "f", [a, row], (4, 8))
    total = a + row
    expected = total.copy()
    expected[0:2, 0:3] = np.exp(total[1:3, 2:8:2])
    expected = np.pad(expected[:3, :7], ((1, 0), (0, 1)))
    assert np.allclose(out, expected, rtol=4 * EPSILON) and a.tobytes() == before


def test_a_tensor_argument_is_not_computed_in():
    text = """func.func @f(%x: tensor<?xf32>, %n: index) -> tensor<4xf32> {
      %four = tensor.cast %x : tensor<?xf32> to tensor<4xf32>
      %r = linalg.exp ins(%four : tensor<4xf32>) outs(%four : tensor<4xf32>) -> tensor<4xf32>
      return %r : tensor<4xf32>
    }
    func.func @same(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }"""
    x = np.zeros(4, np.float32)
    assert (ch8.execute(text, "f", [x, 4], (4,)) == 1).all() and (x == 0).all()
    assert not np.shares_memory(ch8.execute(text, "same", [x], (4,)), x)


# --- what is refused: the call -------------------------------------------------------------------------

ROWS = example.SCALE_ROWS
x64, f6 = np.ones((6, 4), np.float32), np.ones(6)


@pytest.mark.parametrize(
    "arrays, shape, error, sentence",
    [
        ([x64, f6], (6, 4), ValueError, "arrays: @scale_rows takes 3 and the output, got 2"),
        ([x64, f6, 1, 1], (6, 4), ValueError, "arrays: @scale_rows takes 3 and the output, got 4"),
        ([x64, x64, 1], (6, 4), TypeError, "arrays[1]: expected an array of float64, got one of float32"),
        (
            [x64.astype(np.float16), f6, 1],
            (6, 4),
            TypeError,
            "arrays[0]: expected an array of float32, got one of float16",
        ),
        ([x64[0], f6, 1], (6, 4), ValueError, "arrays[0]: expected shape (any, 4), got (4,)"),
        ([x64[:, :3], f6, 1], (6, 4), ValueError, "arrays[0]: expected shape (any, 4), got (6, 3)"),
        ([x64, 3.0, 1], (6, 4), TypeError, "arrays[1]: expected a NumPy array of float64, got float"),
        ([x64, f6, 1.5], (6, 4), TypeError, "arrays[2]: expected an integer for i32, got float"),
        ([x64, f6, True], (6, 4), TypeError, "arrays[2]: expected an integer for i32, got bool"),
        ([x64, f6, np.int32([1])], (6, 4), TypeError, "arrays[2]: expected an integer for i32, got ndarray"),
        ([x64, f6, "1"], (6, 4), TypeError, "arrays[2]: expected an integer for i32, got str"),
        ([x64, f6, 2**31], (6, 4), ValueError, "arrays[2]: 2147483648 does not fit i32"),
        ([x64, f6, -(2**70)], (6, 4), ValueError, "arrays[2]: -1180591620717411303424 does not fit i32"),
        ([x64, f6, 1], (6, 5), ValueError, "out_shape: expected (any, 4) for memref<?x4xf32>, got (6, 5)"),
        ([x64, f6, 1], (6,), ValueError, "out_shape: expected (any, 4) for memref<?x4xf32>, got (6,)"),
        ([x64, f6, 1], (-6, 4), ValueError, "out_shape: expected sizes that are not negative, got (-6, 4)"),
        (
            [x64, f6, 1],
            (2**62, 4),
            ValueError,
            "out_shape: (4611686018427387904, 4) is more than there can be memory for",
        ),
        ([x64, f6, 1], 24, TypeError, "out_shape: expected a list or tuple of sizes, got int"),
        ([x64, f6, 1], (6.0, 4), TypeError, "out_shape: expected integers, got (6.0, 4)"),
        (x64, (6, 4), TypeError, "arrays: expected a list or tuple of arrays and numbers, got ndarray"),
        (None, (6, 4), TypeError, "arrays: expected a list or tuple of arrays and numbers, got NoneType"),
    ],
)
def test_arguments_that_do_not_match_are_a_sentence(arrays, shape, error, sentence):
    with pytest.raises(error) as raised:
        ch8.execute(ROWS, "scale_rows", arrays, shape)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert (
        ch8.execute(ROWS, "scale_rows", [x64, f6, 1], (6, 4)) == 2
    ).all()  # and nothing is broken afterwards


def test_a_float_that_does_not_fit():
    with pytest.raises(ValueError, match=r"arrays\[0\]: 1e\+39 does not fit f32"):
        ch8.execute(function("", "%x: f32, %out: memref<f32>"), "f", [1e39], ())


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False))
def test_arguments_by_chance_are_refused_or_right(source):
    choices = [
        x64,
        x64.T,
        x64[:3],
        f6,
        f6[::-1],
        f6[:0],
        x64.astype(">f4"),
        np.ones((6, 4, 1)),
        None,
        1,
        1.5,
        "x",
        [f6],
        {},
    ]
    arrays = [source.choice(choices) for _ in range(source.choice([2, 3, 3, 3, 3, 4]))]
    shape = source.choice([(6, 4), (6, 4), (3, 4), (6,), (), None, "64", (6, None), [6, 4], (-1, 4)])
    if source.random() < 0.5:  # close to what is right
        arrays[:2] = x64, f6
    if isinstance(arrays[0], np.ndarray) and shape and arrays[0].shape != tuple(shape):
        return  # sizes that are ? are the text's own affair: it must not read what is not there
    if isinstance(arrays[1], np.ndarray) and arrays[1].shape != (6,):
        return
    is_right = (
        len(arrays) == 3
        and arrays[0] is x64
        and isinstance(arrays[1], np.ndarray)
        and type(arrays[2]) is int
        and shape == (6, 4)
    )
    try:
        out = ch8.execute(ROWS, "scale_rows", arrays, shape)
    except (TypeError, ValueError) as error:
        assert not is_right, error
        assert str(error).startswith(("arrays", "out_shape")), error  # names what is wrong
        return
    assert np.array_equal(out, arrays[0] * arrays[1][:, None] + arrays[2])


# --- every accepted dialect, against NumPy -------------------------------------------------------------


def test_dialects_compute():
    rng = np.random.default_rng(1)
    f32 = lambda *shape: rng.standard_normal(shape, dtype=np.float32)  # noqa: E731
    a, b = f32(5, 4), f32(4, 6)
    assert np.allclose(ch8.execute(TEXTS["linalg"], "f", [a, b, 3.0], (5, 6)), 3 * (a @ b), atol=1e-5)
    x = rng.standard_normal(9)
    assert np.isclose(ch8.execute(TEXTS["scf"], "f", [x, 9], ()), np.tanh(np.sqrt(x[x > 0]).sum()))
    a, b = f32(4, 8), f32(8, 4)
    rows = np.exp(a @ b).sum(axis=1)
    assert np.allclose(
        ch8.execute(TEXTS["vector"], "f", [a, b], (4, 4)), np.tile(rows[:, None], 4), rtol=1e-5
    )
    x = rng.integers(-99, 99, (8, 8), dtype=np.int32)
    i, j = np.mgrid[:8, :8]
    values = -(-(x * 7) // 7) + i // 2 + j % 3
    expected = np.zeros((8, 8), np.int32)
    expected[:, 5::2] = values[:, 4::2]
    assert np.array_equal(ch8.execute(TEXTS["affine"], "f", [x, 7], (8, 8)), expected)
    x = rng.integers(-99, 99, (4, 4))
    assert np.array_equal(ch8.execute(TEXTS["memref"], "f", [x], (2, 2)), x[1::2, 1:3])
    assert ch8.execute(TEXTS["cf"], "f", [10], (1,)) == 3628800
    a, b = f32(6), f32(6)
    assert np.array_equal(ch8.execute(TEXTS["bufferization"], "f", [a, b], (6,)), np.maximum(a, b))


def test_math_that_llvm_lacks_comes_from_libm():
    body = "%x = memref.load %a[] : memref<f64>\n%0 = math.erf %x : f64\n%1 = math.cbrt %0 : f64\n"
    body += "%k = arith.constant 3 : i32\n%2 = math.fpowi %1, %k : f64, i32\n%i = math.ipowi %k, %k : i32\n"
    body += "%3 = arith.sitofp %i : i32 to f64\n%4 = arith.mulf %2, %3 : f64\nmemref.store %4, %out[] : memref<f64>"
    text = function(body, "%a: memref<f64>, %out: memref<f64>")
    assert np.isclose(ch8.execute(text, "f", [np.array(0.5)], ()), 0.5204998778130465 * 27)


# --- the IR --------------------------------------------------------------------------------------------


def test_stages_begin_with_the_input_and_have_mlirs_names():
    known = subprocess.run(
        ["mlir-opt", "--help"], env=chapters.environment(), capture_output=True, text=True
    ).stdout
    for text in (ROWS, TEXTS["tensor"]):
        stages = ch8.stages(text)
        assert stages[0] == ("input", ch8.ir(text))
        names = [name for name, _ in stages[1:]]
        assert [name for name in names if not re.search(rf"--{name}\s", known)] == [
            n for n in names if n in OWN_PASSES
        ]
        assert all(a != b for a, b in zip(names, names[1:]))  # once, also where a text has two functions
        assert set(names) > OWN_PASSES and names[0] == "ch8-own-names"
    assert ("one-shot-bufferize" in names) and ("one-shot-bufferize" not in dict(ch8.stages(ROWS)))


def test_a_tensor_becomes_the_last_argument():
    chapters.filecheck(
        dict(ch8.stages(TEXTS["tensor"]))["buffer-results-to-out-params"],
        """
        CHECK: func.func @text.f(%arg0: memref<4x8xf32>{{.*}}, %arg1: memref<8xf32>{{.*}}, %arg2: memref<4x8xf32>) {
        CHECK: func.func private @text.padded(%arg0: memref<4x8xf32>{{.*}}, %arg1: memref<4x8xf32>) {
        """,
        "--implicit-check-not=tensor<",
    )


def test_the_last_stage_takes_the_words_of_the_signature():
    words = ch8.signature(ROWS, "scale_rows")
    assert [kind for _, kind in words] == (
        ["!llvm.ptr", "!llvm.ptr", *["i64"] * 5] + ["!llvm.ptr", "!llvm.ptr", *["i64"] * 3] + ["i32"]
    ) + ["!llvm.ptr", "!llvm.ptr", *["i64"] * 5]
    types = ", ".join(f"%arg{i}: {kind}" for i, (_, kind) in enumerate(words))
    assert f"llvm.func @text.scale_rows({types})" in ch8.stages(ROWS)[-1][1]
    assert len(ch8.signature(GEMM, "gemm")) == 21  # ch.2's


def test_llvm_ir_and_assembly_are_of_the_text():
    assert "define void @text.scale_rows(ptr" in ch8.llvm_ir(ROWS)
    assert "text.scale_rows:" in ch8.assembly(ROWS)
    assert ch8.ir(ch8.ir(ROWS)) == ch8.ir(ROWS)


def test_names():
    assert ch8 is ch8_custom_dialect
    assert ch8.execute.__doc__ and ch8.__doc__
    assert issubclass(ch8.CompileError, RuntimeError)


# --- the cache -----------------------------------------------------------------------------------------


def test_a_second_execute_compiles_nothing():
    ch8.clear_cache()
    text = ROWS + "// of this test\n"
    for n in range(5):
        ch8.execute(text, "scale_rows", [x64, f6, n], (6, 4))
    info = ch8.cache_info()
    assert (info.hits, info.misses, info.size) == (4, 1, 1) and info.compile_seconds > 0
    kept = ch8.compiled(text, "scale_rows")
    ch8.clear_cache()
    assert ch8.cache_info().size == 0 and (kept([x64, f6, 2], (6, 4)) == 3).all()
    assert kept.__name__ == "scale_rows"


def test_a_failed_compile_leaves_nothing():
    ch8.clear_cache()
    for _ in range(2):
        with pytest.raises(ch8.CompileError):
            ch8.execute("module {", "f", [], ())
    assert ch8.cache_info().size == 0 and ch8.cache_info().misses == 0


# --- threads and memory --------------------------------------------------------------------------------


def test_eight_threads_compile_and_call():
    run_python("""
        import threading, numpy as np, ch8, ch2
        text = ch2.ir()
        A = np.arange(12, dtype=np.float32).reshape(3, 4)
        B = np.arange(20, dtype=np.float32).reshape(4, 5)
        ready, wrong = threading.Barrier(8), []
        def work(i):
            ready.wait()
            own = text + f"// {i % 2}"
            for n in range(300):
                if not np.array_equal(ch8.execute(own, "gemm", [np.float32(i) * A, B], (3, 5)), i * (A @ B)):
                    wrong.append(i)
        threads = [threading.Thread(target=work, args=[i]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
        assert ch8.cache_info().misses == 2, ch8.cache_info()
    """)


def test_other_threads_run_while_one_compiles_or_calls():
    A = np.ones((300, 300), np.float32)
    assert ticks_during(lambda: ch8.assembly(ROWS)) > 20
    assert ticks_during(lambda: ch8.execute(GEMM, "gemm", [A, A], A.shape)) > 20


def test_a_process_ends_well():
    run_python(
        """
        import numpy as np, ch8, ch2
        A = np.ones((4, 4), np.float32)
        kept = ch8.compiled(ch2.ir(), "gemm")
        ch8.execute(ch2.ir(), "gemm", [A, A], (4, 4))
        ch8.clear_cache()
        """,
        MALLOC_PERTURB_="165",
    )


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch8, ch2
        A = np.ones((8, 8), np.float32)
        text = ch2.ir()
        def calls(n):
            for _ in range(n):
                ch8.execute(text, "gemm", [A, A[::-1]], (8, 8))
                for bad in ([A], [A, 1.0]):
                    try:
                        ch8.execute(text, "gemm", bad, (8, 8))
                    except (TypeError, ValueError):
                        pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, ch8
        text = "func.func @f(%m: memref<4xf32>) { return }"
        def compiles(n):
            for i in range(n):
                ch8.execute(f"{text} // {i}", "f", [], (4,), trusted=True)
                ch8.clear_cache()
                try:
                    ch8.ir("func.func @f(", trusted=True)
                except ch8.CompileError:
                    pass
        compiles(10)
        before = chapters.resident_kb()
        compiles(40)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 4096


# --- the lesson's programs -----------------------------------------------------------------------------


def script(*command, status=0) -> str:
    done = subprocess.run([sys.executable, *command], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "case, said",
    [
        ("arrays", "TypeError: arrays[1]: expected an array of float64, got one of float32"),
        ("function", "ValueError: function: the text defines no @scale_columns, it defines @scale_rows"),
        (
            "declared",
            "ir:2:1: error: @getpid is declared and not defined; a text can call only what it defines",
        ),
        ("result", "CompileError: @f cannot be called from outside: it returns memref<4xf32>"),
        ("crash", "CompileError: the "),
        ("template", "ir:21:10: error: custom op 'arith.maxf' is unknown"),
    ],
)
def test_broken(case, said):
    assert said in script("broken.py", case)


def test_the_general_call_is_counted_against_wrappers():
    counts = chapters.run_script(HERE / "count_lines.py").counts()
    by_hand, table, general = counts["the call"].values()
    assert 30 < by_hand < 80 and table < 80 and general < 12 * by_hand
    in_cpp, in_text = counts["the dialect"].values()
    assert in_text < in_cpp


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_sub_neg.py"], 0),
        (["2", "exercises/solutions/2_linear.py"], 0),
        (["3", "exercises/solutions/3_saxpy.mlir"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    script("exercises/check.py", *arguments, status=status)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
