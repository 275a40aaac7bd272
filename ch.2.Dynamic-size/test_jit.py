"""What chapter 2 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

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
from course_testing import assert_is_product, memory_growth_kb, run_python, strided, ticks_during

import ch1
import ch2
import ch2_dynamic_size

HERE = pathlib.Path(__file__).resolve().parent
MATRIX = "memref<?x?xf32, strided<[?, ?], offset: ?>>"
TYPE = f"({', '.join(3 * [MATRIX])}) -> ()"
PASSES = [
    "convert-linalg-to-loops",
    "convert-scf-to-cf",
    "convert-arith-to-llvm",
    "finalize-memref-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]

by_hand = chapters.run_script(HERE / "by_hand.py")
knowledge = chapters.run_script(HERE / "knowledge.py")


def random_arrays(M, K, N, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((M, K), dtype=np.float32), rng.standard_normal((K, N), dtype=np.float32)


@st.composite
def pairs(draw):
    """A and B of any sizes and strides whose product exists."""
    size = st.one_of(st.integers(0, 4), st.integers(0, 40))
    M, K, N = draw(size), draw(size), draw(size)
    return draw(strided((M, K))), draw(strided((K, N)))


# --- the result ----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(pairs())
def test_gemm_is_the_product_for_all_shapes_and_strides(pair):
    A, B = pair
    C = ch2.gemm(A, B)
    assert_is_product(C, A, B)
    assert np.array_equal(C, ch2.gemm(A.copy(), B.copy()))  # strides change no bit
    assert np.array_equal(C, ch2.gemm_ciface(A, B))  # and neither does the way in


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 32, 16), (1, 300, 1), (300, 1, 300), (127, 65, 33)])
def test_known_values(shape):
    # Small integers: every sum is exact, so the result is equal to the last bit.
    M, K, N = shape
    A = (np.arange(M * K, dtype=np.float32) % 17 - 8).reshape(M, K)
    B = (np.arange(K * N, dtype=np.float32) % 13 - 6).reshape(K, N)
    for function in ch2.gemm, ch2.gemm_ciface:
        assert np.array_equal(function(A, B), A @ B)
        assert np.array_equal(function(B.T, A.T), (A @ B).T)


@pytest.mark.parametrize(
    "shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 2), (3, 0, 0), (0, 2, 0), (0, 0, 0)]
)
def test_sizes_of_zero(shape):
    M, K, N = shape
    for _ in range(50):  # the memory of a result has been used before
        dirty = np.full((max(M, 1), max(N, 1)), np.nan, np.float32)
        del dirty
        for function in ch2.gemm, ch2.gemm_ciface:
            C = function(np.empty((M, K), np.float32), np.empty((K, N), np.float32))
            assert C.shape == (M, N) and C.dtype == np.float32 and not C.any()


def test_the_same_bits_as_chapter_1():
    A, B = random_arrays(8, 32, 16)
    assert np.array_equal(ch2.gemm(A, B), ch1.gemm(A, B))


def test_one_compiled_function_serves_all_shapes():
    places = {ch2.address()}
    for shape in [(1, 2, 3), (30, 20, 10), (0, 1, 0)]:
        ch2.gemm(*random_arrays(*shape))
        places.add(ch2.address())
    assert len(places) == 1


def test_nan_and_infinity_pass_through():
    A, B = random_arrays(7, 9, 5)
    A[3, 7], A[5, 0] = np.nan, np.inf
    C = ch2.gemm(A, B)
    assert np.isnan(C[3]).all() and np.isinf(C[5]).all()
    assert np.isfinite(np.delete(C, [3, 5], axis=0)).all()


def test_inputs_are_not_written():
    A, B = random_arrays(6, 6, 6)
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    for a in (A, A.T, A[::-1], np.broadcast_to(A[0], (6, 6))):
        ch2.gemm(a, B)
        ch2.gemm_ciface(B, a)
    assert (A.tobytes(), B.tobytes()) == before


def test_results_are_fresh():
    A, B = random_arrays(4, 5, 6)
    first = ch2.gemm(A, B)
    kept = first.copy()
    second = ch2.gemm(-A, B)
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept) and np.array_equal(second, -kept)
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


# --- descriptors -----------------------------------------------------------------------------------------


def test_a_descriptor_has_five_fields():
    A = np.zeros((4, 6), np.float32)
    here = A.ctypes.data
    assert ch2.descriptor(A) == {
        "allocated": here,
        "aligned": here,
        "offset": 0,
        "sizes": (4, 6),
        "strides": (6, 1),
    }


@settings(deadline=None, max_examples=200)
@given(st.tuples(st.integers(0, 6), st.integers(0, 6)).flatmap(strided))
def test_what_is_copied_and_what_is_not(array):
    """A descriptor describes the array itself wherever it can."""
    d = ch2.descriptor(array)
    assert d["sizes"] == array.shape and d["allocated"] == d["aligned"] and d["offset"] == 0
    steps = [stride for stride, size in zip(array.strides, array.shape) if size > 1]
    if array.flags.aligned and all(step >= 0 for step in steps):
        assert d["aligned"] == array.ctypes.data
        assert [4 * stride for stride, size in zip(d["strides"], array.shape) if size > 1] == steps
    elif array.size:
        assert d["aligned"] != array.ctypes.data and d["aligned"] % 4 == 0
        assert d["strides"] == (array.shape[1], 1)


def test_copied_are_reversed_misaligned_and_odd_ones():
    A = np.arange(30, dtype=np.float32).reshape(5, 6)
    records = np.zeros((5, 6), [("number", np.float32), ("letter", "S2")])  # six bytes each
    records["number"] = A
    misaligned = np.zeros(A.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(5, 6)
    misaligned[...] = A
    for view in (A[::-1], A[:, ::-1], records["number"], misaligned):
        assert not np.shares_memory(view, view.copy())
        assert ch2.descriptor(view)["aligned"] != view.ctypes.data
        assert ch2.descriptor(view)["strides"] == (6, 1)
        assert_is_product(ch2.gemm(view, A.T), view, A.T)
    for view in (A, A.T, A[1:, ::2], np.broadcast_to(A[2], (4, 6)), np.asfortranarray(A)):
        assert ch2.descriptor(view)["aligned"] == view.ctypes.data


def test_a_call_by_hand_gives_the_same_bits():
    A, B = random_arrays(5, 7, 9)
    C = np.empty((5, 9), np.float32)
    for a, b in ((A, B), (np.asfortranarray(A), np.asfortranarray(B))):
        C.fill(np.nan)
        by_hand.gemm(*map(ch2.descriptor, (a, b, C)))
        assert np.array_equal(C, ch2.gemm(A, B))


def test_what_the_fields_mean():
    """`allocated` is not looked at; only aligned + offset counts; strides say where the next one is, in C too."""
    A, B = random_arrays(5, 7, 9)
    expected = ch2.gemm(A, B)
    C = np.full((9, 5), np.nan, np.float32)
    a, b, c = map(ch2.descriptor, (A, B, C.T))
    by_hand.gemm(a | {"allocated": 0}, b | {"allocated": 0}, c | {"allocated": 0})
    assert np.array_equal(C.T, expected)
    C.fill(np.nan)
    moved = {"aligned": a["aligned"] - 400, "offset": 100}  # bytes, elements
    by_hand.gemm(a | moved, b, c)
    assert np.array_equal(C.T, expected)
    C.fill(np.nan)
    by_hand.gemm(a | {"sizes": (3, 7)}, b, c | {"sizes": (3, 9)})
    assert np.array_equal(C.T[:3], expected[:3]) and np.isnan(C.T[3:]).all()


def test_there_is_no_code_of_another_name():
    assert ch2.address("gemm") != ch2.address("_mlir_ciface_gemm")
    with pytest.raises(ch2.CompileError, match="no compiled function 'product'"):
        ch2.address("product")


# --- the errors ------------------------------------------------------------------------------------------

GOOD_A, GOOD_B = random_arrays(8, 32, 16)
HUGE = np.empty((2**40, 0), np.float32)


@pytest.mark.parametrize("gemm", [ch2.gemm, ch2.gemm_ciface], ids=["gemm", "gemm_ciface"])
@pytest.mark.parametrize(
    "A, B, error, sentence",
    [
        (GOOD_A, GOOD_B.T, ValueError, "B: expected shape (32, any) for an A of (8, 32), got (16, 32)"),
        (GOOD_A[:, :0], GOOD_B, ValueError, "B: expected shape (0, any) for an A of (8, 0), got (32, 16)"),
        (GOOD_A, GOOD_B[:31], ValueError, "B: expected shape (32, any) for an A of (8, 32), got (31, 16)"),
        (GOOD_A[0], GOOD_B, ValueError, "A: expected shape (any, any), got (32,)"),
        (GOOD_A, GOOD_B[None], ValueError, "B: expected shape (any, any), got (1, 32, 16)"),
        (GOOD_A, np.zeros((), np.float32), ValueError, "B: expected shape (any, any), got ()"),
        (GOOD_A, np.float32(1), TypeError, "B: expected a NumPy array of float32, got float32"),
        (GOOD_A.astype(np.float64), GOOD_B, TypeError, "A: expected an array of float32, got one of float64"),
        (GOOD_A, GOOD_B.astype(np.int32), TypeError, "B: expected an array of float32, got one of int32"),
        (GOOD_A, GOOD_B.astype(">f4"), TypeError, "B: expected an array of float32, got one of >f4"),
        (GOOD_A.tolist(), GOOD_B, TypeError, "A: expected a NumPy array of float32, got list"),
        (GOOD_A, None, TypeError, "B: expected a NumPy array of float32, got NoneType"),
    ],
)
def test_a_bad_argument_is_a_sentence(gemm, A, B, error, sentence):
    with pytest.raises(error) as raised:
        gemm(A, B)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert_is_product(gemm(GOOD_A, GOOD_B), GOOD_A, GOOD_B)  # and nothing is broken afterwards


@pytest.mark.parametrize("function", [ch2.gemm, ch2.gemm_ciface])
def test_a_result_that_fits_nowhere_is_numpys_error(function):
    with pytest.raises((ValueError, MemoryError)):
        function(HUGE, HUGE.T)


def test_a_bad_array_for_descriptor_is_a_sentence():
    for bad, error, sentence in [
        (np.zeros(3, np.float32), ValueError, "array: expected shape (any, any), got (3,)"),
        (np.zeros((3, 2)), TypeError, "array: expected an array of float32, got one of float64"),
    ]:
        with pytest.raises(error, match=re.escape(sentence)):
            ch2.descriptor(bad)


# --- the IR ----------------------------------------------------------------------------------------------


def test_ir_is_a_matmul_on_memrefs_of_any_size():
    chapters.filecheck(
        ch2.ir(),
        """
        CHECK:      func.func @gemm(
        CHECK-SAME:   %[[A:[^:]*]]: memref<?x?xf32, strided<[?, ?], offset: ?>>,
        CHECK-SAME:   %[[B:[^:]*]]: memref<?x?xf32, strided<[?, ?], offset: ?>>,
        CHECK-SAME:   %[[C:[^:]*]]: memref<?x?xf32, strided<[?, ?], offset: ?>>)
        CHECK-SAME:   llvm.emit_c_interface
        CHECK-NEXT:   %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
        CHECK-NEXT:   linalg.fill ins(%[[ZERO]] : f32) outs(%[[C]] :
        CHECK-NEXT:   linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[C]] :
        CHECK-NEXT:   return
        """,
    )


def test_stages_are_those_of_chapter_1():
    stages = ch2.stages()
    assert stages[0] == ("input", ch2.ir())
    assert [name for name, _ in stages[1:]] == PASSES == [name for name, _ in ch1.stages()[1:]]


def test_mlir_opt_agrees_with_every_stage():
    for n, (name, ir) in enumerate(ch2.stages()):
        command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *(f"--{p}" for p in PASSES[:n])]
        done = subprocess.run(command, input=ch2.ir(), capture_output=True, text=True)
        assert done.stdout.strip() == ir.strip(), f"{name}: {done.stderr}"


def test_loops_run_to_the_sizes_of_the_arguments():
    chapters.filecheck(
        dict(ch2.stages())["convert-linalg-to-loops"],
        """
        CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
        CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
        CHECK:     memref.store %{{.*}}, %arg2
        CHECK:     %[[M:.*]] = memref.dim %arg0, %[[C0]]
        CHECK:     %[[K:.*]] = memref.dim %arg0, %[[C1]]
        CHECK:     %[[N:.*]] = memref.dim %arg1, %[[C1]]
        CHECK:     scf.for %[[i:.*]] = %[[C0]] to %[[M]] step %[[C1]]
        CHECK:       scf.for %[[j:.*]] = %[[C0]] to %[[N]] step %[[C1]]
        CHECK:         scf.for %[[k:.*]] = %[[C0]] to %[[K]] step %[[C1]]
        CHECK-DAG:       memref.load %arg0[%[[i]], %[[k]]]
        CHECK-DAG:       memref.load %arg1[%[[k]], %[[j]]]
        CHECK-DAG:       memref.load %arg2[%[[i]], %[[j]]]
        CHECK:           memref.store %{{.*}}, %arg2[%[[i]], %[[j]]]
        """,
        "--implicit-check-not=linalg",
    )


def test_the_last_stage_has_21_arguments():
    last = ch2.stages()[-1][1]
    chapters.filecheck(
        last,
        """
        CHECK:         llvm.func @gemm(
        CHECK-SAME:      %arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: i64, %arg3: i64, %arg4: i64, %arg5: i64, %arg6: i64,
        CHECK-SAME:      %arg7: !llvm.ptr, %arg8: !llvm.ptr, %arg9: i64, {{.*}}%arg13: i64,
        CHECK-SAME:      %arg14: !llvm.ptr, %arg15: !llvm.ptr, %arg16: i64, {{.*}}%arg20: i64)
        CHECK:         llvm.func @_mlir_ciface_gemm(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr)
        CHECK-COUNT-3: llvm.load %arg{{[0-2]}} : !llvm.ptr -> !llvm.struct<(ptr, ptr, i64, array<2 x i64>,
        CHECK:         llvm.call @gemm
        """,
    )
    for gone in "linalg.", "scf.", "arith.", "memref", "func.func", " cf.", "builtin.":
        assert gone not in last.replace("llvm.func", ""), gone


def test_the_address_of_an_element_is_made_of_strides():
    chapters.filecheck(
        ch2.stages()[-1][1].split("llvm.fmul")[0].rsplit("^bb", 1)[1],
        """
        CHECK:      %[[START:.*]] = llvm.getelementptr %arg1[%arg2]
        CHECK-NEXT: %[[DOWN:.*]] = llvm.mul %{{.*}}, %arg5 overflow<nsw, nuw>
        CHECK-NEXT: %[[ALONG:.*]] = llvm.mul %{{.*}}, %arg6 overflow<nsw, nuw>
        CHECK-NEXT: %[[SUM:.*]] = llvm.add %[[DOWN]], %[[ALONG]]
        CHECK-NEXT: %[[PLACE:.*]] = llvm.getelementptr inbounds|nuw %[[START]][%[[SUM]]]
        CHECK-NEXT: llvm.load %[[PLACE]]
        """,
    )


def test_llvm_removes_what_is_not_needed():
    parameters = re.search(r"define void @gemm\((.*)\)", ch2.llvm_ir())[1].split(", ")
    assert len(parameters) == 21
    assert [i for i, text in enumerate(parameters) if "readnone" in text] == [0, 7, 14]
    assert "alloca" not in ch2.llvm_ir()  # what memref.dim was on the way


def test_what_llvm_makes_of_what_it_knows():
    """The lesson's table: only the inner loop along rows becomes vectors, behind a question where strides are open."""
    verdicts = {
        (name, order): knowledge.verdict(ch2.llvm_ir(knowledge.ir(known, order, *sizes)))
        for name, (known, sizes) in knowledge.CASES.items()
        for order in ("ijk", "ikj")
    }
    assert verdicts == {
        ("nothing", "ijk"): "one by one",
        ("nothing", "ikj"): "vectors, if strides are 1",
        ("the step along a row", "ijk"): "one by one",
        ("the step along a row", "ikj"): "vectors",
        ("all sizes, 64x64x64", "ijk"): "one by one",
        ("all sizes, 64x64x64", "ikj"): "vectors",
        ("all sizes, 8x32x16", "ijk"): "vectors",
        ("all sizes, 8x32x16", "ikj"): "one by one",
    }
    assert knowledge.verdict(ch2.llvm_ir()) == "one by one"


@pytest.mark.parametrize("order", ["ijk", "ikj", "jki", "kij"])
@pytest.mark.parametrize("name", knowledge.CASES)
def test_more_knowledge_changes_no_bit(name, order):
    known, sizes = knowledge.CASES[name]
    A, B = random_arrays(*sizes)
    assert np.array_equal(ch2.run(knowledge.ir(known, order, *sizes), A, B), ch2.gemm(A, B))


def test_names():
    assert ch2 is ch2_dynamic_size
    assert ch2.test_ir_generation() == ch2.ir()
    assert ch2.test_optimized_ir() == ch2.test_lowered_ir() == ch2.stages()[-1][1]
    assert ch2.__doc__
    for name in ("gemm", "gemm_ciface", "descriptor", "run", "compiled", "address"):
        assert getattr(ch2, name).__doc__
    assert re.search(r"^gemm:$", ch2.assembly(), re.M)


# --- IR of the reader --------------------------------------------------------------------------------------


def test_ir_of_the_reader_takes_the_same_way():
    A, B = random_arrays(9, 10, 11)
    assert np.array_equal(ch2.run(ch2.ir(), A, B), ch2.gemm(A, B))
    assert ch2.stages(ch2.ir()) == ch2.stages()
    assert ch2.llvm_ir(ch2.ir()) == ch2.llvm_ir()
    doubled = ch2.ir().replace(
        "return",
        f"linalg.matmul ins(%arg0, %arg1 : {MATRIX}, {MATRIX}) outs(%arg2 : {MATRIX})\n return",
    )
    function = ch2.compiled(doubled)
    for shape in [(2, 3, 4), (0, 3, 4), (20, 1, 30)]:
        A, B = random_arrays(*shape)
        assert np.allclose(function(A, B), 2 * (A @ B), atol=1e-5)
    with pytest.raises(ValueError, match=re.escape("for an A of (20, 1), got (20, 1)")):
        function(A, A)
    with pytest.raises(TypeError, match="B: expected a NumPy array"):
        function(A, B=None)


def broken(case):
    """What broken.py prints for one case."""
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


SIZES_MISSING = {
    21: "dimension operand count does not equal memref dynamic dimension count",
    22: "incorrect number of dynamic sizes, has 0, expected 2",
}[chapters.llvm_major()]


@pytest.mark.parametrize(
    "case, sentences",
    [
        ("fixed", ["ValueError: A: expected shape (8, 32), got (9, 32)"]),
        ("columns", ["ValueError: B: expected shape (32, any) for an A of (8, 32), got (16, 32)"]),
        ("layout", [f"CompileError: @gemm: expected the type {TYPE}, got (memref<?x?xf32>, "]),
        ("allocation", [f"ir:6:13: error: 'memref.alloc' op {SIZES_MISSING}"]),
        ("arguments", ["ir:6:5: error: 'func.call' op incorrect number of operands for callee"]),
    ],
)
def test_broken(case, sentences):
    for sentence in sentences:
        assert sentence in broken(case)


def test_a_failed_compile_is_in_the_exception(capfd):
    for function in (lambda ir: ch2.run(ir, GOOD_A, GOOD_B), ch2.compiled, ch2.stages):
        with pytest.raises(ch2.CompileError, match="custom op 'linalg.matmull' is unknown") as raised:
            function(ch2.ir().replace("linalg.matmul", "linalg.matmull"))
        assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ch2.CompileError, match="the IR defines no func.func @gemm"):
        ch2.compiled("func.func private @gemm()")
    with pytest.raises(ch2.CompileError, match=re.escape("got (memref<8x32xf32>")):
        ch2.compiled(ch1.ir())


