"""What the chapter's tests share: models of odd shapes, transformers' model of the same weights, and a request
that is computed alone, which is the oracle for everything that is computed together."""

import functools
import logging
import os
import pathlib
from dataclasses import dataclass

import numpy as np
import torch
import transformers

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights

transformers.logging.set_verbosity_error()
logging.getLogger("transformers").setLevel(logging.ERROR)

EVERY_TILE = (16, 8, 4)  # lanes
EVERY_DTYPE = ("float32", "bfloat16", "int8")


@functools.cache
def weights(config: GPT2Config, seed: int = 0) -> GPT2Weights:
    """Random weights, loud enough that layers matter beside the embedding, softmaxes are not flat and GELU not a
    line; with biases and gains that differ."""
    made = GPT2Weights.random(config, seed)
    rng = np.random.default_rng(seed)
    for name, tensor in made.tensors.items():
        if tensor.ndim == 1:
            tensor += rng.standard_normal(tensor.shape).astype(np.float32) * 0.3
        elif ".attn." in name or ".mlp." in name:
            tensor *= 2
    return made


@functools.cache
def model(
    config: GPT2Config,
    page_size: int = 16,
    lanes: int | None = None,
    dtype: str = "float32",
    num_threads: int = 1,
) -> gpt.GPT2:
    """One for each shape: compiling is most of what a test costs."""
    packed = gpt.PackedWeights.pack(weights(config), lanes, dtype)
    return gpt.GPT2(packed, page_size, num_threads=num_threads)


@functools.cache
def hugging_face(config: GPT2Config) -> transformers.GPT2LMHeadModel:
    """transformers' model with the same weights."""
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size,
            n_layer=config.n_layer,
            n_head=config.n_head,
            n_embd=config.n_embd,
            n_positions=config.n_positions,
            n_inner=config.n_inner,
            layer_norm_epsilon=config.layer_norm_epsilon,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="eager",
        )
    ).eval()
    state = {f"transformer.{name}": torch.from_numpy(t) for name, t in weights(config).tensors.items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith((".attn.bias", ".attn.masked_bias")) for name in missing)
    return theirs


@torch.no_grad()
def reference_logits(config: GPT2Config, ids: np.ndarray) -> np.ndarray:
    """transformers' logits [T, V]."""
    return hugging_face(config)(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].numpy()


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    return float(np.abs(ours - theirs).max(initial=0) / np.abs(theirs).max(initial=1e-30))


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


def random_ids(config: GPT2Config, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, config.vocab_size, count).astype(np.int32)


# --- steps


def caches(config: GPT2Config, num_pages: int, page_size: int, fill: float = 0.0):
    """k_cache, v_cache with `fill` everywhere."""
    c = config
    k = gpt.aligned_zeros([c.n_layer, num_pages, c.n_head, c.head_dim, page_size])
    v = gpt.aligned_zeros([c.n_layer, num_pages, c.n_head, page_size, c.head_dim])
    k[:], v[:] = fill, fill
    return k, v


@dataclass
class Batch:
    """The index arguments of a step, in their order."""

    tokens: np.ndarray
    positions: np.ndarray
    slots: np.ndarray
    sequences: np.ndarray
    page_tables: np.ndarray
    logit_rows: np.ndarray

    def arguments(self) -> list[np.ndarray]:
        return [
            self.tokens,
            self.positions,
            self.slots,
            self.sequences,
            self.page_tables,
            self.logit_rows,
        ]


def whole(ids: np.ndarray, page_size: int, first: int = 0) -> Batch:
    """All tokens of one sequence from position `first` on, on pages 0, 1, 2, ..., and the logits of all."""
    positions = np.arange(first, len(ids), dtype=np.int32)
    table = np.arange(-(-len(ids) // page_size), dtype=np.int32)[None]
    rows = np.arange(len(ids) - first, dtype=np.int32)
    return Batch(ids[first:].astype(np.int32), positions, positions.copy(), np.zeros_like(rows), table, rows)


def alone(m: gpt.GPT2, ids: np.ndarray) -> np.ndarray:
    """The logits [T, V] of a request by itself, computed at once."""
    batch = whole(ids, m.page_size)
    return m.step(*batch.arguments(), *caches(m.config, batch.page_tables.shape[1], m.page_size))


def rss_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
