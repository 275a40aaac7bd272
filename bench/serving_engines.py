"""One engine that answers many requests, in a process of its own: serving_peers.py starts it and asks for turns.

    python bench/serving_engines.py ENGINE FOLDER DTYPE THREADS SLOTS

Reads a line of JSON, {"prompts": [[token, …], …], "num_tokens": [n, …]}, answers all of it greedily, SLOTS requests at
a time at most, and writes {"seconds": s, "answers": [[token, …], …]}. Its first line is "ready ABOUT"; a server says
"ready URL ABOUT" and is asked over HTTP instead. An engine that cannot be had says "failed REASON". No network is used.
"""

import json
import os
import pathlib
import sys
import tempfile
import time
from collections import deque

import numpy as np

CONTEXT = 128  # positions of a slot, prompt and answer together


class Ours:
    """The engine of ch.16, called from Python."""

    def __init__(self, folder, dtype, threads, slots):
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
        import chapters  # noqa: F401  finds the build tree

        from nano_engine import NanoServingEngine, SamplingParams

        self.params = SamplingParams
        self.engine = NanoServingEngine.from_pretrained(
            folder, dtype, max_batch_size=slots, num_threads=threads, enable_prefix_cache=False
        )
        self.about = "engine.generate"

    def answer(self, prompts, num_tokens):
        params = [self.params(max_tokens=n, ignore_eos=True) for n in num_tokens]
        return [request.output_tokens for request in self.engine.generate(prompts, params)]


class Transformers:
    """generate() with batches of SLOTS prompts that start together, padded on the left, and end together."""

    def __init__(self, folder, dtype, threads, slots):
        import torch
        import transformers

        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"no {dtype} here")
        torch.set_num_threads(threads)
        self.torch, self.slots = torch, slots
        self.model = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        self.about = f"transformers {transformers.__version__}, PyTorch {torch.__version__}, eager"

    def answer(self, prompts, num_tokens):
        answers = []
        for first in range(0, len(prompts), self.slots):
            part, nums = prompts[first : first + self.slots], num_tokens[first : first + self.slots]
            width = max(map(len, part))
            ids = np.zeros((len(part), width), np.int64)
            mask = np.zeros_like(ids)
            for row, seen, prompt in zip(ids, mask, part):
                row[width - len(prompt) :], seen[width - len(prompt) :] = prompt, 1
            with self.torch.inference_mode():
                out = self.model.generate(
                    self.torch.from_numpy(ids),
                    attention_mask=self.torch.from_numpy(mask),
                    max_new_tokens=max(nums),
                    min_new_tokens=max(nums),
                    do_sample=False,
                    pad_token_id=0,
                    eos_token_id=None,
                )
            answers += [row[width : width + n] for row, n in zip(out.tolist(), nums)]
        return answers


