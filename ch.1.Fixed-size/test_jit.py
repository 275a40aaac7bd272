"""What chapter 1 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings

import chapters  # finds the build tree
from course_testing import assert_is_product, memory_growth_kb, run_python, strided, ticks_during

import ch1
import ch1_fixed_size

HERE = pathlib.Path(__file__).resolve().parent
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


def random_arrays(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((8, 32), dtype=np.float32), rng.standard_normal((32, 16), dtype=np.float32)


# --- the result ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_gemm_is_numpys_product(seed):
    A, B = random_arrays(seed)
    assert_is_product(ch1.gemm(A, B), A, B)


def test_known_values():
    # Small integers: every sum is exact, so the result is equal to the last bit.
    A = np.arange(8 * 32, dtype=np.float32).reshape(8, 32)
    B = np.arange(32 * 16, dtype=np.float32).reshape(32, 16) - 256
    assert np.array_equal(ch1.gemm(A, B), A @ B)
    assert np.array_equal(ch1.gemm(A, np.eye(32, 16, dtype=np.float32)), A[:, :16])


def test_nan_and_infinity_pass_through():
    A, B = random_arrays()
    A[3, 7], A[5, 0] = np.nan, np.inf
    C = ch1.gemm(A, B)
    assert np.isnan(C[3]).all() and np.isinf(C[5]).all()
    assert np.isfinite(np.delete(C, [3, 5], axis=0)).all()


@settings(deadline=None, max_examples=200)
@given(strided((8, 32)), strided((32, 16)))
def test_strides_do_not_matter(A, B):
    C = ch1.gemm(A, B)
    assert_is_product(C, A, B)
    assert np.array_equal(C, ch1.gemm(A.copy(), B.copy()))  # and to the last bit


def test_inputs_are_not_written():
    A, B = random_arrays()
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    ch1.gemm(A, B)
    ch1.gemm(B[:8].repeat(2, axis=1), B)
    assert (A.tobytes(), B.tobytes()) == before


def test_results_are_fresh():
    A, B = random_arrays()
    first = ch1.gemm(A, B)
    kept = first.copy()
    second = ch1.gemm(-A, B)
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept) and np.array_equal(second, -kept)
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


# --- the errors ------------------------------------------------------------------------------------------

GOOD_A, GOOD_B = random_arrays()


@pytest.mark.parametrize(
    "A, B, error, sentence",
    [
        (GOOD_A.T, GOOD_B, ValueError, "A: expected shape (8, 32), got (32, 8)"),
        (GOOD_A, GOOD_B[:, :15], ValueError, "B: expected shape (32, 16), got (32, 15)"),
        (GOOD_A[0], GOOD_B, ValueError, "A: expected shape (8, 32), got (32,)"),
        (GOOD_A, GOOD_B[None], ValueError, "B: expected shape (32, 16), got (1, 32, 16)"),
        (GOOD_A, np.float32(1), TypeError, "B: expected a NumPy array of float32, got float32"),
        (GOOD_A, np.zeros((), np.float32), ValueError, "B: expected shape (32, 16), got ()"),
        (GOOD_A[:0], GOOD_B, ValueError, "A: expected shape (8, 32), got (0, 32)"),
        (GOOD_A.astype(np.float64), GOOD_B, TypeError, "A: expected an array of float32, got one of float64"),
        (GOOD_A, GOOD_B.astype(np.int32), TypeError, "B: expected an array of float32, got one of int32"),
        (GOOD_A, GOOD_B.astype(bool), TypeError, "B: expected an array of float32, got one of bool"),
        (GOOD_A, GOOD_B.astype(object), TypeError, "B: expected an array of float32, got one of object"),
        (GOOD_A, GOOD_B.astype(">f4"), TypeError, "B: expected an array of float32, got one of >f4"),
        (GOOD_A.tolist(), GOOD_B, TypeError, "A: expected a NumPy array of float32, got list"),
        (GOOD_A, None, TypeError, "B: expected a NumPy array of float32, got NoneType"),
    ],
)
def test_a_bad_argument_is_a_sentence(A, B, error, sentence):
    with pytest.raises(error) as raised:
        ch1.gemm(A, B)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert_is_product(ch1.gemm(GOOD_A, GOOD_B), GOOD_A, GOOD_B)  # and nothing is broken afterwards


# --- the IR ----------------------------------------------------------------------------------------------


def test_ir_is_a_matmul_on_memrefs():
    chapters.filecheck(
        ch1.ir(),
        """
        CHECK:      func.func @gemm(
        CHECK-SAME:   %[[A:.*]]: memref<8x32xf32>, %[[B:.*]]: memref<32x16xf32>, %[[C:.*]]: memref<8x16xf32>)
        CHECK-SAME:   llvm.emit_c_interface
        CHECK-NEXT:   %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
        CHECK-NEXT:   linalg.fill ins(%[[ZERO]] : f32) outs(%[[C]] : memref<8x16xf32>)
        CHECK-NEXT:   linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[C]] : memref<8x16xf32>)
        CHECK-NEXT:   return
        """,
    )


def test_stages_are_all_there_in_order():
    stages = ch1.stages()
    assert stages[0] == ("input", ch1.ir())
    assert [name for name, _ in stages[1:]] == PASSES


def test_mlir_opt_agrees_with_every_stage():
    """The names are those of mlir-opt, and with them it makes the same IR from the same input."""
    for n, (name, ir) in enumerate(ch1.stages()):
        command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *(f"--{p}" for p in PASSES[:n])]
        done = subprocess.run(command, input=ch1.ir(), capture_output=True, text=True)
        assert done.stdout.strip() == ir.strip(), f"{name}: {done.stderr}"


def test_loops_are_three_around_load_multiply_add_store():
    chapters.filecheck(
        dict(ch1.stages())["convert-linalg-to-loops"],
        """
        CHECK:     memref.store %{{.*}}, %arg2
        CHECK:     scf.for %[[I:.*]] = %c0 to %c8 step %c1
        CHECK:       scf.for %[[J:.*]] = %c0 to %c16 step %c1
        CHECK:         scf.for %[[K:.*]] = %c0 to %c32 step %c1
        CHECK-DAG:       %[[A:.*]] = memref.load %arg0[%[[I]], %[[K]]]
        CHECK-DAG:       %[[B:.*]] = memref.load %arg1[%[[K]], %[[J]]]
        CHECK-DAG:       %[[C:.*]] = memref.load %arg2[%[[I]], %[[J]]]
        CHECK:           %[[P:.*]] = arith.mulf %[[A]], %[[B]]
        CHECK:           %[[S:.*]] = arith.addf %[[C]], %[[P]]
        CHECK:           memref.store %[[S]], %arg2[%[[I]], %[[J]]]
        """,
        "--implicit-check-not=linalg",
    )


def test_what_each_stage_no_longer_has():
    gone = {
        "convert-linalg-to-loops": ["linalg."],
        "convert-scf-to-cf": ["linalg.", "scf."],
        "convert-arith-to-llvm": ["linalg.", "scf.", "arith."],
        "finalize-memref-to-llvm": ["linalg.", "scf.", "arith.", "memref.load", "memref.store"],
        "convert-func-to-llvm": ["linalg.", "scf.", "arith.", "memref.load", "func.func"],
        "cse": ["linalg.", "scf.", "arith.", "memref", "func.func", " cf.", "builtin."],
    }
    stages = dict(ch1.stages())
    for name, texts in gone.items():
        for text in texts:
            assert text not in stages[name].replace("llvm.func", ""), f"{text} after {name}"


def test_the_last_stage_is_the_llvm_dialect():
    chapters.filecheck(
        ch1.stages()[-1][1],
        """
        CHECK:         llvm.func @gemm(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: i64
        CHECK:         llvm.fmul
        CHECK-NEXT:    llvm.fadd
        CHECK:         llvm.func @_mlir_ciface_gemm(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr)
        CHECK-COUNT-3: llvm.load
        CHECK:         llvm.call @gemm
        """,
    )


def test_llvm_ir_multiplies_vectors():
    """LLVM's own vectorizer turns the j loop into vectors, as wide as this machine has them."""
    ir = ch1.llvm_ir()
    chapters.filecheck(
        ir,
        r"""
        CHECK-LABEL: define void @gemm(
        CHECK:         fmul <[[N:[0-9]+]] x float>
        CHECK-NEXT:    fadd <[[N]] x float>
        CHECK-LABEL: define void @_mlir_ciface_gemm(
        CHECK:         call void @gemm(
        """,
    )
    assert "llvm.fma" not in ir and "fmuladd" not in ir  # nobody allowed to fuse (exercise 2)


def test_assembly_is_this_machines():
    text = ch1.assembly()
    chapters.filecheck(text, "CHECK-LABEL: gemm:\nCHECK: ret\nCHECK-LABEL: _mlir_ciface_gemm:\nCHECK: ret\n")
    if platform.machine() == "x86_64":
        assert "mulps" in text and "%xmm" in text + text.replace("ymm", "xmm").replace("zmm", "xmm")
    llvm_mc = chapters.llvm_prefix() / "bin" / "llvm-mc"
    if llvm_mc.exists():  # the assembler for this host accepts it
        done = subprocess.run(
            [llvm_mc, "-mcpu=native", "-filetype=null"], input=text, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_ir_of_the_reader_takes_the_same_way():
    A, B = random_arrays()
    assert np.array_equal(ch1.run(ch1.ir(), A, B), ch1.gemm(A, B))
    assert ch1.stages(ch1.ir()) == ch1.stages()
    assert ch1.llvm_ir(ch1.ir()) == ch1.llvm_ir()
    assert ch1.assembly(ch1.ir()) == ch1.assembly()
    loops = dict(ch1.stages())["convert-linalg-to-loops"]
    assert np.array_equal(ch1.run(loops, A, B), ch1.gemm(A, B))
    doubled = ch1.ir().replace(
        "return",
        "linalg.matmul ins(%arg0, %arg1 : memref<8x32xf32>, memref<32x16xf32>) "
        "outs(%arg2 : memref<8x16xf32>)\n return",
    )
    assert np.allclose(ch1.run(doubled, A, B), 2 * (A @ B), atol=1e-4)


def test_names():
    assert ch1 is ch1_fixed_size
    assert ch1.test_ir_generation() == ch1.ir()
    assert ch1.test_optimized_ir() == ch1.test_lowered_ir() == ch1.stages()[-1][1]
    assert ch1.gemm.__doc__ and ch1.__doc__


# --- a failed compile --------------------------------------------------------------------------------------


def changed(old, new):
    """This chapter's IR with one change."""
    assert old in ch1.ir()
    return ch1.ir().replace(old, new)


@pytest.mark.parametrize(
    "ir, sentences",
    [
        (  # the verifier: K is 31 in A and 32 in B
            changed("8x32", "8x31"),
            [
                "the IR could not be read",
                "ir:5:5: error: 'linalg.matmul' op inferred input/output operand #1 has shape's dimension #0 to be 31, "
                "but found 32",
                "note: see current operation",
            ],
        ),
        (
            changed("linalg.matmul", "linalg.matmull"),
            ["ir:5:5: error: custom op 'linalg.matmull' is unknown"],
        ),
        (changed("fill ins(%cst", "fill ins(%zero"), ["ir:4:21: error: use of undeclared SSA value name"]),
        (  # linking: a function that is declared and nowhere defined
            changed("    return", "func.call @nowhere() : () -> ()\nreturn").replace(
                "module {", "module {\nfunc.func private @nowhere()"
            ),
            ["the module calls 'nowhere', which nothing here defines"],
        ),
        (  # translation: this pipeline has no conversion for math.sqrt
            changed(
                "    return",
                "%i = arith.constant 0 : index\n%c = memref.load %arg2[%i, %i] : memref<8x16xf32>\n"
                "%e = math.sqrt %c : f32\nmemref.store %e, %arg2[%i, %i] : memref<8x16xf32>\nreturn",
            ),
            [
                "the module was not compiled: could not convert to LLVM IR",
                "ir:8:6: error: cannot be converted to LLVM IR: missing `LLVMTranslationDialectInterface` "
                "registration for dialect for op: math.sqrt",
            ],
        ),
        (changed("@gemm", "@product"), ["the IR defines no func.func @gemm"]),
        ("func.func private @gemm()", ["the IR defines no func.func @gemm"]),
        (
            "func.func @gemm(%A: memref<8x32xf64>) { return }",
            [
                "@gemm: expected the type (memref<8x32xf32>, memref<32x16xf32>, memref<8x16xf32>) -> (), "
                "got (memref<8x32xf64>) -> ()"
            ],
        ),
    ],
)
def test_a_failed_compile_says_what_mlir_says(ir, sentences, capfd):
    with pytest.raises(ch1.CompileError) as raised:
        ch1.run(ir, GOOD_A, GOOD_B)
    for sentence in sentences:
        assert sentence in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")  # all of it is in the exception, nothing on the terminal
    assert_is_product(ch1.gemm(GOOD_A, GOOD_B), GOOD_A, GOOD_B)


def test_ir_for_another_dialect_is_refused():
    with pytest.raises(ch1.CompileError, match="[Dd]ialect.*gpu"):
        ch1.stages(changed("    return", "gpu.barrier\nreturn"))


# --- threads and memory ----------------------------------------------------------------------------------------


def test_eight_threads_may_make_the_first_call_together():
    run_python("""
        import threading, numpy as np, ch1
        A = np.arange(256, dtype=np.float32).reshape(8, 32) % 7
        B = np.arange(512, dtype=np.float32).reshape(32, 16) % 5
        ready, wrong = threading.Barrier(8), []
        def work(factor):
            ready.wait()
            for _ in range(500):
                if not np.array_equal(ch1.gemm(factor * A, B), factor * (A @ B)):  # small integers: exact
                    wrong.append(factor)
        threads = [threading.Thread(target=work, args=[np.float32(i)]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
    """)


def test_a_process_ends_well():
    """Freed memory is overwritten here, so that nothing can be used after it is gone and go unnoticed."""
    run_python(
        """
        import numpy as np, ch1
        A, B = np.ones((8, 32), np.float32), np.ones((32, 16), np.float32)
        ch1.gemm(A, B)
        ch1.run(ch1.ir(), A, B)
        """,
        MALLOC_PERTURB_="165",
    )


@pytest.mark.parametrize("work", [ch1.assembly, ch1.stages, ch1.ir], ids=lambda work: work.__name__)
def test_other_threads_run_while_one_compiles(work):
    assert ticks_during(work) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = memory_growth_kb(
        """
        import ch1
        A, B = np.ones((8, 32), np.float32), np.ones((32, 16), np.float32)
        """,
        """
        ch1.gemm(A, B)
        ch1.gemm(A[::-1], B.T.copy().T)
        try:
            ch1.gemm(A, A)
        except ValueError:
            pass
        """,
    )
    assert growth_kb < 2048


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch1
        A, B = np.ones((8, 32), np.float32), np.ones((32, 16), np.float32)
        bad = ch1.ir().replace("8x32", "8x31")
        def compiles(n):
            for _ in range(n):
                ch1.run(ch1.ir(), A, B)
                ch1.assembly()
                try:
                    ch1.stages(bad)
                except ch1.CompileError:
                    pass
        compiles(10)
        before = chapters.resident_kb()
        compiles(40)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048  # one context that stayed would be more


# --- the exercises -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_generic.mlir"], 0),
        (["2", "exercises/solutions/2_fma.mlir"], 0),
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
