"""What chapter 5 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import itertools
import pathlib
import platform
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import run_python, strided, ticks_during

import ch5
import ch5_vector_ops

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = {"scf": ch5.saxpy, "linalg": ch5.saxpy_linalg, "vector": ch5.saxpy_vector}
PASSES = [
    "convert-linalg-to-loops",
    "convert-scf-to-cf",
    "convert-vector-to-llvm",
    "finalize-memref-to-llvm",
    "convert-arith-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_function = pytest.mark.parametrize("saxpy", KERNELS.values(), ids=KERNELS)


def random_arrays(n, seed=0):
    return np.random.default_rng(seed).standard_normal((2, n), dtype=np.float32)


def expected(alpha, A, B):
    """NumPy's alpha * A + B in float32: a rounded product, a rounded sum."""
    with np.errstate(all="ignore"):
        return np.float32(alpha) * A + B


def assert_same_bits(x, y):
    """Equal to the last bit, the sign of zeros included. A NaN is a NaN: which bits one has beside that, neither
    IEEE 754 nor LLVM says."""
    assert x.shape == y.shape and x.dtype == y.dtype == np.float32
    assert np.array_equal(np.isnan(x), np.isnan(y))
    numbers = ~np.isnan(x)
    assert np.array_equal(x[numbers].view(np.int32), y[numbers].view(np.int32))


# --- the result ----------------------------------------------------------------------------------------


@every_function
def test_every_length(saxpy):
    """All lengths around the steps of 8, 16, 64 and 128 that LLVM's loops make, with a canary at either end."""
    A, B = random_arrays(300)
    for n in range(300):
        memory = np.full(n + 32, 7, np.float32)
        result = saxpy(0.3, A[:n], B[:n], out=memory[16 : 16 + n])
        assert_same_bits(result, expected(0.3, A[:n], B[:n]))
        assert (memory[:16] == 7).all() and (memory[16 + n :] == 7).all(), n
        assert_same_bits(saxpy(0.3, A[:n], B[:n]), result)


SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 1.5, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 1e-20, np.inf, -np.inf, np.nan], np.float32
)


@every_function
@pytest.mark.parametrize("alpha", SPECIAL)
def test_special_values(saxpy, alpha):
    """NaN, infinities, denormal numbers, overflow, signed zeros: every pair, in vectors and in the tail."""
    A, B = map(np.array, zip(*itertools.product(SPECIAL, SPECIAL)))
    for first in range(16):
        assert_same_bits(saxpy(alpha, A[first:], B[first:]), expected(alpha, A[first:], B[first:]))
    for n in range(1, 16):
        assert_same_bits(saxpy(alpha, A[-n:], B[-n:]), expected(alpha, A[-n:], B[-n:]))


@every_kernel
def test_product_and_sum_are_rounded_one_by_one(kernel):
    """(1 + e)(1 + e) - (1 + 2e) is 0 when the product is rounded, and e * e when the two operations are fused."""
    e = np.float32(2.0**-12)
    for n in (1, 15, 16, 17, 64, 200):
        ones = np.ones(n, np.float32)
        assert not KERNELS[kernel](1 + e, ones + e, -(ones + 2 * e)).any()
    assert not re.search(r"fmuladd|\bllvm\.fma", ch5.llvm_ir(kernel))
    assert not re.search(r"\b(vfmadd|fmadd|fmla)", ch5.assembly(kernel))


lengths = st.one_of(st.integers(0, 40), st.integers(0, 300))
alphas = st.floats(width=32)


@settings(deadline=None, max_examples=200)
@given(st.data(), lengths, alphas)
def test_strides_do_not_matter(data, n, alpha):
    A, B = data.draw(strided((n,))), data.draw(strided((n,)))
    for saxpy in KERNELS.values():
        assert_same_bits(saxpy(alpha, A, B), expected(alpha, A, B))


