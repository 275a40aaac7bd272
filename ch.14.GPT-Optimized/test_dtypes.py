"""bfloat16 and int8 weights: what rounding them changes, against arithmetic in NumPy and against float32 on held-out
text. That a row's bits depend on nothing else is test_step.py's matter, for every dtype."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch

import chapters

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights
from ch14_testing import (
    EVERY_TILE,
    alone,
    assert_same_bits,
    model,
    random_ids,
    relative_error,
    weights,
)
from ch14_weights import _to_bfloat16, _to_int8

CONFIG = GPT2Config(101, 2, 3, 36, 40, 51)  # an odd K: the last pair has one


def test_bfloat16_is_rounded_as_pytorch_rounds():
    rng = np.random.default_rng(0)
    numbers = (rng.standard_normal(100_000) * 10.0 ** rng.integers(-38, 38, 100_000)).astype(np.float32)
    numbers[:6] = 0, -0.0, np.inf, -np.inf, np.nan, 3.3895e38
    theirs = torch.from_numpy(numbers).to(torch.bfloat16)
    ours = torch.from_numpy(_to_bfloat16(numbers).view(np.int16)).view(torch.bfloat16)
    assert torch.equal(ours.isnan(), theirs.isnan())
    assert torch.equal(ours.nan_to_num(), theirs.nan_to_num())


def test_int8_keeps_each_column_to_half_a_step():
    w = np.random.default_rng(0).standard_normal((64, 9)).astype(np.float32)
    w[:, 3] = 0
    w[:, 4] *= 1e-3
    integers, scales = _to_int8(w)
    assert integers.dtype == np.int8 and not integers[:, 3].any()
    assert (
        np.abs(np.delete(integers, 3, axis=1)).max(axis=0) == 127
    ).all()  # each column has a scale of its own
    assert (np.abs(integers * scales - w) <= scales * 0.5001).all()


def rounded(config: GPT2Config, dtype: str) -> GPT2Weights:
    """The weights that a model of this dtype stands for, in float32."""

    def one(name, tensor):
        if tensor.ndim < 2 or name == "wpe.weight":
            return tensor
        columns = tensor.T if name == "wte.weight" else tensor
        if dtype == "int8":
            integers, scales = _to_int8(columns)
            columns = integers * scales
        else:
            columns = (_to_bfloat16(columns).astype(np.uint32) << 16).view(np.float32)
        return columns.T if name == "wte.weight" else columns

    given = weights(config)
    return GPT2Weights(
        config, {n: np.ascontiguousarray(one(n, t)) for n, t in given.tensors.items()}, given.tokenizer
    )


@pytest.mark.parametrize("lanes", EVERY_TILE)
def test_bfloat16_is_float32_with_rounded_weights(lanes):
    """Bit by bit, where the host widens them; where it multiplies bfloat16 pairs, rows are rounded too."""
    ids = random_ids(CONFIG, 40)
    exact = alone(gpt.GPT2(gpt.PackedWeights.pack(rounded(CONFIG, "bfloat16"), lanes)), ids)
    ours = alone(model(CONFIG, lanes=lanes, dtype="bfloat16"), ids)
    up = gpt.weight_shapes(
        vocabulary=101, positions=40, width=36, inner=51, layers=1, lanes=lanes, dtype="bfloat16"
    )["up"][0]
    if up[2] == 36:
        assert_same_bits(ours, exact)
    else:
        assert relative_error(ours, exact) <= 2e-2


@pytest.mark.parametrize("lanes", EVERY_TILE)
def test_int8_is_float32_with_rounded_weights_but_for_the_rows(lanes):
    """A row is rounded to 15 bits: what that adds is a hundredth of what rounding the weights did."""
    ids = random_ids(CONFIG, 40)
    exact = alone(gpt.GPT2(gpt.PackedWeights.pack(rounded(CONFIG, "int8"), lanes)), ids)
    ours = alone(model(CONFIG, lanes=lanes, dtype="int8"), ids)
    assert relative_error(ours, exact) <= 5e-4
    assert relative_error(ours, alone(model(CONFIG), ids)) > 5e-3  # the weights were rounded


def test_integers_give_the_same_sums_in_every_tile():
    """Whatever the instructions, an integer is an integer; what differs is in attention and norms."""
    ids = random_ids(CONFIG, 1)
    a, *others = [alone(model(CONFIG, lanes=lanes, dtype="int8"), ids) for lanes in EVERY_TILE]
    for other in others:
        assert relative_error(other, a) <= 1e-5


def test_the_greatest_sum_of_integers_fits():
    """1024 products of the greatest weight with the greatest number of a row: 32 bits hold it, so that none wraps."""
    config = GPT2Config(101, 1, 3, 36, 40, 1024)
    tensors = dict(weights(config).tensors)
    tensors["h.0.mlp.c_fc.weight"] = np.zeros((36, 1024), np.float32)
    tensors["h.0.mlp.c_fc.bias"] = np.full(1024, 3, np.float32)
    tensors["h.0.mlp.c_proj.weight"] = np.full((1024, 36), 0.01, np.float32) * np.arange(
        1, 37, dtype=np.float32
    )
    given, ids = GPT2Weights(config, tensors, None), random_ids(config, 5)
    exact = alone(gpt.GPT2(given), ids)
    ours = alone(gpt.GPT2(gpt.PackedWeights.pack(given, dtype="int8")), ids)
    assert relative_error(ours, exact) <= 0.03


def test_a_row_of_zeros_and_a_row_of_nan():
    """Neither divides by zero, and NaN is seen: generate ends in a sentence."""
    given = weights(CONFIG)
    tensors = dict(given.tensors)
    for name in ("h.0.ln_1.weight", "h.0.ln_1.bias"):
        tensors[name] = np.zeros_like(tensors[name])
    assert np.isfinite(
        alone(
            gpt.GPT2(gpt.PackedWeights.pack(GPT2Weights(CONFIG, tensors, None), dtype="int8")),
            random_ids(CONFIG, 3),
        )
    ).all()
    spoilt = gpt.PackedWeights.pack(given, dtype="int8")
    spoilt.arrays["down_bias"][0, 3] = np.nan
    with pytest.raises(ValueError, match="are not finite"):
        gpt.generate_ids(gpt.GPT2(spoilt), [[1, 2, 3]])


def test_memory():
    sizes = {dtype: gpt.load_gpt2_weights(dtype=dtype).num_bytes for dtype in gpt_dtypes()}
    assert sizes["bfloat16"] < 0.58 * sizes["float32"] and sizes["int8"] < 0.37 * sizes["float32"]


def gpt_dtypes():
    return ("float32", "bfloat16", "int8")


# --- held-out text: the last tenth of what the bundled model was trained on is in no file here, its logits on any
# text are. What counts is how far a dtype moves them.

TEXT = """First Citizen:
Before we proceed any further, hear me speak.

