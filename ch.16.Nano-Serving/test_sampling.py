"""Choosing a token, and turning tokens into text: parameters, draws, and pieces of UTF-8."""

import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

from ch13_sampling import choose
from ch16_testing import TEXT, tokenizer
from nano_engine import SamplingParams
from nano_engine.detokenizer import Detokenizer, byte_alphabet
from nano_engine.sampler import sample

REFUSED = [
    ({"max_tokens": 0}, ValueError, "max_tokens must be at least 1, got 0"),
    ({"max_tokens": -3}, ValueError, "max_tokens must be at least 1, got -3"),
    ({"max_tokens": 1.5}, TypeError, "max_tokens must be an int, got 1.5"),
    ({"max_tokens": True}, TypeError, "max_tokens must be an int, got True"),
    ({"temperature": math.nan}, ValueError, "temperature must be a finite number, got nan"),
    ({"temperature": math.inf}, ValueError, "temperature must be a finite number, got inf"),
    ({"temperature": -0.1}, ValueError, "temperature must be at least 0, got -0.1"),
    ({"temperature": "1"}, TypeError, "temperature must be a number, got '1'"),
    ({"top_k": 0}, ValueError, "top_k must be at least 1, got 0"),
    ({"top_p": 0}, ValueError, "top_p must be above 0 and at most 1, got 0"),
    ({"top_p": 1.01}, ValueError, "top_p must be above 0 and at most 1, got 1.01"),
    ({"top_p": math.nan}, ValueError, "top_p must be a finite number, got nan"),
    ({"seed": -1}, ValueError, "seed must be between 0 and 18446744073709551615, got -1"),
    ({"seed": 2**64}, ValueError, "seed must be between 0 and 18446744073709551615"),
    ({"stop_token_ids": 5}, TypeError, "stop_token_ids must be a sequence of ints, got 5"),
    ({"stop_token_ids": "ab"}, TypeError, "stop_token_ids must be a sequence of ints, got 'ab'"),
    ({"stop_token_ids": [1, -2]}, ValueError, r"stop_token_ids\[1\] must be at least 0, got -2"),
    ({"ignore_eos": 1}, TypeError, "ignore_eos must be True or False, got 1"),
]


