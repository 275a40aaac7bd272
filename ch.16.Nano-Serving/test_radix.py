"""The radix cache: every call against a dictionary of prefixes, and a sentence for every misuse."""

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


def make_pool(num_pages=12, page_size=2):
    return ch16.KVCachePool(num_pages, page_size, 1, 1, 1)


# [naive]
class NaivePrefixCache:
    """What the radix cache must do, as a dictionary: (salt, tokens of a whole number of pages) -> page.

    It is right for the same reason that it is slow: every prefix of every text is an entry of its own.
    """

    def __init__(self, page_size):
        self.page_size = page_size
        self.page_of = {}
        self.last_use = {}
        self.clock = 0

    def prefixes(self, salt, tokens):
        for end in range(self.page_size, len(tokens) + 1, self.page_size):
            yield salt, tuple(tokens[:end])

    def match(self, salt, tokens):
        self.clock += 1
        pages = []
        for prefix in self.prefixes(salt, tokens):
            if prefix not in self.page_of:
                break
            self.last_use[prefix] = self.clock
            pages.append(self.page_of[prefix])
        return pages

    def insert(self, salt, tokens, pages):
        known = self.match(salt, tokens)
        for prefix, page in list(zip(self.prefixes(salt, tokens), pages))[len(known) :]:
            self.page_of[prefix] = page
            self.last_use[prefix] = self.clock
        return known + pages[len(known) :]

    def evict(self, num_pages, num_holders):
        evicted = []
        while len(evicted) < num_pages:
            above = {(salt, tokens[: -self.page_size]) for salt, tokens in self.page_of}
            free = [p for p in self.page_of if p not in above and num_holders(self.page_of[p]) == 1]
            if not free:
                break
            evicted.append(self.page_of.pop(min(free, key=self.last_use.get)))
        return evicted

    def remove(self, salt, tokens):
        first = tuple(tokens[: self.page_size])
        gone = [p for p in self.page_of if p[0] == salt and p[1][: self.page_size] == first]
        return [self.page_of.pop(prefix) for prefix in gone]


# [/naive]


class RadixMachine(RuleBasedStateMachine):
    """Requests come, hold pages, write and go in any order, in a pool that is nearly always full."""

    @initialize(num_pages=st.integers(1, 10), page_size=st.integers(1, 3))
    def start(self, num_pages, page_size):
        self.pool = make_pool(num_pages, page_size)
        self.cache = ch16.RadixCache(self.pool)
        self.naive = NaivePrefixCache(page_size)
        self.page_size = page_size
        self.requests = []  # (salt, tokens, pages): each holds its pages once

    def holders(self, page):
        return list(self.naive.page_of.values()).count(page) + sum(p.count(page) for *_, p in self.requests)

    @rule(tokens=st.lists(st.integers(0, 2), max_size=14), salt=st.sampled_from(["", "a", "ä"]))
    def begin(self, tokens, salt):
        """Matches a prefix, and takes pages of its own for the rest if there are any."""
        expected = self.naive.match(salt, tokens) if any(s == salt for s, _ in self.naive.page_of) else []
        pages = self.cache.match_prefix(tokens, salt)
        assert pages == expected
        rest = len(tokens) // self.page_size - len(pages)
        if self.pool.can_allocate(rest * self.page_size):
            pages = pages + self.pool.allocate(rest * self.page_size)
        self.requests.append((salt, tokens[: len(pages) * self.page_size], pages))

    @rule(data=st.data())
    def keep(self, data):
        """Inserts a beginning of what a request has."""
        if self.requests:
            i = data.draw(st.integers(0, len(self.requests) - 1))
            salt, tokens, pages = self.requests[i]
            num = data.draw(st.integers(0, len(pages)))
            now = self.cache.insert(tokens[: num * self.page_size], pages[:num], salt)
            assert now == (
                self.naive.insert(salt, tokens[: num * self.page_size], pages[:num]) if num else []
            )
            self.requests[i] = (salt, tokens, now + pages[num:])

    @rule(data=st.data())
    def end(self, data):
        if self.requests:
            *_, pages = self.requests.pop(data.draw(st.integers(0, len(self.requests) - 1)))
            self.pool.free(pages)

    @rule(num_pages=st.integers(0, 5))
    def evict(self, num_pages):
        evicted = self.naive.evict(num_pages, self.holders)
        assert self.cache.evict(num_pages) == len(evicted)

    @rule(tokens=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def remove(self, tokens):
        assert self.cache.remove(tokens) == len(self.naive.remove("", tokens))

    @invariant()
    def accounts_agree(self):
        if hasattr(self, "pool"):
            self.cache.check_integrity()
            held = [pages for *_, pages in self.requests]
            self.pool.check_integrity([*held, self.cache.pages()])
            assert self.cache.pages() == sorted(self.naive.page_of.values())
            assert self.cache.num_pages == len(self.naive.page_of)
            alone = [page for page in self.naive.page_of.values() if self.holders(page) == 1]
            assert self.cache.num_evictable_pages == len(alone)

    @invariant()
    def the_nodes_spell_the_prefixes(self):
        if hasattr(self, "pool"):
            spelled, texts = {}, []
            for node in self.cache.nodes():
                above = () if node["parent"] is None else texts[node["parent"]]
                texts.append(above + tuple(node["tokens"]))
                for i, page in enumerate(node["pages"], 1):
                    spelled[node["salt"], above + tuple(node["tokens"][: i * self.page_size])] = page
            assert spelled == self.naive.page_of


RadixMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None, derandomize=True
)
TestRadix = RadixMachine.TestCase


