"""Prints what the engine does, on a small model with random weights: `python3 show.py schedule`."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import tokenizers

import chapters  # noqa: F401  finds the build tree

import ch13_weights
import ch16_nano_serving as ch16
from ch16_reference import ReferenceGPT2
from nano_engine import NanoServingEngine, RequestState, SamplingParams
from nano_engine.batch import Chunk
from nano_engine.detokenizer import Detokenizer, byte_alphabet

CONFIG = ch13_weights.GPT2Config(vocab_size=100, n_layer=2, n_head=2, n_embd=16, n_positions=64)


def engine(model=ReferenceGPT2, **options) -> NanoServingEngine:
    weights = ch13_weights.GPT2Weights.random(CONFIG)
    return NanoServingEngine(CONFIG, weights, page_size=4, model=model(weights, 4), **options)


def show_pool() -> None:
    pool = ch16.KVCachePool(num_pages=6, page_size=4, num_layers=2, num_heads=2, head_dim=8)
    a = pool.allocate(10)
    print(f"A takes pages {a} for 10 tokens:", pool)
    pool.share(a[:1])
    b = a[:1] + pool.allocate(5)
    print(f"B shares page {a[0]} and takes more, {b}:", pool)
    pool.free(a)
    print("A gives its pages back; B still holds one of them:", pool)
    pool.check_integrity([b])
    try:
        pool.free(a)
    except ValueError as refusal:
        print("A gives them back again:", refusal)


class Printing(ReferenceGPT2):
    """The model, and what it is called with."""

    def step(self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache):
        if len(page_tables) == 3:
            rows = {"tokens": tokens, "positions": positions, "sequences": sequences, "slots": slots}
            for name, row in (rows | {"logit_rows": logit_rows}).items():
                print(f"{name:<11}", *(f"{n:>3}" for n in row))
            print("page_tables", page_tables.tolist())
        return super().step(tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache)


def show_batch() -> None:
    """One step of three requests: A decodes, B reads its prompt, C reads the beginning of a longer one."""
    served = engine(model=Printing, max_chunk_size=8)
    served.submit([11, 12], SamplingParams(max_tokens=5))
    served.step()
    served.submit([21, 22, 23], SamplingParams(max_tokens=5))
    served.submit([31, 32, 33, 34, 35, 36, 37, 38, 39], SamplingParams(max_tokens=5))
    served.step()


def show_pieces() -> None:
    """Free memory that is of no use: a request in one piece, and the same in pages."""
    pool = ch16.KVCachePool(num_pages=8, page_size=4, num_layers=1, num_heads=1, head_dim=1)
    a, b, c = (pool.allocate_contiguous(n) for n in (8, 12, 12))
    pool.free(a)
    pool.free(c)
    print(f"B holds pages {b}:", pool)
    try:
        pool.allocate_contiguous(16)
    except ch16.OutOfPages as refusal:
        print("D in one piece:", refusal)
    print("D in pages:", pool.allocate(16))


def draw_tree(cache: ch16.RadixCache) -> None:
    nodes = cache.nodes()
    depth = []
    for node in nodes:
        depth.append(0 if node["parent"] is None else depth[node["parent"]] + 1)
        used = f", {node['num_pages_in_use']} in use" if node["num_pages_in_use"] else ""
        print("    " * (depth[-1] + 1) + f"{node['tokens']} pages {node['pages']}{used}")


def show_radix() -> None:
    """A tree grows, is shared, and shrinks."""
    pool = ch16.KVCachePool(num_pages=8, page_size=2, num_layers=1, num_heads=1, head_dim=1)
    cache = ch16.RadixCache(pool)
    print("A has computed 1 2 3 4 5 6:")
    a = cache.insert([1, 2, 3, 4, 5, 6], pool.allocate(6))
    draw_tree(cache)
    found = cache.match_prefix([1, 2, 3, 4, 9, 9, 9])
    print(f"B asks for 1 2 3 4 9 9 9 and is given pages {found}; it computes the rest:")
    b = cache.insert([1, 2, 3, 4, 9, 9], found + pool.allocate(2))
    draw_tree(cache)
    pool.free(a)
    print("A ends:", pool, cache)
    draw_tree(cache)
    print("evict(3) frees", cache.evict(3), "page: all others are in use")
    draw_tree(cache)
    pool.free(b)
    print("B ends, and evict(1) takes the end of what is left:", cache.evict(1))
    draw_tree(cache)


def cell(request, was_decoding: bool, chunk: Chunk | None) -> str:
    if request.state is RequestState.WAITING:
        return "x" if request.num_preemptions else "."
    if chunk is None:
        return "" if request.is_finished else "-"
    return "d" if was_decoding else str(chunk.num_tokens)


def play(served: NanoServingEngine, sizes: dict[str, tuple[list[int], int]]) -> dict[str, object]:
    """Runs all requests and prints one row for each, one column a step.

    . waits    x was preempted and waits    - runs, no turn yet    5 reads so many tokens    d decodes
    """
    requests = [served.submit(prompt, SamplingParams(max_tokens=out)) for prompt, out in sizes.values()]
    rows = {name: [] for name in sizes}
    free_pages = []
    while not all(request.is_finished for request in requests):
        was_decoding = [request.state is RequestState.DECODE for request in requests]
        chunks = {chunk.request: chunk for chunk in served.step()}
        for name, request, decoded in zip(sizes, requests, was_decoding):
            rows[name].append(cell(request, decoded, chunks.get(request)))
        free_pages.append(served.get_stats()["num_free_pages"])
    print("  prompt + answer    step", *(f"{i + 1:>2}" for i in range(len(free_pages))))
    for name, (prompt, out) in sizes.items():
        print(f"{name} {len(prompt):>6} + {out:<2}            ", *(f"{text:>2}" for text in rows[name]))
    print("free pages after the step", *(f"{n:>2}" for n in free_pages))
    return dict(zip(sizes, requests))


def show_schedule() -> None:
    """Chunks: B's prompt is longer than a step may be, and A writes all the same."""
    served = engine(kv_cache_pages=12, max_chunk_size=6, enable_prefix_cache=False)
    play(served, {"A": ([1] * 2, 7), "B": ([2] * 14, 3), "C": ([3] * 3, 4), "D": ([4] * 9, 2)})