@pytest.mark.parametrize("arguments, error, sentence", REFUSED)
def test_parameters_are_refused_by_name(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        SamplingParams(**arguments)


def test_parameters_are_plain_values():
    params = SamplingParams(
        max_tokens=np.int64(3), temperature=np.float32(0.5), stop_token_ids=np.array([4, 5])
    )
    assert params == SamplingParams(max_tokens=3, temperature=0.5, stop_token_ids=(4, 5))
    assert type(params.max_tokens) is int and type(params.temperature) is float
    with pytest.raises(AttributeError):
        params.max_tokens = 4


def draws(logits, num=1200, seed=1, **arguments):
    params = SamplingParams(**arguments)
    logits = np.asarray(logits, np.float32)
    return np.bincount([sample(logits, params, seed, p) for p in range(num)], minlength=logits.size) / num


def test_greedy_takes_the_first_of_the_largest():
    assert sample(np.float32([1, 3, 3, 2]), SamplingParams(), seed=0, position=0) == 1


def test_frequencies_are_the_softmax():
    logits = np.log([0.5, 0.25, 0.125, 0.125])
    np.testing.assert_allclose(draws(logits, temperature=1.0), np.exp(logits), atol=0.05)
    hot = np.exp(logits / 2) / np.exp(logits / 2).sum()
    np.testing.assert_allclose(draws(logits, temperature=2.0), hot, atol=0.05)


def test_top_k_and_top_p_leave_the_likeliest():
    logits = np.log([0.125, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(draws(logits, temperature=1.0, top_k=2), [0, 2 / 3, 1 / 3, 0], atol=0.05)
    np.testing.assert_allclose(draws(logits, temperature=1.0, top_p=0.7), [0, 2 / 3, 1 / 3, 0], atol=0.05)
    np.testing.assert_allclose(draws(logits, temperature=1.0, top_k=3, top_p=0.5), [0, 1, 0, 0])
    # top_p is a part of what top_k leaves: 0.4 of 0.7 is more than 0.55.
    np.testing.assert_allclose(
        draws(np.log([0.4, 0.3, 0.2, 0.1]), temperature=1.0, top_k=2, top_p=0.55), [1, 0, 0, 0]
    )
    # Tokens equal to the k-th stay: otherwise the choice among them would be an accident of sorting.
    np.testing.assert_allclose(draws(logits, temperature=1.0, top_k=3), np.exp(logits), atol=0.05)
    np.testing.assert_allclose(draws(logits, temperature=1.0, top_k=99), np.exp(logits), atol=0.05)


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1e-3, 1e30])
def test_extreme_temperatures_do_not_overflow(temperature):
    token = sample(np.float32([-50, 60, 3e38, -3e38]), SamplingParams(temperature=temperature), 1, 1)
    assert token == 2 or temperature > 1


def test_minus_infinity_is_never_drawn():
    frequencies = draws([-np.inf, 0, -np.inf, 0], temperature=5.0)
    assert frequencies[0] == frequencies[2] == 0 < min(frequencies[1], frequencies[3])


@pytest.mark.parametrize("bad", [[0, np.nan, 1], [np.inf, 0, 1], [-np.inf] * 3])
@pytest.mark.parametrize("top_p", [1, 0.5])
@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_not_numbers_are_an_error(bad, temperature, top_p):
    with pytest.raises(ValueError, match="logits of position 7 are not finite"):
        sample(np.float32(bad), SamplingParams(temperature=temperature, top_p=top_p), 0, 7)


def test_the_draw_is_that_of_the_chapters_before():
    logits = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    for position in range(200):
        params = SamplingParams(temperature=0.9, top_k=30)
        expected = choose(logits, temperature=0.9, top_k=30, seed=8, position=position)
        assert sample(logits, params, seed=8, position=position) == expected


def test_a_seeded_answer_of_today_is_one_of_tomorrow():
    flat = np.zeros(1000, np.float32)
    assert [sample(flat, SamplingParams(temperature=1.0), 7, p) for p in range(3)] == [872, 882, 366]
    assert [sample(flat, SamplingParams(temperature=1.0, top_p=0.5), 7, p) for p in range(3)] == [
        436,
        441,
        183,
    ]


# Text


def test_the_alphabet_is_the_tokenizers_own():
    import tokenizers

    assert set(byte_alphabet()) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_alphabet().values()) == list(range(256))


def pieces(tokens):
    decoder = Detokenizer(tokenizer()).start()
    return [decoder.feed([token]) for token in tokens] + [decoder.flush()]


def test_a_character_comes_whole():
    tokens = [tokenizer().token_to_id(c) for c in ("ð", "Ł", "Ļ", "Ĥ")]  # the four bytes of U+1F642
    assert pieces(tokens) == ["", "", "", "\N{SLIGHTLY SMILING FACE}", ""]
    assert pieces(tokens[:3]) == ["", "", "", "\ufffd"]


@given(st.lists(st.integers(0, 299), max_size=30))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_pieces_are_what_the_tokenizer_decodes(tokens):
    """Any tokens, so mostly invalid UTF-8: the pieces still add up to the tokenizer's own text."""
    whole = tokenizer().decode(tokens)
    assert "".join(pieces(tokens)) == Detokenizer(tokenizer()).decode(tokens) == whole


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_text_survives_the_round_trip(text):
    assert "".join(pieces(tokenizer().encode(text).ids)) == text


def test_special_and_unknown_tokens_are_no_text():
    end = tokenizer().token_to_id("<|endoftext|>")
    tokens = tokenizer().encode(TEXT).ids
    assert Detokenizer(tokenizer()).decode([end, *tokens, end, 305]) == TEXT


def test_another_kind_of_tokenizer_is_refused():
    import tokenizers

    with pytest.raises(ValueError, match="must be a byte-level BPE such as GPT-2's; its decoder is NoneType"):
        Detokenizer(tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a")))


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
