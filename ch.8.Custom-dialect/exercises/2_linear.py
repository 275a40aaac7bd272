"""Exercise 2: a linear layer that needs no addition.

    %3 = nn.linear %0, %1, %2 : (tensor<4x3xf32>, tensor<3x5xf32>, tensor<5xf32>) -> tensor<4x5xf32>     x @ w + b

linalg.matmul adds to what its output holds. nn.matmul fills it with zeros first; nothing says that it must be zeros.
In a template the third operand is {c}, its type {c_type}, its map {c_map}.

    python3 exercises/check.py 2
"""

OPS = {}  # TODO: "nn.linear": Op(…)
