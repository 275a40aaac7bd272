"""What the engine must do: transformers' tokens, the same bits in any batch, and a sentence for what it refuses.

`compiled` runs ch.14's step, `reference` the NumPy one of ch16_reference.py. More in test_pool.py (the page pool),
test_sampling.py, test_engine.py (schedules, threads, memory), test_faults.py and test_cli.py.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

from ch16_testing import CONFIG, engine, model, random_prompts, recorded, require_all_back, tokenizer, weights
from nano_engine import ModelConfig, NanoServingEngine, QueueFull, SamplingParams

KINDS = ["reference", "compiled"]
PROMPTS = [[7], *random_prompts(6, 20), [5] * 23]


@pytest.fixture(scope="session")
def transformers_answer():
    """(prompt, num_tokens) -> the tokens that transformers' generate writes, greedily."""
    import torch
    import transformers

    names = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions")
    sizes = {name: getattr(CONFIG, name) for name in names}
    gpt2 = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)
    ).eval()
    state = {"transformer." + name: torch.tensor(array) for name, array in weights().tensors.items()}
    gpt2.load_state_dict(state | {"lm_head.weight": state["transformer.wte.weight"]})

    @functools.cache
    def generate(prompt, num_tokens):
        ids = torch.tensor([prompt])
        with torch.no_grad():
            out = gpt2.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=num_tokens, do_sample=False
            )
        return out[0, len(prompt) :].tolist()

    return lambda prompt, num_tokens: generate(tuple(prompt), num_tokens)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv_cache_pages": 9},  # 36 slots for requests of up to 33: they run nearly one by one
        {"page_size": 1, "kv_cache_pages": 40},
        {"page_size": 16, "kv_cache_pages": 3},
        {"max_batch_size": 1},
        {"max_batch_size": 3, "max_chunk_size": 2},
        *({"max_chunk_size": size} for size in (1, 2, 5, 16, 23)),
    ],
)
def test_greedy_tokens_equal_transformers(kind, options, transformers_answer):
    served = engine(kind, **options)
    results = served.generate(PROMPTS, SamplingParams(max_tokens=11))
    for prompt, request in zip(PROMPTS, results):
        assert request.prompt_tokens == prompt
        assert request.output_tokens == transformers_answer(prompt, 11)
        assert request.finish_reason == "length"
    assert len({tuple(request.output_tokens) for request in results}) == len(PROMPTS), (
        "a model that says one thing"
    )
    require_all_back(served)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_have_the_same_bits_in_any_batch(kind):
    """Alone, together, in chunks of any size, with little memory: one value for each row of logits."""
    record = recorded(kind)

    def generate(prompts, **options):
        served = engine(kind, wrap=lambda _: record, **options)
        # A slot that was never written, or was freed by someone else, must not reach a result.
        served.kv_pool.k_cache[:] = served.kv_pool.v_cache[:] = np.nan
        return [r.output_tokens for r in served.generate(prompts, SamplingParams(max_tokens=9))]

    alone = [generate([prompt])[0] for prompt in PROMPTS]
    for options in (
        {},
        {"kv_cache_pages": 9},
        {"max_batch_size": 2},
        *({"max_chunk_size": n} for n in range(1, 24)),
    ):
        assert generate(PROMPTS, **options) == alone
    assert record.require_equal_bits() > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_seeded_answer_is_the_same_in_any_batch(kind):
    params = [
        SamplingParams(max_tokens=9, temperature=0.7 + i / 4, top_k=40 if i % 2 else None, top_p=0.95, seed=i)
        for i in range(len(PROMPTS))
    ]
    together = engine(kind, max_chunk_size=3).generate(PROMPTS, params)
    for prompt, param, request in zip(PROMPTS, params, together):
        (alone,) = engine(kind).generate([prompt], param)
        assert alone.output_tokens == request.output_tokens


