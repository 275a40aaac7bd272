"""The bundled model goes on with a line: the likeliest tokens, then drawn ones."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # noqa: F401  finds the build tree

import ch13_gpt as gpt

prompt = "To be, or not"
print(prompt + gpt.generate(prompt, max_tokens=40))
print("---")
print(prompt + gpt.generate(prompt, max_tokens=40, temperature=0.8, top_k=40, seed=7))
