"""A GPT-2 that remembers: prompts are read once, then one token at a time.

    prefill([ids, ids]) -> logits [B, V]     reads the prompts, all tokens of all of them in one flat batch
    decode([id, id])    -> logits [B, V]     one more token for each sequence

Both are the same compiled step with other numbers of rows. See step() for what it takes.
"""

import os
from collections.abc import Sequence

import numpy as np

import ch14_gpt_optimized as ch14
from ch13_weights import GPT2Weights
from ch14_cache import KVCache
from ch14_disk_cache import disk_cache
from ch14_weights import PackedWeights


class GPT2:
    """A GPT-2 with a paged KV cache.

    weights: from load_gpt2_weights, or a ch.13 GPT2Weights (packed here). page_size: tokens in a page, 1 to
    256. max_chunk_size: a longer prefill is computed in parts of this many tokens, which bounds the memory it
    works in and changes no bit of the result. num_threads: threads that share the work of a step (None: one for
    each processor that this process may use); they change no bit either. clock: take_part_seconds() says how
    long each part of the steps took. cache_dir: where compiled code is kept for the next
    process, as in load_gpt2_weights.
    """

    def __init__(
        self,
        weights: PackedWeights | GPT2Weights,
        page_size: int = 16,
        max_chunk_size: int = 512,
        num_threads: int | None = 1,
        clock: bool = False,
        cache_dir: str | os.PathLike | bool | None = None,
    ):
        if isinstance(weights, GPT2Weights):
            weights = PackedWeights.pack(weights)
        if not isinstance(weights, PackedWeights):
            raise TypeError(f"weights: expected what load_gpt2_weights returns, got {type(weights).__name__}")
        if not isinstance(max_chunk_size, int) or max_chunk_size < 1:
            raise ValueError(f"max_chunk_size: expected 1 or more, got {max_chunk_size!r}")
        if num_threads is None:
            num_threads = len(os.sched_getaffinity(0))
        if not isinstance(num_threads, int):
            raise TypeError(f"num_threads: expected an integer or None, got {type(num_threads).__name__}")
        self.num_threads = num_threads
        self.weights = weights
        self.config = config = weights.config
        self.page_size = page_size
        self.max_chunk_size = max_chunk_size
        self._model = ch14.Model(
            weights.arrays,
            vocabulary=config.vocab_size,
            positions=config.n_positions,
            width=config.n_embd,
            heads=config.n_head,
            inner=config.n_inner,
            page_size=page_size,
            epsilon=config.layer_norm_epsilon,
            lanes=weights.lanes,
            dtype=weights.dtype,
            num_threads=num_threads,
            clock=clock,
            disk_cache=disk_cache(cache_dir),
        )
        self.cache = KVCache(config, page_size)

    @property
    def compile_seconds(self) -> float:
        """Seconds the step took to compile, or to load from the disk (once for each shape in a process)."""
        return self._model.compile_seconds

    @property
    def is_from_disk(self) -> bool:
        """Was the step's code on the disk already?"""
        return self._model.is_from_disk

    def take_part_seconds(self) -> dict[str, float]:
        """{part of the step: its seconds in all steps since the last call of this}; empty without clock=True."""
        return dict(self._model.take_part_seconds())

    def step(
        self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache
    ) -> np.ndarray:
        """One pass over a flat list of tokens, over any cache arrays: see Model.step."""
        return self._model.step(
            tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache
        )

    # [prefill]
    def prefill(self, prompts: Sequence[Sequence[int]], bar=None) -> np.ndarray:
        """Forgets all sequences and begins one for each prompt. Returns the logits after each, [B, V].

        bar: a progress bar, which is told of the tokens of each chunk.
        """
        prompts = [self._check_prompt(i, ids) for i, ids in enumerate(prompts)]
        self.cache.clear()
        for _ in prompts:
            self.cache.add_sequence()
        if bar is not None:
            bar.total += sum(map(len, prompts))
        return self._append(list(range(len(prompts))), prompts, bar)

    # [/prefill]

    # [decode]
    def decode(self, tokens: Sequence[int], sequences: Sequence[int] | None = None) -> np.ndarray:
        """Appends one token to each of `sequences` (None: all). Returns the logits after each, [B, V]."""
        sequences = list(range(len(self.cache.tables))) if sequences is None else list(sequences)
        if len(set(sequences)) != len(sequences):
            raise ValueError(f"sequences: expected each at most once, got {sequences}")
        for sequence in sequences:
            if not 0 <= sequence < len(self.cache.tables):
                raise ValueError(f"sequences: expected 0 to {len(self.cache.tables) - 1}, got {sequence}")
            if self.cache.lengths[sequence] >= self.config.n_positions:
                raise ValueError(
                    f"sequence {sequence} already fills the model's {self.config.n_positions} positions"
                )
        ids = self._check_ids("tokens", tokens)
        if len(ids) != len(sequences):
            raise ValueError(f"tokens: expected {len(sequences)}, one for each sequence, got {len(ids)}")
        return self._append(sequences, ids[:, None])

    # [/decode]

    def _append(self, sequences: list[int], ids: Sequence[np.ndarray], bar=None) -> np.ndarray:
        """Appends ids[i] to sequences[i]; the logits after the last token of each."""
        if not sequences:
            return np.empty((0, self.config.vocab_size), np.float32)
        positions = [self.cache.extend(s, len(new)) for s, new in zip(sequences, ids, strict=True)]
        slots = [self.cache.slots(s, p) for s, p in zip(sequences, positions, strict=True)]
        tables = self.cache.page_tables()
        lengths = [len(new) for new in ids]
        flat = [np.concatenate(parts).astype(np.int32) for parts in (ids, positions, slots)]
        owner = np.repeat(np.asarray(sequences, np.int32), lengths)
        last = np.cumsum(lengths) - 1  # the row of each sequence's last token

        logits = []  # of each chunk: the sequences end in their order
        for begin in range(0, len(owner), self.max_chunk_size):
            chunk = slice(begin, begin + self.max_chunk_size)
            here = last[(last >= begin) & (last < begin + self.max_chunk_size)]
            logits.append(
                self.step(
                    *(part[chunk] for part in flat),
                    owner[chunk],
                    tables,
                    (here - begin).astype(np.int32),
                    self.cache.k,
                    self.cache.v,
                )
            )
            if bar is not None:
                bar.update(len(owner[chunk]))
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    def _check_prompt(self, index: int, ids: Sequence[int]) -> np.ndarray:
        ids = self._check_ids(f"prompt {index}", ids)
        if not 1 <= len(ids) <= self.config.n_positions:
            raise ValueError(
                f"prompt {index}: expected 1 to {self.config.n_positions} tokens, got {len(ids)}"
            )
        return ids

    def _check_ids(self, name: str, ids: Sequence[int]) -> np.ndarray:
        ids = np.asarray(ids)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise TypeError(
                f"{name}: expected a list of token ids, got {ids.dtype} of shape {list(ids.shape)}"
            )
        wrong = ids[(ids < 0) | (ids >= self.config.vocab_size)]
        if wrong.size:
            raise ValueError(f"{name}: expected ids from 0 to {self.config.vocab_size - 1}, got {wrong[0]}")
        return ids.astype(np.int32)
