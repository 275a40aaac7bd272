"""GPT2 and its cache, and generate: transformers' keys, values and greedy tokens, ch.13's text."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch

import chapters

import ch13_generate
import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights
from ch14_testing import (
    alone,
    assert_same_bits,
    hugging_face,
    random_ids,
    reference_logits,
    relative_error,
    weights,
)

CONFIG = GPT2Config(101, 2, 3, 36, 40)


@pytest.fixture
def m():
    return gpt.GPT2(weights(CONFIG), page_size=5)


def ragged(lengths, seed=0):
    return [random_ids(CONFIG, length, seed + i).tolist() for i, length in enumerate(lengths)]


# --- prefill and decode


def test_prefill_then_decode_is_the_whole_sequence(m):
    prompts = ragged([7, 1, 39, 5, 12])
    expected = [reference_logits(CONFIG, np.array(ids)) for ids in prompts]
    starts = [3, 1, 30, 5, 11]
    logits = m.prefill([ids[:start] for ids, start in zip(prompts, starts)])
    for row, theirs, start in zip(logits, expected, starts):
        assert relative_error(row, theirs[start - 1]) <= 2e-5
    for step in range(9):
        running = [i for i in reversed(range(5)) if starts[i] + step < len(prompts[i])]
        logits = m.decode([prompts[i][starts[i] + step] for i in running], running)
        for row, i in zip(logits, running):
            assert relative_error(row, expected[i][starts[i] + step]) <= 2e-5
    assert m.cache.lengths == [len(ids) for ids in prompts]


@pytest.mark.parametrize("max_chunk_size", [1, 2, 3, 7, 11, 16, 63, 64, 65])
def test_the_size_of_a_chunk_changes_no_bit(max_chunk_size):
    prompts = ragged([20, 1, 13, 30])
    chunked = gpt.GPT2(weights(CONFIG), page_size=5, max_chunk_size=max_chunk_size)
    expected = gpt.GPT2(weights(CONFIG), page_size=5).prefill(prompts)
    assert_same_bits(chunked.prefill(prompts), expected)
    for ids, row in zip(prompts, expected):
        assert_same_bits(row, alone(chunked, np.array(ids))[-1])


def test_prefill_forgets(m):
    (ids,) = ragged([17])
    first = m.prefill([ids])
    m.prefill(ragged([40, 40, 3], seed=9))
    assert_same_bits(m.prefill([ids]), first)
    assert m.cache.lengths == [17]


def test_no_prompts(m):
    assert m.prefill([]).shape == (0, 101)
    assert m.decode([]).shape == (0, 101)
    m.prefill(ragged([2]))
    assert m.decode([], []).shape == (0, 101)
    assert m.cache.lengths == [2]


def test_a_refused_decode_changes_nothing(m):
    prompts = ragged([4, 6])
    m.prefill(prompts)
    for tokens, sequences in (([1, 101], None), ([1], None), ([1, 2], [0, 0]), ([1, 2], [0, 2])):
        with pytest.raises(ValueError):
            m.decode(tokens, sequences)
    assert m.cache.lengths == [4, 6]
    assert_same_bits(m.decode([7, 8])[1], alone(m, np.array([*prompts[1], 8]))[-1])


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        ([[]], ValueError, "prompt 0: expected 1 to 40 tokens, got 0"),
        ([[1], [2] * 41], ValueError, "prompt 1: expected 1 to 40 tokens, got 41"),
        ([[1, 101]], ValueError, "prompt 0: expected ids from 0 to 100, got 101"),
        ([[-1]], ValueError, "prompt 0: expected ids from 0 to 100, got -1"),
        ([1, 2], TypeError, r"prompt 0: expected a list of token ids, got int64 of shape \[\]"),
        ([[1.0]], TypeError, "prompt 0: expected a list of token ids, got float64"),
        ([[True]], TypeError, "prompt 0: expected a list of token ids, got bool"),
        ([[2**70]], TypeError, "prompt 0: expected a list of token ids, got object"),
        (["abc"], TypeError, "prompt 0: expected a list of token ids, got <U3"),
    ],
)
def test_wrong_prompts(m, prompts, error, message):
    with pytest.raises(error, match=message):
        m.prefill(prompts)


@pytest.mark.parametrize(
    ("tokens", "sequences", "message"),
    [
        ([1, 1], [0, 0], r"sequences: expected each at most once, got \[0, 0\]"),
        ([1], [2], "sequences: expected 0 to 1, got 2"),
        ([1], [-1], "sequences: expected 0 to 1, got -1"),
        ([1], None, "tokens: expected 2, one for each sequence, got 1"),
        ([1, 101], None, "tokens: expected ids from 0 to 100, got 101"),
        ([1, 1], [0, 1], "sequence 1 already fills the model's 40 positions"),
    ],
)
def test_wrong_tokens(m, tokens, sequences, message):
    m.prefill(ragged([3, 40] if "fills" in message else [3, 39]))
    with pytest.raises(ValueError, match=message):
        m.decode(tokens, sequences)


# --- the cache can be looked at


def test_keys_and_values_are_those_of_transformers(m):
    prompts = ragged([23, 1, 10])
    m.prefill([ids[:-1] for ids in prompts[:1]] + prompts[1:])
    m.decode(prompts[0][-1:], [0])
    for sequence, ids in enumerate(prompts):
        with torch.no_grad():
            past = hugging_face(CONFIG)(torch.tensor([ids]), use_cache=True).past_key_values
        for layer in range(CONFIG.n_layer):
            for ours, theirs in (
                (m.cache.keys(sequence, layer), past.layers[layer].keys),
                (m.cache.values(sequence, layer), past.layers[layer].values),
            ):
                assert ours.shape == (len(ids), 3, 12)
                assert relative_error(ours, theirs[0].transpose(0, 1).numpy()) <= 2e-5


def test_the_cache_grows_without_losing_anything(m):
    prompts = ragged([40, 40, 40])
    expected = [alone(m, np.array(ids))[-1] for ids in prompts]
    m.prefill([ids[:1] for ids in prompts])
    assert m.cache.num_pages == 4
    for step in range(1, 40):
        logits = m.decode([ids[step] for ids in prompts])
    assert_same_bits(logits, np.array(expected))
    assert m.cache.num_pages == 32 and sorted(p for t in m.cache.tables for p in t) == list(range(24))


# --- text


def transformers_greedy(model, ids, max_tokens):
    ids = torch.tensor([ids])
    found = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False, pad_token_id=0
    )
    return found[0, ids.shape[1] :].tolist()


def test_greedy_tokens_of_ragged_prompts_are_those_of_transformers(m):
    prompts = ragged([1, 5, 6, 11, 26, 2], seed=40)
    ours = gpt.generate_ids(m, prompts, max_tokens=14)
    assert ours == [transformers_greedy(hugging_face(CONFIG), ids, 14) for ids in prompts]


def test_a_text_ends_where_the_positions_do(m):
    (short, full) = gpt.generate_ids(m, ragged([38, 40]), max_tokens=10)
    assert len(short) == 3 and len(full) == 1


def test_a_text_ends_at_the_end_of_text(m):
    prompts = ragged([4, 9])
    answers = gpt.generate_ids(m, prompts, max_tokens=12, temperature=1.0, seed=3)
    end = answers[0][5]
    config = GPT2Config(101, 2, 3, 36, 40, eos_token_id=end)
    stops = gpt.GPT2(GPT2Weights(config, weights(CONFIG).tensors, None), page_size=5)
    for answer, stopped in zip(answers, gpt.generate_ids(stops, prompts, 12, 1.0, seed=3)):
        assert stopped == (answer[: answer.index(end)] if end in answer else answer)


PROMPTS = ["To be, or not", "ROMEO:\n", "First Citizen:\nBefore we proceed", "a"]


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.8, "seed": 5}, {"temperature": 1.3, "top_k": 7, "seed": 2**64 - 1}],
    ids=str,
)
def test_the_text_of_ch13(options):
    together = gpt.generate(PROMPTS, max_tokens=24, **options)
    assert together == [gpt.generate(prompt, max_tokens=24, **options) for prompt in PROMPTS]
    assert together[:2] == [
        ch13_generate.generate(prompt, max_tokens=24, **options) for prompt in PROMPTS[:2]
    ]


def test_ch13_weights_and_no_seed():
    loaded = ch13_generate.bundled_weights()
    assert gpt.generate(PROMPTS[0], 5, weights=loaded) == gpt.generate(PROMPTS[0], 5)
    assert gpt.generate([], 5) == []
    texts = {gpt.generate(PROMPTS[0], 20, temperature=1.0) for _ in range(3)}
    assert len(texts) > 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": ""}, ValueError, "prompt 0: expected 1 to 1024 tokens, got 0"),
        ({"prompt": ["a", ""]}, ValueError, "prompt 1: expected 1 to 1024 tokens, got 0"),
        ({"prompt": "x " * 1025}, ValueError, r"prompt 0: expected 1 to 1024 tokens, got \d+"),
        ({"prompt": ["a", 3]}, TypeError, "prompt: expected a string or a list of strings, got int"),
        ({"prompt": 3}, TypeError, "prompt: expected a string or a list of strings, got int"),
        ({"prompt": b"a"}, TypeError, "prompt: expected a string or a list of strings, got"),
        ({"max_tokens": 0}, ValueError, "max_tokens: expected at least 1, got 0"),
        ({"max_tokens": 1.5}, TypeError, "max_tokens: expected an integer, got float"),
        ({"temperature": float("nan")}, ValueError, "temperature: expected a finite number .* got nan"),
        ({"temperature": -1}, ValueError, "temperature: expected a finite number of at least 0, got -1"),
        ({"temperature": "hot"}, TypeError, "temperature: expected a number, got str"),
        ({"top_k": 0}, ValueError, "top_k: expected at least 1, got 0"),
        ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ({"weights": {}}, TypeError, "weights: expected what load_gpt2_weights returns, got dict"),
        ({"weights": GPT2Weights.random(CONFIG)}, ValueError, "weights: the model came without a tokenizer"),
    ],
)
def test_wrong_arguments_of_generate(arguments, error, message):
    with pytest.raises(error, match=message):
        gpt.generate(**{"prompt": "a", "max_tokens": 2} | arguments)


def test_a_model_that_computes_nan_is_found_out(m):
    """Never a token made of NaN: the text ends in a sentence."""
    spoilt = gpt.PackedWeights.pack(weights(CONFIG))
    spoilt.arrays["down_bias"][1, 3] = np.nan
    with pytest.raises(ValueError, match="the logits of position 4 are not finite"):
        gpt.generate_ids(gpt.GPT2(spoilt, page_size=5), ragged([4]))


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