@every_function
@pytest.mark.parametrize(
    "alpha", [0.1, 3, True, np.float64(0.1), np.float16(0.1), np.int64(-2), 1e300, -1e300, float("nan")]
)
def test_any_number_may_be_alpha(saxpy, alpha):
    A, B = random_arrays(37)
    with np.errstate(over="ignore"):
        assert_same_bits(saxpy(alpha, A, B), expected(alpha, A, B))


@every_function
def test_inputs_are_not_written(saxpy):
    A, B = random_arrays(1003)
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    saxpy(0.3, A, B)
    saxpy(0.3, A[::2], B[::2][::-1])
    assert (A.tobytes(), B.tobytes()) == before


@every_function
def test_results_are_fresh(saxpy):
    A, B = random_arrays(1003)
    first = saxpy(0.3, A, B)
    kept = first.copy()
    second = saxpy(0.3, -A, B)
    assert not any(np.shares_memory(first, other) for other in (second, A, B))
    assert np.array_equal(first, kept)
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


# --- the result in an array of the caller's -----------------------------------------------------------------


@every_function
def test_out_is_written_and_returned(saxpy):
    A, B = random_arrays(1003)
    out = np.zeros(1003, np.float32)
    assert saxpy(0.3, A, B, out=out) is out
    assert_same_bits(out, expected(0.3, A, B))


@every_function
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100, 1003])
def test_out_may_be_an_input(saxpy, n):
    for which in (0, 1):
        arrays = random_arrays(n)
        want = expected(0.3, *arrays)
        saxpy(0.3, *arrays, out=arrays[which])
        assert_same_bits(arrays[which], want)
    A = random_arrays(n)[0]
    want = expected(0.3, A, A)
    assert_same_bits(saxpy(0.3, A, A, out=A), want)


@every_function
@pytest.mark.parametrize("distance", [-40, -16, -1, 1, 3, 16, 40, 63, 64, 65])
def test_out_may_overlap_an_input(saxpy, distance):
    """As in NumPy: the result is what it would be if nothing overlapped."""
    start = 100
    for which in (0, 1):
        memory, other = random_arrays(400)
        inputs = [memory[start : start + 200], other[:200]]
        inputs = inputs if which == 0 else inputs[::-1]
        want = expected(0.3, *inputs)
        out = memory[start + distance : start + distance + 200]
        assert_same_bits(saxpy(0.3, *inputs, out=out), want)
    reversed_in_place = random_arrays(200)[0]
    want = expected(0.3, reversed_in_place[::-1], reversed_in_place)
    saxpy(0.3, reversed_in_place[::-1], reversed_in_place, out=reversed_in_place)
    assert_same_bits(reversed_in_place, want)


def read_only(n):
    array = np.zeros(n, np.float32)
    array.flags.writeable = False
    return array


@every_function
@pytest.mark.parametrize(
    "out, error, sentence",
    [
        (np.zeros(36, np.float32), ValueError, "out: expected shape (37,), got (36,)"),
        (np.zeros((37, 1), np.float32), ValueError, "out: expected shape (37,), got (37, 1)"),
        (np.zeros(37), TypeError, "out: expected an array of float32, got one of float64"),
        ([0.0] * 37, TypeError, "out: expected a NumPy array of float32, got list"),
        (
            np.zeros(74, np.float32)[::2],
            ValueError,
            "out: expected an array that can be written, aligned and in C order",
        ),
        (read_only(37), ValueError, "out: expected an array that can be written, aligned and in C order"),
        (
            np.zeros(149, np.uint8)[1:].view(np.float32),
            ValueError,
            "out: expected an array that can be written, aligned and in C order",
        ),
    ],
)
def test_a_bad_out_is_a_sentence(saxpy, out, error, sentence):
    with pytest.raises(error) as raised:
        saxpy(0.3, *random_arrays(37), out=out)
    assert type(raised.value) is error and str(raised.value) == sentence


# --- memory -----------------------------------------------------------------------------------------------