class LlamaCpp:
    """llama.cpp's llama_decode with SLOTS sequences, in the loop that its own server runs: decodes and prompts of
    whoever has a slot in one batch, and whoever is through makes room."""

    def __init__(self, folder, dtype, threads, slots):
        import llama_cpp as c

        self.c, self.slots = c, slots
        self.folder, path = gguf(folder, dtype)
        c.llama_backend_init()
        self.weights = c.llama_model_load_from_file(path.encode(), c.llama_model_default_params())
        p = c.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = slots * CONTEXT, 2048, 512, slots
        p.n_threads = p.n_threads_batch = threads
        p.kv_unified = True  # one cache for all sequences: more than twice as fast here as one for each
        self.context = c.llama_init_from_model(self.weights, p)
        self.vocab_size = c.llama_vocab_n_tokens(c.llama_model_get_vocab(self.weights))
        self.batch = b = c.llama_batch_init(2048, 0, 1)
        view = np.ctypeslib.as_array
        self.rows = [view(array, (2048,)) for array in (b.token, b.pos, b.n_seq_id, b.logits)]
        self.sequences = np.zeros(2048, np.int32)  # where the rows' seq_id point to
        for i in range(2048):
            b.seq_id[i][0] = 0
            b.seq_id[i] = c.ctypes.cast(self.sequences.ctypes.data + 4 * i, type(b.seq_id[i]))
        self.about = f"llama-cpp-python {c.__version__}, llama_decode, {slots} sequences"

    def answer(self, prompts, num_tokens):
        c = self.c
        memory = c.llama_get_memory(self.context)
        c.llama_memory_clear(memory, True)
        answers = [[] for _ in prompts]
        waiting, free, running = deque(range(len(prompts))), list(range(self.slots)), {}
        while waiting or running:
            tokens, positions, sequences, ends = [], [], [], []
            for i, slot in running.items():
                tokens.append(answers[i][-1])
                positions.append(len(prompts[i]) + len(answers[i]) - 1)
                sequences.append(slot)
                ends.append(len(tokens) - 1)
            while waiting and free and len(tokens) + len(prompts[waiting[0]]) <= 2048:
                i = waiting.popleft()
                running[i] = free.pop()
                tokens += prompts[i]
                positions += range(len(prompts[i]))
                sequences += [running[i]] * len(prompts[i])
                ends.append(len(tokens) - 1)
            n = self.batch.n_tokens = len(tokens)
            wanted = np.zeros(n, np.int8)
            wanted[ends] = 1
            for array, values in zip(self.rows, (tokens, positions, 1, wanted)):
                array[:n] = values
            self.sequences[:n] = sequences
            if c.llama_decode(self.context, self.batch) != 0:
                raise RuntimeError("llama_decode failed")
            logits = np.ctypeslib.as_array(c.llama_get_logits(self.context), (len(ends), self.vocab_size))
            for i, token in zip(list(running), logits.argmax(axis=1).tolist()):
                answers[i].append(token)
                if len(answers[i]) == num_tokens[i]:
                    slot = running.pop(i)
                    c.llama_memory_seq_rm(memory, slot, -1, -1)
                    free.append(slot)
        return answers


class LlamaServer:
    """llama.cpp's own server, with SLOTS slots (its --parallel), as the package xllamacpp brings it."""

    def __init__(self, folder, dtype, threads, slots):
        import xllamacpp

        self.folder, path = gguf(folder, dtype)
        p = xllamacpp.CommonParams()
        p.model.path = path
        p.n_parallel, p.n_ctx, p.port = slots, slots * CONTEXT, 0
        p.kv_unified = True
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
        p.cache_prompt, p.cache_ram_mib = False, 0
        p.ui = False
        p.verbosity = 0
        self.server = xllamacpp.Server(p)
        version = __import__("importlib.metadata", fromlist=["version"]).version("xllamacpp")
        self.about = f"{self.server.listening_address} xllamacpp {version}, llama.cpp's server"


def gguf(folder: str, dtype: str) -> tuple[tempfile.TemporaryDirectory, str]:
    import gguf_file

    into = tempfile.TemporaryDirectory()
    path = pathlib.Path(into.name) / "model.gguf"
    gguf_file.write(pathlib.Path(folder), path, dtype)
    return into, str(path)


ENGINES = {"ours": Ours, "transformers": Transformers, "llama.cpp": LlamaCpp, "llama.cpp server": LlamaServer}


def main() -> None:
    name, folder, dtype, threads, slots = sys.argv[1:]
    os.environ["OMP_NUM_THREADS"] = threads  # before an engine is imported
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is no answer
    try:
        engine = ENGINES[name](folder, dtype, int(threads), int(slots))
    except Exception as error:
        print(f"failed {type(error).__name__}: {str(error).splitlines()[0]}", file=answers, flush=True)
        return
    print(f"ready {engine.about}", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begin = time.perf_counter()
        answered = engine.answer(**asked)
        taken = time.perf_counter() - begin
        print(json.dumps({"seconds": taken, "answers": answered}), file=answers, flush=True)


if __name__ == "__main__":
    main()
