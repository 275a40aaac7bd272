"""What chapter 4 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import json
import os
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
from course_testing import assert_is_product, run_python, strided, ticks_during

import ch4
import ch4_tensor_bufferization

HERE = pathlib.Path(__file__).resolve().parent
VARIANTS = ("naive", "out_parameter", "destination")
count = chapters.run_script(HERE / "count.py")
every_variant = pytest.mark.parametrize("variant", VARIANTS)

DEALLOCATION = [
    "expand-realloc",
    "canonicalize",
    "ownership-based-buffer-deallocation",
    "canonicalize",
    "buffer-deallocation-simplification",
    "bufferization-lower-deallocations",
    "cse",
    "canonicalize",
]
TO_LLVM = [
    "convert-linalg-to-loops",
    "convert-scf-to-cf",
    "convert-bufferization-to-memref",
    "expand-strided-metadata",
    "lower-affine",
    "convert-arith-to-llvm",
    "finalize-memref-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]
BUFFERIZATION = {
    "naive": ["one-shot-bufferize", "cse", "canonicalize"],
    "out_parameter": ["one-shot-bufferize", "buffer-results-to-out-params", "cse", "canonicalize"],
    "destination": ["eliminate-empty-tensors", "one-shot-bufferize", "cse", "canonicalize"],
}


def random_arrays(M=9, K=5, N=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((M, K), dtype=np.float32), rng.standard_normal((K, N), dtype=np.float32)


@st.composite
def factors(draw):
    """A [M, K] and B [K, N] with any sizes, 0 included, and any strides."""
    M, K, N = (draw(st.integers(0, 12)) for _ in range(3))
    return draw(strided((M, K))), draw(strided((K, N)))


# --- the result ----------------------------------------------------------------------------------------


@every_variant
@settings(deadline=None, max_examples=60)
@given(factors())
def test_gemm_is_numpys_product(variant, arrays):
    A, B = arrays
    C = ch4.gemm(A, B, variant)
    assert_is_product(C, A, B)
    assert np.array_equal(C, ch4.gemm(A.copy(), B.copy()))  # the same to the last bit, whatever the variant


@every_variant
def test_strides_that_are_no_multiple_of_an_element(variant):
    """Fields of packed records: no memref can describe them, so they are copied."""
    records = np.zeros((6, 4), dtype=[("value", "f4"), ("mark", "i1")])
    A, B = random_arrays(6, 4, 4)
    records["value"] = A
    assert records["value"].strides == (20, 5)
    assert np.array_equal(ch4.gemm(records["value"], B, variant), ch4.gemm(A, B))
    assert np.array_equal(ch4.gemm(B, records["value"].T, variant), ch4.gemm(B, A.T))


@every_variant
def test_known_values(variant):
    A = np.arange(300 * 20, dtype=np.float32).reshape(300, 20) % 7
    B = np.arange(20 * 110, dtype=np.float32).reshape(20, 110) % 5
    assert np.array_equal(ch4.gemm(A, B, variant), A @ B)  # small integers: every sum is exact
    A[3, 7], A[5, 0] = np.nan, np.inf
    C = ch4.gemm(A, B + 1, variant)
    assert np.isnan(C[3]).all() and np.isinf(C[5]).all()
    assert np.isfinite(np.delete(C, [3, 5], axis=0)).all()


@every_variant
@pytest.mark.parametrize("M, K, N", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 1, 1)])
def test_sizes_of_zero(variant, M, K, N):
    C = ch4.gemm(np.ones((M, K), np.float32), np.ones((K, N), np.float32), variant)
    assert C.shape == (M, N) and (C == K).all()


@every_variant
def test_inputs_are_not_written_and_results_are_fresh(variant):
    A, B = random_arrays()
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    first = ch4.gemm(A, B, variant)
    kept = first.copy()
    second = ch4.gemm(-A, B, variant)
    assert (A.tobytes(), B.tobytes()) == before
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept) and np.array_equal(second, -kept)
    assert first.flags.writeable and first.flags.c_contiguous
    first[:] = 0  # ours to write
    assert np.array_equal(second, -kept)


def test_a_returned_memref_lives_as_long_as_its_last_view():
    A, B = random_arrays()
    before = ch4.allocations()
    C = ch4.gemm(A, B, "naive")
    expected = C[2:4].copy()
    view = C[2:4]
    del C
    held = ch4.allocations()
    assert np.array_equal(view, expected)
    assert held.made - before.made == 2 and held.freed - before.freed == 1
    del view
    assert ch4.allocations().freed - before.freed == 2


def test_a_returned_memref_is_aligned_to_a_cache_line():
    """`allocated` is what malloc gave; `aligned`, where the numbers begin, is the next multiple of 64."""
    A, B = random_arrays()
    for _ in range(20):
        assert ch4.gemm(A, B, "naive").ctypes.data % 64 == 0


# --- the errors ------------------------------------------------------------------------------------------

GOOD_A, GOOD_B = random_arrays()


@every_variant
@pytest.mark.parametrize(
    "A, B, error, sentence",
    [
        (GOOD_A, GOOD_B[:4], ValueError, "B: expected shape (5, any) for an A of (9, 5), got (4, 7)"),
        (GOOD_A[0], GOOD_B, ValueError, "A: expected shape (any, any), got (5,)"),
        (GOOD_A, GOOD_B[None], ValueError, "B: expected shape (any, any), got (1, 5, 7)"),
        (GOOD_A, np.float32(1), TypeError, "B: expected a NumPy array of float32, got float32"),
        (GOOD_A.astype(np.float64), GOOD_B, TypeError, "A: expected an array of float32, got one of float64"),
        (GOOD_A, GOOD_B.astype(np.int32), TypeError, "B: expected an array of float32, got one of int32"),
        (GOOD_A.tolist(), GOOD_B, TypeError, "A: expected a NumPy array of float32, got list"),
        (GOOD_A, None, TypeError, "B: expected a NumPy array of float32, got NoneType"),
    ],
)
def test_a_bad_argument_is_a_sentence(variant, A, B, error, sentence):
    with pytest.raises(error) as raised:
        ch4.gemm(A, B, variant)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert_is_product(ch4.gemm(GOOD_A, GOOD_B, variant), GOOD_A, GOOD_B)  # and nothing is broken afterwards


@pytest.mark.parametrize("name", ["", "Naive", "fast"])
def test_an_unknown_variant_is_a_sentence(name):
    sentence = f"variant: expected 'naive', 'out_parameter' or 'destination', got '{name}'"
    for function in (lambda: ch4.gemm(GOOD_A, GOOD_B, name), lambda: ch4.ir(name), lambda: ch4.stages(name)):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            function()


@every_variant
def test_a_result_that_is_too_large_is_an_error(variant):
    """2^62 elements are 2^64 bytes, which is 0 in 64 bits: compiled code would allocate nothing and write."""
    asan = os.environ.get("ASAN_OPTIONS", "") + ":allocator_may_return_null=1"  # as malloc does
    said = run_python(
        f"""
        import numpy as np, ch4
        for n in 2**31, 2**28:
            A = np.broadcast_to(np.float32(1), (n, 1))
            try:
                ch4.gemm(A, A.T, "{variant}")
            except (MemoryError, ValueError):
                print("refused")
        """,
        ASAN_OPTIONS=asan,
    )
    assert said.split() == ["refused", "refused"]


# --- the IR: what each variant allocates, copies and frees -------------------------------------------------

COUNTS = {  # variant: (alloc, copy, dealloc), with the deallocation pipeline
    "naive": (2, 1, 1),
    "out_parameter": (1, 1, 1),
    "destination": (0, 0, 0),
}


@every_variant
@pytest.mark.parametrize("deallocate", [True, False])
def test_allocations_and_copies_in_the_ir(variant, deallocate):
    alloc, copy, dealloc = COUNTS[variant]
    assert count.in_ir(variant, deallocate=deallocate) == {
        "alloc": alloc,
        "copy": copy,
        "dealloc": dealloc if deallocate else 0,
    }


@every_variant
@pytest.mark.parametrize("deallocate", [True, False])
def test_allocations_at_run_time(variant, deallocate):
    alloc, _, dealloc = COUNTS[variant]
    returned = 1 if variant == "naive" else 0
    freed = dealloc if deallocate else 0
    assert count.at_run_time(variant, GOOD_A, GOOD_B, deallocate=deallocate) == {
        "allocated": alloc,
        "freed in the call": freed,
        "freed with C": returned,
        "lost": alloc - freed - returned,
    }


def test_bytes_are_those_of_c_and_the_alignment():
    before = ch4.allocations()
    ch4.gemm(GOOD_A, GOOD_B, "out_parameter")
    assert ch4.allocations().bytes - before.bytes == 4 * 9 * 7 + 64


def test_tensor_ir_is_values_only():
    body = """
        CHECK:         %[[M:.*]] = tensor.dim %[[A]], %c0
        CHECK:         %[[N:.*]] = tensor.dim %[[B]], %c1
        CHECK:         %[[EMPTY:.*]] = tensor.empty(%[[M]], %[[N]]) : tensor<?x?xf32>
        CHECK:         %[[ZEROS:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%[[EMPTY]] : tensor<?x?xf32>)
        CHECK-NEXT:    %[[C:.*]] = linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[ZEROS]] : tensor<?x?xf32>)
        """
    for variant in ("naive", "out_parameter"):
        chapters.filecheck(
            ch4.tensor_ir(variant),
            "CHECK: func.func @gemm(%[[A:.*]]: tensor<?x?xf32>, %[[B:.*]]: tensor<?x?xf32>) -> tensor<?x?xf32>"
            + body
            + "CHECK-NEXT: return %[[C]] : tensor<?x?xf32>",
            "--implicit-check-not=memref",
        )
    chapters.filecheck(
        ch4.tensor_ir(),
        "CHECK: func.func @gemm(%[[A:.*]]: tensor<?x?xf32>, %[[B:.*]]: tensor<?x?xf32>, "
        "%[[OUT:.*]]: memref<?x?xf32>)"
        + body
        + "CHECK-NEXT: bufferization.materialize_in_destination %[[C]] in restrict writable %[[OUT]]\n"
        + "CHECK-NEXT: return",
    )


def memref_stage(variant, **arguments):
    stages = ch4.stages(variant, **arguments)
    return stages[[name for name, _ in stages].index("convert-linalg-to-loops") - 1][1]


def test_naive_copies_before_each_write():
    chapters.filecheck(
        memref_stage("naive"),
        """
        CHECK: func.func @gemm(%[[A:.*]]: memref<{{.*}}>, %[[B:.*]]: memref<{{.*}}>) -> memref<?x?xf32>
        CHECK: %[[FILLED:.*]] = memref.alloc
        CHECK: linalg.fill ins({{.*}}) outs(%[[FILLED]]
        CHECK: %[[C:.*]] = memref.alloc
        CHECK: memref.copy %[[FILLED]], %[[C]]
        CHECK: linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[C]]
        CHECK: memref.dealloc %[[FILLED]]
        CHECK: return %[[C]]
        """,
        "--implicit-check-not=tensor",
    )


def test_out_parameter_copies_the_result_at_the_end():
    chapters.filecheck(
        memref_stage("out_parameter"),
        """
        CHECK: func.func @gemm(%[[A:.*]]: memref<{{.*}}>, %[[B:.*]]: memref<{{.*}}>, %[[OUT:.*]]: memref<?x?xf32>)
        CHECK: %[[C:.*]] = memref.alloc
        CHECK: linalg.fill ins({{.*}}) outs(%[[C]]
        CHECK: linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[C]]
        CHECK: memref.copy %[[C]], %[[OUT]]
        CHECK: memref.dealloc %[[C]]
        CHECK-NEXT: return{{$}}
        """,
        "--implicit-check-not=tensor",
    )


def test_destination_is_what_chapter_2_wrote_by_hand():
    """But for C's layout: ch.2 knows no stride of C, here it is in C order."""
    import ch2

    any_strides = "memref<?x?xf32, strided<[?, ?], offset: ?>>"
    by_hand = ch2.ir().replace(f"%arg2: {any_strides}", "%arg2: memref<?x?xf32>")
    by_hand = by_hand.replace(f"outs(%arg2 : {any_strides})", "outs(%arg2 : memref<?x?xf32>)")
    assert memref_stage("destination") == by_hand


