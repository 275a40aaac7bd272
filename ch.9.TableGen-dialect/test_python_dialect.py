"""The dialect nn in the MLIR project's Python bindings: these tests run where `import mlir.ir` works.

scripts/mlir-python/build.py builds and installs the bindings; without them each of these tests is reported as skipped.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters
from course_testing import run_python

import ch9_tablegen_dialect as ch9

WHY = "the MLIR project's Python bindings are not installed (scripts/mlir-python/build.py)"


@pytest.fixture
def nn():
    pytest.importorskip("mlir.ir", reason=WHY)
    import ch9_nn

    return ch9_nn


X, W, B = (
    np.random.default_rng(i).standard_normal(s, dtype=np.float32) for i, s in enumerate([(5, 8), (16, 8), 16])
)


def build(nn, body, *shapes):
    """A module whose @forward takes tensors of these shapes and returns body(*values), in a context of its own."""
    from mlir import ir
    from mlir.dialects import func

    with ir.Context() as context, ir.Location.unknown():
        nn.register(context)
        module = ir.Module.create()
        types = [ir.RankedTensorType.get(shape, ir.F32Type.get()) for shape in shapes]
        with ir.InsertionPoint(module.body):
            func.FuncOp.from_py_func(*types, name="forward")(body)
        return module


def test_a_network_built_in_python_is_the_one_built_in_cpp(nn):
    module = build(
        nn, lambda x, w, b: nn.softmax(nn.relu(nn.linear(x, w, bias=b))), X.shape, W.shape, B.shape
    )
    text = str(module)
    expected = ch9.forward(ch9.softmax(ch9.relu(ch9.linear(X, W, B))))
    assert np.array_equal(ch9.execute(module, [X, W, B]), expected)
    assert np.array_equal(ch9.execute(module, [X[::-1], W, B]), expected[::-1])  # any strides
    assert str(module) == text  # a copy was lowered


def test_every_op_has_a_class_and_a_function(nn):
    module = build(
        nn,
        lambda x, w, b: nn.add(nn.mul(nn.matmul(x, nn.transpose(w)), b), nn.LinearOp(x, w).result),
        X.shape,
        W.shape,
        B.shape,
    )
    expected = (ch9.Tensor(X) @ ch9.transpose(W)) * B + ch9.linear(X, W)
    assert np.array_equal(ch9.execute(module, [X, W, B]), expected.numpy())
    assert {n for n in nn.__all__ if n.endswith("Op")} == {
        f"{n}Op" for n in ("Add", "Mul", "Relu", "Softmax", "Matmul", "Transpose", "Linear")
    }
    assert "added to every row" in nn.AddOp.__doc__  # the description of NNOps.td


def test_the_verifier_speaks_in_python(nn):
    from mlir import ir

    with pytest.raises(ir.MLIRError, match="expected as many rows in rhs as columns in lhs, 8, got 16"):
        build(nn, lambda x, w: nn.matmul(x, w), X.shape, W.shape).operation.verify()


def test_text_is_parsed_in_a_registered_context(nn):
    from mlir import ir

    text = """
        func.func @forward(%x: tensor<5x8xf32>) -> tensor<5x8xf32> {
          %0 = nn.relu %x : tensor<5x8xf32>
          return %0 : tensor<5x8xf32>
        }"""
    with ir.Context() as context:
        with pytest.raises(ir.MLIRError, match="Dialect `nn' not found"):
            ir.Module.parse(text)
        nn.register(context)
        assert np.array_equal(ch9.execute(ir.Module.parse(text), [X]), np.maximum(X, 0))


def test_a_context_that_was_not_registered_is_made_ready(nn):
    from mlir import ir

    text = "func.func @forward(%x: tensor<5x8xf32>) -> tensor<5x8xf32> {\nreturn %x : tensor<5x8xf32>\n}"
    with ir.Context():
        assert np.array_equal(ch9.execute(ir.Module.parse(text), [X]), X)


@pytest.mark.parametrize(
    "call, error, sentence",
    [
        (lambda m: ch9.execute("module {}", []), TypeError, "module: expected an mlir.ir.Module, got str"),
        (lambda m: ch9.execute(m.context, []), TypeError, "module: expected an mlir.ir.Module, got Context"),
        (lambda m: ch9.register_dialects(m), TypeError, "context: expected an mlir.ir.Context, got Module"),
        (
            lambda m: ch9.execute(m, []),
            ValueError,
            "arrays: expected 1, one for each argument of @forward, got 0",
        ),
        (lambda m: ch9.execute(m, [X.T]), ValueError, "arrays[0]: expected shape (5, 8), got (8, 5)"),
        (
            lambda m: ch9.execute(m, [X.astype(np.float64)]),
            TypeError,
            "arrays[0]: expected an array of float32, got one of float64",
        ),
    ],
)
def test_error_sentences(nn, call, error, sentence):
    module = build(nn, lambda x: nn.relu(x), X.shape)
    with pytest.raises(error) as caught:
        call(module)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "func.func private @forward(tensor<2xf32>) -> tensor<2xf32>",
        "func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> { return %x : tensor<?xf32> }",
        "func.func @forward(%x: tensor<2xf64>) -> tensor<2xf64> { return %x : tensor<2xf64> }",
        "func.func @forward(%x: tensor<2xf32>) { return }",
        "func.func @forward(%x: memref<2xf32>) -> memref<2xf32> { return %x : memref<2xf32> }",
        "func.func @other(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }",
    ],
)
def test_modules_that_cannot_be_called(nn, text):
    from mlir import ir

    with ir.Context() as context:
        nn.register(context)
        with pytest.raises(ValueError, match="module: expected"):
            ch9.execute(ir.Module.parse(text), [np.zeros(2, np.float32)])


def test_without_the_bindings_the_import_says_what_to_do():
    said = run_python("""
        import sys
        sys.modules["mlir"] = None  # as if it were not installed
        try:
            import ch9_nn
        except ModuleNotFoundError as error:
            print(error)
    """)
    assert "scripts/mlir-python/build.py" in said


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
