"""The dialect nn for the MLIR project's Python bindings: op classes made by mlir-tblgen from NNOps.td.

    import ch9_nn as nn                     # needs the bindings: scripts/mlir-python/build.py installs them
    from mlir import ir

    with ir.Context() as context, ir.Location.unknown():
        nn.register(context)
        ...
        y = nn.relu(nn.matmul(x, w))        # inside of a function's body

The classes are in the generated file ch9_nn_ops_gen.py: AddOp, add, MatmulOp, matmul, ...
"""

import importlib.util
import pathlib
import sys

try:
    import mlir.dialects  # noqa: F401  where the generated file belongs
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "ch9_nn needs the MLIR project's Python bindings (`import mlir.ir`). In the course's tree, "
        "`.venv/bin/python scripts/mlir-python/build.py` builds and installs them.",
        name=missing.name,
    ) from None

import ch9_tablegen_dialect as ch9


# [generated]
def _load_generated():
    """The generated file as mlir.dialects.ch9_nn_ops_gen: it expects to lie beside upstream's dialects."""
    name = "mlir.dialects.ch9_nn_ops_gen"
    file = pathlib.Path(ch9.__file__).with_name("ch9_nn_ops_gen.py")
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# [/generated]

_generated = _load_generated()
_names = [n for n in vars(_generated) if n.endswith("Op") or n in {"add", "linear", "matmul", "mul"}]
_names += ["relu", "softmax", "transpose"]
globals().update({name: getattr(_generated, name) for name in _names})
register = ch9.register_dialects

__all__ = ["register", *_names]
