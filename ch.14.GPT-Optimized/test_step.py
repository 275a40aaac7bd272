"""Exactness: the bits of a request's logits depend on the request alone, whatever shares its steps, its pages'
places or its chunks. Plus what a step refuses, writes and keeps."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

from ch13_weights import GPT2Config
from ch14_testing import (
    EVERY_DTYPE,
    EVERY_TILE,
    Batch,
    alone,
    assert_same_bits,
    caches,
    model,
    random_ids,
    rss_bytes,
    whole,
)

CONFIG = GPT2Config(101, 2, 3, 36, 40)
PAGE_SIZE = 5


def small(lanes=None, dtype="float32", num_threads=1):
    return model(CONFIG, PAGE_SIZE, lanes, dtype, num_threads)


class Run:
    """Several requests that go through steps together, on pages at random places of caches full of garbage."""

    def __init__(self, m, requests: list[np.ndarray], seed: int):
        self.m = m
        self.requests = requests
        self.done = [0] * len(requests)
        self.logits = [np.full((len(ids), CONFIG.vocab_size), np.nan, np.float32) for ids in requests]
        self.rng = rng = np.random.default_rng(seed)
        needed = [-(-len(ids) // PAGE_SIZE) for ids in requests]
        pages = rng.permutation(sum(needed) + 3).astype(np.int32)  # three pages belong to nobody
        # What no one needs in a table is never looked at: numbers of pages that do not exist.
        self.tables = np.full((len(requests), max(needed) + 2), -7, np.int32)
        for table, own in zip(self.tables, np.split(pages[: sum(needed)], np.cumsum(needed)[:-1])):
            table[: len(own)] = own
        self.k, self.v = caches(CONFIG, len(pages), PAGE_SIZE)
        for cache in (self.k, self.v):
            cache[:] = rng.choice(np.array([np.nan, np.inf, -np.inf, 3e38, 0, -1], np.float32), cache.shape)

    def step(self, chunks: list[tuple[int, int]]) -> None:
        """One step of `count` more tokens of each `request`, the rows in any order."""
        tokens, positions, slots, sequences = [], [], [], []
        for request, count in chunks:
            begin = self.done[request]
            self.done[request] = end = min(begin + count, len(self.requests[request]))
            own = np.arange(begin, end)
            tokens.append(self.requests[request][begin:end])
            positions.append(own)
            slots.append(self.tables[request][own // PAGE_SIZE] * PAGE_SIZE + own % PAGE_SIZE)
            sequences.append(np.full(end - begin, request))
        flat = [np.concatenate(parts).astype(np.int32) for parts in (tokens, positions, slots, sequences)]
        order = self.rng.permutation(len(flat[0]))
        tokens, positions, slots, sequences = (part[order] for part in flat)
        rows = self.rng.permutation(len(order)).astype(np.int32)
        logits = self.m.step(tokens, positions, slots, sequences, self.tables, rows, self.k, self.v)
        for row, t in zip(logits, rows):
            self.logits[sequences[t]][positions[t]] = row

    def finish(self) -> list[np.ndarray]:
        while any(left := [len(ids) - done for ids, done in zip(self.requests, self.done)]):
            self.step([(request, 1) for request, n in enumerate(left) if n])
        return self.logits


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, CONFIG.n_positions), min_size=1, max_size=5),
    schedule=st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 17)), min_size=1, max_size=5)),
    lanes=st.sampled_from(EVERY_TILE),
    dtype=st.sampled_from(EVERY_DTYPE),
    num_threads=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_mix_of_requests_chunks_and_pages_gives_the_bits_of_one_at_a_time(
    lengths, schedule, lanes, dtype, num_threads, seed
):
    lanes = lanes if num_threads == 1 else None  # each combination is compiled
    m = small(lanes, dtype, num_threads)
    requests = [random_ids(CONFIG, length, seed + i) for i, length in enumerate(lengths)]
    run = Run(m, requests, seed)
    for batch in schedule:
        chunks = {request % len(requests): count for request, count in batch}
        run.step(list(chunks.items()))
    one = small(lanes, dtype)
    for ids, logits in zip(requests, run.finish()):
        assert_same_bits(logits, alone(one, ids))


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
@pytest.mark.parametrize("lanes", EVERY_TILE)
@pytest.mark.parametrize("rows", [*range(1, 20), 31, 32, 33, 40])
def test_every_number_of_rows_gives_the_same_bits(rows, lanes, dtype):
    """Blocks of all sizes in all their combinations: one request of `rows` tokens, and as many requests."""
    m = small(lanes, dtype)
    ids = random_ids(CONFIG, 40)
    expected = alone(m, ids)
    assert_same_bits(alone(m, ids[:rows]), expected[:rows])

    one = alone(m, ids[:1])
    tables = np.arange(rows, dtype=np.int32)[:, None]
    zeros, each = np.zeros(rows, np.int32), np.arange(rows, dtype=np.int32)
    batch = Batch(np.repeat(ids[:1], rows), zeros, each * PAGE_SIZE, each, tables, each)
    together = m.step(*batch.arguments(), *caches(CONFIG, rows, PAGE_SIZE, np.nan))
    assert_same_bits(together, np.repeat(one, rows, axis=0))


def test_a_shared_prefix_is_read_from_another_requests_pages():
    m = small()
    prefix = random_ids(CONFIG, 10)
    a, b = (np.concatenate([prefix, random_ids(CONFIG, 7, seed)]) for seed in (1, 2))
    k, v = caches(CONFIG, 6, PAGE_SIZE, np.nan)
    first = whole(a, PAGE_SIZE)
    m.step(*first.arguments(), k, v)
    second = whole(b, PAGE_SIZE, first=10)
    second.page_tables = np.array([[0, 1, 4, 5]], np.int32)  # two pages of the first request, two of its own
    second.slots = second.positions + 10
    assert_same_bits(m.step(*second.arguments(), k, v), alone(m, b)[10:])


# --- which rows


def test_logits_of_some_rows():
    m = small()
    ids = random_ids(CONFIG, 20)
    expected = alone(m, ids)
    for rows in ([19], [3, 3, 3, 19, 0], [], list(range(20))[::-1], [7] * 20):
        batch = whole(ids, PAGE_SIZE)
        batch.logit_rows = np.array(rows, np.int32)
        logits = m.step(*batch.arguments(), *caches(CONFIG, 4, PAGE_SIZE))
        assert logits.shape == (len(rows), 101) and logits.dtype == np.float32
        assert_same_bits(logits, expected[rows])


@pytest.mark.parametrize("tables", [(0, 0), (0, 3), (2, 0)])
def test_a_step_of_nothing(tables):
    none = np.zeros(0, np.int32)
    k, v = caches(CONFIG, 2, PAGE_SIZE, 7)
    logits = small().step(none, none, none, none, np.zeros(tables, np.int32), none, k, v)
    assert logits.shape == (0, 101)
    assert (k == 7).all() and (v == 7).all()


def test_a_cache_without_pages():
    none = np.zeros(0, np.int32)
    k, v = caches(CONFIG, 0, PAGE_SIZE)
    assert small().step(none, none, none, none, np.zeros((0, 0), np.int32), none, k, v).shape == (0, 101)
    with pytest.raises(ValueError, match="page_tables"):
        small().step(*whole(random_ids(CONFIG, 1), PAGE_SIZE).arguments(), k, v)


# --- what is read and written


def test_only_the_slots_of_the_batch_are_written():
    m = small()
    packed = m.weights.arrays
    before = {name: array.copy() for name, array in packed.items()}
    ids = random_ids(CONFIG, 13)
    batch = whole(ids, PAGE_SIZE)
    arguments = batch.arguments()
    copies = [argument.copy() for argument in arguments]
    for array in arguments:
        array.flags.writeable = False
    k, v = caches(CONFIG, 4, PAGE_SIZE, np.nan)
    m.step(*arguments, k, v)
    for name, array in packed.items():
        assert_same_bits(array, before[name])
    for array, copy in zip(arguments, copies):
        np.testing.assert_array_equal(array, copy)
    places_k = k.transpose(0, 1, 4, 2, 3).reshape(2, 20, -1)
    places_v = v.transpose(0, 1, 3, 2, 4).reshape(2, 20, -1)
    for places in (places_k, places_v):
        assert np.isfinite(places[:, :13]).all() and np.isnan(places[:, 13:]).all()


def test_indices_may_have_any_strides():
    m = small()
    ids = random_ids(CONFIG, 11)
    batch = whole(ids, PAGE_SIZE)
    wide = [np.repeat(a, 3, axis=-1)[..., ::3] for a in batch.arguments()]
    assert not wide[0].flags.c_contiguous
    assert_same_bits(m.step(*wide, *caches(CONFIG, 3, PAGE_SIZE)), alone(m, ids))


def test_eight_threads_with_caches_of_their_own():
    m = small()
    requests = [random_ids(CONFIG, 5 + 5 * i, i) for i in range(8)]
    expected = [alone(m, ids) for ids in requests]
    together = threading.Barrier(8)
    failures = []

    def work(i):
        try:
            together.wait()
            for _ in range(60):
                assert_same_bits(alone(m, requests[i]), expected[i])
        except BaseException as e:
            failures.append((i, e))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_ten_thousand_steps_leave_nothing_behind():
    m = small()
    batch = whole(random_ids(CONFIG, 3), PAGE_SIZE).arguments()
    k, v = caches(CONFIG, 1, PAGE_SIZE)
    for _ in range(1000):
        m.step(*batch, k, v)
    before = rss_bytes()
    for _ in range(10_000):
        m.step(*batch, k, v)
    assert rss_bytes() - before < 1 << 20


# --- what is refused: each a sentence, and nothing is computed


def step_with(**changes):
    """A step of 12 tokens on pages 3, 1, 2 of 4, with some arguments replaced."""
    ids = random_ids(CONFIG, 12)
    at = np.arange(12, dtype=np.int32)
    table = np.array([[3, 1, 2]], np.int32)
    k, v = caches(CONFIG, 4, PAGE_SIZE)
    arguments = {
        "tokens": ids,
        "positions": at,
        "slots": table[0][at // PAGE_SIZE] * PAGE_SIZE + at % PAGE_SIZE,
        "sequences": np.zeros(12, np.int32),
        "page_tables": table,
        "logit_rows": np.array([11], np.int32),
        "k_cache": k,
        "v_cache": v,
    }
    try:
        return small().step(**{n: changes[n](a) if n in changes else a for n, a in arguments.items()})
    finally:
        if "k_cache" not in changes and "v_cache" not in changes and changes:
            assert not k.any() and not v.any(), "a refused step wrote to the cache"


def put(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


def readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def test_the_step_that_is_changed_below_is_right():
    assert step_with().shape == (1, 101)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": put(4, 101)}, r"tokens\[4\]: expected 0 to 100 \(the vocabulary\), got 101"),
        ({"tokens": put(0, -1)}, r"tokens\[0\]: expected 0 to 100 \(the vocabulary\), got -1"),
        ({"tokens": put(0, 2**31 - 1)}, r"tokens\[0\]: expected 0 to 100"),
        ({"positions": put(3, 40)}, r"positions\[3\]: expected 0 to 39 \(the model's positions\), got 40"),
        ({"positions": put(3, -1)}, r"positions\[3\]: expected 0 to 39"),
        ({"sequences": put(2, 1)}, r"sequences\[2\]: expected 0 to 0 \(rows of page_tables\), got 1"),
        ({"sequences": put(2, -1)}, r"sequences\[2\]: expected 0 to 0"),
        ({"logit_rows": put(0, 12)}, r"logit_rows\[0\]: expected 0 to 11 \(rows of tokens\), got 12"),
        ({"logit_rows": put(0, -1)}, r"logit_rows\[0\]: expected 0 to 11"),
        (
            {"logit_rows": lambda a: np.zeros(13, np.int32)},
            "logit_rows: expected at most as many as tokens, 12, got 13",
        ),
        (
            {"slots": put(6, 0)},
            r"slots\[6\]: expected 6 \(the page table's place for position 6 of sequence 0\), got 0",
        ),
        ({"slots": put(6, -1)}, r"slots\[6\]: expected 6 .* got -1"),
        # A table that names a page beyond the cache, with slots that agree.
        (
            {"page_tables": put((0, 2), 4), "slots": put([10, 11], [20, 21])},
            r"page_tables\[0, 2\]: expected a page of 0 to 3, got 4",
        ),
        (
            {"page_tables": put((0, 2), -1), "slots": put([10, 11], [-5, -4])},
            r"page_tables\[0, 2\]: expected a page of 0 to 3, got -1",
        ),
        # The past is read through the table as well, although no slot of the batch lies there.
        (
            {
                "page_tables": put((0, 0), 2**31 - 1),
                **{name: lambda a: a[10:] for name in ("tokens", "positions", "slots", "sequences")},
                "logit_rows": lambda a: a - 10,
            },
            r"page_tables\[0, 0\]: expected a page of 0 to 3, got 2147483647",
        ),
        (
            {"page_tables": lambda a: a[:, :2]},
            "page_tables: expected at least 3 pages for position 10, got 2",
        ),
        ({"page_tables": lambda a: a[:0]}, r"sequences\[0\]: expected a row of page_tables, which has none"),
        (
            {"positions": put(7, 6), "slots": put(7, 6)},
            "slots: expected each slot at most once, got 6 twice",
        ),
        ({"positions": lambda a: a[:-1]}, r"positions: expected shape \(12,\), got \(11,\)"),
        ({"slots": lambda a: a[:, None]}, r"slots: expected shape \(12,\), got \(12, 1\)"),
        ({"page_tables": lambda a: a[0]}, r"page_tables: expected shape \(any, any\), got \(3,\)"),
        ({"k_cache": lambda a: a[..., :-1]}, r"k_cache: expected shape \(2, any, 3, 12, 5\), got .*4\)"),
        ({"v_cache": lambda a: a[:, 1:]}, r"v_cache: expected shape \(2, 4, 3, 5, 12\), got \(2, 3, "),
        ({"k_cache": lambda a: a[:1]}, r"k_cache: expected shape \(2, any, 3, 12, 5\), got \(1, "),
        ({"k_cache": readonly}, "k_cache: expected a writable array in C order, since it is used in place"),
        ({"v_cache": np.asfortranarray}, "v_cache: expected a writable array in C order"),
        ({"v_cache": lambda a: a.repeat(2, 1)[:, ::2]}, "v_cache: expected a writable array in C order"),
    ],
)
def test_a_wrong_value_is_a_sentence(changes, message):
    with pytest.raises(ValueError, match=message):
        step_with(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": lambda a: a.astype(np.int64)}, "tokens: expected an array of int32, got one of int64"),
        ({"tokens": list}, "tokens: expected a NumPy array of int32, got list"),
        ({"slots": lambda a: a.astype(np.uint32)}, "slots: expected an array of int32, got one of uint32"),
        ({"page_tables": lambda a: None}, "page_tables: expected a NumPy array of int32, got NoneType"),
        (
            {"k_cache": lambda a: a.astype(np.float64)},
            "k_cache: expected an array of float32, got one of float64",
        ),
        ({"v_cache": lambda a: "v"}, "v_cache: expected a NumPy array of float32, got str"),
    ],
)
def test_a_wrong_type_is_a_sentence(changes, message):
    with pytest.raises(TypeError, match=message):
        step_with(**changes)


def test_what_is_checked_is_what_is_read():
    """Another thread that writes wrong tokens and pages into the arrays during a step changes nothing."""
    m = small()
    ids = random_ids(CONFIG, 40)
    expected = alone(m, ids)
    batch = whole(ids, PAGE_SIZE)
    good = [a.copy() for a in batch.arguments()]
    stop = threading.Event()

    def spoil():
        while not stop.is_set():
            for array, value in zip(batch.arguments(), good):
                array[:] = 2**30
                array[:] = value

    thread = threading.Thread(target=spoil)
    thread.start()
    computed = 0
    try:
        for _ in range(300):
            try:
                logits = m.step(*batch.arguments(), *caches(CONFIG, 8, PAGE_SIZE))
            except ValueError:
                continue  # seen in time
            assert_same_bits(logits, expected)
            computed += 1
    finally:
        stop.set()
        thread.join()
    assert computed


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
