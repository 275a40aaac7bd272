"""Four prompts answered together, and one of them again by itself."""

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt

PROMPTS = ["To be, or not", "ROMEO:\n", "My lord", "a"]

if __name__ == "__main__":
    texts = gpt.generate(PROMPTS, max_tokens=16, temperature=0.8, seed=1)
    for prompt, text in zip(PROMPTS, texts):
        print(repr(prompt), "->", repr(text))
    alone = gpt.generate(PROMPTS[0], max_tokens=16, temperature=0.8, seed=1)
    print("the first one alone:", "the same" if alone == texts[0] else "another")
