"""The nn dialect as text, second half: each nn operation becomes a few lines of linalg, by a template.

    %2 = nn.matmul %0, %1 : …   -->   tensor.empty, linalg.fill, linalg.matmul

Owns the templates and the check of the text that goes in. What comes out is read by MLIR before it is returned, so a
wrong template is an error here and not at the first call.
"""

import re
import typing

import ch8_custom_dialect as ch8
from graph_builder import type_text

# {out}, {a}, {b}, {c}: names of values. {type}, {a_type}, …: their types. {all}: the map of all loops; {b_map}: of
# those that b has; {rows}: of all but the last. {loops}: as many "parallel" as there are.
INIT = """
  %{out}_init = tensor.empty() : {type}"""

ELEMENTWISE = (
    INIT
    + """
  %{out} = linalg.generic {{indexing_maps = [{all}, {b_map}, {all}], iterator_types = [{loops}]}}
      ins(%{a}, %{b} : {a_type}, {b_type}) outs(%{out}_init : {type}) {{
  ^bb0(%x: f32, %y: f32, %old: f32):
    %r = SCALAR %x, %y : f32
    linalg.yield %r : f32
  }} -> {type}"""
)

# [matmul]
MATMUL = (
    INIT
    + """
  %{out}_zero = arith.constant 0.0 : f32
  %{out}_sum = linalg.fill ins(%{out}_zero : f32) outs(%{out}_init : {type}) -> {type}
  %{out} = linalg.{batch}matmul ins(%{a}, %{b} : {a_type}, {b_type}) outs(%{out}_sum : {type}) -> {type}"""
)
# [/matmul]

RELU = (
    INIT
    + """
  %{out}_zero = arith.constant 0.0 : f32
  %{out} = linalg.generic {{indexing_maps = [{all}, {all}], iterator_types = [{loops}]}}
      ins(%{a} : {a_type}) outs(%{out}_init : {type}) {{
  ^bb0(%x: f32, %old: f32):
    %r = arith.maximumf %x, %{out}_zero : f32
    linalg.yield %r : f32
  }} -> {type}"""
)

SOFTMAX = (
    INIT
    + """
  %{out}_row = tensor.empty() : {row_type}
  %{out}_lowest = arith.constant 0xFF800000 : f32
  %{out}_max0 = linalg.fill ins(%{out}_lowest : f32) outs(%{out}_row : {row_type}) -> {row_type}
  %{out}_max = linalg.reduce {{ arith.maximumf }} ins(%{a} : {a_type}) outs(%{out}_max0 : {row_type})
      dimensions = [{last}]
  %{out}_exp = linalg.generic {{indexing_maps = [{all}, {rows}, {all}], iterator_types = [{loops}]}}
      ins(%{a}, %{out}_max : {a_type}, {row_type}) outs(%{out}_init : {type}) {{
  ^bb0(%x: f32, %m: f32, %old: f32):
    %d = arith.subf %x, %m : f32
    %e = math.exp %d : f32
    linalg.yield %e : f32
  }} -> {type}
  %{out}_zero = arith.constant 0.0 : f32
  %{out}_sum0 = linalg.fill ins(%{out}_zero : f32) outs(%{out}_row : {row_type}) -> {row_type}
  %{out}_sum = linalg.reduce {{ arith.addf }} ins(%{out}_exp : {type}) outs(%{out}_sum0 : {row_type})
      dimensions = [{last}]
  %{out} = linalg.generic {{indexing_maps = [{all}, {rows}, {all}], iterator_types = [{loops}]}}
      ins(%{out}_exp, %{out}_sum : {type}, {row_type}) outs(%{out}_init : {type}) {{
  ^bb0(%x: f32, %s: f32, %old: f32):
    %q = arith.divf %x, %s : f32
    linalg.yield %q : f32
  }} -> {type}"""
)


class Line(typing.NamedTuple):
    """One operation, read from text. Shapes are tuples of sizes."""

    result: str
    op: str
    operands: tuple[str, ...]
    operand_shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]


# [shapes]
def same_or_row(a, b):
    """add, mul: b is like a, or like one row of it."""
    return a if b in (a, a[-1:]) else None


def product(a, b):
    """matmul: [..., M, K] x [..., K, N] -> [..., M, N]"""
    fits = 2 <= len(a) == len(b) <= 3 and a[:-2] == b[:-2] and a[-1] == b[-2]
    return (*a[:-1], b[-1]) if fits else None


def same(a):
    return a


# [/shapes]


class Op(typing.NamedTuple):
    """What the dialect knows of an operation: its template, and the shape that its operands' shapes make (None
    where they do not fit)."""

    template: str
    shape: typing.Callable


# [ops]
OPS = {
    "nn.add": Op(ELEMENTWISE.replace("SCALAR", "arith.addf"), same_or_row),
    "nn.mul": Op(ELEMENTWISE.replace("SCALAR", "arith.mulf"), same_or_row),
    "nn.matmul": Op(MATMUL, product),
    "nn.relu": Op(RELU, same),
    "nn.softmax": Op(SOFTMAX, same),
}
# [/ops]

