"""Exercise 1: SwiGLU, the feed-forward layer of newer models, composed from the ops there are.

    swiglu(x) = linear(silu(linear(x, w, b)) * linear(x, v, c), w2, b2),   silu(x) = x / (1 + exp(-x))

`a` is ch12_transformer. There is no silu and no exp among its ops; softmax has an exp inside. Think of
softmax([x, 0]) and of what matmul and transpose can do to put numbers where you want them: z is [T, F].
"""


def silu(a, z):
    raise NotImplementedError("write silu")


def swiglu(a, x, w, b, v, c, w2, b2):
    raise NotImplementedError("write swiglu")
