"""Exercise 1: attention with one head, from smaller ops. `a` is ch11_attention; x is [T, D].

Use a.matmul, a.transpose, a.scale and a.softmax, and not a.attention.
"""


def attention(a, q, k, v):
    raise NotImplementedError("write me")
