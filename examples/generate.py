"""The first example of the front page: text from chapter 14."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree

# [generate]
import ch14_gpt_optimized as gpt

weights = gpt.load_gpt2_weights()  # the bundled model; or a directory, or a Hugging Face id
output = gpt.generate("Hello world", max_tokens=50, temperature=0.8)
# [/generate]

print(output)
