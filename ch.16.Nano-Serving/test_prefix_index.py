"""Which replica has seen the longest beginning of a text, against a dictionary of all texts."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

from nano_engine.scale_out.prefix_index import PrefixIndex

texts = st.text("ab", max_size=12)


@given(st.lists(st.tuples(texts, st.integers(0, 2)), max_size=8), texts, st.integers(1, 4))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_match_is_the_longest_common_beginning_in_whole_blocks(inserted, asked, block_chars):
    index = PrefixIndex(block_chars)
    for text, replica in inserted:
        index.insert(text, replica)

    def common(a: str, b: str) -> int:
        length = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        return length // block_chars

    expected = {
        r: max((common(t, asked) for t, owner in inserted if owner == r), default=0) for r in range(3)
    }
    assert index.match(asked, range(3)) == expected


def test_the_oldest_texts_are_forgotten_and_their_ends_before_their_beginnings():
    index = PrefixIndex(block_chars=1, max_blocks=6)
    index.insert("abcd", 0)
    index.insert("xyz", 0)
    assert index.match("xyz", [0]) == {0: 3}
    assert index.match("abcd", [0]) == {0: 3}
    index.insert("abc", 0)
    index.insert("123", 0)
    assert index.match("123", [0]) == {0: 3} and index.match("abc", [0]) == {0: 3}
    assert index.match("xyz", [0]) == {0: 0}


def test_a_replica_that_is_gone_is_forgotten():
    index = PrefixIndex(block_chars=1)
    for replica in range(3):
        index.insert("ab", replica)
    index.forget(0)
    index.keep_only([1])
    assert index.match("ab", range(3)) == {0: 0, 1: 2, 2: 0}


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
