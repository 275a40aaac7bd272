"""The call into compiled code: a batch goes in, rows of logits come out.

It owns the model and the two cache arrays' views, and knows nothing of requests beyond the batch. The model
is anything with the `step` of ch.14; `ch16_reference.py` beside this package is the same in NumPy.
"""

import dataclasses
from typing import Protocol

import numpy as np

from ch16_nano_serving import KVCachePool

from .batch import Batch
from .sampling import require_int


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """The sizes the engine needs to know of a model."""

    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    max_seq_len: int

    def __post_init__(self):
        for field in dataclasses.fields(self):
            require_int(field.name, getattr(self, field.name), 1)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd must be a multiple of n_head, got {self.n_embd} and {self.n_head}")

    @classmethod
    def of(cls, config) -> "ModelConfig":
        """From any object with these attributes, such as `weights.config`."""
        names = [field.name for field in dataclasses.fields(cls)]
        missing = [name for name in names if not hasattr(config, name)]
        if missing:
            raise TypeError(
                f"config must have {', '.join(names)}; {type(config).__name__} lacks {', '.join(missing)}"
            )
        return cls(*(getattr(config, name) for name in names))

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head


class Model(Protocol):
    def step(
        self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache
    ) -> np.ndarray:
        """Writes K and V of each token into its slot; returns the logits [R, vocab] of `logit_rows`."""


class ModelExecutor:
    def __init__(self, model: Model, config: ModelConfig, kv_pool: KVCachePool):
        self.model = model
        self.config = config
        self.k_cache = kv_pool.k_cache
        self.v_cache = kv_pool.v_cache

    # [run]
    def run(self, batch: Batch) -> np.ndarray:
        """Logits float32 [R, vocab], one row for each of `batch.sampled`."""
        logits = self.model.step(
            batch.tokens,
            batch.positions,
            batch.slots,
            batch.sequences,
            batch.page_tables,
            batch.logit_rows,
            self.k_cache,
            self.v_cache,
        )
        expected = (len(batch.sampled), self.config.vocab_size)
        if logits.shape != expected:
            raise RuntimeError(f"the model's step must return logits of shape {expected}, got {logits.shape}")
        return logits

    # [/run]
