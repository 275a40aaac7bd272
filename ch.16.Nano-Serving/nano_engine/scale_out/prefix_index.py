"""Who has been sent which beginnings of texts. It knows what was asked, not what is still cached.

A text is cut into blocks, and each block stands for the text up to its end: equal beginnings have equal blocks.
The blocks of a replica are kept in order of use, and the oldest leave, as pages leave a prefix cache.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable


class PrefixIndex:
    """block_chars: characters of a block; max_blocks: blocks remembered of one replica."""

    def __init__(self, block_chars: int = 64, max_blocks: int = 20_000):
        self._block_chars = block_chars
        self._max_blocks = max_blocks
        self._blocks: dict[Hashable, OrderedDict[int, None]] = {}

    def blocks(self, text: str) -> list[int]:
        """One number for each whole block: a hash of all text up to its end."""
        hashes, latest = [], 0
        for begin in range(0, len(text) - self._block_chars + 1, self._block_chars):
            latest = hash((latest, text[begin : begin + self._block_chars]))
            hashes.append(latest)
        return hashes

    def match(self, text: str, replicas: Iterable[Hashable]) -> dict[Hashable, int]:
        """For each of these replicas, how many blocks of the text it has seen from the beginning on."""
        blocks = self.blocks(text)
        lengths = {}
        for replica in replicas:
            known = self._blocks.get(replica, {})
            lengths[replica] = next((n for n, block in enumerate(blocks) if block not in known), len(blocks))
        return lengths

    def insert(self, text: str, replica: Hashable) -> None:
        known = self._blocks.setdefault(replica, OrderedDict())
        for block in reversed(self.blocks(text)):  # the beginning is used last, so it leaves last
            known[block] = None
            known.move_to_end(block)
        while len(known) > self._max_blocks:
            known.popitem(last=False)

    def forget(self, replica: Hashable) -> None:
        self._blocks.pop(replica, None)

    def keep_only(self, replicas: Iterable[Hashable]) -> None:
        for gone in set(self._blocks) - set(replicas):
            self.forget(gone)
