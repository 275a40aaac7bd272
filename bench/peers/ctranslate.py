"""CTranslate2's Generator. It has no call for one step, so a generation says when each of its steps is through."""

import json
import statistics
import time

import ctranslate2
import numpy as np

STEPS = 4  # of a decode that is timed


class Engine:
    compile_seconds = None

    def __init__(self, folder, dtype, threads):
        if dtype not in ("float32", "int8"):
            raise ValueError(f"no {dtype} here")
        into = folder / f"ctranslate2-{dtype}"
        if not into.is_dir():
            converter = ctranslate2.converters.TransformersConverter(str(folder))
            converter.convert(str(into), quantization=None if dtype == "float32" else dtype)
        self.names = json.loads((into / "vocabulary.json").read_text())
        self.model = ctranslate2.Generator(
            str(into), device="cpu", inter_threads=1, intra_threads=threads, compute_type=dtype
        )
        self.about = f"{ctranslate2.__version__}, {self.model.compute_type}"

    def _named(self, ids):
        return [[self.names[i] for i in row] for row in ids]

    def _generate(self, prompts, count, **more):
        more |= {"max_length": count, "min_length": count, "beam_size": 1, "max_batch_size": 0}
        self.model.generate_batch(prompts, include_prompt_in_result=False, **more)

    def start(self, ids):
        self.ids, self.last = ids, None
        self._generate(self._named(ids), 1)

    def fill(self, ids):
        """The first prompt, less its last token, is computed once and kept; all sequences go on from there."""
        self.ids = ids
        self.decode(ids[:, -1])

    def decode(self, tokens):
        """Seconds between one step and the next, the median of a few."""
        times = {}
        self._generate(
            self._named(tokens[:, None]),
            1 + STEPS,
            static_prompt=self._named(self.ids[:1])[0][:-1],
            callback=lambda result: times.setdefault(result.step, time.perf_counter()) is None,
        )
        ends = list(times.values())
        self.last = tokens
        return statistics.median(b - a for a, b in zip(ends, ends[1:]))

    def rewind(self):
        pass

    def logits(self):
        """By a call for whole texts: a generation does not tell them."""
        ids = self.ids if self.last is None else np.concatenate([self.ids, self.last[:, None]], axis=1)
        return np.array(self.model.forward_batch(self._named(ids)))[:, -1]
