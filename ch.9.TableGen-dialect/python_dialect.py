"""The same network, its IR built in Python by the dialect's own op classes: `python3 python_dialect.py`.

Needs the MLIR project's Python bindings; scripts/mlir-python/build.py in the root installs them.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch9_nn as nn
import ch9_tablegen_dialect as ch9

if __name__ == "__main__":
    # [build]
    from mlir import ir
    from mlir.dialects import func

    with ir.Context() as context, ir.Location.unknown():
        nn.register(context)
        x, w = (ir.RankedTensorType.get(shape, ir.F32Type.get()) for shape in [(5, 8), (16, 8)])
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):

            @func.FuncOp.from_py_func(x, w)
            def forward(x, w):
                return nn.softmax(nn.relu(nn.linear(x, w)))

    # [/build]
    print(module)
    # [execute]
    rng = np.random.default_rng(0)
    X, W = (rng.standard_normal(s, dtype=np.float32) for s in [(5, 8), (16, 8)])
    result = ch9.execute(module, [X, W])  # the chapter's own pipeline and JIT
    # [/execute]
    expected = ch9.forward(ch9.softmax(ch9.relu(ch9.linear(X, W))))
    print("equal to the last bit:", np.array_equal(result, expected))