def test_without_elimination_a_destination_is_copied_to():
    """The mark `restrict` is what allows it; without it C is computed elsewhere and copied."""
    ir = ch4.ir().replace("in restrict writable", "in writable")
    counts = count.in_ir("destination", ir=ir)
    assert counts == {"alloc": 1, "copy": 1, "dealloc": 1}
    assert_is_product(ch4.run(ir, GOOD_A, GOOD_B), GOOD_A, GOOD_B)


@every_variant
@pytest.mark.parametrize("deallocate", [True, False])
def test_stages_are_all_there_in_order(variant, deallocate):
    stages = ch4.stages(variant, deallocate)
    assert stages[0] == ("input", ch4.ir(variant, deallocate)) == ("input", ch4.tensor_ir(variant))
    expected = BUFFERIZATION[variant] + (DEALLOCATION if deallocate else []) + TO_LLVM
    assert [name for name, _ in stages[1:]] == expected


OPTIONS = {
    "naive": ["--one-shot-bufferize=bufferize-function-boundaries copy-before-write"],
    "out_parameter": [
        "--one-shot-bufferize=bufferize-function-boundaries",
        "--buffer-results-to-out-params"
        + ("=modify-public-functions" if chapters.llvm_major() >= 22 else ""),
    ],
    "destination": ["--eliminate-empty-tensors", "--one-shot-bufferize=bufferize-function-boundaries"],
}


