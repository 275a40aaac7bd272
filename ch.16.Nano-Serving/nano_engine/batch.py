"""One step's work as the model takes it: a flat list of tokens of any number of requests.

The scheduler says *which tokens* by chunks, half-open ranges of a request's positions. A batch says *where
they are*: for each token its position and the slot its K and V go to, for each request its page table, and
which rows of the result are wanted. It holds no request state and changes none.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from .request import Request


# [chunk]
class Chunk(NamedTuple):
    """The tokens of `request` at positions [start, stop): one for a decode, more for a prefill."""

    request: Request
    start: int
    stop: int

    @property
    def num_tokens(self) -> int:
        return self.stop - self.start

    @property
    def is_last(self) -> bool:
        """Whether it reaches the request's last token, so that the next one can be chosen."""
        return self.stop == self.request.num_tokens


# [/chunk]


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    chunks: tuple[Chunk, ...]
    tokens: np.ndarray  # int32 [T]
    positions: np.ndarray  # int32 [T]
    slots: np.ndarray  # int32 [T]     page * page_size + offset: where K and V go
    sequences: np.ndarray  # int32 [T]     index into chunks: whose page table
    page_tables: np.ndarray  # int32 [S, P]  the pages that hold positions [0, stop), padded with page 0
    logit_rows: np.ndarray  # int32 [R]     rows of T whose logits are wanted
    sampled: tuple[Request, ...]  # [R]     the request that each of them belongs to

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    # [build]
    @classmethod
    def build(cls, chunks: list[Chunk], page_size: int) -> "Batch":
        tokens, positions, slots, sequences, tables, logit_rows, sampled = [], [], [], [], [], [], []
        for index, (request, start, stop) in enumerate(chunks):
            tokens += request.tokens(start, stop)
            positions += range(start, stop)
            table = request.page_table
            slots += [table[p // page_size] * page_size + p % page_size for p in range(start, stop)]
            sequences += [index] * (stop - start)
            tables.append(table[: -(-stop // page_size)])  # rounded up
            if stop == request.num_tokens:
                logit_rows.append(len(tokens) - 1)
                sampled.append(request)
        # [/build]

        page_tables = np.zeros((len(tables), max(map(len, tables), default=0)), np.int32)
        for row, table in zip(page_tables, tables, strict=True):
            row[: len(table)] = table
        return cls(
            chunks=tuple(chunks),
            tokens=np.array(tokens, np.int32),
            positions=np.array(positions, np.int32),
            slots=np.array(slots, np.int32),
            sequences=np.array(sequences, np.int32),
            page_tables=page_tables,
            logit_rows=np.array(logit_rows, np.int32),
            sampled=tuple(sampled),
        )
