"""Prints what becomes of a kernel:

    python3 show.py [--kernel NAME] [--device cpu | cuda] ir | passes | stages [NAME …] | llvm_ir | assembly | ptx

Without options: vector_add, on its way to this machine; llvm_ir and assembly are always this machine's. ptx takes
--chip, sm_90 where nothing is said (sm_90a for matmul_f16).
"""

import argparse
import functools
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch15_gpu_concepts as ch15

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kernel", default="vector_add")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chip")
    options, sys.argv[1:] = parser.parse_known_args()
    if sys.argv[1:] == ["ptx"]:
        chip = options.chip or ("sm_90a" if options.kernel == "matmul_f16" else "sm_90")
        print(ch15.ptx(options.kernel, chip))
        raise SystemExit(0)
    module = types.SimpleNamespace(
        ir=ch15.ir,
        stages=functools.partial(ch15.stages, device=options.device),
        llvm_ir=ch15.llvm_ir,
        assembly=ch15.assembly,
    )
    raise SystemExit(chapters.show(module, options.kernel))