@every_variant
def test_mlir_opt_makes_the_same(variant):
    passes = OPTIONS[variant] + ["--cse", "--canonicalize", "--buffer-deallocation-pipeline"]
    command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *passes]
    done = subprocess.run(command, input=ch4.ir(variant), capture_output=True, text=True)
    assert done.stdout.strip() == memref_stage(variant).strip(), done.stderr


@every_variant
def test_the_last_stage_is_the_llvm_dialect(variant):
    alloc, _, dealloc = COUNTS[variant]
    last = ch4.stages(variant)[-1][1]
    calls = re.findall(r"llvm\.call @(_mlir_memref_to_llvm_\w+)", last)
    assert calls.count("_mlir_memref_to_llvm_alloc") == alloc
    assert calls.count("_mlir_memref_to_llvm_free") == dealloc
    assert "llvm.func @gemm(" in last and "llvm.func @_mlir_ciface_gemm(" in last
    for word in ("tensor", "memref.", "linalg.", "bufferization.", "builtin.", "func.func"):
        assert word not in last.replace("llvm.func", "")


def test_naive_hands_its_result_out_through_a_pointer():
    chapters.filecheck(
        ch4.stages("naive")[-1][1],
        "CHECK: llvm.func @_mlir_ciface_gemm(%[[RESULT:.*]]: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)\n"
        "CHECK: %[[C:.*]] = llvm.call @gemm(\nCHECK: llvm.store %[[C]], %[[RESULT]]\n",
    )


