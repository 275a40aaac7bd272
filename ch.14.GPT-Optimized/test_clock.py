"""A step that counts the time of its parts: which parts there are, that they make up the call, that no bit changes."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config
from ch14_testing import EVERY_DTYPE, assert_same_bits, model, random_ids, weights

CONFIG = GPT2Config(101, 2, 3, 36, 40)
PARTS = [
    "embed",
    "norm 1",
    "qkv",
    "store",
    "attention",
    "out",
    "norm 2",
    "up",
    "down",
    "last rows",
    "final norm",
    "head",
]


def with_clock(config=CONFIG, dtype="float32", num_threads=1):
    packed = gpt.PackedWeights.pack(weights(config), dtype=dtype)
    return gpt.GPT2(packed, num_threads=num_threads, clock=True)


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_clock_changes_no_bit(dtype, num_threads):
    ids = random_ids(CONFIG, 23)
    ticking, silent = with_clock(dtype=dtype, num_threads=num_threads), model(CONFIG, dtype=dtype)
    assert_same_bits(ticking.prefill([ids, ids[:5]]), silent.prefill([ids, ids[:5]]))
    assert_same_bits(ticking.decode([3, 4]), silent.decode([3, 4]))


def test_parts_are_named_in_the_order_of_the_step():
    m = with_clock()
    assert list(m.take_part_seconds()) == PARTS
    quantized = list(with_clock(dtype="int8").take_part_seconds())
    assert sorted(quantized) == sorted([*PARTS, "quantize"]) and quantized.index("quantize") == 2


def test_the_parts_make_up_the_call():
    config = GPT2Config(1000, 4, 4, 256, 256)
    m = with_clock(config)
    ids = random_ids(config, 200)
    m.prefill([ids])
    m.take_part_seconds()
    begin = time.perf_counter()
    m.prefill([ids])
    whole = time.perf_counter() - begin
    seconds = m.take_part_seconds()
    assert all(taken > 0 for taken in seconds.values())
    assert 0.5 * whole < sum(seconds.values()) <= whole
    # 4 x 1024 columns are most of the work, one row of logits is not.
    assert max(seconds, key=seconds.get) in ("qkv", "up", "down")
    assert seconds["head"] < seconds["up"]


def test_seconds_are_taken_once_and_add_up():
    m = with_clock()
    ids = random_ids(CONFIG, 9)
    m.prefill([ids])
    assert sum(m.take_part_seconds().values()) > 0
    assert set(m.take_part_seconds().values()) == {0}


def test_without_a_clock_there_are_no_parts():
    assert model(CONFIG).take_part_seconds() == {}


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
