"""The second example of the front page: many prompts through the engine of chapter 16."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree

# [engine]
import ch14_gpt_optimized as gpt
from nano_engine import NanoServingEngine, SamplingParams

weights = gpt.load_gpt2_weights()
engine = NanoServingEngine(weights.config, weights, kv_cache_pages=400)
prompts = ["To be, or not", "My lord,", "ROMEO:"]
params = [SamplingParams(max_tokens=50, temperature=0.8) for _ in prompts]
results = engine.generate(prompts, params)  # in the order of the prompts: .output_tokens, .finish_reason, …
# [/engine]

for request in results:
    print(f"{request.prompt!r} {request.output_text!r} {request.finish_reason}")