GUARDED = """
    import ctypes, mmap, sys
    import numpy as np, ch5

    page = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    pages = []

    def at_the_end(values):
        '''The values in memory that nothing may be read or written behind.'''
        memory = mmap.mmap(-1, 2 * page)
        pages.append(memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert libc.mprotect(ctypes.c_void_p(address + page), page, 0) == 0, ctypes.get_errno()
        array = np.frombuffer(memory, np.float32, len(values), page - values.nbytes)
        array[:] = values
        return array
"""


def test_nothing_behind_the_end_is_touched():
    """A, B and the result end where a page begins that may not be read or written."""
    run_python(
        GUARDED
        + """
    numbers = np.arange(300, dtype=np.float32)
    A, B, C = (at_the_end(numbers) for _ in range(3))
    for n in range(300):
        for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
            C[:] = -1
            saxpy(0.5, A[300 - n:], B[300 - n:], out=C[300 - n:])
            assert np.array_equal(C[300 - n:], np.float32(0.5) * A[300 - n:] + B[300 - n:])
            assert (C[:300 - n] == -1).all()
    """
    )


@pytest.mark.parametrize("masked, ends_well", [(True, True), (False, False)])
def test_a_tail_without_its_mask_dies_there(masked, ends_well):
    """What shows that the test above would see it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "\n".join(line.removeprefix("    ") for line in GUARDED.splitlines())
            + f"""
ir = ch5.ir(kernel="vector")
assert ir.count(", %3 {{in_bounds") == 3
if not {masked}:
    ir = ir.replace(", %3 {{in_bounds", " {{in_bounds")
