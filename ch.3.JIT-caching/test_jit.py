"""What chapter 3 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import collections
import pathlib
import subprocess
import sys
import threading
import time
import weakref

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import chapters  # finds the build tree
from course_testing import assert_is_product, memory_growth_kb, run_python, strided, together

import ch3
import ch3_jit_caching

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_S = 60  # a thread that has not come so far never will
CAPACITY = 64


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


A, B = draw(5, 7), draw(7, 3, seed=1)


@pytest.fixture(autouse=True)
def empty_cache():
    ch3.clear_cache()
    yield
    ch3.clear_cache()


# --- the result ----------------------------------------------------------------------------------------

SIZES = st.sampled_from([0, 1, 2, 3, 5, 8, 17, 33])


@st.composite
def operands(draw):
    m, k, n = draw(SIZES), draw(SIZES), draw(SIZES)
    return draw(strided((m, k))), draw(strided((k, n)))


@settings(deadline=None, max_examples=150)
@given(operands())
def test_gemm_is_the_product_for_any_shape_and_stride(arrays):
    assert_is_product(ch3.gemm(*arrays), *arrays)


@settings(deadline=None, max_examples=30)
@given(operands())
def test_the_fixed_function_gives_the_same_bits(arrays):
    assert np.array_equal(ch3.gemm_fixed(*arrays), ch3.gemm(*arrays))


def test_every_level_gives_the_same_bits():
    # LLVM may not change the order of a sum, at any level.
    results = [ch3.gemm(A, B, opt_level=level) for level in range(4)]
    assert all(np.array_equal(C, results[0]) for C in results)
    assert_is_product(results[0], A, B)


def test_the_level_is_that_of_the_code():
    x = draw(64, 64)

    def shortest(level):
        def seconds():
            start = time.perf_counter()
            ch3.gemm(x, x, opt_level=level)
            return time.perf_counter() - start

        return min(seconds() for _ in range(20))

    assert shortest(0) > 2 * shortest(3)  # without registers for the loops it takes many times as long


def test_nan_and_infinity_pass_through():
    x = A.copy()
    x[1, 2], x[3, 0] = np.nan, np.inf
    C = ch3.gemm(x, B)
    assert np.isnan(C[1]).all() and np.isinf(C[3]).all()
    assert np.isfinite(np.delete(C, [1, 3], axis=0)).all()


@pytest.mark.parametrize("gemm", [ch3.gemm, ch3.gemm_fixed, lambda a, b: ch3.run(ch3.ir(), a, b)])
def test_inputs_are_not_written_and_results_are_fresh(gemm):
    x, y = A.copy(), B.copy()
    x.flags.writeable = y.flags.writeable = False
    first = gemm(x, y)
    kept = first.copy()
    second = gemm(-x, y)
    assert (x.tobytes(), y.tobytes()) == (A.tobytes(), B.tobytes())
    assert np.array_equal(first, kept) and np.array_equal(second, -kept)
    assert first.flags.owndata and first.flags.writeable and not np.shares_memory(first, second)


# --- the errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gemm", [ch3.gemm, ch3.gemm_fixed])
@pytest.mark.parametrize(
    "a, b, error, sentence",
    [
        (A, A, ValueError, "B: expected shape (7, any) for an A of (5, 7), got (5, 7)"),
        (A[0], B, ValueError, "A: expected shape (any, any), got (7,)"),
        (A, B[None], ValueError, "B: expected shape (any, any), got (1, 7, 3)"),
        (A, B.astype(np.float64), TypeError, "B: expected an array of float32, got one of float64"),
        (A.tolist(), B, TypeError, "A: expected a NumPy array of float32, got list"),
        (A, None, TypeError, "B: expected a NumPy array of float32, got NoneType"),
    ],
)
def test_a_bad_argument_is_a_sentence_and_compiles_nothing(gemm, a, b, error, sentence):
    with pytest.raises(error) as raised:
        gemm(a, b)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY)


@pytest.mark.parametrize("level", [-1, 4])
def test_a_bad_level_is_a_sentence(level):
    for call in (ch3.gemm, ch3.gemm_fixed, lambda *a, **k: ch3.run(ch3.ir(), *a, **k)):
        with pytest.raises(ValueError, match=f"^opt_level: expected 0 to 3, got {level}$"):
            call(A, B, opt_level=level)


def test_a_bad_shape_is_a_sentence():
    with pytest.raises(ValueError, match=r"^shape: expected sizes of at least 0, got \(8, -1, 3\)$"):
        ch3.ir((8, -1, 3))


# --- what is compiled when ----------------------------------------------------------------------------------


def test_one_compile_for_all_shapes():
    for size in range(20):
        x, y = draw(size, 5), draw(5, 20 - size)
        assert_is_product(ch3.gemm(x, y), x, y)
    ch3.gemm(A[::2, ::2], B.T[:, 1:5].T)  # strides are the call's matter too
    info = ch3.cache_info()
    assert info[:2] == (20, 1) and info[3:] == (1, CAPACITY) and 0 < info.compile_seconds < 30


def test_one_compile_for_each_fixed_shape():
    for _ in range(3):
        for size in range(6):
            x, y = draw(size, 5), draw(5, 3)
            assert_is_product(ch3.gemm_fixed(x, y), x, y)
    assert ch3.cache_info()[:2] == (12, 6) and ch3._num_live_programs() == 6


def test_each_size_is_in_the_key_of_a_fixed_shape():
    shapes = [(2, 3, 4), (2, 4, 3), (3, 2, 4), (23, 4, 1), (2, 34, 1), (2, 3, 41)]
    for m, k, n in shapes:
        assert_is_product(ch3.gemm_fixed(draw(m, k), draw(k, n, seed=1)), draw(m, k), draw(k, n, seed=1))
    assert ch3.cache_info().misses == len(shapes)


def test_data_and_strides_are_not_in_the_key():
    for x, y in [(A, B), (-A, B), (A.T.copy().T, B[::-1]), (A * np.nan, B)]:
        ch3.gemm_fixed(x, y)
    assert ch3.cache_info()[:2] == (3, 1)


@pytest.mark.parametrize("gemm", [ch3.gemm, ch3.gemm_fixed, lambda a, b, **k: ch3.run(ch3.ir(), a, b, **k)])
def test_the_level_is_in_the_key(gemm):
    for level in (3, 0, 3, 0, 2, 1):
        gemm(A, B, opt_level=level)
    gemm(A, B)
    assert ch3.cache_info()[:2] == (3, 4)


def test_the_text_is_the_key_of_a_readers_ir():
    ir = ch3.ir()
    ones = ir.replace("0.000000e+00", "1.000000e+00")
    for _ in range(3):
        assert np.array_equal(ch3.run(ir, A, B), ch3.gemm(A, B))
        assert np.allclose(ch3.run(ones, A, B), A @ B + 1, atol=1e-5)
    assert ch3.cache_info()[:2] == (6, 3)  # ir, ones, and gemm's own
    ch3.run("// another text, the same program\n" + ir, A, B)
    assert ch3.cache_info()[:2] == (6, 4)


def test_no_text_is_taken_for_another_key():
    ch3.gemm(A, B)
    ch3.gemm_fixed(A, B)
    for text in ["", "O3", "O3 5 7 3", "\n"]:
        with pytest.raises(ch3.CompileError):
            ch3.run(text, A, B)
    assert ch3.cache_info()[:2] == (0, 2)


def test_the_one_asked_for_longest_ago_is_forgotten():
    for size in range(CAPACITY):
        ch3.gemm_fixed(draw(size, 1), draw(1, 1))
    ch3.gemm_fixed(draw(0, 1), draw(1, 1))  # recent again
    assert ch3.cache_info()[:2] == (1, CAPACITY)
    ch3.gemm(A, B)  # one too many: size 1 goes
    info = ch3.cache_info()
    assert info.size == CAPACITY == ch3._num_live_programs() and info.misses == CAPACITY + 1
    ch3.gemm_fixed(draw(0, 1), draw(1, 1))
    ch3.gemm_fixed(draw(2, 1), draw(1, 1))
    assert ch3.cache_info().misses == CAPACITY + 1
    ch3.gemm_fixed(draw(1, 1), draw(1, 1))
    assert ch3.cache_info().misses == CAPACITY + 2


def test_clearing_forgets_the_programs_and_the_counts():
    ch3.gemm(A, B)
    ch3.gemm_fixed(A, B)
    assert ch3._num_live_programs() == 2
    ch3.clear_cache()
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY) and ch3._num_live_programs() == 0
    assert_is_product(ch3.gemm(A, B), A, B)
    assert ch3.cache_info()[:2] == (0, 1)


def test_compile_seconds_grow_by_compiling_only():
    ch3.gemm(A, B)
    seconds = ch3.cache_info().compile_seconds
    for _ in range(100):
        ch3.gemm(A, B)
    assert ch3.cache_info().compile_seconds == seconds > 0.0005
    ch3.gemm_fixed(A, B)
    assert ch3.cache_info().compile_seconds > seconds


# --- a failed compile ------------------------------------------------------------------------------------------


def bad_ir():
    return ch3.ir().replace("linalg.fill", "linalg.fil")


def test_a_failed_compile_leaves_nothing_and_is_tried_again():
    ch3.gemm(A, B)
    info = ch3.cache_info()
    for _ in range(3):
        with pytest.raises(ch3.CompileError, match=r"ir:4:5: error: custom op 'linalg.fil' is unknown"):
            ch3.run(bad_ir(), A, B)
        assert ch3.cache_info() == info and ch3._num_live_programs() == 1
    assert issubclass(ch3.CompileError, RuntimeError)


def test_another_function_or_type_is_refused():
    fixed = ch3.ir((5, 7, 3))
    with pytest.raises(ch3.CompileError, match=r"@gemm: expected the type \(memref<\?x\?xf32, strided"):
        ch3.run(fixed, A, B)
    with pytest.raises(ch3.CompileError, match="the IR defines no func.func @gemm"):
        ch3.run(ch3.ir().replace("@gemm", "@product"), A, B)
    assert ch3.cache_info()[:2] == (0, 0)


# --- threads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: ch3.gemm(A, B),
        lambda: ch3.gemm_fixed(A, B),
        lambda: ch3.run(ch3.ir(), A, B),
    ],
)
def test_eight_threads_compile_one_function_once(call):
    for _ in range(5):
        ch3.clear_cache()
        results = together(*[call] * 8)
        assert ch3.cache_info()[:2] == (7, 1)
        for C in results:
            assert_is_product(C, A, B)


def test_eight_threads_compile_eight_functions():
    results = together(*[lambda n=n: ch3.gemm_fixed(A[:, :n], B[:n]) for n in range(8)])
    for n, C in enumerate(results):
        assert_is_product(C, A[:, :n], B[:n])
    assert ch3.cache_info()[:2] == (0, 8)


def test_eight_threads_are_all_told_of_a_failure():
    ir = bad_ir()
    results = together(*[lambda: ch3.run(ir, A, B)] * 8)
    assert {type(r) for r in results} == {ch3.CompileError} and len({str(r) for r in results}) == 1
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY) and ch3._num_live_programs() == 0


def test_clearing_while_eight_threads_call():
    stop, cleared = threading.Event(), 0

    def calls(seed):
        num_calls = 0
        x, y = draw(5, 7, seed=seed), draw(7, 3, seed=seed + 1)
        expected = ch3.gemm(x, y)
        while not stop.is_set():
            assert np.array_equal(ch3.gemm(x, y), expected)
            assert np.array_equal(ch3.gemm_fixed(x, y), expected)
            num_calls += 2
        return num_calls

    def clears():
        nonlocal cleared
        try:
            for _ in range(30):
                ch3.gemm(A, B)  # so that there is something to clear
                ch3.clear_cache()
                cleared += 1
        finally:
            stop.set()

    *results, error = together(*[lambda seed=seed: calls(seed) for seed in range(8)], clears)
    assert error is None and cleared == 30
    assert all(isinstance(r, int) and r > 0 for r in results), results
    ch3.clear_cache()
    assert ch3._num_live_programs() == 0


def test_other_threads_run_while_one_waits():
    """The one that makes needs the GIL, so the one that waits must not have it."""
    cache, begun, go_on = ch3.Cache(), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return "made"

    def late():
        assert begun.wait(PATIENCE_S)
        threading.Timer(0.05, go_on.set).start()  # by then this thread waits
        return cache.get("a", lambda: "made twice")

    assert together(lambda: cache.get("a", slow), late) == ["made", "made"]


# --- the cache, with Python objects in it ------------------------------------------------------------------------


class CacheAgainstADictionary(RuleBasedStateMachine):
    """Any order of calls gives what an ordered dictionary gives."""

    def __init__(self):
        super().__init__()
        self.capacity = 3
        self.cache = ch3.Cache(self.capacity)
        self.model = collections.OrderedDict()
        self.hits = self.misses = self.made = 0

    @rule(key=st.sampled_from("abcdef"), fails=st.booleans())
    def get(self, key, fails):
        self.made += 1

        def make():
            if fails:
                raise LookupError(key)
            return self.made

        if key in self.model:
            self.model.move_to_end(key)
            self.hits += 1
            assert self.cache.get(key, make) == self.model[key]
            return
        if fails:
            with pytest.raises(LookupError, match=key):
                self.cache.get(key, make)
        else:
            if len(self.model) == self.capacity:
                self.model.popitem(last=False)
            self.misses += 1
            self.model[key] = self.made
            assert self.cache.get(key, make) == self.made

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.clear()
        self.hits = self.misses = 0

    @invariant()
    def counts(self):
        info = self.cache.info()
        assert (info.hits, info.misses) == (self.hits, self.misses)
        assert (info.size, info.capacity) == (len(self.model), self.capacity)


TestCacheAgainstADictionary = CacheAgainstADictionary.TestCase
TestCacheAgainstADictionary.settings = settings(deadline=None, max_examples=100, stateful_step_count=30)


def in_thread(call):
    """Starts a call in a thread of its own; returns what waits for its result."""
    results = []
    thread = threading.Thread(target=lambda: results.extend(together(call)), daemon=True)
    thread.start()

    def result():
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread waits forever"
        return results[0]

    return result


class Gate:
    """A make() that has begun, and ends when it is told to."""

    def __init__(self, outcome):
        self.outcome, self.begun, self.open = outcome, threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.open.wait(PATIENCE_S)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def never():
    raise AssertionError("made twice")


def test_two_keys_are_made_side_by_side():
    cache, meet = ch3.Cache(), threading.Barrier(2)  # left only when both are being made
    results = together(*[lambda key=key: cache.get(key, lambda: meet.wait(PATIENCE_S)) for key in "ab"])
    assert sorted(results) == [0, 1]


def test_what_make_raises_reaches_all_who_wait():
    cache, gate = ch3.Cache(), Gate(ZeroDivisionError("no"))
    first = in_thread(lambda: cache.get("a", gate))
    assert gate.begun.wait(PATIENCE_S)
    about_to_ask = threading.Barrier(8)
    waiting = [in_thread(lambda: (about_to_ask.wait(), cache.get("a", never))) for _ in range(7)]
    about_to_ask.wait(PATIENCE_S)
    threading.Timer(0.1, gate.open.set).start()  # by then all of them have asked
    assert first() is gate.outcome
    assert all(result() is gate.outcome for result in waiting)
    assert cache.info()[:4] == (0, 0, 0.0, 0)
    assert cache.get("a", lambda: 2) == 2


def test_clearing_while_a_value_is_made():
    cache, old, new = ch3.Cache(), Gate("old"), Gate("new")
    first = in_thread(lambda: cache.get("a", old))
    assert old.begun.wait(PATIENCE_S)
    cache.clear()
    second = in_thread(lambda: cache.get("a", new))  # the old one is not what it asks for
    assert new.begun.wait(PATIENCE_S)
    old.open.set()
    assert first() == "old"
    new.open.set()
    assert second() == "new" == cache.get("a", never)


def test_a_late_failure_does_not_forget_what_came_after_it():
    cache, old = ch3.Cache(), Gate(ValueError("too late"))
    first = in_thread(lambda: cache.get("a", old))
    assert old.begun.wait(PATIENCE_S)
    cache.clear()
    assert cache.get("a", lambda: "new") == "new"
    old.open.set()
    assert first() is old.outcome
    assert cache.get("a", never) == "new" and cache.info().size == 1


def test_a_value_may_be_forgotten_while_it_is_made():
    cache, gate = ch3.Cache(1), Gate("a")
    first = in_thread(lambda: cache.get("a", gate))
    assert gate.begun.wait(PATIENCE_S)
    assert cache.get("b", lambda: "b") == "b"
    gate.open.set()
    assert first() == "a"
    assert cache.get("a", lambda: "again") == "again" and cache.info()[:5:4] == (0, 1)


def test_a_cache_of_nothing_keeps_nothing():
    cache = ch3.Cache(0)
    assert [cache.get("a", lambda n=n: n) for n in range(3)] == [0, 1, 2]
    assert cache.info()[:2] == (0, 3) and cache.info().size == 0


def test_a_failure_in_a_full_cache_forgets_nothing():
    cache = ch3.Cache(2)
    cache.get("a", lambda: 1), cache.get("b", lambda: 2)
    for key in "cdef":
        with pytest.raises(ZeroDivisionError):
            cache.get(key, lambda: 1 / 0)
    assert cache.get("a", never) == 1 and cache.get("b", never) == 2


def test_asking_for_the_key_that_is_being_made():
    cache = ch3.Cache()
    (error,) = together(lambda: cache.get("a", lambda: cache.get("a", never)))
    assert type(error) is RuntimeError and str(error) == "make() asks for the key that it is making"
    assert cache.get("a", lambda: cache.get("b", lambda: 1) + 1) == 2  # another key is well
    assert cache.get("a", never) == 2


def test_values_live_as_long_as_somebody_has_them():
    class Value:
        pass

    cache = ch3.Cache(2)
    watched = weakref.ref(cache.get("a", Value))
    assert watched() is cache.get("a", never)
    cache.get("b", Value), cache.get("c", Value)
    assert watched() is None  # forgotten, and nobody else had it
    held = cache.get("d", Value)
    watched = weakref.ref(held)
    cache.clear()
    assert watched() is held
    del held
    assert watched() is None
    watched = weakref.ref(cache.get("e", Value))
    del cache
    assert watched() is None


# --- the IR ---------------------------------------------------------------------------------------------------


def test_the_two_functions_differ_in_their_types_only():
    dynamic = r"memref<\?x\?xf32, strided<\[\?, \?\], offset: \?>>"
    chapters.filecheck(
        ch3.ir(),
        f"""
        CHECK: func.func @gemm(%[[A:.*]]: {{{{{dynamic}}}}}, %[[B:.*]]: {{{{{dynamic}}}}}, %[[C:.*]]: {{{{{dynamic}}}}})
        CHECK:   linalg.fill {{{{.*}}}} outs(%[[C]]
        CHECK:   linalg.matmul ins(%[[A]], %[[B]] : {{{{.*}}}} outs(%[[C]]
        """,
    )
    chapters.filecheck(
        ch3.ir((8, 32, 16)),
        """
        CHECK: func.func @gemm(%[[A:.*]]: memref<8x32xf32>, %[[B:.*]]: memref<32x16xf32>, %[[C:.*]]: memref<8x16xf32>)
        CHECK:   linalg.fill {{.*}} outs(%[[C]] : memref<8x16xf32>)
        CHECK:   linalg.matmul ins(%[[A]], %[[B]] : memref<8x32xf32>, memref<32x16xf32>) outs(%[[C]]
        """,
    )


def test_sizes_are_arguments_in_one_and_constants_in_the_other():
    loops = dict(ch3.stages())["convert-linalg-to-loops"]
    chapters.filecheck(
        loops,
        """
        CHECK-DAG:   %[[M:.*]] = memref.dim %arg0, %c0
        CHECK-DAG:   %[[K:.*]] = memref.dim %arg0, %c1
        CHECK-DAG:   %[[N:.*]] = memref.dim %arg1, %c1
        CHECK:       scf.for {{.*}} to %[[M]]
        CHECK-NEXT:    scf.for {{.*}} to %[[N]]
        CHECK-NEXT:      scf.for {{.*}} to %[[K]]
        """,
    )
    fixed = dict(ch3.stages((8, 32, 16)))["convert-linalg-to-loops"]
    assert "memref.dim" not in fixed and "to %c32" in fixed


@pytest.mark.parametrize("shape", [None, (8, 32, 16)])
def test_stages_are_all_there_in_order(shape):
    stages = ch3.stages(shape)
    assert stages[0] == ("input", ch3.ir(shape))
    assert [name for name, _ in stages[1:]] == [
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
    assert "llvm.func @gemm" in stages[-1][1] and "linalg" not in stages[-1][1]
    assert ch3.stages(shape, ch3.ir(shape)) == stages
    assert "define void @gemm(" in ch3.llvm_ir(shape) and "gemm:" in ch3.assembly(shape)


def test_looking_at_ir_is_not_cached():
    ch3.stages(), ch3.assembly(), ch3.llvm_ir()
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY)


def test_names():
    assert ch3 is ch3_jit_caching
    assert ch3.test_ir_generation() == ch3.ir()
    assert ch3.test_optimized_ir() == ch3.test_lowered_ir() == ch3.stages()[-1][1]
    assert ch3.cache_info()._fields == ("hits", "misses", "compile_seconds", "size", "capacity")
    assert repr(ch3.cache_info()).startswith("CacheInfo(hits=0, misses=0, compile_seconds=0.0")
    assert all(f.__doc__ for f in (ch3, ch3.gemm, ch3.gemm_fixed, ch3.run, ch3.cache_info, ch3.clear_cache))


# --- processes and memory -------------------------------------------------------------------------------------------


def test_a_process_ends_well():
    """Freed memory is overwritten here, so that nothing can be used after it is gone and go unnoticed."""
    run_python(
        """
        import numpy as np, ch3
        A, B = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
        for _ in range(3):
            ch3.gemm(A, B), ch3.gemm_fixed(A, B), ch3.run(ch3.ir(), A, B)
            ch3.clear_cache()
        ch3.gemm(A, B)
        cache = ch3.Cache()
        cache.get("a", lambda: cache)
        """,
        MALLOC_PERTURB_="165",
    )


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = memory_growth_kb(
        """
        import ch3
        A, B = np.ones((5, 7), np.float32), np.ones((7, 3), np.float32)
        ir = ch3.ir()
        """,
        """
        ch3.gemm(A, B)
        ch3.gemm_fixed(A, B)
        ch3.run(ir, A, B)
        try:
            ch3.gemm(A, A)
        except ValueError:
            pass
        """,
    )
    assert growth_kb < 2048


def test_clearing_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch3
        A, B = np.ones((5, 7), np.float32), np.ones((7, 3), np.float32)
        bad = ch3.ir().replace("fill", "fil")
        def compiles(n):
            for _ in range(n):
                ch3.gemm(A, B)
                ch3.clear_cache()
                try:
                    ch3.run(bad, A, B)
                except ch3.CompileError:
                    pass
        compiles(10)
        before = chapters.resident_kb()
        compiles(40)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048  # one program that stayed each time would be more


# --- the lesson -------------------------------------------------------------------------------------------------


def run_script(*arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=HERE, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() + done.stderr


@pytest.mark.parametrize(
    "case, lines",
    [
        ("race", ["ValueError: gemm: expected 1 compile, got 2"]),
        (
            "failed",
            [
                "0 kept",
                "0 kept",
                "CompileError: the IR could not be read",
                "ir:4:5: error: custom op 'linalg.fil'",
            ],
        ),
        ("itself", ["RuntimeError: make() asks for the key that it is making"]),
        ("forgotten", ["ValueError: asked for -O0, got gemm at -O3"]),
        ("dangling", ["ValueError: the process ended by SIGSEGV"]),
    ],
)
def test_what_breaks(case, lines):
    status, text = run_script("broken.py", case)
    assert status == 0
    assert len(text.splitlines()) == len(lines)
    assert all(line.startswith(start) for line, start in zip(text.splitlines(), lines)), text


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_once.py"], 0),
        (["2", "exercises/solutions/2_key.py"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    returned, text = run_script("exercises/check.py", *arguments)
    assert returned == status, text


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
