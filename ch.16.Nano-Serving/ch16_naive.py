"""The engine's ancestors, each in a few lines: what the phases of TUTORIAL.md start from. Greedy, and obviously right.

All three call the same step as the engine and must write the same tokens; the tests hold them to that, and
bench/serving.py says what they cost.
"""

import numpy as np


class Caches:
    """Pages for a fixed number of texts, each of the model's whole length: nothing is shared, nothing is given back."""

    def __init__(self, config, num_texts: int, page_size: int):
        self.page_size = page_size
        pages_each = -(-config.max_seq_len // page_size)
        pages = num_texts * pages_each
        self.tables = np.arange(pages, dtype=np.int32).reshape(num_texts, pages_each)
        heads, head_dim = config.n_head, config.n_embd // config.n_head
        self.k = np.zeros((config.n_layer, pages, heads, head_dim, page_size), np.float32)
        self.v = np.zeros((config.n_layer, pages, heads, page_size, head_dim), np.float32)

    def read(self, model, texts: list[int], starts: list[int], tokens: list[list[int]]) -> np.ndarray:
        """Reads tokens[i], which stand at starts[i] and after, for text texts[i]; the logits after each."""
        sequences = np.repeat(np.array(texts, np.int32), [len(t) for t in tokens])
        positions = np.concatenate([np.arange(s, s + len(t), dtype=np.int32) for s, t in zip(starts, tokens)])
        slots = (
            self.tables[sequences, positions // self.page_size] * self.page_size + positions % self.page_size
        )
        rows = np.cumsum([len(t) for t in tokens]).astype(np.int32) - 1
        flat = np.array([token for t in tokens for token in t], np.int32)
        return model.step(flat, positions, slots, sequences, self.tables, rows, self.k, self.v)


# [recompute]
def recompute(model, caches: Caches, prompt: list[int], num_tokens: int) -> list[int]:
    """No memory: for every token the whole text is read again."""
    text = list(prompt)
    for _ in range(num_tokens):
        text.append(int(caches.read(model, [0], [0], [text])[0].argmax()))
    return text[len(prompt) :]


# [/recompute]
# [one-at-a-time]
def one_at_a_time(model, caches: Caches, prompt: list[int], num_tokens: int) -> list[int]:
    """Keys and values are kept: the prompt is read once, and then one token at a time."""
    text, new = list(prompt), list(prompt)
    for _ in range(num_tokens):
        new = [int(caches.read(model, [0], [len(text) - len(new)], [new])[0].argmax())]
        text += new
    return text[len(prompt) :]


# [/one-at-a-time]
# [static-batch]
def static_batch(model, caches: Caches, prompts: list[list[int]], num_tokens: list[int]) -> list[list[int]]:
    """All together: they start in one step, and the batch is over when its longest answer is.

    A text that has its answer stays in the batch until then, and what it goes on to write is thrown away.
    """
    texts, new = [list(prompt) for prompt in prompts], [list(prompt) for prompt in prompts]
    for _ in range(max(num_tokens)):
        starts = [len(text) - len(tokens) for text, tokens in zip(texts, new)]
        logits = caches.read(model, list(range(len(texts))), starts, new)
        new = [[int(token)] for token in logits.argmax(axis=1)]
        for text, tokens in zip(texts, new):
            text += tokens
    return [text[len(p) : len(p) + num] for text, p, num in zip(texts, prompts, num_tokens)]


# [/static-batch]
