"""ch.14's step, with its disk cache. int8: weights in 8 bits, rows in 15."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt


class Engine:
    def __init__(self, folder, dtype, threads):
        cache = folder / "ours"
        weights = gpt.load_gpt2_weights(folder, dtype, cache)
        self.model = gpt.GPT2(weights, num_threads=threads, cache_dir=cache)
        self.compile_seconds = None if self.model.is_from_disk else self.model.compile_seconds
        self.about = f"weights {weights.num_bytes / 1e6:.0f} MB"

    def start(self, ids):
        self._logits = self.model.prefill(list(ids))

    fill = start

    def decode(self, tokens):
        self._logits = self.model.decode(tokens)

    def rewind(self):
        lengths = self.model.cache.lengths
        lengths[:] = [length - 1 for length in lengths]

    def logits(self):
        return self._logits