def test_without_a_seed_answers_differ_and_can_be_repeated():
    served = engine("reference")
    first, second = served.generate([[1, 2]] * 2, SamplingParams(max_tokens=20, temperature=1.5))
    assert first.output_tokens != second.output_tokens and first.seed != second.seed
    (again,) = served.generate([[1, 2]], SamplingParams(max_tokens=20, temperature=1.5, seed=first.seed))
    assert again.output_tokens == first.output_tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_prompt_tokens", [1, 25, 39, 40])
def test_an_answer_ends_where_the_model_ends(kind, num_prompt_tokens, transformers_answer):
    """40 positions: a prompt of n tokens has room for 40 - n more, and one that is never read."""
    served = engine(kind)
    prompt = random_prompts(1, 1)[0] * num_prompt_tokens
    (request,) = served.generate([prompt], SamplingParams(max_tokens=1000))
    assert request.finish_reason == "length"
    assert request.output_tokens == transformers_answer(prompt, 41 - num_prompt_tokens)
    require_all_back(served)


def test_the_end_of_text_token_ends_an_answer():
    (free,) = engine("reference").generate([PROMPTS[3]], SamplingParams(max_tokens=11))
    stop = free.output_tokens[4]
    expected = free.output_tokens[: free.output_tokens.index(stop) + 1]

    by_eos = engine("reference", eos_token_id=stop)
    (request,) = by_eos.generate([PROMPTS[3]], SamplingParams(max_tokens=11))
    assert (request.output_tokens, request.finish_reason) == (expected, "stop")
    assert request.output_text == tokenizer().decode(expected[:-1])
    (request,) = by_eos.generate([PROMPTS[3]], SamplingParams(max_tokens=11, ignore_eos=True))
    assert (request.output_tokens, request.finish_reason) == (free.output_tokens, "length")

    by_params = engine("reference", eos_token_id=-1)
    (request,) = by_params.generate([PROMPTS[3]], SamplingParams(max_tokens=11, stop_token_ids=[stop]))
    assert (request.output_tokens, request.finish_reason) == (expected, "stop")


def test_results_come_in_the_order_of_the_prompts():
    served = engine("reference", max_batch_size=2)
    texts = ["To be", "or", "not to be, that is the question", "生きる"]
    params = [SamplingParams(max_tokens=n) for n in (9, 1, 4, 2)]
    results = served.generate(texts, params)
    assert [r.prompt for r in results] == texts
    assert [len(r.output_tokens) for r in results] == [9, 1, 4, 2]
    for text, request in zip(texts, results):
        assert request.prompt_tokens == tokenizer().encode(text).ids
        assert request.output_text == tokenizer().decode(request.output_tokens)
        assert 0 < request.time_to_first_token_s <= request.finish_s - request.arrival_s
    assert served.generate([]) == []


def test_what_can_be_looked_at_is_the_step_of_ch14():
    import ch14
    import ch16

    for name in ("ir", "stages", "llvm_ir", "assembly", "CompileError"):
        assert getattr(ch16, name) is getattr(ch14, name)
        assert name in dir(ch16)
    with pytest.raises(AttributeError, match="module 'ch16_nano_serving' has no attribute 'nosuch'"):
        _ = ch16.nosuch


def test_stats_have_the_fixed_names():
    served = engine("reference", kv_cache_pages=20)
    served.generate(PROMPTS[:3], SamplingParams(max_tokens=4))
    stats = served.get_stats()
    assert stats["total_requests_served"] == 3 and stats["total_tokens_generated"] == 12
    assert stats["num_free_pages"] + stats["num_cached_pages"] == stats["num_total_pages"] == 20
    assert stats["cache_hit_rate"] == 0.0
    served.generate([PROMPTS[2]], SamplingParams(max_tokens=4))
    expected = (len(PROMPTS[2]) - 1) // 4 * 4 / sum(map(len, [*PROMPTS[:3], PROMPTS[2]]))
    assert served.get_stats()["cache_hit_rate"] == expected > 0


def test_a_config_of_sizes_will_do():
    config = ModelConfig(CONFIG.vocab_size, CONFIG.n_layer, CONFIG.n_head, CONFIG.n_embd, CONFIG.n_positions)
    served = NanoServingEngine(config, None, model=model("reference", 16))
    with pytest.raises(ValueError, match="is text, and this model has no tokenizer"):
        served.generate(["hello"])
    with pytest.raises(ValueError, match="stream needs a tokenizer"):
        served.stream([1])
    (request,) = served.generate([np.array([1, 2, 3])])
    assert len(request.output_tokens) == 38 and request.output_text is None


