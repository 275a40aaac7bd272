"""What holds the chapters together: names, one line in the root to add a chapter, errors of the set-up as sentences."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

import chapters

ROOT = chapters.ROOT
IGNORED = {"build", "dist", "__pycache__", "Output", "node_modules"}  # and names with a dot in front
FOLDERS = [
    "ch.1.Fixed-size",
    "ch.2.Dynamic-size",
    "ch.3.JIT-caching",
    "ch.4.Tensor-bufferization",
    "ch.5.Vector-ops",
    "ch.6.Softmax",
    "ch.7.Neural-ops",
    "ch.8.Custom-dialect",
    "ch.9.TableGen-dialect",
    "ch.10.Optimization",
    "ch.11.Attention",
    "ch.12.Transformer",
    "ch.13.GPT",
    "ch.14.GPT-Optimized",
    "ch.15.GPU-Concepts",
    "ch.16.Nano-Serving",
]


def run(*command, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end, both outputs as one text."""
    path = os.pathsep.join(
        [os.environ["PATH"], str(pathlib.Path(sys.executable).parent)]
    )  # Ninja may be pip's
    options = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "stdin": subprocess.DEVNULL,
        "env": os.environ | {"PATH": path},
        **options,
    }
    return subprocess.run([str(part) for part in command], text=True, **options)


def cmake() -> str:
    """The system's, or the one that pip put beside this Python."""
    return shutil.which("cmake") or str(pathlib.Path(sys.executable).parent / "cmake")


def compiler(language: str) -> str:
    """The one that this tree was built with."""
    (record,) = chapters.BUILD.glob(f"CMakeFiles/*/CMake{language}Compiler.cmake")
    return re.search(rf'set\(CMAKE_{language}_COMPILER "(.+)"\)', record.read_text())[1]


def configure(source: pathlib.Path, build: pathlib.Path, *definitions: str) -> subprocess.CompletedProcess:
    """Configures with this build's compiler and Python."""
    same = [f"-DCMAKE_{language}_COMPILER={compiler(language)}" for language in ("C", "CXX")]
    python = f"-DPython_EXECUTABLE={sys.executable}"
    return run(cmake(), "-G", "Ninja", "-S", source, "-B", build, python, *same, *definitions)


def words(text: str) -> str:
    """The text on one line: CMake breaks its messages where it likes."""
    return " ".join(text.split())


