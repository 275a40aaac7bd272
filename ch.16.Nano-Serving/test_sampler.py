"""The draws of a batch: against one row at a time, and against probabilities written down naively in float64."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

import ch16_nano_serving as ch16
from ch13_sampling import uniform
from ch16_testing import TEXT, engine, require_all_back, tokenizer
from nano_engine import Request, SamplingParams
from nano_engine.detokenizer import Detokenizer
from nano_engine.sampler import Sampler

VOCAB = 613  # neither a block nor a multiple of one


def request(params, seed=0, prompt=(1, 2, 3), output=()):
    return Request(0, list(prompt), params, seed, 10, output_tokens=list(output))


# [naive]
def naive_probabilities(logits, request, eos_token_id=None):
    """What each token's probability is meant to be, float64 [vocab]."""
    params, x = request.params, logits.astype(np.float64)
    for token in set(request.prompt_tokens) | set(request.output_tokens):
        x[token] *= params.repetition_penalty if x[token] <= 0 else 1 / params.repetition_penalty
    for token in request.output_tokens:
        x[token] -= params.frequency_penalty
    for token in set(request.output_tokens):
        x[token] -= params.presence_penalty
    for token, bias in params.logit_bias:
        x[token] += bias
    if len(request.output_tokens) < params.min_tokens:
        x[[*params.stop_token_ids, *([eos_token_id] if eos_token_id is not None else [])]] = -np.inf
    if params.temperature == 0:
        return np.eye(x.size)[x.argmax()]
    p = np.exp((x - x.max()) / params.temperature)
    if params.top_k is not None:
        p[x < np.sort(x)[-min(params.top_k, x.size)]] = 0
    order = np.argsort(-p, kind="stable")
    if params.top_p < 1:
        kept = 1 + np.searchsorted(p[order].cumsum(), params.top_p * p.sum())
        p[order[kept:]] = 0
    p[p < params.min_p * p.max()] = 0
    return p / p.sum()


# [/naive]
PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    top_k=st.none() | st.integers(1, 700),
    top_p=st.just(1.0) | st.floats(0.01, 0.99),
    min_p=st.just(0.0) | st.floats(0.001, 1),
    repetition_penalty=st.sampled_from([1.0, 0.8, 1.3]),
    presence_penalty=st.sampled_from([0.0, 1.5, -0.5]),
    frequency_penalty=st.sampled_from([0.0, 0.7]),
    logit_bias=st.dictionaries(st.integers(0, VOCAB - 1), st.floats(-9, 9), max_size=3),
    logprobs=st.none() | st.integers(0, 20),
    min_tokens=st.sampled_from([0, 5]),
    stop_token_ids=st.sampled_from([(), (4, 5, 6)]),
    ignore_eos=st.booleans(),
)


@given(params=PARAMS, seed=st.integers(0, 2**32), output=st.lists(st.integers(0, 9), max_size=8))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_weights_are_the_naive_probabilities(params, seed, output):
    logits = (np.random.default_rng(seed).standard_normal(VOCAB) * 3).astype(np.float32)
    asked = request(params, seed, output=output)
    sampler = Sampler(eos_token_id=7)
    expected = naive_probabilities(logits, asked, eos_token_id=None if params.ignore_eos else 7)
    (choice,) = sampler.choose(logits[None], [asked])
    assert expected[choice.token] > 0 or near_a_border(expected, params)
    if params.temperature > 0:
        filters = {name: getattr(params, name) for name in ("temperature", "top_k", "top_p", "min_p")}
        weights = ch16.weigh(ch16.adjust(logits, asked, 7), **filters)
        differing = np.flatnonzero((weights > 0) != (expected > 1e-37))
        rounded = near_a_border(expected, params)
        assert differing.size <= rounded, (
            "at most the token at the border of a filter, which rounding decides"
        )
        if not differing.size:
            np.testing.assert_allclose(weights / weights.sum(), expected, rtol=1e-4, atol=1e-12)


def near_a_border(expected, params):
    return params.top_p < 1 or params.min_p > 0


