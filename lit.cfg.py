"""How `lit` runs the .mlir files of the chapters: `lit -v ch.11.Attention/tests`, or `lit -v ch.*/tests`.

A file without a RUN line fails. FileCheck, not and mlir-opt come from the LLVM of the build tree, chN-opt
from the build tree itself (COURSE_BUILD_DIR names another one than build/x64-release).
"""

import pathlib
import sys

import lit.formats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chapters

config.name = "course"  # noqa: F821  lit provides `config`
config.test_format = lit.formats.ShTest(execute_external=False)  # noqa: F821
config.suffixes = [".mlir"]  # noqa: F821
config.excludes = ["build", "dist", "exercises", "Inputs"]  # noqa: F821
config.test_exec_root = str(chapters.BUILD / "lit")  # noqa: F821
config.environment |= chapters.environment()  # noqa: F821
config.environment["FILECHECK_OPTS"] = "--dump-input=fail"  # noqa: F821
# LLVM 21 or 22, for the rare test of what only one of them has: `// REQUIRES: llvm-22`.
config.available_features.add(f"llvm-{chapters.llvm_major()}")  # noqa: F821