def show_preempt() -> None:
    """Six pages for two requests that would like eight."""
    for enabled in (False, True):
        print("with the prefix cache" if enabled else "without the prefix cache")
        served = engine(kv_cache_pages=6, max_chunk_size=16, enable_prefix_cache=enabled)
        requests = play(served, {"A": ([1] * 4, 12), "B": ([2] * 4, 12)})
        print("preempted:", {name: request.num_preemptions for name, request in requests.items()})


def show_prefix() -> None:
    """The same beginning three times."""
    served = engine(max_chunk_size=16)
    system = list(range(10, 30))
    requests = play(served, {name: (system + [n] * 3, 3) for n, name in enumerate("ABC")})
    print("tokens of the prompt that were cached:", {n: r.num_cached_tokens for n, r in requests.items()})
    draw_tree(served._radix.cache)


def show_sampling() -> None:
    """What each filter leaves of five tokens."""
    logits = np.log(np.float32([0.4, 0.3, 0.15, 0.1, 0.05]))
    for options in (
        {},
        {"temperature": 0.5},
        {"top_k": 3},
        {"top_p": 0.8},
        {"min_p": 0.3},
        {"top_k": 3, "top_p": 0.8},
    ):
        weights = ch16.weigh(logits, **options)
        print(f"{str(options):<28}", *(f"{p:5.2f}" for p in weights / weights.sum()))


def show_text() -> None:
    """Four tokens of one byte each, and the characters they make."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(byte_alphabet(), []))
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    decoder = Detokenizer(tokenizer).start()
    for token in "né!".encode():
        print(f"token {token:#04x}  text {decoder.feed([token])!r}")


def show_errors() -> None:
    served = engine(kv_cache_pages=8)
    for prompt, params in (
        ([], {}),
        ([1, 2, 100], {}),
        ([1] * 65, {}),
        ([1] * 30, {"max_tokens": 8}),
        ([1], {"max_tokens": 0}),
        ([1], {"temperature": float("nan")}),
    ):
        try:
            served.generate([prompt], SamplingParams(**params))
        except ValueError as refusal:
            print(refusal)
    (request,) = served.generate([[1, 2, 3]], SamplingParams(max_tokens=8))
    print("and the engine goes on:", request.output_tokens)


if __name__ == "__main__":
    shows = {
        "pool": show_pool,
        "batch": show_batch,
        "pieces": show_pieces,
        "radix": show_radix,
        "schedule": show_schedule,
        "preempt": show_preempt,
        "prefix": show_prefix,
        "sampling": show_sampling,
        "text": show_text,
        "errors": show_errors,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=shows)
    shows[parser.parse_args().what]()