@pytest.mark.parametrize(
    "one",
    [
        {"repetition_penalty": 1.5},
        {"presence_penalty": 0.6},
        {"frequency_penalty": 0.2},
        {"logit_bias": {3: 0.6}},
        {"min_tokens": 9, "stop_token_ids": [1]},
        {"min_tokens": 9},  # and 1 is the end of text
    ],
    ids=str,
)
def test_each_of_them_alone_changes_what_is_likeliest(one):
    """At temperature 0: without it, 1 is the likeliest, which has been written three times."""
    logits = np.float32([[0, 2, 1, 1.5, -3]])
    sampler = Sampler(eos_token_id=1)
    for options, expected in (({}, 1), (one, 3)):
        asked = request(SamplingParams(max_tokens=20, **options), prompt=[4], output=[1, 1, 1, 2, 0])
        assert sampler.choose(logits, [asked])[0].token == expected


@given(
    rows=st.lists(st.tuples(PARAMS, st.integers(0, 2**64 - 1)), min_size=1, max_size=12), random=st.randoms()
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_rows_of_a_batch_are_chosen_as_alone(rows, random):
    """The same choices, to the last bit of the log-probabilities, whatever the other rows and their order."""
    rng = np.random.default_rng(random.randrange(2**32))
    logits = (rng.standard_normal((len(rows), VOCAB)) * rng.choice([0.5, 4])).astype(np.float32)
    if rng.random() < 0.3:
        logits = logits.round()  # many are equal
    requests = [request(p, seed, output=rng.integers(0, VOCAB, rng.integers(0, 9))) for p, seed in rows]
    logits[rng.random(len(rows)) < 0.1, 5] = np.nan
    together = Sampler().choose(logits, requests)
    for row, asked, choice in zip(logits, requests, together):
        assert Sampler().choose(row[None].copy(), [asked]) == [choice]
    order = random.sample(range(len(rows)), len(rows))
    again = Sampler().choose(logits[order], [requests[i] for i in order])
    assert again == [together[i] for i in order]


@given(
    values=st.lists(st.sampled_from([-np.inf, -7.5, -1e-3, -0.0, 0.0, 1e-30, 2.0, 3.0, 3e38]), min_size=1),
    k=st.integers(1, 9),
    top_p=st.floats(0.01, 0.999),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_filters_leave_what_a_sort_would(values, k, top_p):
    """Many equal ones, and of every sign: the k-th largest logit and the border of the nucleus are not guessed."""
    logits = np.float32(values)
    if np.isneginf(logits).all():
        with pytest.raises(ValueError, match="the largest of logits must be finite, got -inf"):
            ch16.weigh(logits, top_k=k)
        return
    smallest = np.sort(logits)[::-1][min(k, logits.size) - 1]
    weights = ch16.weigh(logits, temperature=10)
    left = ch16.weigh(logits, temperature=10, top_k=k)
    np.testing.assert_array_equal(left, np.where(logits >= smallest, weights, 0))

    order = np.argsort(-left, kind="stable")
    mass = left[order].cumsum(dtype=np.float64)
    num = 1 + np.searchsorted(mass, top_p * mass[-1])
    if not np.isclose(mass, top_p * mass[-1], rtol=1e-12).any():  # there rounding decides
        expected = np.zeros_like(left)
        expected[order[:num]] = left[order[:num]]
        np.testing.assert_array_equal(ch16.weigh(logits, temperature=10, top_k=k, top_p=top_p), expected)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("k", [1, 2, 50, 9_000])
def test_the_kth_largest_of_a_long_row(k, direction):
    """In ascending order every logit is larger than all before it, which is what the search has to put up with."""
    logits = np.sort(np.random.default_rng(k).standard_normal(10_000).astype(np.float32))[::direction]
    assert np.count_nonzero(ch16.weigh(logits, top_k=k)) == k


def test_a_nucleus_of_nearly_everything():
    """The sum of the digits is rounded otherwise than that of the row; a target it never reaches takes all."""
    for seed in range(50):
        logits = (np.random.default_rng(seed).standard_normal(VOCAB) * 15).astype(np.float32)
        weights, left = ch16.weigh(logits), ch16.weigh(logits, top_p=1 - 2.0**-53)
        assert weights[left == 0].sum(dtype=np.float64) < 1e-14 * weights.sum()


def test_min_p_of_one_leaves_all_that_are_likeliest():
    assert ch16.weigh(np.float32([3, 1, 3]), min_p=1).tolist() == [1, 0, 1]


def test_weights_are_exp():
    """Within two roundings of float32, down to where a weight is none."""
    logits = -np.linspace(0, 86.9, 100_001).astype(np.float32)
    np.testing.assert_allclose(ch16.weigh(logits), np.exp(logits.astype(np.float64)), rtol=2e-7)
    assert ch16.weigh(np.float32([0, -87.1, -1e30, -np.inf])).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("u", [0.0, 0.25, 0.499, 0.5, 1 - 2.0**-53])
@pytest.mark.parametrize("vocab", [1, 255, 256, 257, 613])
def test_a_draw_is_where_the_sum_of_weights_passes_u(u, vocab):
    weights = np.random.default_rng(1).random(vocab, np.float32)
    weights[::3] = 0
    weights[-1] = 0 if vocab > 1 else 1
    token = ch16.draw(weights, u)
    sums = weights.cumsum(dtype=np.float64)
    assert weights[token] > 0 and sums[token] >= u * sums[-1] * (1 - 1e-12)
    assert token == 0 or sums[token] - weights[token] <= u * sums[-1] * (1 + 1e-12)


def test_a_draw_at_the_very_end_is_a_token_that_has_a_weight():
    """There the sums of blocks and the running sum in a block may disagree by a rounding."""
    for seed in range(300):
        weights = np.exp2(np.random.default_rng(seed).uniform(-40, 0, VOCAB)).astype(np.float32)
        weights[-7:] = 0
        token = ch16.draw(weights, 1 - 2.0**-53)
        assert (
            token < VOCAB - 7
            and weights[token:].sum(dtype=np.float64) < 1e-6 * weights.sum() + weights[token]
        )


def test_a_draw_takes_any_strides():
    weights = np.random.default_rng(2).random(2000, np.float32)
    for u in np.random.default_rng(3).random(40):
        assert ch16.draw(weights[::2], u) == ch16.draw(weights[::2].copy(), u)


def test_weights_that_are_none_are_drawn_within_the_row():
    """Nobody asks for them; the memory beside them must stay unread all the same."""
    for row in (np.zeros(300), np.full(300, np.nan), np.full(300, np.inf), np.r_[np.zeros(299), np.nan]):
        for u in (0.0, 0.5, 1 - 2.0**-53):
            assert 0 <= ch16.draw(row.astype(np.float32), u) < 300


ROW = np.ones(3, np.float32)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: ch16.draw(ROW[None], 0.5), r"weights must have shape \[1 or more\], got \(1, 3\)"),
        (lambda: ch16.draw(ROW[:0], 0.5), r"weights must have shape \[1 or more\], got \(0,\)"),
        (lambda: ch16.likeliest(ROW[:0]), r"logits must have shape \[1 or more\], got \(0,\)"),
        (lambda: ch16.weigh(ROW[:0]), r"logits must have shape \[1 or more\], got \(0,\)"),
        (lambda: ch16.weigh(ROW * np.nan), "the largest of logits must be finite, got nan"),
        (lambda: ch16.weigh(ROW, top_k=0), "top_k must be at least 1, got 0"),
        (
            lambda: ch16.choose(ROW[None], []),
            r"logits must have shape \[0 requests, 1 or more\], got \(1, 3\)",
        ),
        (
            lambda: ch16.choose(ROW, [asked(prompt=[0])]),
            r"logits must have shape \[1 requests, 1 or more\], got \(3,\)",
        ),
        (
            lambda: ch16.choose(ROW[None], [asked(prompt=[0, 3])]),
            "a token of prompt_tokens must be between 0 and 2, got 3",
        ),
        (
            lambda: ch16.choose(ROW[None], [asked(prompt=[0], output=[-1])]),
            "a token of output_tokens must be between 0 and 2, got -1",
        ),
        (
            lambda: ch16.choose(ROW[None], [asked(prompt=[0], logit_bias={3: 1})]),
            "a token of logit_bias must be between 0 and 2, got 3",
        ),
        (
            lambda: ch16.choose(ROW[None], [asked(prompt=[0], min_tokens=1, stop_token_ids=[5])]),
            "a token of stop_token_ids must be between 0 and 2, got 5",
        ),
        (
            lambda: ch16.choose(ROW[None], [asked(prompt=[0], min_tokens=1)], 3),
            "a token of eos_token_id must be between 0 and 2, got 3",
        ),
    ],
)
def test_what_is_no_row_or_no_token_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def asked(prompt, output=(), **params):
    """A request that changes logits."""
    return request(SamplingParams(presence_penalty=1, **params), prompt=prompt, output=output)


