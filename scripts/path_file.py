"""Tells this Python where the chapters are: writes a .pth file into its site-packages.

    .venv/bin/python scripts/path_file.py

Then `-m nano_engine`, `-m ch14_disk_cache` and `import ch1` work from anywhere, without PYTHONPATH. The folders are
those of chapters.py, and come last: an installed course comes before the tree. COURSE_BUILD_DIR is asked when Python
starts. scripts/setup.sh runs this where a course has moved or has a new folder.
"""

import pathlib
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import chapters  # noqa: E402


def path_file() -> pathlib.Path:
    return pathlib.Path(sysconfig.get_path("purelib"), "mlir-course.pth")


def content() -> str:
    """One line, for that is what Python's `site` runs. No comprehension: it would not see the line's own names."""
    names = [folder.name for folder in chapters.source_folders()]
    build = f"os.environ.get('COURSE_BUILD_DIR', {str(ROOT / 'build' / 'x64-release')!a})"
    return (
        f"import os, sys; names = {names!a}; "
        f"sys.path += map(os.path.join, [{str(ROOT)!a}] * {len(names)}, names); "
        f"sys.path += map(os.path.join, [{build}] * {len(names)}, names)\n"
    )


if __name__ == "__main__":
    path_file().write_text(content())
