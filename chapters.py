"""The chapters of this tree, for tests and scripts that run from it: where their modules and tools are,
and what test_jit.py and show.py of every chapter have in common.

`import chapters` puts three kinds of folders on sys.path, so that `import ch1_fixed_size`, `import ch1` and
`import nano_engine` work without an installation:

    build/<preset>/ch.*   the compiled extensions and their short names
    ch.*                  Python files that belong to a chapter
    .                     this file

COURSE_BUILD_DIR names another build folder than build/x64-release.
"""

import functools
import importlib.abc
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import types

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


@functools.cache
def llvm_prefix() -> pathlib.Path:
    """Where the LLVM lies that the build tree was configured with, e.g. /usr/lib/llvm-22."""
    cache = BUILD / "CMakeCache.txt"
    if not cache.is_file():
        sys.exit(
            f"{BUILD} is no build tree. Run `cmake --preset x64-release` in the root of the course first."
        )
    return pathlib.Path(re.search(r"^MLIR_DIR:\w+=(.*)$", cache.read_text(), re.M).group(1)).parents[2]


@functools.cache
def llvm_major() -> int:
    """21 or 22."""
    config = (llvm_prefix() / "lib" / "cmake" / "llvm" / "LLVMConfigVersion.cmake").read_text()
    return int(re.search(r'PACKAGE_VERSION "(\d+)', config).group(1))


def environment() -> dict[str, str]:
    """os.environ for a command of a lesson: the chapters importable, and this Python's programs, LLVM's
    (mlir-opt, FileCheck, not) and the chapters' own tools on PATH."""
    folders = [f for source in source_folders() for f in (source, build_folder(source))]
    tools = [pathlib.Path(sys.executable).parent, llvm_prefix() / "bin", *map(build_folder, source_folders())]
    return os.environ | {
        "PATH": os.pathsep.join([*map(str, tools), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(map(str, [*folders, ROOT])),
        "COURSE_BUILD_DIR": str(BUILD),
    }


def filecheck(text: str, checks: str, *options: str) -> None:
    """Asserts that `text` (some IR) passes LLVM's FileCheck with the CHECK lines in `checks`."""
    with tempfile.NamedTemporaryFile("w", suffix=".check") as file:
        file.write(checks)
        file.flush()
        command = [str(llvm_prefix() / "bin" / "FileCheck"), "--dump-input=fail", *options, file.name]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_script(file: pathlib.Path) -> types.ModuleType:
    """A Python file of any name as a module."""
    spec = importlib.util.spec_from_file_location("script", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_exercise(exercises: dict, doc: str, load=lambda file: file, unsolved=(AssertionError,)) -> int:
    """The main program of an exercises/check.py: checks the one that the command line names.

    exercises: {"1": (check, stub)}; check(load(file)) raises one of `unsolved` until it is solved. The file is
    the command line's second argument or else the stub beside the script; None where there is neither.
    Returns the exit status: 0 solved, 1 not yet, 2 a wrong command line (`doc` is printed).
    """
    number, *solution = sys.argv[1:] or [""]
    if number not in exercises or len(solution) > 1:
        print(doc, file=sys.stderr)
        return 2
    check, stub = exercises[number]
    file = solution[0] if solution else stub and pathlib.Path(sys.argv[0]).resolve().parent / stub
    try:
        check(load(pathlib.Path(file)) if file else None)
    except unsolved as problem:
        print(f"exercise {number}: not yet: {problem}")
        return 1
    print(f"exercise {number}: solved")
    return 0


def resident_kb() -> int:
    """How much memory this process has now. (getrusage's maximum will not do: a child inherits its parent's.)"""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"^VmRSS:\s*(\d+) kB", status, re.M).group(1))


def show(module, *arguments) -> int:
    """A chapter's show.py: prints what the command line names (ir, stages, llvm_ir, assembly) of
    `module`, each made with `arguments`. `stages NAME …` prints only the stages so named."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `show.py stages | head` just ends
    what, *names = sys.argv[1:] or ["help"]
    if what == "stages":
        stages = module.stages(*arguments)
        known = [name for name, _ in stages]
        if unknown := [name for name in names if name not in known]:
            print(f"No stage {unknown[0]!r}. There are: {', '.join(known)}.", file=sys.stderr)
            return 2
        for name, text in stages:
            if names and name not in names:
                continue
            print(f"// -----// {name} //----- //\n{text.strip()}")
    elif what == "passes":
        for name, _ in module.stages(*arguments)[1:]:  # the first is ("input", …)
            print(name)
    elif what in ("ir", "llvm_ir", "assembly"):
        print(getattr(module, what)(*arguments).strip())
    else:
        print("usage: show.py ir | passes | stages [NAME …] | llvm_ir | assembly", file=sys.stderr)
        return 2
    return 0


def show_error(cases: dict, doc: str, errors: tuple = ()) -> int:
    """The main program of a chapter's broken.py: does what must fail and prints what is said then.

    cases: {"shape": function}; each raises TypeError, ValueError or one of `errors` (the chapter's CompileError).
    Returns the exit status: 0 it failed as it should, 1 it did not fail, 2 a wrong command line (`doc` is printed).
    """
    if len(sys.argv) != 2 or sys.argv[1] not in cases:
        print(doc, file=sys.stderr)
        return 2
    try:
        cases[sys.argv[1]]()
    except (TypeError, ValueError, *errors) as error:
        print(f"{type(error).__name__}: {error}")
        return 0
    return 1


def run_tests(test_file: str) -> int:
    """Runs one test file by pytest and returns its exit status (for `python3 test_jit.py`)."""
    if importlib.util.find_spec("pytest") is None:
        sys.exit("The tests need pytest: python3 -m pip install pytest numpy")
    return subprocess.call([sys.executable, "-m", "pytest", test_file, *sys.argv[1:]])


class _NotBuilt(importlib.abc.MetaPathFinder):
    """Asked last for a module: says what to do where a chapter's extension has not been built yet."""

    def find_spec(self, name, path=None, target=None):
        asked = re.fullmatch(r"ch(\d+)(_\w+)?", name)
        for folder in source_folders() if asked else []:
            extension = f"ch{asked[1]}_*.so"
            if number(folder) == int(asked[1]) and not list(build_folder(folder).glob(extension)):
                raise ModuleNotFoundError(
                    f"{folder.name} is not built. Run `cmake --preset x64-release && cmake --build --preset "
                    "x64-release` in the root of the course first.",
                    name=name,
                )
        return None


def _use_source_tree() -> None:
    # In front of site-packages, also where they came behind it (scripts/path_file.py): the tree and not what
    # pip has installed of it.
    folders = [str(folder) for source in source_folders() for folder in (source, build_folder(source))]
    sys.path[:] = folders + [entry for entry in sys.path if entry not in folders]
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    if not any(isinstance(finder, _NotBuilt) for finder in sys.meta_path):
        sys.meta_path.append(_NotBuilt())


_use_source_tree()
