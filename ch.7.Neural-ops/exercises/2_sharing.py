"""Exercise 2: what is computed twice is computed once.

A value that is used twice is emitted once. But add(x, y) called twice makes two nodes, and two loops that compute the
same. Let the methods below return the value that is there where the same operation was asked for before, of the same
operands. a + b and b + a are the same number to the last bit, so these count as one too, where both are allowed.
Variables are never shared: two of one shape are two arguments.

    python3 exercises/check.py 2
"""

import ch7


class SharingGraph:
    """Graph, but no node is made twice."""

    def __init__(self):
        self.graph = ch7.Graph()

    def variable(self, shape):
        return self.graph.variable(shape)

    def add(self, a, b):
        return self.graph.add(a, b)  # TODO, here and below

    def mul(self, a, b):
        return self.graph.mul(a, b)

    def matmul(self, a, b):
        return self.graph.matmul(a, b)

    def relu(self, x):
        return self.graph.relu(x)

    def softmax(self, x):
        return self.graph.softmax(x)

    def get_mlir(self, value, name):
        return self.graph.get_mlir(value, name)
