"""What the chapter's tests share: a small model that says varied things, its tokenizer, and engines on it."""

import functools
import hashlib
import os
import pathlib
import zlib

import numpy as np
import pytest
import tokenizers

import ch13_weights
from ch16_reference import ReferenceGPT2
from nano_engine import NanoServingEngine, Request, SamplingParams

CONFIG = ch13_weights.GPT2Config(vocab_size=307, n_layer=2, n_head=3, n_embd=24, n_positions=40)
TEXT = "To be, or not to be, that is the question: être ou ne pas être, 生きるべきか死ぬべきか 🙂🙃 " * 4


@functools.cache
def weights() -> ch13_weights.GPT2Weights:
    """Random weights, with layers loud enough that the answer is not the last token over and over."""
    model = ch13_weights.GPT2Weights.random(CONFIG, seed=3)
    for name, tensor in model.tensors.items():
        if name.endswith("c_proj.weight"):
            tensor *= 4
    return ch13_weights.GPT2Weights(CONFIG, model.tensors, tokenizer())


@functools.cache
def tokenizer() -> tokenizers.Tokenizer:
    """A byte-level BPE as GPT-2's: 256 bytes, some merges, one special token. The model has a few rows more."""
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEXT], trainer)
    return bpe


@functools.cache
def model(kind: str, page_size: int):
    """ "compiled" is ch.14's step, "reference" the one in NumPy, "hash" one that only remembers."""
    if kind == "hash":
        return HashModel()
    if kind == "reference":
        return ReferenceGPT2(weights(), page_size)
    import ch14_gpt_optimized as gpt

    return gpt.GPT2(weights(), page_size=page_size)


# [hash-model]
class HashModel:
    """A step that is quick and forgets nothing: a row's logits are a hash of all it finds in its pages.

    It keeps token and position of each slot in the caches, as a model keeps K and V, and reads them back through the
    page table. A page that somebody else has written, or a table that is wrong, changes the answer.
    """

    def __init__(self, config=CONFIG):
        self.config = config

    def step(self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache):
        page_size = k_cache.shape[-1]
        keys, values = k_cache[0, :, 0, 0, :], v_cache[0, :, 0, :, 0]  # [pages, page_size]
        keys[slots // page_size, slots % page_size] = tokens
        values[slots // page_size, slots % page_size] = positions
        logits = np.empty((len(logit_rows), self.config.vocab_size), np.float32)
        for row, t in zip(logits, logit_rows.tolist()):
            pages = page_tables[sequences[t], : positions[t] // page_size + 1]
            seen = np.stack([keys[pages].reshape(-1), values[pages].reshape(-1)])[:, : positions[t] + 1]
            assert (seen[1] == np.arange(positions[t] + 1)).all(), f"a page of {pages} was written by another"
            row[:] = np.random.Generator(np.random.PCG64(zlib.crc32(seen.tobytes()))).random(
                row.size, np.float32
            )
        return logits


# [/hash-model]


def engine(kind: str, page_size: int = 4, wrap=lambda model: model, **options) -> NanoServingEngine:
    """An engine on the small model; `wrap` may put something between the two."""
    return NanoServingEngine(
        CONFIG, weights(), page_size=page_size, model=wrap(model(kind, page_size)), **options
    )


def require_all_back(served: NanoServingEngine) -> None:
    """Nothing waits, nothing runs, and every page is free or cached, with no holder but the cache."""
    served.check_integrity()
    stats = served.get_stats()
    assert stats["num_free_pages"] + stats["num_cached_pages"] == stats["num_total_pages"]
    assert stats["num_waiting_requests"] == stats["num_running_requests"] == 0


def run_all(served: NanoServingEngine, requests: list[Request], max_steps: int = 10_000) -> int:
    """Steps until all requests have ended, checking the accounts after each step; returns the steps taken."""
    for num_steps in range(max_steps):
        served.check_integrity()
        if all(request.is_finished for request in requests):
            return num_steps
        served.step()
    raise AssertionError(f"not finished after {max_steps} steps: {requests}")


class Recorder:
    """A model that passes everything on, and compares the logits of every wanted row with those it has seen before.

    What a row depends on is its sequence's tokens, from position 0 to its own. Two rows of the same tokens must have
    the same bits, whatever else was in their batches.
    """

    def __init__(self, model, page_size: int):
        self.model = model
        self.page_size = page_size
        self.token_of_slot: dict[int, int] = {}
        self.rows: dict[tuple[int, ...], bytes] = {}
        self.num_compared = 0
        self.differing: list[tuple[int, ...]] = []

    def step(self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache):
        logits = self.model.step(
            tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache
        )
        self.token_of_slot |= zip(slots.tolist(), tokens.tolist())
        for row, t in zip(logits, logit_rows):
            table = page_tables[sequences[t]]
            prefix = [
                table[p // self.page_size] * self.page_size + p % self.page_size
                for p in range(positions[t] + 1)
            ]
            key = tuple(self.token_of_slot[slot] for slot in prefix)
            bits = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
            if key not in self.rows:
                self.rows[key] = bits
                continue
            self.num_compared += 1
            if self.rows[key] != bits:
                self.differing.append(key)
        return logits

    def require_equal_bits(self) -> int:
        """No two rows of the same tokens differed; returns how many rows were compared with another."""
        assert not self.differing, f"the logits after {list(self.differing[0])} differ between batches"
        return self.num_compared


def recorded(kind: str, page_size: int = 4) -> Recorder:
    return Recorder(model(kind, page_size), page_size)


def random_prompts(num: int, max_tokens: int, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, CONFIG.vocab_size, rng.integers(1, max_tokens + 1)).tolist() for _ in range(num)]


def rss_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# AddressSanitizer keeps freed memory for a while, to catch who still uses it.
needs_plain_memory = pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer holds freed memory back"
)


@functools.cache
def answer_alone(prompt: tuple[int, ...], params: SamplingParams, kind: str = "reference") -> list[int]:
    """The oracle: the same request in an engine of its own, its prompt read at once."""
    (request,) = engine(kind, max_chunk_size=CONFIG.n_positions).generate([prompt], params)
    return request.output_tokens
