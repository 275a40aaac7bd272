"""Two layers with a ReLU between them.

The first weight is [out, in], as PyTorch keeps it; the second is [in, out], as NumPy would write it. Write the
expression so that after --canonicalize there are two ops with weights and nothing is transposed.

Check: python3 exercises/check.py 3
"""


def two_layers(ch9, x, w1, b1, w2, b2):
    """x [T, D], w1 [H, D], b1 [H], w2 [H, E], b2 [E] -> [T, E]: relu(x @ w1.T + b1) @ w2 + b2"""
    raise NotImplementedError("two_layers is not written yet")