TENSOR = r"tensor<((?:\d+x){1,3})f32>"
# [syntax]
LINE = re.compile(
    rf"%(?P<result>\d+) = (?P<op>nn\.\w+)(?: (?P<operands>%\d+(?:, %\d+)*))? : "
    rf"(?:\((?P<types>{TENSOR}(?:, {TENSOR})*)\) -> )?(?P<type>{TENSOR})"
)
# [/syntax]


def shapes_of(types: str) -> tuple[tuple[int, ...], ...]:
    """((4, 3), (3,)) of "tensor<4x3xf32>, tensor<3xf32>"."""
    return tuple(tuple(map(int, found[:-1].split("x"))) for found in re.findall(TENSOR, types))


def map_text(rank: int, dimensions: range) -> str:
    """affine_map<(d0, d1) -> (d1)> for rank 2 and the dimensions [1]."""
    loops = ", ".join(f"d{i}" for i in range(rank))
    return f"affine_map<({loops}) -> ({', '.join(f'd{i}' for i in dimensions)})>"


class MLIRLowering:
    """Turns nn text into the text of an MLIR function on tensors, as ch8.execute takes it."""

    def __init__(self, ops: dict[str, Op] = OPS):
        self.ops = ops

    def lower_graph(self, graph, value, name: str = "main") -> str:
        """The function of one value: the variables that it needs, in the order in which they were made, -> value."""
        return self.lower_text(graph.text(value), name)

    # [lower-text]
    def lower_text(self, text: str, name: str = "main") -> str:
        """The same for nn text of any origin. Its last line is the result. ValueError names a line that is wrong."""
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ValueError(f"name: expected letters, digits and underscores, no digit first, got {name!r}")
        shapes: dict[str, tuple[int, ...]] = {}
        arguments, body = [], []
        for number, source in enumerate(text.splitlines(), 1):
            try:
                line = self._read(source, shapes)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}: {source}") from None
            shapes[line.result] = line.shape
            if line.op == "nn.variable":
                arguments.append(f"%v{line.result}: {type_text(line.shape)}")
            else:
                body.append(f"  // {source}{self._fill(line)}\n")
        if not shapes:
            raise ValueError("the nn text has no operation")
        result = type_text(line.shape)
        mlir_text = (
            f"func.func @{name}({', '.join(arguments)}) -> {result} {{\n"
            f"{''.join(body)}  return %v{line.result} : {result}\n}}\n"
        )
        ch8.ir(mlir_text, trusted=True)  # CompileError where a template is wrong
        return mlir_text

    # [/lower-text]

    # [read]
    def _read(self, source: str, shapes: dict[str, tuple[int, ...]]) -> Line:
        found = LINE.fullmatch(source)
        if not found:
            raise ValueError("not an nn operation")
        operands = tuple(re.findall(r"\d+", found["operands"] or ""))
        line = Line(
            found["result"], found["op"], operands, shapes_of(found["types"] or ""), *shapes_of(found["type"])
        )
        if line.result in shapes:
            raise ValueError(f"%{line.result} is defined twice")
        if line.op == "nn.variable":
            if operands or line.operand_shapes:
                raise ValueError("a variable has no operands")
            return line
        if line.op not in self.ops:
            raise ValueError(f"no such operation, there are nn.variable, {', '.join(self.ops)}")
        for operand in operands:
            if operand not in shapes:
                raise ValueError(f"%{operand} is not defined")
        actual = tuple(shapes[operand] for operand in operands)
        if line.operand_shapes != actual:
            raise ValueError(f"the operands have the types {', '.join(map(type_text, actual))}")
        try:
            shape = self.ops[line.op].shape(*actual)
        except TypeError:
            raise ValueError("a wrong number of operands") from None
        if shape is None:
            raise ValueError("the operands do not fit")
        if shape != line.shape:
            raise ValueError(f"the result has the type {type_text(shape)}")
        return line

    # [/read]

    # [fill]
    def _fill(self, line: Line) -> str:
        rank = len(line.shape)
        fields = {
            "out": f"v{line.result}",
            "type": type_text(line.shape),
            "row_type": type_text(line.shape[:-1]),
            "all": map_text(rank, range(rank)),
            "rows": map_text(rank, range(rank - 1)),
            "loops": ", ".join(['"parallel"'] * rank),
            "last": rank - 1,
            "batch": "batch_" if rank == 3 else "",
        }
        for name, operand, shape in zip("abc", line.operands, line.operand_shapes):
            fields |= {name: f"v{operand}", f"{name}_type": type_text(shape)}
            fields[f"{name}_map"] = map_text(rank, range(max(rank - len(shape), 0), rank))
        return self.ops[line.op].template.format_map(fields)

    # [/fill]