A, B, C = (at_the_end(np.ones(5, np.float32)) for _ in range(3))
ch5.run(ir, 2.0, A, B, out=C)
assert (C == 3).all()
""",
        ],
        env=chapters.environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == ends_well, done.stderr


# --- the errors ------------------------------------------------------------------------------------------

A37, B37 = random_arrays(37)


@every_function
@pytest.mark.parametrize(
    "alpha, A, B, error, sentence",
    [
        ("two", A37, B37, TypeError, "alpha: expected a number, got str"),
        (None, A37, B37, TypeError, "alpha: expected a number, got NoneType"),
        (1j, A37, B37, TypeError, "alpha: expected a number, got complex"),
        (np.float32([2]), A37, B37, TypeError, "alpha: expected a number, got ndarray"),
        (10**400, A37, B37, ValueError, "alpha: expected a number that a float can hold"),
        (0.3, A37, B37[1:], ValueError, "B: expected shape (37,), got (36,)"),
        (0.3, A37[:, None], B37, ValueError, "A: expected shape (any,), got (37, 1)"),
        (0.3, A37, B37[:, None], ValueError, "B: expected shape (37,), got (37, 1)"),
        (0.3, A37[0], B37, TypeError, "A: expected a NumPy array of float32, got float32"),
        (0.3, np.zeros((), np.float32), B37, ValueError, "A: expected shape (any,), got ()"),
        (0.3, A37.astype(np.float64), B37, TypeError, "A: expected an array of float32, got one of float64"),
        (0.3, A37, B37.astype(np.int32), TypeError, "B: expected an array of float32, got one of int32"),
        (0.3, A37, B37.astype(">f4"), TypeError, "B: expected an array of float32, got one of >f4"),
        (0.3, A37.tolist(), B37, TypeError, "A: expected a NumPy array of float32, got list"),
    ],
)
def test_a_bad_argument_is_a_sentence(saxpy, alpha, A, B, error, sentence):
    with pytest.raises(error) as raised:
        saxpy(alpha, A, B)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert_same_bits(saxpy(0.3, A37, B37), expected(0.3, A37, B37))  # and nothing is broken afterwards


@pytest.mark.parametrize(
    "call",
    [
        lambda: ch5.ir("avx512"),
        lambda: ch5.stages(kernel="avx512"),
        lambda: ch5.llvm_ir("avx512"),
        lambda: ch5.assembly("avx512"),
        lambda: ch5.test_optimized_ir("avx512"),
        lambda: ch5.measure(1, 0.3, A37, B37, None, "avx512"),
    ],
)
def test_an_unknown_kernel_is_a_sentence(call):
    with pytest.raises(ValueError) as raised:
        call()
    assert str(raised.value) == "kernel: expected 'scf', 'linalg' or 'vector', got 'avx512'"


def test_measure():
    A, B = random_arrays(1003)
    out = np.zeros(1003, np.float32)
    for kernel in KERNELS:
        out[:] = 0
        assert 0 < ch5.measure(3, 0.3, A, B, out, kernel) < 60
        assert_same_bits(out, expected(0.3, A, B))
    with pytest.raises(ValueError, match="^times: expected at least 1, got 0$"):
        ch5.measure(0, 0.3, A, B, out)


def test_the_benchmark_measures_what_it_says():
    bench = chapters.run_script(chapters.ROOT / "bench" / "ch5.py")
    assert all(speed > 0 for speed in bench.gigabytes_a_second(100, turns=1).values())
    A, B = random_arrays(100)
    assert np.array_equal(ch5.run(bench.COPY, 0.3, A, B), A)


# --- the IR ----------------------------------------------------------------------------------------------


def test_ir_of_the_loop():
    chapters.filecheck(
        ch5.ir(),
        """
        CHECK:      func.func @saxpy(%[[ALPHA:.*]]: f32,
        CHECK-SAME:   %[[A:.*]]: memref<?xf32>, %[[B:.*]]: memref<?xf32>, %[[C:.*]]: memref<?xf32>)
        CHECK-SAME:   llvm.emit_c_interface
        CHECK-DAG:    %[[ONE:.*]] = arith.constant 1 : index
        CHECK-DAG:    %[[ZERO:.*]] = arith.constant 0 : index
        CHECK:        %[[N:.*]] = memref.dim %[[A]], %[[ZERO]] : memref<?xf32>
        CHECK-NEXT:   scf.for %[[I:.*]] = %[[ZERO]] to %[[N]] step %[[ONE]] {
        CHECK-NEXT:     %[[X:.*]] = memref.load %[[A]][%[[I]]]
        CHECK-NEXT:     %[[Y:.*]] = memref.load %[[B]][%[[I]]]
        CHECK-NEXT:     %[[P:.*]] = arith.mulf %[[ALPHA]], %[[X]] : f32
        CHECK-NEXT:     %[[S:.*]] = arith.addf %[[P]], %[[Y]] : f32
        CHECK-NEXT:     memref.store %[[S]], %[[C]][%[[I]]]
        CHECK-NEXT:   }
        CHECK-NEXT:   return
        """,
    )


def test_ir_of_linalg():
    chapters.filecheck(
        ch5.ir("linalg"),
        """
        CHECK-DAG:  #[[SAME:.*]] = affine_map<(d0) -> ()>
        CHECK-DAG:  #[[EACH:.*]] = affine_map<(d0) -> (d0)>
        CHECK:      linalg.generic
        CHECK-SAME:   indexing_maps = [#[[SAME]], #[[EACH]], #[[EACH]], #[[EACH]]]
        CHECK-SAME:   iterator_types = ["parallel"]
        CHECK-SAME:   ins(%arg0, %arg1, %arg2 : f32, memref<?xf32>, memref<?xf32>) outs(%arg3 : memref<?xf32>)
        CHECK-NEXT: ^bb0(%[[ALPHA:.*]]: f32, %[[X:.*]]: f32, %[[Y:.*]]: f32, %{{.*}}: f32):
        CHECK-NEXT:   %[[P:.*]] = arith.mulf %[[ALPHA]], %[[X]] : f32
        CHECK-NEXT:   %[[S:.*]] = arith.addf %[[P]], %[[Y]] : f32
        CHECK-NEXT:   linalg.yield %[[S]] : f32
        """,
        "--implicit-check-not=scf",
    )


def test_ir_of_vectors():
    chapters.filecheck(
        ch5.ir("vector"),
        """
        CHECK-DAG:  %[[ZERO:.*]] = arith.constant 0 : index
        CHECK-DAG:  %[[SIZE:.*]] = arith.constant 16 : index
        CHECK:      %[[N:.*]] = memref.dim %arg1, %[[ZERO]]
        CHECK-NEXT: %[[REST:.*]] = arith.remui %[[N]], %[[SIZE]] : index
        CHECK-NEXT: %[[FULL:.*]] = arith.subi %[[N]], %[[REST]] : index
        CHECK-NEXT: %[[ALPHAS:.*]] = vector.broadcast %arg0 : f32 to vector<16xf32>
        CHECK-NEXT: %[[PADDING:.*]] = arith.constant 0.000000e+00 : f32
        CHECK-NEXT: scf.for %[[I:.*]] = %[[ZERO]] to %[[FULL]] step %[[SIZE]] {
        CHECK-NEXT:   %[[X:.*]] = vector.transfer_read %arg1[%[[I]]], %[[PADDING]] {in_bounds = [true]}
        CHECK-NEXT:   %[[Y:.*]] = vector.transfer_read %arg2[%[[I]]], %[[PADDING]] {in_bounds = [true]}
        CHECK-NEXT:   %[[P:.*]] = arith.mulf %[[ALPHAS]], %[[X]] : vector<16xf32>
        CHECK-NEXT:   %[[S:.*]] = arith.addf %[[P]], %[[Y]] : vector<16xf32>
        CHECK-NEXT:   vector.transfer_write %[[S]], %arg3[%[[I]]] {in_bounds = [true]}
        CHECK-NEXT: }
        CHECK-NEXT: %[[MASK:.*]] = vector.create_mask %[[REST]] : vector<16xi1>
        CHECK-NEXT: %[[X:.*]] = vector.transfer_read %arg1[%[[FULL]]], %[[PADDING]], %[[MASK]] {in_bounds = [true]}
        CHECK-NEXT: %[[Y:.*]] = vector.transfer_read %arg2[%[[FULL]]], %[[PADDING]], %[[MASK]] {in_bounds = [true]}
        CHECK-NEXT: %[[P:.*]] = arith.mulf %[[ALPHAS]], %[[X]] : vector<16xf32>
        CHECK-NEXT: %[[S:.*]] = arith.addf %[[P]], %[[Y]] : vector<16xf32>
        CHECK-NEXT: vector.transfer_write %[[S]], %arg3[%[[FULL]]], %[[MASK]] {in_bounds = [true]}
        CHECK-NEXT: return
        """,
        "--implicit-check-not=memref.load",
    )


def test_linalg_becomes_the_loop_letter_for_letter():
    assert dict(ch5.stages("linalg"))["convert-linalg-to-loops"] == ch5.ir("scf")
    assert ch5.stages("linalg")[2:] == ch5.stages("scf")[2:]
    assert ch5.llvm_ir("linalg") == ch5.llvm_ir("scf")
    assert ch5.assembly("linalg") == ch5.assembly("scf")


@every_kernel
def test_stages_are_all_there_in_order(kernel):
    stages = ch5.stages(kernel)
    assert stages[0] == ("input", ch5.ir(kernel))
    assert [name for name, _ in stages[1:]] == PASSES


@every_kernel
def test_mlir_opt_agrees_with_every_stage(kernel):
    for n, (name, ir) in enumerate(ch5.stages(kernel)):
        command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *(f"--{p}" for p in PASSES[:n])]
        done = subprocess.run(command, input=ch5.ir(kernel), capture_output=True, text=True)
        assert done.stdout.strip() == ir.strip(), f"{name}: {done.stderr}"


@every_kernel
def test_what_each_stage_no_longer_has(kernel):
    gone = {
        "convert-linalg-to-loops": ["linalg."],
        "convert-scf-to-cf": ["linalg.", "scf."],
        "convert-vector-to-llvm": ["linalg.", "scf.", "vector.transfer", "vector.create_mask"],
        "finalize-memref-to-llvm": ["linalg.", "scf.", "vector.transfer", "memref.dim", "memref.load"],
        "convert-arith-to-llvm": ["linalg.", "scf.", "vector.transfer", "memref.dim", "arith."],
        "cse": ["linalg.", "scf.", "vector.", "memref", "arith.", "func.func", " cf.", "builtin.", "alloca"],
    }
    stages = dict(ch5.stages(kernel))
    for name, texts in gone.items():
        for text in texts:
            assert text not in stages[name].replace("llvm.func", ""), f"{text} after {name}"


def test_transfers_become_loads_and_masked_loads():
    chapters.filecheck(
        ch5.stages("vector")[-1][1],
        """
        CHECK:     llvm.func @saxpy(%arg0: f32, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: i64
        CHECK:     llvm.urem %arg4
        CHECK:     llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
        CHECK:     llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
        CHECK:     llvm.fmul %{{.*}} : vector<16xf32>
        CHECK:     llvm.fadd %{{.*}} : vector<16xf32>
        CHECK:     llvm.store %{{.*}} {alignment = 4 : i64} : vector<16xf32>
        CHECK:     %[[MASK:.*]] = llvm.icmp "sgt" %{{.*}}, %{{.*}} : vector<16xi32>
        CHECK:     llvm.intr.masked.load %{{.*}}, %[[MASK]]
        CHECK:     llvm.intr.masked.load %{{.*}}, %[[MASK]]
        CHECK:     llvm.intr.masked.store %{{.*}}, %{{.*}}, %[[MASK]]
        CHECK:     llvm.return
        CHECK:     llvm.func @_mlir_ciface_saxpy(%arg0: f32, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr)
        """,
    )


def test_llvm_makes_vectors_of_the_loop_where_it_finds_no_overlap():
    chapters.filecheck(
        ch5.llvm_ir("scf"),
        """
        CHECK-LABEL: define void @saxpy(
        CHECK:       vector.memcheck:
        CHECK:       vector.body:
        CHECK:         load <[[N:[a-z0-9 ]+]] x float>
        CHECK:         fmul <[[N]] x float>
        CHECK:         fadd <[[N]] x float>
        CHECK:         store <[[N]] x float>
        CHECK:         fmul float
        """,
    )


def test_llvm_leaves_our_vectors_as_they_are():
    chapters.filecheck(
        ch5.llvm_ir("vector"),
        """
        CHECK-LABEL: define void @saxpy(
        CHECK:         load <16 x float>
        CHECK:         fmul <16 x float>
        CHECK:         fadd <16 x float>
        CHECK:         store <16 x float>
        CHECK:         call <16 x float> @llvm.masked.load
        CHECK:         call void @llvm.masked.store
        CHECK-NEXT:    ret void
        """,
        "--implicit-check-not=vector.memcheck",
        "--implicit-check-not=fmul float",
    )


@every_kernel
def test_assembly_is_this_machines(kernel):
    text = ch5.assembly(kernel)
    chapters.filecheck(
        text, "CHECK-LABEL: saxpy:\nCHECK: ret\nCHECK-LABEL: _mlir_ciface_saxpy:\nCHECK: ret\n"
    )
    packed = {"x86_64": r"\bv?mulps\b", "aarch64": r"\bfmul\s+(v\d+\.4s|z\d+\.s)"}
    if platform.machine() in packed:  # every one of these has vectors of at least four floats
        assert re.search(packed[platform.machine()], text)


@pytest.mark.parametrize(
    "cpu, masked, num_masked",
    [
        ("x86-64-v4", r"vmovups.*\{%k\d\}", 3),  # AVX-512: a register for masks
        ("x86-64-v3", r"vmaskmovps", 6),  # AVX2: the mask in a vector register, half of it at a time
        ("x86-64", r"mask", 0),  # SSE2 has nothing of the kind: it tests and jumps, 16 times for each array
    ],
)
def test_what_a_mask_becomes(cpu, masked, num_masked):
    text = chapters.run_script(HERE / "for_machine.py").assembly("vector", cpu)
    assert len(re.findall(masked, text)) == num_masked, text
    num_jumps = len(re.findall(r"^\s+j(?!mp)\w+\s", text, re.M))
    assert num_jumps < 10 if num_masked else num_jumps >= 3 * 16


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["vector", "nosuch"], "opt: 'nosuch' is not a recognized processor for this target"),
        (["avx512", "znver4"], "kernel: expected 'scf', 'linalg' or 'vector', got 'avx512'"),
        (["vector"], "Prints the assembly of a kernel"),
    ],
)
def test_for_machine_refuses_in_a_sentence(arguments, sentence):
    done = subprocess.run(
        [sys.executable, "for_machine.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith(sentence), done.stdout + done.stderr


# --- the reader's IR -----------------------------------------------------------------------------------------


@every_kernel
def test_ir_of_the_reader_takes_the_same_way(kernel):
    A, B = random_arrays(37)
    ir = ch5.ir(kernel)
    assert_same_bits(ch5.run(ir, 0.3, A, B), expected(0.3, A, B))
    assert ch5.stages(ir=ir) == ch5.stages(kernel)
    assert ch5.llvm_ir(ir=ir) == ch5.llvm_ir(kernel)
    assert ch5.assembly(ir=ir) == ch5.assembly(kernel)
    difference = ir.replace("arith.addf", "arith.subf")
    assert np.array_equal(ch5.run(difference, 0.3, A, B), np.float32(0.3) * A - B)
    assert ch5.measure(1, 0.3, A, B, None, ir=difference) > 0


def changed(old, new):
    ir = ch5.ir("vector")
    assert old in ir
    return ir.replace(old, new)


@pytest.mark.parametrize(
    "ir, sentences",
    [
        (
            changed("vector<16xi1>", "vector<8xi1>"),
            [
                "the IR could not be read",
                "expects different type than prior uses: 'vector<16xi1>' vs 'vector<8xi1>'",
            ],
        ),
        (
            changed("@saxpy(%arg0: f32", "@saxpy(%arg0: f64").replace(
                "broadcast %arg0 : f32", "broadcast %arg0 : f64"
            ),
            ["'vector.broadcast' op"],
        ),
        (changed("@saxpy", "@axpy"), ["the IR defines no func.func @saxpy"]),
        (
            "func.func @saxpy(%a: f64, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) { return }",
            [
                "@saxpy: expected the type (f32, memref<?xf32>, memref<?xf32>, memref<?xf32>) -> (), "
                "got (f64, memref<?xf32>, memref<?xf32>, memref<?xf32>) -> ()"
            ],
        ),
        (  # no pass of this chapter takes a gather of rows apart
            changed(
                "    return",
                "%i = arith.constant 0 : index\n%v = math.sqrt %2 : vector<16xf32>\n"
                "vector.store %v, %arg3[%i] : memref<?xf32>, vector<16xf32>\nreturn",
            ),
            ["ialect"],
        ),
    ],
)
def test_a_failed_compile_says_what_mlir_says(ir, sentences, capfd):
    with pytest.raises(ch5.CompileError) as raised:
        ch5.run(ir, 0.3, A37, B37)
    for sentence in sentences:
        assert sentence in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")


BROKEN = {
    "length": "ValueError: B: expected shape (100,), got (99,)\n",
    "order": "TypeError: alpha: expected a number, got ndarray\n",
    "kernel": "ValueError: kernel: expected 'scf', 'linalg' or 'vector', got 'avx512'\n",
    "mask": "CompileError: the IR could not be read\nir:18:48: error: use of value '%3' expects different type than "
    "prior uses: 'vector<16xi1>' vs 'vector<8xi1>'\n",
    "stride": "CompileError: the IR could not be read\nir:6:12: error: 'vector.load' op most minor memref dim must "
    "have unit stride\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case):
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(BROKEN[case]), done.stdout + done.stderr


def test_broken_end_says_nothing():
    done = subprocess.run([sys.executable, "broken.py", "end"], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.split() == ["[3.", *["3."] * 14, "3.]"], (
        done.stdout + done.stderr
    )


def test_names():
    assert ch5 is ch5_vector_ops
    assert ch5.test_ir_generation() == ch5.ir() == ch5.ir("scf") == ch5.ir(kernel="scf")
    for kernel in KERNELS:
        assert ch5.test_optimized_ir(kernel) == ch5.test_lowered_ir(kernel) == ch5.stages(kernel)[-1][1]
    assert ch5.saxpy.__name__ == "saxpy" and ch5.saxpy.__doc__ and ch5.__doc__


# --- threads and memory ----------------------------------------------------------------------------------------


def test_eight_threads_may_make_the_first_call_together():
    run_python("""
        import threading, numpy as np, ch5
        A = np.arange(1003, dtype=np.float32)
        B = np.arange(1003, dtype=np.float32)[::-1].copy()
        functions = [ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector]
        ready, wrong = threading.Barrier(8), []
        def work(factor):
            ready.wait()
            for i in range(500):
                saxpy = functions[(i + factor) % 3]
                if not np.array_equal(saxpy(factor, A, B), np.float32(factor) * A + B):
                    wrong.append(factor)
        threads = [threading.Thread(target=work, args=[i]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
        info = ch5.cache_info()
        assert (info.misses, info.hits, info.size) == (3, 8 * 500 - 3, 3), info
    """)


def test_the_cache_can_be_cleared():
    run_python("""
        import numpy as np, ch5
        A = np.ones(100, np.float32)
        for _ in range(3):
            assert (ch5.saxpy(2, A, A) == 3).all() and (ch5.run(ch5.ir(), 2, A, A) == 3).all()
            assert ch5.cache_info().misses == 2 and ch5.cache_info().size == 2
            ch5.clear_cache()
            assert ch5.cache_info().misses == ch5.cache_info().size == 0
    """)


def test_a_process_ends_well():
    """Freed memory is overwritten here, so that nothing can be used after it is gone and go unnoticed."""
    run_python(
        """
        import numpy as np, ch5
        A = np.ones(100, np.float32)
        for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
            saxpy(2, A, A)
        ch5.run(ch5.ir(), 2, A, A)
        """,
        MALLOC_PERTURB_="165",
    )


def test_other_threads_run_while_one_computes_or_compiles():
    A, B = random_arrays(100_000)
    out = np.zeros_like(A)
    assert ticks_during(lambda: ch5.measure(1000, 0.3, A, B, out)) > 20
    assert ticks_during(lambda: ch5.assembly("vector")) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch5
        A, B = np.ones(1003, np.float32), np.ones(1003, np.float32)
        out = np.ones(1003, np.float32)
        def calls(n):
            for _ in range(n):
                for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
                    saxpy(0.3, A, B)
                    saxpy(0.3, A[::-1], B, out=out)
                ch5.saxpy(0.3, out[1:], B[1:], out=out[:-1])
                try:
                    ch5.saxpy(0.3, A, B[1:])
                except ValueError:
                    pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch5
        A = np.ones(37, np.float32)
        bad = ch5.ir("vector").replace("vector<16xi1>", "vector<8xi1>")
        def compiles(n):
            for _ in range(n):
                ch5.clear_cache()
                ch5.saxpy_vector(2, A, A)
                ch5.assembly()
                try:
                    ch5.stages(ir=bad)
                except ch5.CompileError:
                    pass
        compiles(10)
        before = chapters.resident_kb()
        compiles(30)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


# --- the exercises -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_one_loop.mlir"], 0),
        (["2", "exercises/solutions/2_peeled.mlir"], 0),
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
