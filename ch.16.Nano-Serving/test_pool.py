"""The page pool: accounts against a dictionary, contents against NumPy, and a sentence for every misuse."""

import gc
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import chapters

import ch16_nano_serving as ch16
from ch16_testing import needs_plain_memory, rss_bytes

HEADS, DIM, LAYERS = 3, 5, 2


def make_pool(num_pages=8, page_size=4):
    return ch16.KVCachePool(num_pages, page_size, LAYERS, HEADS, DIM)


def random_kv(num_tokens, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, num_tokens, HEADS, DIM), dtype=np.float32)


class PoolMachine(RuleBasedStateMachine):
    """Any sequence of calls, held against a dictionary page -> holders and one page -> contents."""

    @initialize(num_pages=st.integers(1, 9), page_size=st.integers(1, 5))
    def start(self, num_pages, page_size):
        self.pool = make_pool(num_pages, page_size)
        self.num_pages, self.page_size = num_pages, page_size
        self.refs = dict.fromkeys(range(num_pages), 0)
        self.tables = []  # page tables; each counts once for each of its pages
        self.stored = {}  # (layer, page) -> (k [H, D, page_size], v [H, page_size, D])

    @rule(num_tokens=st.integers(0, 40))
    def allocate(self, num_tokens):
        needed = -(-num_tokens // self.page_size)
        free = [page for page, refs in self.refs.items() if refs == 0]
        assert self.pool.pages_needed(num_tokens) == needed
        assert self.pool.can_allocate(num_tokens) == (needed <= len(free))
        if needed > len(free):
            with pytest.raises(
                ch16.OutOfPages, match=f"need {needed} pages .* {len(free)} of {self.num_pages}"
            ):
                self.pool.allocate(num_tokens)
            return
        pages = self.pool.allocate(num_tokens)
        assert len(set(pages)) == len(pages) == needed and set(pages) <= set(free)
        self.refs |= dict.fromkeys(pages, 1)
        self.tables.append(pages)

    @rule(data=st.data())
    def share(self, data):
        """As a prefix cache will: a second table that begins with the pages of a first one."""
        if self.tables:
            table = data.draw(st.sampled_from(self.tables))
            prefix = table[: data.draw(st.integers(0, len(table)))]
            self.pool.share(prefix)
            self.tables.append(prefix)
            for page in prefix:
                self.refs[page] += 1

    @rule(data=st.data())
    def free(self, data):
        if self.tables:
            table = self.tables.pop(data.draw(st.integers(0, len(self.tables) - 1)))
            self.pool.free(table)
            for page in table:
                self.refs[page] -= 1

    @rule(pages=st.lists(st.integers(-2, 11), max_size=6))
    def free_or_share_at_random(self, pages):
        """Refused, and nothing has changed, unless every page can give what is asked of it."""
        exists = all(page in self.refs for page in pages)
        if not exists or any(self.refs[page] == 0 for page in pages):
            with pytest.raises(ValueError, match="does not exist|is free and cannot"):
                self.pool.share(pages)
        if not exists or any(self.refs[page] < pages.count(page) for page in pages):
            with pytest.raises(ValueError, match="does not exist|more often than it is held"):
                self.pool.free(pages)

    @rule(data=st.data(), layer=st.integers(0, LAYERS - 1), seed=st.integers(0, 99))
    def store(self, data, layer, seed):
        if not self.tables:
            return
        pages = data.draw(st.sampled_from(self.tables))
        num_tokens = len(pages) * self.page_size - data.draw(st.integers(0, self.page_size - 1)) * bool(pages)
        k, v = random_kv(num_tokens, seed)
        if any(self.refs[page] > 1 for page in pages):
            with pytest.raises(ValueError, match="holders, and a shared page is never written"):
                self.pool.store_kv(k, v, pages, layer)
            return
        self.pool.store_kv(k, v, pages, layer)
        for token in range(num_tokens):
            page, offset = pages[token // self.page_size], token % self.page_size
            old = self.stored.setdefault((layer, page), self.empty_page())
            old[0][:, :, offset] = k[token]
            old[1][:, offset, :] = v[token]

    def empty_page(self):
        return (
            np.zeros((HEADS, DIM, self.page_size), np.float32),
            np.zeros((HEADS, self.page_size, DIM), np.float32),
        )

    @invariant()
    def accounts_agree(self):
        if hasattr(self, "pool"):
            assert {page: self.pool.ref_count(page) for page in self.refs} == self.refs
            assert self.pool.num_free_pages == list(self.refs.values()).count(0)
            self.pool.check_integrity()
            self.pool.check_integrity(self.tables)

    @invariant()
    def contents_agree(self):
        if hasattr(self, "pool"):
            for layer in range(LAYERS):
                k_layer, v_layer = self.pool.get_layer_cache(layer)
                for page in self.refs:
                    k, v = self.stored.get((layer, page)) or self.empty_page()
                    np.testing.assert_array_equal(k_layer[page], k)
                    np.testing.assert_array_equal(v_layer[page], v)


PoolMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, derandomize=True
)
TestPool = PoolMachine.TestCase


def test_shapes_and_views():
    pool = make_pool(8, 4)
    assert (pool.num_pages, pool.page_size, pool.num_layers, pool.num_heads, pool.head_dim) == (8, 4, 2, 3, 5)
    assert pool.k_cache.shape == (2, 8, 3, 5, 4) and pool.v_cache.shape == (2, 8, 3, 4, 5)
    assert pool.num_bytes == pool.k_cache.nbytes + pool.v_cache.nbytes
    assert repr(pool) == "<KVCachePool: 8 of 8 pages of 4 tokens free>"
    pool.get_layer_cache(1)[0][7, 2, 4, 3] = 1.5  # views of one memory, not copies
    assert pool.k_cache[1, 7, 2, 4, 3] == 1.5 and np.count_nonzero(pool.k_cache) == 1


@pytest.mark.parametrize("num_pages, alignment", [(1, 64), (3, 64), (2000, 2 << 20)])
def test_memory_is_aligned_and_zero(num_pages, alignment):
    pool = ch16.KVCachePool(num_pages, 16, 4, 4, 4)
    for cache in (pool.k_cache, pool.v_cache):
        assert cache.ctypes.data % alignment == 0
        assert cache.flags.c_contiguous and cache.flags.writeable and not cache.any()


def test_a_view_keeps_the_pool_alive():
    view = make_pool(2000, 16).get_layer_cache(1)[1]
    gc.collect()
    view[:] = 1  # would be a segmentation fault
    assert view.sum() == view.size


def test_strided_and_unaligned_keys_are_taken():
    pool = make_pool()
    k, v = random_kv(7)
    pages = pool.allocate(7)
    reversed_copy = np.ascontiguousarray(k[::-1, :, ::-1])[::-1, :, ::-1]
    raw = np.zeros(v.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(np.float32).reshape(v.shape)
    unaligned[:] = v
    pool.store_kv(reversed_copy, unaligned, pages, 0)
    stored_k, stored_v = pool.get_layer_cache(0)
    np.testing.assert_array_equal(stored_k[pages].transpose(0, 3, 1, 2).reshape(8, HEADS, DIM)[:7], k)
    np.testing.assert_array_equal(stored_v[pages].transpose(0, 2, 1, 3).reshape(8, HEADS, DIM)[:7], v)


K, V = random_kv(4)
HUGE = 2**62
REFUSED = [
    (lambda p: ch16.KVCachePool(0, 16, 1, 1, 1), ValueError, "num_pages must be at least 1, got 0"),
    (lambda p: ch16.KVCachePool(1, 16, 1, -2, 1), ValueError, "num_heads must be at least 1, got -2"),
    (lambda p: ch16.KVCachePool(2**31, 16, 1, 1, 1), ValueError, "slots are 32-bit numbers"),
    (lambda p: ch16.KVCachePool(2**20, 16, 2**20, 2**20, 64), ValueError, "MiB of memory of this machine"),
    (lambda p: ch16.KVCachePool(1, 1, HUGE, HUGE, HUGE), ValueError, "MiB of memory of this machine"),
    (
        lambda p: ch16.KVCachePool(2**70, 16, 1, 1, 1),
        ValueError,
        "num_pages must fit a 64-bit integer, got 1180",
    ),
    (lambda p: ch16.KVCachePool(1.5, 16, 1, 1, 1), TypeError, "num_pages must be an int, got float"),
    (lambda p: ch16.KVCachePool(True, 16, 1, 1, 1), TypeError, "num_pages must be an int, got bool"),
    (lambda p: p.allocate(-1), ValueError, "num_tokens must be at least 0, got -1"),
    (lambda p: p.allocate(2**63), ValueError, "num_tokens must fit a 64-bit integer"),
    (lambda p: p.allocate(2**63 - 1), ch16.OutOfPages, "need 2305843009213693952 pages"),
    (lambda p: p.allocate(25), ch16.OutOfPages, "25 tokens need 7 pages of 4 tokens; 6 of 8 pages are free"),
    (
        lambda p: p.allocate_contiguous(25),
        ch16.OutOfPages,
        "25 tokens need 7 pages in a row; 6 of 8 pages are free, and no run",
    ),
    (lambda p: p.pages_needed("4"), TypeError, "num_tokens must be an int, got str"),
    (lambda p: p.free([0, 2]), ValueError, "page 2 is freed more often than it is held"),
    (lambda p: p.free([0, 0]), ValueError, "page 0 is freed more often than it is held"),
    (lambda p: p.free([8]), ValueError, "page 8 does not exist: the pool has pages 0 to 7"),
    (lambda p: p.free([-1]), ValueError, "page -1 does not exist"),
    (lambda p: p.free(0), TypeError, "pages must be a sequence of page numbers, got int"),
    (lambda p: p.free([0, "1"]), TypeError, r"pages\[1\] must be an int, got str"),
    (lambda p: p.share([0, 5]), ValueError, "page 5 is free and cannot be shared"),
    (lambda p: p.ref_count(8), ValueError, "page 8 does not exist"),
    (lambda p: p.get_layer_cache(2), ValueError, "layer 2 does not exist: the pool has layers 0 to 1"),
    (lambda p: p.store_kv(K, V, [0], 2), ValueError, "layer 2 does not exist"),
    (lambda p: p.store_kv(K, V, [0, 1], 0), ValueError, "4 tokens need 1 pages of 4 tokens, got 2 pages"),
    (lambda p: p.store_kv(K, V, [7], 0), ValueError, "page 7 is free: allocate it before writing"),
    (lambda p: p.store_kv(K, V[:3], [0], 0), ValueError, "equally many tokens, got 4 and 3"),
    (
        lambda p: p.store_kv(K[:, :2], V, [0], 0),
        ValueError,
        r"k must have shape \[tokens, 3, 5\], got \(4, 2, 5\)",
    ),
    (lambda p: p.store_kv(K[:, :, :4], V, [0], 0), ValueError, r"\[tokens, 3, 5\], got \(4, 3, 4\)"),
    (lambda p: p.store_kv(K, V[0], [0], 0), ValueError, r"v must have shape \[tokens, 3, 5\], got \(3, 5\)"),
    (lambda p: p.store_kv(K.astype("f8"), V, [0], 0), TypeError, "k must have dtype float32, got float64"),
    (lambda p: p.store_kv(K.astype(">f4"), V, [0], 0), TypeError, "k must have dtype float32, got >f4"),
    (lambda p: p.store_kv(K.tolist(), V, [0], 0), TypeError, "k must be a NumPy array, got list"),
    (lambda p: p.store_kv(np.r_[K, K], np.r_[V, V], [0, 0], 0), ValueError, "page 0 is named twice"),
    (
        lambda p: p.check_integrity([[0]]),
        ch16.IntegrityError,
        "page 1 is held by 0 page tables, and its reference count is 1",
    ),
    (lambda p: p.check_integrity([[0, 1], [0]]), ch16.IntegrityError, "page 0 is held by 2 page tables"),
    (lambda p: p.check_integrity([[0, 9]]), ValueError, "page 9 does not exist"),
]


@pytest.mark.parametrize("call, error, sentence", REFUSED)
def test_misuse_is_a_sentence_and_changes_nothing(call, error, sentence):
    pool = make_pool()
    table = pool.allocate(8)
    with pytest.raises(error, match=sentence):
        call(pool)
    pool.check_integrity([table])
    assert pool.num_free_pages == 6 and not pool.k_cache.any() and not pool.v_cache.any()


def test_pages_in_a_row_need_a_gap_that_is_long_enough():
    pool = make_pool(8)
    first, second, third = (pool.allocate_contiguous(8) for _ in range(3))
    assert (first, second, third) == ([0, 1], [2, 3], [4, 5])
    pool.free(second)
    assert pool.allocate(4) == [2], "the stack has forgotten what was taken from its middle"
    with pytest.raises(ch16.OutOfPages, match="3 pages in a row; 3 of 8 pages are free"):
        pool.allocate_contiguous(12)
    assert pool.allocate_contiguous(5) == [6, 7] and pool.allocate_contiguous(0) == []
    pool.check_integrity([first, third, [2], [6, 7]])


def test_many_threads_lose_no_page():
    pool = ch16.KVCachePool(64, 4, 1, 1, 1)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(1500):
                pages = pool.allocate(int(rng.integers(1, 30)))  # 8 pages each at most: always enough
                pool.share(pages)
                pool.free(pages)
                pool.store_kv(*np.full((2, len(pages) * 4, 1, 1), seed, np.float32), pages, 0)
                assert (pool.k_cache[0, pages] == seed).all()
                pool.free(pages)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    pool.check_integrity([])
    assert pool.num_free_pages == 64


@needs_plain_memory
def test_pools_give_their_memory_back():
    rss = []
    for _ in range(30):
        pool = ch16.KVCachePool(64, 16, 4, 4, 64)  # 8 MiB
        pool.k_cache[:] = pool.v_cache[:] = 1
        del pool
        rss.append(rss_bytes())
    assert rss[-1] - rss[5] < 4 << 20


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