GOOD = SamplingParams(max_tokens=3)
REFUSED = [
    ("to be", None, TypeError, "prompts must be a list of texts or of lists of token ids, got 'to be'"),
    ([1, 2], None, TypeError, r"prompts\[0\] must be a text or a list of token ids, got 1"),
    ([[1], []], GOOD, ValueError, r"prompts\[1\] is empty: expected at least one token"),
    ([""], None, ValueError, r"prompts\[0\] is empty"),
    ([b"abc"], None, TypeError, r"prompts\[0\] must be a text or a list"),
    (["\ud800"], None, ValueError, r"prompts\[0\] is not valid Unicode text"),
    ([[1, 307]], None, ValueError, r"prompts\[0\]\[1\] must be between 0 and 306, got 307"),
    ([[1, -1]], None, ValueError, r"prompts\[0\]\[1\] must be between 0 and 306, got -1"),
    ([[1, 2**70]], None, ValueError, r"prompts\[0\]\[1\] must be between 0 and 306, got 1180"),
    ([[1.0]], None, TypeError, r"prompts\[0\]\[0\] must be an int, got 1.0"),
    ([[1] * 41], None, ValueError, r"prompts\[0\] has 41 tokens; the model reads at most 40"),
    (
        [[1] * 33],
        None,
        ValueError,
        "33 tokens with max_tokens=50 needs 10 pages of 4 tokens, .* KV cache has 8",
    ),
    ([[1]], 5, TypeError, r"params\[0\] must be a SamplingParams, got 5"),
    ([[1]], [GOOD, GOOD], ValueError, "params must be one for each of the 1 prompts, got 2"),
    (
        [[1]],
        SamplingParams(stop_token_ids=[307]),
        ValueError,
        "stop_token_ids must be between 0 and 306, got 307",
    ),
    (
        [[1]] * 6,
        GOOD,
        QueueFull,
        "6 more requests do not fit the waiting queue: it holds at most 5 and has 0",
    ),
]


@pytest.mark.parametrize("prompts, params, error, sentence", REFUSED)
def test_bad_requests_are_refused_and_the_engine_goes_on(prompts, params, error, sentence):
    served = engine("reference", kv_cache_pages=8, max_waiting_requests=5)
    running = served.submit([1, 2, 3], GOOD)
    served.step()
    with pytest.raises(error, match=sentence):
        served.generate(prompts, params)
    assert served.get_stats()["num_waiting_requests"] == 0
    (request,) = served.generate([[4, 5]], GOOD)
    assert request.finish_reason == running.finish_reason == "length"
    require_all_back(served)


@pytest.mark.parametrize(
    "options, error, sentence",
    [
        ({"kv_cache_pages": 0}, ValueError, "num_pages must be at least 1, got 0"),
        ({"page_size": 0}, ValueError, "page_size must be at least 1, got 0"),
        ({"max_chunk_size": 0}, ValueError, "max_chunk_size must be at least 1, got 0"),
        ({"max_batch_size": -1}, ValueError, "max_batch_size must be at least 1, got -1"),
        ({"max_batch_size": 2.5}, TypeError, "max_batch_size must be an int, got 2.5"),
        ({"eos_token_id": 307}, ValueError, "eos_token_id must be between -1 and 306, got 307"),
        ({"config": object()}, TypeError, "config must have vocab_size, .*; object lacks vocab_size"),
        (
            {"config": ModelConfig(9, 2, 3, 24, 40)},
            ValueError,
            "config is .*vocab_size=9.* weights are of .*307",
        ),
    ],
)
def test_bad_engines_are_refused(options, error, sentence):
    options = {"config": CONFIG, "model": model("reference", 4)} | options
    with pytest.raises(error, match=sentence):
        NanoServingEngine(options.pop("config"), weights(), **options)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