def test_rows_may_lie_in_any_way():
    """The step's logits are padded to whole vectors: rows that do not follow each other."""
    params = SamplingParams(temperature=1.0, top_p=0.9, logprobs=3)
    rows = np.random.default_rng(0).standard_normal((4, VOCAB)).astype(np.float32)
    requests = [request(params, seed) for seed in range(4)]
    expected = ch16.choose(rows, requests)
    padded = np.full((4, VOCAB + 7), np.nan, np.float32)
    padded[:, :VOCAB] = rows
    assert ch16.choose(padded[:, :VOCAB], requests) == expected
    assert ch16.choose(np.asfortranarray(rows), requests) == expected
    assert ch16.choose(rows[::-1], requests[::-1]) == expected[::-1]
    assert ch16.choose(rows[:0], []) == []


def test_the_likeliest_is_the_first_of_the_largest_and_a_nan_is_seen():
    for vocab in (1, 2, 15, 16, 17, VOCAB):
        logits = np.random.default_rng(vocab).integers(-3, 3, vocab).astype(np.float32)
        assert ch16.likeliest(logits) == (logits.argmax(), logits.max())
        for i in {0, vocab // 2, vocab - 1}:
            broken = logits.copy()
            broken[i] = np.nan
            assert np.isnan(ch16.likeliest(broken)[1])


def test_the_uniform_number_is_that_of_ch13():
    seeds = [0, 5, 2**64 - 1, 5, *np.random.default_rng(0).integers(0, 2**64, 200, np.uint64).tolist()]
    positions = [0, 17, 1023, 17, *range(200)]
    for seed, position in zip(seeds, positions):
        assert ch16.uniform(seed, position) == uniform(seed, position)


def test_logprobs_are_the_log_softmax_of_the_models_own_logits():
    logits = np.random.default_rng(0).standard_normal((1, VOCAB)).astype(np.float32)
    asked = request(SamplingParams(temperature=0.5, top_k=1, logit_bias={7: 50}, logprobs=4))
    (choice,) = Sampler().choose(logits, [asked])
    x = logits[0].astype(np.float64)
    expected = x - np.log(np.exp(x).sum())
    assert choice.token == choice.logprobs.token == 7
    np.testing.assert_allclose(choice.logprobs.logprob, expected[7], rtol=1e-6)
    assert [token for token, _ in choice.logprobs.top] == np.argsort(-x)[:4].tolist()
    np.testing.assert_allclose([p for _, p in choice.logprobs.top], np.sort(expected)[::-1][:4], rtol=1e-6)


def test_of_equal_logprobs_the_first_are_shown():
    asked = request(SamplingParams(logprobs=3))
    (choice,) = Sampler().choose(np.float32([[1, 2, 1, 2, 1, 0]]), [asked])
    assert [token for token, _ in choice.logprobs.top] == [1, 3, 0]


def test_an_answer_has_logprobs_for_each_token():
    served = engine("reference")
    (with_top,) = served.generate([[1, 2]], SamplingParams(max_tokens=5, logprobs=2))
    assert [p.token for p in with_top.logprobs] == with_top.output_tokens
    assert all(p.top[0] == (p.token, p.logprob) and len(p.top) == 2 for p in with_top.logprobs), "greedy"
    (chosen_only,) = served.generate([[1, 2]], SamplingParams(max_tokens=5, logprobs=0))
    assert [p.logprob for p in chosen_only.logprobs] == [p.logprob for p in with_top.logprobs]
    assert not any(p.top for p in chosen_only.logprobs)
    assert served.generate([[1, 2]], SamplingParams(max_tokens=5))[0].logprobs == []


def test_no_token_left_is_an_error_of_that_request():
    served = engine("reference", eos_token_id=0)
    everything = tuple(range(1, served.config.vocab_size))
    params = SamplingParams(max_tokens=3, min_tokens=1, stop_token_ids=everything)
    (request,) = served.generate([[1, 2]], params)
    assert request.finish_reason == "error"
    assert request.error == "penalties and logit_bias leave position 2 no token to choose"
    require_all_back(served)


def test_min_tokens_holds_the_end_back():
    served = engine("reference")
    (free,) = served.generate([[1, 2]], SamplingParams(max_tokens=8))
    stop = free.output_tokens[0]
    params = {"max_tokens": 8, "stop_token_ids": [stop]}
    assert served.generate([[1, 2]], SamplingParams(**params))[0].output_tokens == [stop]
    (held,) = served.generate([[1, 2]], SamplingParams(min_tokens=4, **params))
    assert len(held.output_tokens) >= 4 and stop not in held.output_tokens[:3]


# Texts that end an answer


def naive_stop(tokens, stop, min_tokens=0):
    """The text up to the first stop: decoded anew after every token."""
    detokenizer = Detokenizer(tokenizer())
    before = ""
    for num in range(1, len(tokens) + 1):
        decoder = detokenizer.start()
        text = decoder.feed(tokens[:num])
        if num >= min_tokens:
            found = [at for s in stop if (at := text.find(s, max(0, len(before) - len(s) + 1))) >= 0]
            if found:
                return text[: min(found)], num
        before = text
    return detokenizer.decode(tokens), None


@given(
    tokens=st.lists(st.sampled_from([0, *range(60, 75), *range(256, 300)]), max_size=20),
    stop=st.lists(
        st.sampled_from(["be", "to", " be, t", "o", "être", "\ufffd", "tt"]), min_size=1, max_size=3
    ),
    min_tokens=st.integers(0, 6),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_pieces_end_before_the_first_stop(tokens, stop, min_tokens):
    decoder = Detokenizer(tokenizer()).start(tuple(stop), min_tokens)
    pieces, stopped_after = [], None
    for num, token in enumerate(tokens, 1):
        pieces.append(decoder.feed([token]))
        if decoder.stopped_by and stopped_after is None:
            stopped_after = num
    pieces.append(decoder.flush())
    assert ("".join(pieces), stopped_after) == naive_stop(tokens, stop, min_tokens)
    whole = Detokenizer(tokenizer()).decode(tokens, tuple(stop), min_tokens)
    assert whole == "".join(pieces)


def test_a_text_ends_an_answer_streamed_or_not():
    served = engine("reference")
    prompt = TEXT[:9]
    (free,) = served.generate([prompt], SamplingParams(max_tokens=25, temperature=1.0, seed=3))
    middle = free.output_text[6:9]
    expected = free.output_text[: free.output_text.index(middle)]
    params = SamplingParams(max_tokens=25, temperature=1.0, seed=3, stop=[middle, "no such text"])
    (stopped,) = served.generate([prompt], params)
    assert (stopped.finish_reason, stopped.stop_reason, stopped.output_text) == ("stop", middle, expected)
    assert stopped.output_tokens == free.output_tokens[: len(stopped.output_tokens)]
    stream = served.stream(prompt, params)
    assert "".join(stream) == expected and stream.request.stop_reason == middle
    require_all_back(served)


@pytest.mark.parametrize(
    "arguments, error, sentence",
    [
        ({"min_p": 1.5}, ValueError, "min_p must be between 0 and 1, got 1.5"),
        ({"repetition_penalty": 0}, ValueError, "repetition_penalty must be above 0, got 0"),
        ({"presence_penalty": 3}, ValueError, "presence_penalty must be between -2 and 2, got 3"),
        ({"frequency_penalty": "a"}, TypeError, "frequency_penalty must be a number, got 'a'"),
        ({"logit_bias": [1, 2]}, TypeError, "logit_bias must be a dict from tokens to numbers"),
        ({"logit_bias": {-1: 2}}, ValueError, "a token of logit_bias must be at least 0, got -1"),
        ({"logit_bias": {1: np.inf}}, ValueError, r"logit_bias\[1\] must be a finite number"),
        ({"stop": 5}, TypeError, "stop must be a text or a sequence of texts, got 5"),
        ({"stop": ["a", 5]}, TypeError, r"stop\[1\] must be a text, got 5"),
        ({"stop": ""}, ValueError, r"stop\[0\] is empty: it would end every answer"),
        ({"stop": ["a"] * 17}, ValueError, "stop must be at most 16 texts, got 17"),
        ({"logprobs": 21}, ValueError, "logprobs must be between 0 and 20, got 21"),
        ({"logprobs": -1}, ValueError, "logprobs must be between 0 and 20, got -1"),
        ({"min_tokens": 51}, ValueError, "min_tokens must be at most max_tokens, got 51 and 50"),
    ],
)
def test_parameters_are_refused_by_name(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        SamplingParams(**arguments)


def test_a_token_the_model_lacks_is_refused():
    with pytest.raises(ValueError, match="a token of logit_bias must be between 0 and 306, got 307"):
        engine("reference").generate([[1]], SamplingParams(logit_bias={307: 1}))


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
