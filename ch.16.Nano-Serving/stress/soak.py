"""Minutes of mixed load with cancellations: memory flat, pages all back, every request ended once.

    python3 stress/soak.py SECONDS

Threads ask, stream, abort and leave streams, on the small model of the tests and a pool that is too small for all of
them, so that pages are evicted and requests preempted throughout. Every answer that is complete is compared with the
one it has alone.
"""

import gc
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters

from ch16_testing import engine, random_prompts, require_all_back
from nano_engine import SamplingParams

NUM_THREADS = 8
PROMPTS = [list(range(24))[:n] + tail for n, tail in zip((8, 16, 24) * 7, random_prompts(21, 8))]


class Soak:
    def __init__(self, seconds: float):
        self.seconds = seconds
        self.served = engine("compiled", kv_cache_pages=16, max_batch_size=8, max_chunk_size=16)
        self.expected = {}
        alone = engine("compiled", kv_cache_pages=40, enable_prefix_cache=False)
        for i, prompt in enumerate(PROMPTS):
            for seed in range(3):
                self.expected[i, seed] = alone.generate([prompt], self.params(seed))[0].output_tokens
        self.num_answers = dict.fromkeys(("whole", "streamed", "aborted", "left"), 0)
        self.failures = []

    def params(self, seed: int) -> SamplingParams:
        return SamplingParams(max_tokens=8, temperature=1.0, seed=seed)

    def ask(self, number: int) -> None:
        """One caller: asks again and again, and does not always wait for the answer."""
        rng = random.Random(number)
        try:
            while time.monotonic() < self.end_s:
                i, seed = rng.randrange(len(PROMPTS)), rng.randrange(3)
                kind = rng.choice(list(self.num_answers))
                if kind == "whole":
                    (request,) = self.served.generate([PROMPTS[i]], self.params(seed))
                    assert request.output_tokens == self.expected[i, seed], "another answer than alone"
                elif kind == "aborted":
                    request = self.served.submit(PROMPTS[i], self.params(seed))
                    for _ in range(rng.randrange(6)):
                        self.served.step()
                    assert self.served.abort(request.id) or request.finish_reason == "length"
                else:
                    with self.served.stream_tokens(PROMPTS[i], self.params(seed)) as stream:
                        tokens = [t for t, _ in zip(stream, range(8 if kind == "streamed" else 3))]
                    assert tokens == self.expected[i, seed][: len(tokens)], "another stream than alone"
                self.num_answers[kind] += 1
                if rng.random() < 0.05:
                    self.served.check_integrity()
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def run(self) -> None:
        self.end_s = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self.ask, args=(n,)) for n in range(NUM_THREADS)]
        for thread in threads:
            thread.start()
        sizes_kb = []
        while any(thread.is_alive() for thread in threads):
            time.sleep(self.seconds / 40)
            gc.collect()
            sizes_kb.append(chapters.resident_kb())
        for thread in threads:
            thread.join()
        assert not self.failures, self.failures
        while self.served.step():
            pass
        require_all_back(self.served)
        stats = self.served.get_stats()
        warm = sizes_kb[len(sizes_kb) // 4]  # what is made once has been made by then
        print(f"{self.num_answers}; {stats}; memory {warm} kB, at the end {sizes_kb[-1]} kB")
        assert stats["num_preemptions"] and stats["num_evicted_pages"], "the pool was not too small"
        assert sizes_kb[-1] - warm < 8_192, f"memory grew: {sizes_kb}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Soak(float(sys.argv[1])).run()
