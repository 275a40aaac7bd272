"""One sum of 768 products in four orders, and the bits that come out."""

import numpy as np

import chapters  # noqa: F401  finds the build tree

from ch14_orders import fma, linear, tree

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 768)).astype(np.float32)
    lanes = np.zeros(8, np.float32)
    for k in range(0, 768, 8):
        lanes = fma(x[k : k + 8], w[k : k + 8], lanes)
    sums = {
        "from first to last": linear(x, w[:, None])[0],
        "from last to first": linear(x[::-1], w[::-1, None])[0],
        "two halves, for two threads": linear(x[:384], w[:384, None])[0] + linear(x[384:], w[384:, None])[0],
        "eight lanes, then their tree": tree(lanes),
    }
    for order, value in sums.items():
        print(f"{order:<30} {value:.7f}  {value.view(np.uint32):#x}")
    print(f"{'in float64':<30} {x.astype(np.float64) @ w.astype(np.float64):.7f}")
