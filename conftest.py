"""Makes the chapters of this tree importable for every test."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chapters  # noqa: F401
