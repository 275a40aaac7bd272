"""Attention on NumPy arrays: `python3 example.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch11_attention as ch11

# [example]
rng = np.random.default_rng(0)
q, k, v = (ch11.Tensor(rng.standard_normal((9, 32), dtype=np.float32)) for _ in range(3))

y = ch11.attention(q, k, v, num_heads=4, causal=True)
print(y)  # a plan: nothing is computed yet

result = ch11.forward(y)  # compiles the plan, then calls it
print(result.shape, result.dtype)

other = ch11.attention(k, v, q, num_heads=4, causal=True)  # other data, the same structure
ch11.forward(other)
print("hits", ch11.cache_info().hits, "misses", ch11.cache_info().misses)
# [/example]
reference = ch11.attention_reference(*(t.numpy() for t in (q, k, v)), num_heads=4, causal=True)
print("equal to the plain C++ version up to rounding:", np.allclose(result, reference, atol=1e-6))
