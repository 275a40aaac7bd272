"""The formulas of ch14_counts.py against what they are about: the IR, the packed arrays, and counting one by one."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

import ch14_counts as counts
import ch14_gpt_optimized as gpt
import ch14_text
from ch13_weights import GPT2Config
from ch14_counts import Chunk, Part, step_parts
from ch14_testing import EVERY_DTYPE, weights

CONFIG = GPT2Config(96, 3, 4, 32, 20, 64)  # in whole panels of every tile


def vector_operations(text: str) -> int:
    """Arithmetic of whole vectors of float32 in a text: what one element costs."""
    ops = re.findall(r"= ([\w.]+) .*vector<\d+x(?:f32|i1)>", ch14_text.lowered(text))
    twice = sum(op in ("math.fma", "vector.fma") for op in ops)
    once = {"arith.addf", "arith.subf", "arith.mulf", "arith.divf", "arith.cmpf", "math.floor"}
    return 2 * twice + sum(op in once for op in ops)


def test_what_exp_tanh_and_gelu_cost():
    assert vector_operations(ch14_text.elementwise("math.exp")) == counts.EXP_FLOPS
    assert vector_operations(ch14_text.elementwise("math.tanh")) == counts.TANH_FLOPS
    plain, gelu = ch14_text.gelu().replace(" {gelu}", ""), ch14_text.gelu()
    vectors = gpt.host_tile()["panel"] // gpt.host_tile()["lanes"]
    places = (
        len(re.findall("vector.store.*%arg2", ch14_text.lowered(plain))) // vectors
    )  # one row, two rows, more
    both = places * vectors
    assert vector_operations(gelu) - vector_operations(plain) == both * counts.GELU_FLOPS


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_the_bytes_of_weights_are_those_of_the_packed_arrays(dtype):
    packed = gpt.PackedWeights.pack(weights(CONFIG), dtype=dtype)
    parts = step_parts(CONFIG, [Chunk(0, 5)], dtype)
    counted = sum(part.weight_bytes for part in parts if part.name != "embed")
    assert counted == packed.num_bytes - packed.arrays["wpe"].nbytes


@pytest.mark.parametrize(
    "chunks", [[Chunk(0, 7)], [Chunk(3, 1), Chunk(9, 1)], [Chunk(2, 5), Chunk(0, 1)], []]
)
def test_attention_counted_key_by_key(chunks):
    found = {part.name: part for part in step_parts(CONFIG, chunks)}["attention"]
    flops = 0
    for past, new in chunks:
        for row in range(new):
            for _ in range(past + row + 1):  # each key that this row may look at
                flops += CONFIG.n_head * (2 * 2 * CONFIG.head_dim + counts.SOFTMAX_FLOPS)
    assert found.flops == CONFIG.n_layer * flops
    keys = sum(past + new for past, new in chunks)
    assert found.cache_bytes == CONFIG.n_layer * keys * 2 * CONFIG.n_embd * 4


def test_a_step_of_gpt2():
    """170 MFLOP a token of a prompt in the blocks, 247 with the head; 498 MB of weights, whatever the batch."""
    gpt2 = GPT2Config(50257, 12, 12, 768, 1024)
    for batch in (1, 8):
        step = counts.total(step_parts(gpt2, [Chunk(0, 1)] * batch))
        assert abs(step.flops / batch / 247e6 - 1) < 0.01
        assert abs(step.weight_bytes / 497e6 - 1) < 0.01
    prefill = step_parts(gpt2, [Chunk(0, 512)])
    head = prefill[-1]
    assert head.name == "head" and head.flops == 2 * 768 * 50257
    products = sum(part.flops for part in prefill if part.name in ("qkv", "out", "up", "down"))
    assert abs(products / 512 / 170e6 - 1) < 0.02


def test_the_parts_are_those_of_the_step():
    """In the order of the IR, each once."""
    ops = re.findall(r"transformer\.(\w+)", gpt.ir())
    kinds = {
        "embed": "rows_embed",
        "store": "paged_store",
        "attention": "paged_attention",
        "last rows": "rows_gather",
    }
    named = [part.name for part in step_parts(CONFIG, [Chunk(0, 1)])]
    assert [kinds.get(n, "rows_norm" if "norm" in n else "rows_linear") for n in named] == ops


def test_the_roofline():
    assert counts.attainable(0.5, peak=100e9, bandwidth=20e9) == 10e9
    assert counts.attainable(50, peak=100e9, bandwidth=20e9) == 100e9
    part = Part("p", 600, 100, 50, 50)
    assert part.num_bytes == 200 and part.intensity == 3
    assert np.isfinite(Part("nothing", 0, 0, 0, 0).intensity)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
