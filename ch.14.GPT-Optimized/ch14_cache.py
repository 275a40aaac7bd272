"""The keys and values of past tokens, in pages, for the sequences of one GPT2 object.

    keys   [layer, page, head, head_dim, page_size]      transposed in a page: see paged_attention
    values [layer, page, head, page_size, head_dim]

    tables[sequence] = [page, page, ...]      position p lives in page tables[sequence][p // page_size],
                                              at place p % page_size

This cache grows when it is full and is emptied as a whole. A server needs more (a fixed size, sharing,
exact accounting): that is ch.16's KVCachePool, over arrays of the same layout.
"""

import numpy as np

import ch14_gpt_optimized as ch14
from ch13_weights import GPT2Config


class KVCache:
    """Pages for a growing number of sequences, numbered from 0."""

    def __init__(self, config: GPT2Config, page_size: int = 16):
        self.config = config
        self.page_size = page_size
        self.tables: list[list[int]] = []
        self.lengths: list[int] = []
        self._num_pages_used = 0
        self._reserve(1)

    @property
    def num_pages(self) -> int:
        """Pages there is memory for."""
        return self.k.shape[1]

    def clear(self) -> None:
        """Forgets every sequence; keeps the memory."""
        self.tables.clear()
        self.lengths.clear()
        self._num_pages_used = 0

    def add_sequence(self) -> int:
        """A new, empty sequence; returns its number."""
        self.tables.append([])
        self.lengths.append(0)
        return len(self.tables) - 1

    # [extend]
    def extend(self, sequence: int, count: int) -> np.ndarray:
        """Makes room for `count` more tokens of `sequence`; returns their positions, int32 [count]."""
        begin = self.lengths[sequence]
        end = begin + count
        table = self.tables[sequence]
        while len(table) * self.page_size < end:
            if self._num_pages_used == self.num_pages:
                self._reserve(2 * self.num_pages)
            table.append(self._num_pages_used)
            self._num_pages_used += 1
        self.lengths[sequence] = end
        return np.arange(begin, end, dtype=np.int32)

    # [/extend]

    def slots(self, sequence: int, positions: np.ndarray) -> np.ndarray:
        """Where the tokens at `positions` of `sequence` live: int32, page * page_size + place."""
        table = np.asarray(self.tables[sequence], np.int32)
        return table[positions // self.page_size] * self.page_size + positions % self.page_size

    def page_tables(self) -> np.ndarray:
        """All tables as one array, int32 [sequences, longest]; unused entries are 0."""
        width = max((len(table) for table in self.tables), default=0)
        result = np.zeros((len(self.tables), width), np.int32)
        for row, table in zip(result, self.tables, strict=True):
            row[: len(table)] = table
        return result

    def keys(self, sequence: int, layer: int) -> np.ndarray:
        """The keys of a sequence so far: a copy, float32 [length, head, head_dim]."""
        pages = self.k[layer, self.tables[sequence]]  # [pages, head, head_dim, page_size]
        return self._rows(pages.transpose(0, 3, 1, 2), sequence)

    def values(self, sequence: int, layer: int) -> np.ndarray:
        """The values of a sequence so far: a copy, float32 [length, head, head_dim]."""
        pages = self.v[layer, self.tables[sequence]]  # [pages, head, page_size, head_dim]
        return self._rows(pages.transpose(0, 2, 1, 3), sequence)

    def _rows(self, pages: np.ndarray, sequence: int) -> np.ndarray:
        heads, head_dim = self.config.n_head, self.config.head_dim
        return pages.reshape(-1, heads, head_dim)[: self.lengths[sequence]]

    def _reserve(self, num_pages: int) -> None:
        c = self.config
        k = ch14.aligned_zeros([c.n_layer, num_pages, c.n_head, c.head_dim, self.page_size])
        v = ch14.aligned_zeros([c.n_layer, num_pages, c.n_head, self.page_size, c.head_dim])
        if self._num_pages_used:
            k[:, : self._num_pages_used] = self.k[:, : self._num_pages_used]
            v[:, : self._num_pages_used] = self.v[:, : self._num_pages_used]
        self.k, self.v = k, v
