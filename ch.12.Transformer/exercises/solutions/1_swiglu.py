import numpy as np


def silu(a, z):
    T, F = z.shape
    # softmax([z, 0]) = [sigmoid(z), 1 - sigmoid(z)]. For each column: a product picks it, another puts it back.
    total = None
    for j in range(F):
        pick = np.zeros((F, 2), np.float32)
        pick[j, 0] = 1  # [T, F] @ [F, 2] -> [x_j, 0]
        gate = a.softmax(a.matmul(z, pick))  # [sigmoid(x_j), 1 - sigmoid(x_j)]
        put = np.zeros((2, F), np.float32)
        put[0, j] = 1
        column = a.matmul(gate, put)
        total = column if total is None else a.add(total, column)
    return a.mul(z, total)


def swiglu(a, x, w, b, v, c, w2, b2):
    return a.linear(a.mul(silu(a, a.linear(x, w, b)), a.linear(x, v, c)), w2, b2)
