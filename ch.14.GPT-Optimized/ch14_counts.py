"""What a step must do, by formula: the operations and the bytes of each of its parts, for any config, batch and dtype.

    step_parts(config, [Chunk(past=0, new=512)])          a prompt of 512 tokens
    step_parts(config, [Chunk(past=128, new=1)] * 8)      one more token of eight texts

An addition, a multiplication, a division and a comparison are one operation each, a multiply-add is two. Bytes are
those that nobody can avoid: each weight once, each key and value of a text once, rows once in and once out. A kernel
may move more (each group of four rows looks at the pages anew), and not all of it comes from memory: rows that were
just written are still in a cache.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ch13_weights import GPT2Config

WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}

# Operations of one element. test_counts.py counts them in the IR.
EXP_FLOPS = 26
TANH_FLOPS = 24
GELU_FLOPS = TANH_FLOPS + 8
NORM_FLOPS = 8
SOFTMAX_FLOPS = EXP_FLOPS + 4  # of a score: its scale, the maximum, the difference, the sum


class Chunk(NamedTuple):
    """`new` tokens of one text, after `past` tokens that are in the cache."""

    past: int
    new: int


class Part(NamedTuple):
    """A part of the step, in all layers together; named like the parts of GPT2(clock=True)."""

    name: str
    flops: int
    weight_bytes: int  # packed weights, their scales, biases and gains
    cache_bytes: int  # keys and values
    row_bytes: int

    @property
    def num_bytes(self) -> int:
        return self.weight_bytes + self.cache_bytes + self.row_bytes

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / max(1, self.num_bytes)


# [parts]
def step_parts(
    config: GPT2Config,
    chunks: Sequence[Chunk],
    dtype: str = "float32",
    logit_rows: int | None = None,
    paired: bool | None = None,
) -> list[Part]:
    """The parts of a step, in their order.

    logit_rows: rows that want logits (None: one for each chunk). paired: whether rows are rounded to 16 bits before
    a product (None: where the dtype is int8; bfloat16 does it where the host has the instruction).
    """
    d, f, layers = config.n_embd, config.n_inner, config.n_layer
    rows = sum(chunk.new for chunk in chunks)
    last = len(chunks) if logit_rows is None else logit_rows
    paired = dtype == "int8" if paired is None else paired
    keys = sum(chunk.past + chunk.new for chunk in chunks)
    # A row looks at the past, at the rows of its chunk before it, and at itself.
    seen = sum(chunk.new * chunk.past + chunk.new * (chunk.new + 1) // 2 for chunk in chunks)

    def linear(name, m, k, n, epilogue=0, residual=False):
        vectors = (dtype == "int8") + (epilogue > 0)  # the columns' scales, the bias
        weights = k * n * WEIGHT_BYTES[dtype] + 4 * n * vectors
        return Part(name, m * n * (2 * k + epilogue), weights, 0, 4 * m * (k + n + n * residual))

    def norm(name, m):
        return Part(name, NORM_FLOPS * m * d, 4 * 2 * d, 0, 4 * 2 * m * d)

    layer = [
        norm("norm 1", rows),
        linear("qkv", rows, d, 3 * d, epilogue=1),
        Part("store", 0, 0, 4 * 2 * rows * d, 4 * 2 * rows * d),
        Part(
            "attention",
            seen * (4 * d + SOFTMAX_FLOPS * config.n_head),
            0,
            4 * 2 * keys * d,
            4 * 2 * rows * d,
        ),
        linear("out", rows, d, d, epilogue=2, residual=True),
        norm("norm 2", rows),
        linear("up", rows, d, f, epilogue=1 + GELU_FLOPS),
        linear("down", rows, f, d, epilogue=2, residual=True),
    ]
    if paired:  # the greatest magnitude and the product; four products a layer. The head's own is left out.
        layer.append(Part("quantize", 4 * rows * (3 * d + f), 0, 0, (4 + 2) * rows * (3 * d + f)))
    return [
        Part("embed", rows * d, rows * d * (WEIGHT_BYTES[dtype] + 4), 0, 4 * rows * d),
        *(Part(part.name, *(layers * number for number in part[1:])) for part in layer),
        Part("last rows", 0, 0, 0, 4 * 2 * last * d),
        norm("final norm", last),
        linear("head", last, d, config.vocab_size),
    ]


# [/parts]


def total(parts: Sequence[Part], name: str = "step") -> Part:
    """All of them as one."""
    return Part(name, *(sum(numbers) for numbers in list(zip(*parts))[1:]))


# [attainable]
def attainable(intensity: float, peak: float, bandwidth: float) -> float:
    """Operations a second that a machine can reach: the roofline of Williams, Waterman and Patterson (2009).

    intensity: operations a byte. peak: operations a second. bandwidth: bytes a second.
    """
    return min(peak, intensity * bandwidth)


# [/attainable]
