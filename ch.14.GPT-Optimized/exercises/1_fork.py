"""Exercise 1: two continuations of one text, without computing the text twice.

fork() makes a new sequence that continues `sequence`. Pages that are full will never be written again, so both may
read the same ones. The last page, when it is not full, is where the next tokens of both go: the new sequence needs
a copy of it.

    tables: [[4, 0, 7]]            lengths: [10], pages of 4
    fork(cache, 0) -> 1
    tables: [[4, 0, 7], [4, 0, 8]] lengths: [10, 10], page 8 a copy of page 7 (keys and values, every layer)
"""


def fork(cache, sequence: int) -> int:
    """A new sequence of `cache` (a KVCache) with the past of `sequence`; returns its number."""
    new = cache.add_sequence()
    cache.extend(new, cache.lengths[sequence])  # room, but nothing is in it
    return new
