"""The cache alone, with Python objects in it: against a dictionary, and with threads that meet where they must."""

import collections
import pathlib
import sys
import threading
import weakref

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import chapters  # finds the build tree
from course_testing import together

import ch3
from ch3_testing import PATIENCE_S


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


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
