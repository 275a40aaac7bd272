"""Three answers at once from the bundled model, and a fourth while it is being written."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # noqa: F401  finds the build tree

from nano_engine import NanoServingEngine, SamplingParams

# [answers]
engine = NanoServingEngine.from_pretrained()
prompts = ["To be, or", "My lord,", "ROMEO:\n"]
for request in engine.generate(prompts, SamplingParams(max_tokens=8)):
    print(f"{request.prompt!r} {request.output_text!r} {request.finish_reason}")

with engine.stream("O Romeo,", SamplingParams(max_tokens=6, temperature=0.8, seed=1)) as pieces:
    print("|".join(pieces))
print(engine.get_stats())
# [/answers]
