"""Text from a GPT-2: the tokens that transformers writes, drawn tokens that repeat, and refusals."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np
import pytest
import tokenizers
import torch
import transformers

import chapters  # noqa: F401  finds the build tree

import ch13_gpt as gpt
import ch13_sampling
from ch13_weights import GPT2Config, GPT2Weights, load_gpt2_weights

SHAPE = {"vocab_size": 101, "n_layer": 2, "n_head": 3, "n_embd": 36, "n_positions": 70}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and a tokenizer as Hugging Face stores them: words w0 to w99, and 100 ends a text."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(3)
    config = transformers.GPT2Config(**SHAPE, eos_token_id=100, bos_token_id=100, initializer_range=0.3)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    words = {f"w{i}": i for i in range(100)} | {"<end>": 100}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def weights(folder):
    return load_gpt2_weights(folder)


@pytest.fixture(scope="module")
def model(folder):
    return transformers.GPT2LMHeadModel.from_pretrained(folder).eval()


def their_greedy(model, ids, max_tokens):
    count = min(max_tokens, SHAPE["n_positions"] - len(ids) + 1)
    done = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False, pad_token_id=100)
    new_ids = done[0, len(ids) :].tolist()
    return new_ids[: new_ids.index(100)] if 100 in new_ids else new_ids


@pytest.mark.parametrize("length", [1, 2, 13, 63, 64, 65, 69, 70])
def test_greedy_tokens_equal_transformers(weights, model, length):
    ids = np.random.default_rng(length).integers(0, 100, length).tolist()
    assert gpt.generate_ids(weights, ids, max_tokens=30) == their_greedy(model, ids, 30)


def test_text_is_the_tokens_decoded(weights, model):
    expected = " ".join(f"w{i}" for i in their_greedy(model, [5, 7, 9], 12))
    assert gpt.generate("w5 w7 w9", max_tokens=12, weights=weights) == expected
    assert expected.count("w") == 12


def test_max_tokens_is_kept_and_the_model_never_left(weights):
    ids = [5, 7, 9]
    twelve = gpt.generate_ids(weights, ids, max_tokens=12)
    assert len(twelve) == 12
    assert gpt.generate_ids(weights, ids, max_tokens=1) == twelve[:1]
    # 70 positions: after 68 tokens two more are read and a third is written.
    assert len(gpt.generate_ids(weights, [1] * 68, max_tokens=50)) == 3


def test_the_end_of_the_text_ends_it(weights):
    # Row t of the head is the embedding of token t: one that is larger than all others is always likeliest.
    tensors = dict(weights.tensors)
    wte = tensors["wte.weight"].copy()
    wte[100] = 100 * tensors["ln_f.bias"] + 100
    tensors |= {"wte.weight": wte, "ln_f.bias": np.ones_like(tensors["ln_f.bias"])}
    ending = GPT2Weights(weights.config, tensors, weights.tokenizer)
    assert gpt.generate_ids(ending, [1, 2], max_tokens=5) == []
    assert gpt.generate("w1 w2", max_tokens=5, weights=ending) == ""
    endless = GPT2Weights(GPT2Config(**SHAPE), tensors)
    assert gpt.generate_ids(endless, [1, 2], max_tokens=5) == [100] * 5


def test_drawn_tokens_repeat_with_their_seed(weights):
    def draw(**kwargs):
        return gpt.generate_ids(weights, [5, 7, 9], max_tokens=20, **kwargs)

    a = draw(temperature=0.8, seed=1)
    assert draw(temperature=0.8, seed=1) == a
    assert draw(temperature=0.8, seed=2) != a
    assert draw(temperature=0.8) != draw(temperature=0.8)  # no seed: another text each time
    assert draw(temperature=0.0, seed=1) == draw(temperature=0.0, seed=2) == draw()
    assert draw(temperature=5.0, top_k=1, seed=1) == draw()  # the likeliest of one
    assert draw(temperature=1e-300, seed=1) == draw()


def test_a_draw_depends_on_seed_and_position_alone(weights):
    """Token n is the same whether it ends a text or comes in the middle of one."""
    whole = gpt.generate_ids(weights, [5, 7, 9], max_tokens=10, temperature=1.0, seed=4)
    rest = gpt.generate_ids(weights, [5, 7, 9, *whole[:6]], max_tokens=4, temperature=1.0, seed=4)
    assert rest == whole[6:]


def test_draws_have_the_right_frequencies():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    n = 20_000

    def frequencies(temperature, top_k=None):
        drawn = [ch13_sampling.choose(logits, temperature, top_k, seed=0, position=p) for p in range(n)]
        return np.bincount(drawn, minlength=4) / n

    five_sigma = 5 * 0.5 / n**0.5
    np.testing.assert_allclose(frequencies(1.0), [0.5, 0.3, 0.15, 0.05], atol=five_sigma)
    np.testing.assert_allclose(frequencies(1.0, top_k=2), [0.625, 0.375, 0, 0], atol=five_sigma)
    sharpened = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    np.testing.assert_allclose(frequencies(0.5), sharpened / sharpened.sum(), atol=five_sigma)
    assert frequencies(1.0, top_k=2)[2:].sum() == 0  # not rarely: never
    assert frequencies(1.0, top_k=99)[3] > 0


def test_equals_of_the_kth_token_stay():
    logits = np.array([1, 3, 2, 2, 0], np.float32)
    drawn = {ch13_sampling.choose(logits, 100.0, 2, seed=0, position=p) for p in range(300)}
    assert drawn == {1, 2, 3}
    assert ch13_sampling.choose(np.array([1, 3, 3], np.float32), 0.0, None, 0, 0) == 1


def test_a_token_without_probability_is_never_drawn(monkeypatch):
    """Not even by the smallest and the largest number that can be drawn."""
    logits = np.array([-2000, 0, 1, -2000], np.float32)  # exp(-2001) is 0
    for number, token in ((0.0, 1), (1 - 2.0**-53, 2)):
        monkeypatch.setattr(ch13_sampling, "uniform", lambda seed, position, number=number: number)
        assert ch13_sampling.choose(logits, 1.0, None, seed=0, position=0) == token


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="the logits of position 3 are not finite: their maximum is nan"):
        ch13_sampling.choose(np.array([1, np.nan], np.float32), 0.0, None, 0, position=3)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"prompt": ""}, ValueError, "prompt: expected 1 to n_positions = 70 tokens, got 0"),
        ({"prompt": "w1 " * 71}, ValueError, "prompt: expected 1 to n_positions = 70 tokens, got 71"),
        ({"prompt": b"w1"}, TypeError, "prompt: expected a string, got bytes"),
        ({"max_tokens": 0}, ValueError, "max_tokens: expected at least 1, got 0"),
        ({"max_tokens": 2.0}, TypeError, "max_tokens: expected an integer, got float"),
        ({"temperature": -0.1}, ValueError, "temperature: expected a finite number of at least 0, got -0.1"),
        (
            {"temperature": float("nan")},
            ValueError,
            "temperature: expected a finite number of at least 0, got nan",
        ),
        ({"temperature": "hot"}, TypeError, "temperature: expected a number, got str"),
        ({"top_k": 0}, ValueError, "top_k: expected at least 1, got 0"),
        ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ({"seed": 2**64}, ValueError, r"seed: expected less than 2\*\*64, got 18446744073709551616"),
        ({"seed": 1.5}, TypeError, "seed: expected an integer, got float"),
    ],
)
def test_bad_arguments_are_sentences(weights, kwargs, error, message):
    with pytest.raises(error, match=message):
        gpt.generate(**{"prompt": "w1", "weights": weights} | kwargs)


def test_ids_outside_of_the_model_and_a_model_without_tokenizer(weights):
    with pytest.raises(ValueError, match="ids: expected token ids from 0 to 100, got 101 at position 1"):
        gpt.generate_ids(weights, [1, 101])
    with pytest.raises(
        ValueError, match="weights: the model came without a tokenizer.json; use generate_ids"
    ):
        gpt.generate("w1", weights=GPT2Weights.random(GPT2Config(**SHAPE)))
    with pytest.raises(TypeError, match="weights: expected a GPT2Weights, got dict"):
        gpt.generate("w1", weights={})


def test_the_bundled_model_writes_words():
    text = gpt.generate("To be, or not", max_tokens=30)
    letters = sum(c.isalpha() or c.isspace() for c in text)
    assert len(text) > 40 and letters / len(text) > 0.8