@every_variant
def test_llvm_ir_and_assembly(variant):
    alloc, _, _ = COUNTS[variant]
    ir = ch4.llvm_ir(variant)
    assert (
        len(re.findall(r"call .*@_mlir_memref_to_llvm_alloc\(", ir)) >= alloc
    )  # in @gemm, also where inlined
    assert ("_mlir_memref_to_llvm_alloc" in ir) == bool(alloc)
    assert ("llvm.memcpy" in ir) == (COUNTS[variant][1] > 0)
    assert "gemm:" in ch4.assembly(variant)


@every_variant
def test_ir_of_the_reader_takes_the_same_way(variant):
    A, B = random_arrays()
    ir = ch4.ir(variant)
    assert np.array_equal(ch4.run(ir, A, B, variant), ch4.gemm(A, B))
    assert ch4.stages(variant, ir=ir) == ch4.stages(variant)
    assert ch4.llvm_ir(variant, ir=ir) == ch4.llvm_ir(variant)
    assert ch4.assembly(variant, ir=ir) == ch4.assembly(variant)


def test_names():
    assert ch4 is ch4_tensor_bufferization
    assert ch4.test_ir_generation() == ch4.ir() == ch4.tensor_ir() == ch4.test_tensor_ir()
    assert ch4.test_optimized_ir() == ch4.test_lowered_ir() == ch4.stages()[-1][1]
    assert ch4.gemm.__doc__ and ch4.__doc__ and ch4.allocations.__doc__