def test_an_edge_is_split_where_a_prefix_leaves_it():
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    first = pool.allocate(6)
    assert cache.insert([1, 2, 3, 4, 5, 6], first) == first
    second = pool.allocate(6)
    assert cache.insert([1, 2, 3, 4, 9, 9], second) == first[:2] + second[2:], "the tree's page for a copy"
    assert [node["tokens"] for node in cache.nodes()] == [[1, 2, 3, 4], [5, 6], [9, 9]]
    assert [node["parent"] for node in cache.nodes()] == [None, 0, 0]
    assert repr(cache) == "<RadixCache: 4 pages, 0 of them in no use>"
    assert cache.match_prefix([1, 2, 3, 7]) == first[:1], "whole pages only"
    pool.check_integrity([first, first[:2] + second[2:], first[:1], cache.pages()])


def test_eviction_takes_the_least_recently_used_from_its_end():
    pool = make_pool(6)
    cache = ch16.RadixCache(pool)
    for text in ([1] * 6, [2] * 4):
        pages = pool.allocate(len(text))
        pool.free(cache.insert(text, pages))
    pool.free(cache.match_prefix([1, 1]))  # the first page of the older text is used again
    assert cache.evict(1) == 1 and cache.pages() == [0, 1, 3, 4]
    assert cache.evict(1) == 1 and cache.pages() == [0, 3, 4]
    assert cache.evict(2) == 2 and cache.pages() == [0]
    assert cache.evict(9) == 1 and cache.pages() == [] and pool.num_free_pages == 6


def test_a_page_in_use_is_never_evicted():
    pool = make_pool(4)
    cache = ch16.RadixCache(pool)
    mine = cache.insert([1, 2, 3, 4, 5, 6], pool.allocate(6))
    assert cache.evict(9) == 0
    pool.free(mine[1:])
    assert cache.evict(9) == 2 and cache.pages() == mine[:1] and pool.ref_count(mine[0]) == 2


def test_salts_keep_tenants_apart():
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    cache.insert([1, 2], pool.allocate(2), "alice")
    assert cache.match_prefix([1, 2], "bob") == cache.match_prefix([1, 2]) == []
    assert cache.match_prefix([1, 2], "alice") == [0]


def test_what_is_removed_stays_with_its_holders():
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    mine = cache.insert([1, 2, 3, 4], pool.allocate(4))
    assert cache.remove([1, 2]) == 2 and cache.remove([1, 2]) == cache.remove([1]) == 0
    assert cache.match_prefix([1, 2, 3, 4]) == []
    pool.check_integrity([mine])


def test_a_tree_gives_its_pages_back():
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    pool.free(cache.insert([1, 2, 3, 4], pool.allocate(4)))
    assert pool.num_free_pages == 10
    cache.clear()
    assert pool.num_free_pages == 12
    pool.free(cache.insert([1, 2, 3, 4], pool.allocate(4)))
    del cache
    assert pool.num_free_pages == 12


