"""Where the chapters' modules are, for tests and scripts that run from the source tree.

`import chapters` puts three kinds of folders on sys.path, so that `import ch1_fixed_size`, `import ch1` and
`import nano_engine` work without an installation:

    build/<preset>/ch.*   the compiled extensions and their short names
    ch.*                  Python files that belong to a chapter
    .                     this file

COURSE_BUILD_DIR names another build folder than build/x64-release.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("COURSE_BUILD_DIR", ROOT / "build" / "x64-release"))


def number(folder: pathlib.Path) -> int:
    """7 for the folder ch.7.Neural-ops."""
    return int(re.match(r"ch\.(\d+)\.", folder.name).group(1))


def source_folders() -> list[pathlib.Path]:
    """The chapters' source folders, in order of their numbers."""
    return sorted((p for p in ROOT.glob("ch.*") if (p / "CMakeLists.txt").is_file()), key=number)


def build_folder(source: pathlib.Path) -> pathlib.Path:
    """Where the chapter's extension is built."""
    return BUILD / source.name


def run_tests(test_file: str) -> int:
    """Runs one test file by pytest and returns its exit status (for `python3 test_jit.py`)."""
    try:
        import pytest
    except ModuleNotFoundError:
        sys.exit("The tests need pytest: python3 -m pip install pytest numpy")
    folder = pathlib.Path(test_file).resolve().parent
    if not list(build_folder(folder).glob(f"ch{number(folder)}_*.so")):
        sys.exit(
            f"{folder.name} is not built. Run `cmake --preset x64-release && cmake --build --preset x64-release` "
            "in the root of the course first."
        )
    return int(pytest.main([test_file, *sys.argv[1:]]))


def _use_source_tree() -> None:
    for source in reversed(source_folders()):
        for folder in (source, build_folder(source)):
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))


_use_source_tree()