# --- what can go wrong ---------------------------------------------------------------------------------------


def test_returning_an_argument_is_refused_or_cloned():
    ir = (
        "func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>) -> tensor<?x?xf32> {\n"
        "  return %A : tensor<?x?xf32>\n}"
    )
    A, B = random_arrays()
    with pytest.raises(ValueError, match="gemm returned the memory of an argument"):
        ch4.run(ir, A, B, "naive", deallocate=False)
    C = ch4.run(ir, A, B, "naive")  # the deallocation pipeline makes a clone, which is the caller's
    assert np.array_equal(C, A) and not np.shares_memory(C, A)
    assert "bufferization.clone" in memref_stage("naive", ir=ir)


def returns_columns_of_a(first):
    """IR that copies columns `first` … of A, as many as B has, into C."""
    return f"""
        func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>, %C: memref<?x?xf32>) {{
          %c0 = arith.constant 0 : index
          %c1 = arith.constant 1 : index
          %M = tensor.dim %A, %c0 : tensor<?x?xf32>
          %N = tensor.dim %B, %c1 : tensor<?x?xf32>
          %S = tensor.extract_slice %A[0, {first}] [%M, %N] [1, 1] : tensor<?x?xf32> to tensor<?x?xf32>
          bufferization.materialize_in_destination %S in restrict writable %C
              : (tensor<?x?xf32>, memref<?x?xf32>) -> ()
          return
        }}"""


@pytest.mark.parametrize("first", [0, 2])
def test_a_copy_from_any_strides_and_offset(first):
    ir = returns_columns_of_a(first)
    assert "@memrefCopy" in ch4.stages(ir=ir)[-1][1]
    plain, B = np.arange(63, dtype=np.float32).reshape(9, 7), np.ones((7, 4), np.float32)
    for A in (plain, np.repeat(plain, 2, axis=1)[:, ::2], plain.T.copy().T, plain[:0]):
        assert np.array_equal(ch4.run(ir, A, B), A[:, first : first + 4])


def test_a_returned_memref_may_be_a_part_of_its_allocation():
    """Offset and strides are those of the part, what is freed is the whole."""
    ir = ch4.ir("naive").replace(
        "    return %2",
        "%c2 = arith.constant 2 : index\n%half = arith.divui %dim, %c2 : index\n"
        "%s = tensor.extract_slice %2[1, 2] [%half, 3] [2, 1] : tensor<?x?xf32> to tensor<?x3xf32>\n"
        "%r = tensor.cast %s : tensor<?x3xf32> to tensor<?x?xf32>\n    return %r",
    )
    A, B = random_arrays()
    before = ch4.allocations()
    C = ch4.run(ir, A, B, "naive")
    assert C.strides == (2 * 4 * 7, 4) and np.array_equal(C, ch4.gemm(A, B)[1::2, 2:5])
    del C
    after = ch4.allocations()
    assert after.made - before.made == after.freed - before.freed == 2


@pytest.mark.parametrize(
    "case, sentence",
    [
        ("bufferize", "error: op was not bufferized"),
        ("returned", "ValueError: gemm returned the memory of an argument, which it does not own"),
        ("type", "CompileError: @gemm: expected the type (tensor<?x?xf32>, tensor<?x?xf32>, memref<"),
    ],
)
def test_broken(case, sentence):
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and sentence in done.stdout, done.stdout + done.stderr


def test_a_failed_compile_says_what_mlir_says(capfd):
    with pytest.raises(ch4.CompileError) as raised:
        ch4.run(ch4.ir().replace("linalg.matmul", "linalg.matmull"), GOOD_A, GOOD_B)
    assert "error: custom op 'linalg.matmull' is unknown" in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")