def files_of_the_tree():
    """The source files: what is neither ignored by git nor git's own."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in IGNORED and (name[0] != "." or name == ".ci")]
        for name in files:
            yield pathlib.Path(folder, name)


def module_of(folder: pathlib.Path) -> str:
    """ch1_fixed_size for ch.1.Fixed-size: the one extension in its build folder."""
    modules = [path.name.split(".")[0] for path in chapters.build_folder(folder).glob("ch*.so")]
    assert len(modules) == 1, (
        f"{folder.name} has {modules or 'no extension'} in {chapters.build_folder(folder)}"
    )
    return modules[0]


# --- Names ------------------------------------------------------------------------------


def test_folders_have_their_names_and_one_line_in_the_root():
    lines = re.findall(r"^add_subdirectory\((ch\..+?)\)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)
    folders = [folder.name for folder in chapters.source_folders()]
    assert sorted(lines, key=folders.index) == folders
    assert set(folders) <= set(FOLDERS)


@pytest.mark.parametrize("folder", chapters.source_folders(), ids=lambda folder: folder.name)
def test_both_names_are_one_module(folder):
    long, short = module_of(folder), f"ch{chapters.number(folder)}"
    assert long.startswith(f"{short}_")
    for first, second in [(long, short), (short, long)]:
        code = f"import chapters, {first}, {second}; assert {first} is {second}; print({short}.__name__)"
        result = run(sys.executable, "-c", code, cwd=ROOT)
        assert (result.returncode, result.stdout.strip()) == (0, long)


def test_one_process_imports_every_chapter():
    """Two modules with one name for a pass or an option would end the process here."""
    modules = [module_of(folder) for folder in chapters.source_folders()]
    for order in (modules, modules[::-1]):
        result = run(
            sys.executable, "-c", f"import chapters\nimport {', '.join(order)}\nprint('all')", cwd=ROOT
        )
        assert (result.returncode, result.stdout) == (0, "all\n")


# --- Adding a chapter -------------------------------------------------------------------


def test_a_new_chapter_is_a_folder_and_one_line(tmp_path):
    tree = tmp_path / "the course"  # a space in the path is fine
    for path in files_of_the_tree():
        if (
            path.suffix in {".txt", ".cmake", ".in", ".td", ".mlir", ".cpp", ".h", ".py", ".json"}
            and "models" not in path.parts
        ):
            copy = tree / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    folder = tree / "ch.99.Tiny"
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text("add_chapter(99 tiny SOURCES bindings.cpp PYTHON ch99_more.py)\n")
    (folder / "ch99_more.py").write_text("answer = 42\n")
    (folder / "bindings.cpp").write_text(
        "#include <pybind11/pybind11.h>\n"
        'PYBIND11_MODULE(ch99_tiny, m) { m.def("twice", [](int i) { return 2 * i; }); }\n'
    )
    with (tree / "CMakeLists.txt").open("a") as root:
        root.write("add_subdirectory(ch.99.Tiny)\n")

    build = tree / "build/x64-release"
    result = configure(tree, build, "-DCOURSE_PCH=OFF")
    assert result.returncode == 0, result.stdout
    for _ in range(2):
        result = run(cmake(), "--build", build, "--target", "ch99", "ch11_ops")
        assert result.returncode == 0, result.stdout
    assert "no work to do" in result.stdout, "what is built is built again, in a folder with a space"
    code = "import chapters, ch99, ch99_tiny, ch99_more; print(ch99 is ch99_tiny, ch99.twice(4), ch99_more.answer)"
    environment = {**os.environ, "COURSE_BUILD_DIR": str(build)}
    assert run(sys.executable, "-c", code, cwd=tree, env=environment).stdout == "True 8 42\n"


# --- MLIR missing, too old, too new, without its shared library -------------------------


@pytest.fixture
def fake_mlir(tmp_path):
    """Makes an installation of LLVM/MLIR that knows its version and nothing else."""

    def make(version: str) -> str:
        folder = tmp_path / "llvm/lib/cmake/mlir"
        folder.mkdir(parents=True)
        (folder / "MLIRConfig.cmake").write_text(
            f'set(LLVM_VERSION_MAJOR {version.split(".")[0]})\nset(LLVM_PACKAGE_VERSION "{version}")\n'
        )
        return f"-DMLIR_DIR={folder}"

    return make


@pytest.mark.parametrize(("version", "direction"), [("19.1.7", "too old"), ("23.1.0", "too new")])
def test_another_version_of_mlir_is_refused(tmp_path, fake_mlir, version, direction):
    result = configure(ROOT, tmp_path / "build", fake_mlir(version))
    assert result.returncode != 0
    assert re.search(
        rf"LLVM/MLIR {version} in \S+ is {direction}: the course follows 21 and 22\.", words(result.stdout)
    ), result.stdout


def test_mlir_without_its_shared_library_is_refused(tmp_path, fake_mlir):
    result = configure(ROOT, tmp_path / "build", fake_mlir("22.1.0"))
    assert result.returncode != 0
    assert re.search(r"MLIR 22\.1\.0 in \S+ has no shared libMLIR/libLLVM", words(result.stdout)), (
        result.stdout
    )


def test_missing_mlir_is_named_with_the_way_to_get_it(tmp_path):
    result = configure(ROOT, tmp_path / "build", "-DCMAKE_DISABLE_FIND_PACKAGE_MLIR=ON")
    assert result.returncode != 0
    text = words(result.stdout)
    assert "MLIR was not found. The course needs LLVM/MLIR 21 or 22" in text, result.stdout
    assert "apt-get install llvm-22-dev libmlir-22-dev" in text
    assert "./test.sh --setup-only" in text


# --- The two commands -------------------------------------------------------------------


@pytest.mark.parametrize("script", ["run.sh", "test.sh", "scripts/lint.sh"])
def test_help_says_how_to_call(script, tmp_path):
    result = run(ROOT / script, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert script in result.stdout and "#" not in result.stdout


def test_an_unknown_chapter_is_named_with_those_there_are(tmp_path):
    result = run(ROOT / "test.sh", "ch.77", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout.startswith("error: there is no chapter ch.77 here; there are: ch.1.Fixed-size ")


def test_a_second_set_up_is_quick_and_asks_nobody(tmp_path):
    if not (ROOT / ".venv/.packages-test").exists():
        pytest.skip("the tree was not set up by ./test.sh")
    for name in ("apt-get", "apt-cache", "sudo", "pip"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/calls"\nexit 1\n')
        tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    start = time.monotonic()
    result = run(ROOT / "scripts/setup.sh", "test", env=environment, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    assert not (tmp_path / "calls").exists(), (tmp_path / "calls").read_text()
    assert time.monotonic() - start < 5  # a quarter of a second on a machine with nothing else to do


def test_a_python_that_was_told_finds_the_chapters_from_anywhere(tmp_path):
    """As scripts/setup.sh tells the one of .venv."""
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", check=True)
    surroundings = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "COURSE_BUILD_DIR"}
    }

    def found(name, **variables) -> str:
        code = f"import importlib.util as u; spec = u.find_spec({name!r}); print(spec and spec.origin)"
        result = run(python, "-c", code, cwd=tmp_path, env=surroundings | variables)
        assert result.returncode == 0, result.stdout
        return result.stdout.strip()

    assert found("nano_engine") == found("ch1") == "None"
    for _ in range(2):
        result = run(python, ROOT / "scripts/path_file.py", cwd=tmp_path, env=surroundings)
        assert (result.returncode, result.stdout) == (0, "")
    assert found("nano_engine") == str(ROOT / "ch.16.Nano-Serving/nano_engine/__init__.py")
    assert found("ch14_disk_cache") == str(ROOT / "ch.14.GPT-Optimized/ch14_disk_cache.py")
    build = {"COURSE_BUILD_DIR": str(chapters.BUILD)}
    assert pathlib.Path(found("ch1", **build)).parent == chapters.BUILD / "ch.1.Fixed-size"
    assert found("ch1", COURSE_BUILD_DIR=str(tmp_path)) == "None", (
        "another build tree, in which nothing is built"
    )
    # What is installed is found before the tree; a test of the tree finds the tree.
    (installed,) = (tmp_path / "venv").glob("lib/*/site-packages")
    (installed / "nano_engine.py").touch()
    assert found("nano_engine") == str(installed / "nano_engine.py")
    code = f"import sys; sys.path.append({str(ROOT)!r}); import chapters, nano_engine"
    result = run(python, "-c", code, cwd=tmp_path, env=surroundings)
    assert "numpy" in result.stdout, "the tree's nano_engine, which this Python has nothing for"


# --- What must not be in the tree -------------------------------------------------------


def test_no_file_names_a_machine_or_somebody_s_folder():
    patterns = [
        r"(?<![\w.$}\")-])/(?:work|root|home/\w+)/",
        r"\b(?:pypi\.org|files\.pythonhosted|deb\.debian\.org)\b",
    ]
    if len(os.uname().nodename) > 5 and os.uname().nodename != "localhost":
        patterns.append(rf"\b{re.escape(os.uname().nodename)}\b")
    found = []
    for path in files_of_the_tree():
        if path == pathlib.Path(__file__):
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue  # the model's weights
        for number, line in enumerate(lines, 1):
            found += [f"{path.relative_to(ROOT)}:{number}: {line}" for p in patterns if re.search(p, line)]
    assert not found, "\n".join(found)