# --- threads and memory ----------------------------------------------------------------------------------------


def test_eight_threads_may_make_the_first_call_together():
    run_python("""
        import threading, numpy as np, ch2
        ready, wrong = threading.Barrier(8), []
        def work(n):
            A = np.arange(n * 32, dtype=np.float32).reshape(n, 32) % 7
            B = np.arange(32 * n, dtype=np.float32).reshape(32, n) % 5
            expected = A @ B  # small integers: exact
            ready.wait()
            gemm = ch2.gemm if n % 2 else ch2.gemm_ciface
            for _ in range(300):
                if not (np.array_equal(gemm(A, B), expected) and np.array_equal(gemm(B.T, A.T), expected.T)):
                    wrong.append(n)
        threads = [threading.Thread(target=work, args=[i + 1]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
    """)


def test_a_process_ends_well():
    """Also with compiled functions that still live. Freed memory is overwritten here."""
    run_python(
        """
        import numpy as np, ch2
        A, B = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
        ch2.gemm(A, B)
        function = ch2.compiled(ch2.ir())
        function(A, B)
        ch2.run(ch2.ir(), A, B)
        """,
        MALLOC_PERTURB_="165",
    )


@pytest.mark.parametrize("what", ["gemm", "gemm_ciface", "compiled", "assembly"])
def test_other_threads_run_meanwhile(what):
    A, B = random_arrays(200, 200, 200)
    ir = ch2.ir()
    work = {
        "gemm": lambda: ch2.gemm(A, B),
        "gemm_ciface": lambda: ch2.gemm_ciface(A, B),
        "compiled": lambda: ch2.compiled(ir),
        "assembly": ch2.assembly,
    }[what]
    assert ticks_during(work) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = memory_growth_kb(
        """
        import ch2
        A, B = np.ones((8, 32), np.float32), np.ones((32, 16), np.float32)
        """,
        """
        ch2.gemm(A, B)
        ch2.gemm_ciface(A[::-1], B)
        ch2.gemm(B.T, A.T)
        ch2.descriptor(A[::-1])
        try:
            ch2.gemm(A, A)
        except ValueError:
            pass
        """,
    )
    assert growth_kb < 2048


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch2
        A, B = np.ones((8, 32), np.float32), np.ones((32, 16), np.float32)
        ir = ch2.ir().split("{")[1].split("attributes")[0] + "{ return }"  # little code: quickly compiled
        def compiles(n):
            for _ in range(n):
                ch2.run(ir, A, B)
                ch2.compiled(ir)(A, B)
        compiles(5)
        before = chapters.resident_kb()
        compiles(20)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 4096  # one context or one engine that stayed would be more


# --- the programs of the lesson and the exercises -----------------------------------------------------------------


def test_a_wrong_size_is_believed():
    """The lesson's warning: the neighbour's row is in the result, and nothing is said."""
    done = subprocess.run([sys.executable, "by_hand.py", "lie"], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "A has 2 rows, its descriptor says 2: [ 6 15  0]",
        "A has 2 rows, its descriptor says 3: [    6    15 24000]",
    ]


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_views.py"], 0),
        (["2", "exercises/solutions/2_transposed.mlir"], 0),
        (["3", "exercises/solutions/3_order.mlir"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    done = subprocess.run(
        [sys.executable, "exercises/check.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
