"""Text from a GPT-2 with a KV cache: ch.13's generate, without computing the past again.

The same seeds, the same choice of the next token (ch13_sampling.choose), so the same text; and a list of
prompts is answered together, each answer being what it would be alone.
"""

import functools
import secrets
from collections.abc import Sequence

from ch13_sampling import check_sampling, choose
from ch13_weights import GPT2Weights
from ch14_model import GPT2
from ch14_progress import progress_bar
from ch14_weights import PackedWeights, load_gpt2_weights


@functools.lru_cache(maxsize=1)
def _bundled_weights() -> PackedWeights:
    return load_gpt2_weights()


# [generate-ids]
def generate_ids(
    model: GPT2,
    prompts: Sequence[Sequence[int]],
    max_tokens: int = 50,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int | None = None,
    progress: bool | None = False,
) -> list[list[int]]:
    """The ids that follow each prompt: up to `max_tokens`, fewer at the end of the text or of the positions.

    The end-of-text id is not part of the result. One seed serves all prompts: the same prompt twice gives the
    same answer twice. progress: see progress_bar; it counts tokens that were read or written.
    """
    check_sampling(max_tokens, temperature, top_k, seed)
    if seed is None:
        seed = secrets.randbits(64)
    answers: list[list[int]] = [[] for _ in prompts]
    running = list(range(len(prompts)))
    with progress_bar(len(prompts) * max_tokens, "token", progress, "generate") as bar:
        logits = model.prefill(prompts, bar)
        while running:
            going_on, tokens = [], []
            for row, i in zip(logits, running, strict=True):
                position = len(prompts[i]) + len(answers[i])
                token = choose(row, temperature, top_k, seed, position)
                if token != model.config.eos_token_id:
                    answers[i].append(token)
                    bar.update()
                    if len(answers[i]) < max_tokens and position < model.config.n_positions:
                        going_on.append(i)
                        tokens.append(token)
                        continue
                bar.total -= max_tokens - len(answers[i])  # this text has come to its end
            running = going_on
            if running:
                logits = model.decode(tokens, running)
    return answers


# [/generate-ids]


def generate(
    prompt: str | Sequence[str],
    max_tokens: int = 50,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int | None = None,
    weights: PackedWeights | GPT2Weights | None = None,
    progress: bool | None = None,
) -> str | list[str]:
    """The text that follows `prompt`; for a list of prompts, the list of texts.

    max_tokens: tokens to write at most. temperature: 0 is greedy. top_k: choose among the k likeliest. seed:
    repeats a text exactly. weights: from load_gpt2_weights (None: the bundled model). progress: a bar on stderr
    once it has taken a second (None: where that is a terminal; True: always; False: never). TypeError or
    ValueError for a wrong argument, an empty prompt or one longer than the model's positions.
    """
    single = isinstance(prompt, str)
    if not single and not isinstance(prompt, Sequence):
        raise TypeError(f"prompt: expected a string or a list of strings, got {type(prompt).__name__}")
    prompts = [prompt] if single else list(prompt)
    for text in prompts:
        if not isinstance(text, str):
            raise TypeError(f"prompt: expected a string or a list of strings, got {type(text).__name__}")
    check_sampling(max_tokens, temperature, top_k, seed)
    if weights is None:
        weights = _bundled_weights()
    if not isinstance(weights, (PackedWeights, GPT2Weights)):
        raise TypeError(f"weights: expected what load_gpt2_weights returns, got {type(weights).__name__}")
    if weights.tokenizer is None:
        raise ValueError("weights: the model came without a tokenizer.json; use generate_ids")
    encoded = [weights.tokenizer.encode(text).ids for text in prompts]
    answers = generate_ids(GPT2(weights), encoded, max_tokens, temperature, top_k, seed, progress)
    texts = [weights.tokenizer.decode(ids) for ids in answers]
    return texts[0] if single else texts