All:
Speak, speak.

First Citizen:
You are all resolved rather to die than to famish?
"""


@pytest.fixture(scope="module")
def nats():
    """{dtype: nats per token of TEXT}"""
    result = {}
    for dtype in gpt_dtypes():
        packed = gpt.load_gpt2_weights(dtype=dtype)
        ids = np.array(packed.tokenizer.encode(TEXT).ids)
        logits = alone(gpt.GPT2(packed), ids)[:-1].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        likely = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        result[dtype] = -likely[np.arange(len(ids) - 1), ids[1:]].mean()
    return result


def test_a_dtype_hardly_changes_how_likely_a_text_is(nats):
    assert 2 < nats["float32"] < 4
    assert abs(nats["bfloat16"] - nats["float32"]) < 0.01
    assert abs(nats["int8"] - nats["float32"]) < 0.02


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_greedy_text_stays_sensible(dtype):
    """The same beginning as float32's, and words of the same kind after it."""
    expected = gpt.generate("ROMEO:\n", 40)
    ours = gpt.generate("ROMEO:\n", 40, weights=gpt.load_gpt2_weights(dtype=dtype))
    same = next((i for i, (a, b) in enumerate(zip(expected, ours)) if a != b), len(ours))
    assert same >= 20
    assert len(set(ours.split())) > 8


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