def test_a_deep_tree_is_walked_without_recursion():
    """A match of every length splits off a node of one page each time: a chain as deep as the text is long."""
    num = 200_000
    pool = make_pool(num, 1)
    cache = ch16.RadixCache(pool)
    tokens = list(range(num))
    pool.free(cache.insert(tokens, pool.allocate(num)))
    for end in range(num - 1, 0, -4000):
        pool.free(cache.match_prefix(tokens[:end]))
    assert len(cache.nodes()) > 40
    cache.check_integrity()
    del cache
    assert pool.num_free_pages == num


REFUSED = [
    (lambda c: ch16.RadixCache(None), TypeError, "incompatible|None"),
    (lambda c: c.insert([1, 2, 3], [0]), ValueError, "1 pages of 2 tokens hold 2 tokens, got 3"),
    (lambda c: c.insert([1, 2], [11]), ValueError, "page 11 is free and cannot be shared"),
    (lambda c: c.insert([1, 2], [12]), ValueError, "page 12 does not exist: the pool has pages 0 to 11"),
    (lambda c: c.insert([9, 9], [0]), ValueError, "page 0 is in the tree already, for other tokens"),
    (lambda c: c.insert([8, 8, 8, 8], [2, 2]), ValueError, "page 2 is named twice in pages"),
    (lambda c: c.insert([-1, 2], [2]), ValueError, r"tokens\[0\] must be between 0 and 2147483647, got -1"),
    (lambda c: c.match_prefix([0, 2**31]), ValueError, r"tokens\[1\] must be between 0 and 2147483647"),
    (lambda c: c.match_prefix([0, 2**99]), ValueError, r"tokens\[1\] must be between .*, got 6338"),
    (lambda c: c.match_prefix([1.5]), TypeError, r"tokens\[0\] must be an int, got float"),
    (lambda c: c.match_prefix("ab"), TypeError, "tokens must be a sequence of ints, got str"),
    (lambda c: c.match_prefix([1, 2], None), TypeError, "salt must be a str, got NoneType"),
    (lambda c: c.match_prefix([1, 2], "\ud800"), UnicodeEncodeError, "surrogates"),
    (lambda c: c.evict(-1), ValueError, "num_pages must be at least 0, got -1"),
    (lambda c: c.evict("1"), TypeError, "num_pages must be an int, got str"),
]


@pytest.mark.parametrize("call, error, sentence", REFUSED)
def test_misuse_is_a_sentence_and_changes_nothing(call, error, sentence):
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    mine = cache.insert([1, 2, 3, 4], pool.allocate(4)) + pool.allocate(2)
    before = [node | {"last_use": None} for node in cache.nodes()]
    with pytest.raises(error, match=sentence):
        call(cache)
    assert [node | {"last_use": None} for node in cache.nodes()] == before
    cache.check_integrity()
    pool.check_integrity([mine, cache.pages()])


def test_numpy_integers_are_tokens():
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    cache.insert(np.array([1, 2], np.int32), pool.allocate(2))
    assert cache.match_prefix(np.array([1, 2, 3])) == [0]


def test_a_foreign_hand_is_noticed():
    pool = make_pool()
    cache = ch16.RadixCache(pool)
    mine = cache.insert([1, 2, 3, 4], pool.allocate(4))
    pool.free(mine)
    pool.free(mine[:1])  # the tree's own
    with pytest.raises(ch16.IntegrityError, match="the radix cache: page 0 is in the tree and free"):
        cache.check_integrity()
    assert pool.allocate(2) == mine[:1]
    pool.share(mine[1:])
    pool.share(mine[1:])
    with pytest.raises(ch16.IntegrityError, match="page 1 is in use, and the one above it is not"):
        cache.check_integrity()


def test_many_threads_lose_no_page():
    pool = make_pool(64, 2)
    cache = ch16.RadixCache(pool)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(400):
                tokens = rng.integers(0, 2, 2 * rng.integers(1, 7)).tolist()
                pages = cache.match_prefix(tokens)
                missing = len(tokens) - 2 * len(pages)
                while not pool.can_allocate(64):
                    cache.evict(8)
                pages += pool.allocate(missing)
                pool.free(cache.insert(tokens, pages))
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    cache.check_integrity()
    pool.check_integrity([cache.pages()])


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