# --- threads and memory ----------------------------------------------------------------------------------------


def test_eight_threads_may_make_the_first_calls_together():
    run_python("""
        import threading, numpy as np, ch4
        A = np.arange(400, dtype=np.float32).reshape(20, 20) % 7
        ready, wrong = threading.Barrier(8), []
        def work(factor):
            ready.wait()
            for i in range(300):
                variant = ("naive", "out_parameter", "destination")[(i + int(factor)) % 3]
                if not np.array_equal(ch4.gemm(factor * A, A.T, variant), factor * (A @ A.T)):  # exact
                    wrong.append((factor, variant))
        threads = [threading.Thread(target=work, args=[np.float32(i)]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
        made, freed, _ = ch4.allocations()
        assert made == freed == 800 * 3, (made, freed)
    """)


@every_variant
def test_other_threads_run_during_a_call(variant):
    A = np.ones((300, 300), np.float32)
    assert ticks_during(lambda: ch4.gemm(A, A, variant)) > 20


@every_variant
def test_ten_thousand_calls_leave_no_memory(variant):
    growth_kb = run_python(f"""
        import chapters, numpy as np, ch4
        A, B = np.ones((16, 8), np.float32), np.ones((8, 16), np.float32)
        def calls(n):
            for _ in range(n):
                ch4.gemm(A, B, "{variant}")
                ch4.gemm(A[::-1], B.T.copy().T, "{variant}")
                try:
                    ch4.gemm(A, A, "{variant}")
                except ValueError:
                    pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        made, freed, _ = ch4.allocations()
        assert made == freed, (made, freed)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


@pytest.mark.parametrize("variant", ["naive", "out_parameter"])
def test_without_deallocation_memory_is_lost_so_it_leaves_little_of_it(variant):
    """What the passes are for: 10,000 calls without them lose a buffer of 1 KiB (and 64 bytes) each."""
    growth_kb = run_python(f"""
        import chapters, numpy as np, ch4
        A, B = np.ones((16, 8), np.float32), np.ones((8, 16), np.float32)
        for _ in range(1000):
            ch4.gemm(A, B, "{variant}", deallocate=False)
        before, (made, freed, _) = chapters.resident_kb(), ch4.allocations()
        for _ in range(10_000):
            ch4.gemm(A, B, "{variant}", deallocate=False)
        after = ch4.allocations()
        assert (after.made - made) - (after.freed - freed) == 10_000
        print(chapters.resident_kb() - before)
    """)
    assert 9_000 < int(growth_kb) < 16_000


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch4
        A, B = np.ones((16, 8), np.float32), np.ones((8, 16), np.float32)
        def compiles(n):
            for _ in range(n):
                ch4.run(ch4.ir("naive"), A, B, "naive")
                try:
                    ch4.stages(ir="func.func @gemm() { return }")
                except ch4.CompileError:
                    pass
        compiles(5)
        before = chapters.resident_kb()
        compiles(15)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 3072  # one context that stayed would be more


def test_the_benchmark_still_runs():
    """What one of its processes measures: (K, seconds, page faults) of each call."""
    bench = HERE.parent / "bench" / "ch4.py"
    done = subprocess.run(
        [sys.executable, bench, "destination"], env=chapters.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {depth for depth, _, _ in rows} == {1, 16, 64} and all(seconds > 0 for _, seconds, _ in rows)


# --- the exercises -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, status, says",
    [
        (["1"], 1, "1 allocations and 2 copies are left"),
        (["2"], 1, "a call for 7 rows allocated 8 buffers"),
        (["3"], 1, "ch4 has no function gemm_into yet"),
        (["1", "exercises/solutions/1_conflict.mlir"], 0, "solved"),
        (["2", "exercises/solutions/2_rows.mlir"], 0, "solved"),
        (["4"], 2, "Checks an exercise"),
    ],
)
def test_exercises(arguments, status, says):
    """The stubs are not solved yet, the solutions solve them."""
    done = subprocess.run(
        [sys.executable, "exercises/check.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == status and says in done.stdout + done.stderr, done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
