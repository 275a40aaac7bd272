"""The nn dialect as text, first half: a graph writes down operations and prints them.

    %2 = nn.matmul %0, %1 : (tensor<4x3xf32>, tensor<3x5xf32>) -> tensor<4x5xf32>

Owns the values and their shapes, and refuses operands that do not fit. Knows nothing of MLIR: what an operation
means is lowering.py's.
"""

import dataclasses
import operator

MAX_RANK = 3
MAX_ELEMENTS = 2**31


# [type-text]
def type_text(shape: tuple[int, ...]) -> str:
    """tensor<4x3xf32>"""
    return f"tensor<{''.join(f'{size}x' for size in shape)}f32>"


# [/type-text]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One operation of a graph, and its result."""

    graph: "Graph"
    number: int
    op: str
    operands: tuple["Value", ...]
    shape: tuple[int, ...]

    # [line]
    def __str__(self) -> str:
        operands = ", ".join(f"%{value.number}" for value in self.operands)
        types = ", ".join(type_text(value.shape) for value in self.operands)
        if not operands:
            return f"%{self.number} = {self.op} : {type_text(self.shape)}"
        return f"%{self.number} = {self.op} {operands} : ({types}) -> {type_text(self.shape)}"

    # [/line]

    def __repr__(self) -> str:
        return f"<{self}>"


class Graph:
    """A computation on float32 arrays, written down operation by operation, with the operations of ch.7's Graph."""

    def __init__(self):
        self._values: list[Value] = []

    def variable(self, shape: tuple[int, ...]) -> Value:
        """An argument of the function that is made of the graph."""
        if not isinstance(shape, (tuple, list)):
            raise TypeError(f"shape: expected a list or a tuple of integers, got {type(shape).__name__}")
        sizes = tuple(operator.index(size) for size in shape)
        if not 1 <= len(sizes) <= MAX_RANK or min(sizes) < 0:
            raise ValueError(f"variable: expected 1 to {MAX_RANK} sizes of 0 or more, got {sizes}")
        return self._make("nn.variable", (), sizes)

    def add(self, a: Value, b: Value) -> Value:
        """a + b. b has a's shape, or is a row that is added to each row of a."""
        return self._elementwise("nn.add", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        """a * b, element by element; shapes as in add."""
        return self._elementwise("nn.mul", a, b)

    def matmul(self, a: Value, b: Value) -> Value:
        """a @ b: [M, K] x [K, N], or [B, M, K] x [B, K, N]."""
        self._check_own("nn.matmul", a, b)
        fits = (
            len(a.shape) == len(b.shape) >= 2 and a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2]
        )
        if not fits:
            raise ValueError(f"nn.matmul: expected [M, K] and [K, N], or stacks of them, got {a!r} and {b!r}")
        return self._make("nn.matmul", (a, b), (*a.shape[:-1], b.shape[-1]))

    def relu(self, x: Value) -> Value:
        """max(x, 0); NaN stays NaN."""
        return self._unary("nn.relu", x)

    def softmax(self, x: Value) -> Value:
        """Softmax over the last axis."""
        return self._unary("nn.softmax", x)

    # [text]
    def text(self, value: Value) -> str:
        """What `value` needs, and `value` itself as the last line: each operation once, operands first."""
        self._check_own("text", value)
        needed, waiting = {value.number}, [value]
        while waiting:
            for operand in waiting.pop().operands:
                if operand.number not in needed:
                    needed.add(operand.number)
                    waiting.append(operand)
        return "".join(f"{self._values[number]}\n" for number in sorted(needed))

    # [/text]

    def __str__(self) -> str:
        return "".join(f"{value}\n" for value in self._values)

    def _elementwise(self, op: str, a: Value, b: Value) -> Value:
        self._check_own(op, a, b)
        if b.shape not in (a.shape, a.shape[-1:]):
            raise ValueError(f"{op}: expected b of a's shape or of that of a's rows, got {a!r} and {b!r}")
        return self._make(op, (a, b), a.shape)

    def _unary(self, op: str, x: Value) -> Value:
        self._check_own(op, x)
        return self._make(op, (x,), x.shape)

    def _make(self, op: str, operands: tuple[Value, ...], shape: tuple[int, ...]) -> Value:
        elements = 1
        for size in shape:
            elements *= max(size, 1)
        if elements > MAX_ELEMENTS:
            raise ValueError(f"{op}: a result of shape {shape} has more than {MAX_ELEMENTS} elements")
        value = Value(self, len(self._values), op, operands, shape)
        self._values.append(value)
        return value

    def _check_own(self, op: str, *values: Value) -> None:
        for value in values:
            if not isinstance(value, Value):
                raise TypeError(f"{op}: expected values of the graph, got {type(value).__name__}")
            if value.graph is not self:
                raise ValueError(f"{op}: {value!r} belongs to another graph")
