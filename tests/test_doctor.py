"""doctor.py sees what is there, says in a sentence what is not, and its exit status can be relied on."""

import ast
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters

DOCTOR = chapters.ROOT / "doctor.py"


def run(*arguments, **variables) -> tuple[int, str]:
    """Exit status and report. A variable that is None is not there."""
    environment = {**os.environ, **variables}
    environment = {name: str(value) for name, value in environment.items() if value is not None}
    done = subprocess.run(
        [sys.executable, DOCTOR, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def line(report: str, name: str) -> str:
    """What is said about one thing, with the advice below it."""
    found = re.search(rf"^  (?:\w+) +{re.escape(name)}  .*(?:\n +-> .*)?", report, re.M)
    assert found, f"nothing about {name} in\n{report}"
    return re.sub(r"\s+", " ", found[0]).strip()


def program(path: pathlib.Path, text: str) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def llvm(folder: pathlib.Path, version: str, *, mlir=True, libraries=True, tools=()) -> pathlib.Path:
    """A folder that looks like an LLVM."""
    (folder / "lib/cmake/llvm").mkdir(parents=True)
    (folder / "lib/cmake/llvm/LLVMConfigVersion.cmake").write_text(f'set(PACKAGE_VERSION "{version}")\n')
    if mlir:
        (folder / "lib/cmake/mlir").mkdir()
        (folder / "lib/cmake/mlir/MLIRConfig.cmake").touch()
    if libraries:
        (folder / "lib/libMLIR.so").touch()
    for tool in tools:
        program(folder / "bin" / tool, "")
    return folder


@pytest.fixture(scope="module")
def here() -> tuple[int, str]:
    return run(COURSE_BUILD_DIR=chapters.BUILD)


# --- this machine -------------------------------------------------------------------------------------------


def test_here_everything_is_there(here):
    status, report = here
    assert status == 0, report
    assert " missing " not in report
    assert report.startswith(
        "The course follows LLVM/MLIR 22 and 21, with Python 3.11 or newer and CMake 3.21 or newer.\n"
    )
    assert report.endswith("Everything is there that chapters are built, run and tested with.\n")


def test_it_names_what_the_build_uses(here):
    _, report = here
    assert re.search(
        rf"^ok LLVM, MLIR {chapters.llvm_major()}\.[\d.]+ in {chapters.llvm_prefix()}$",
        line(report, "LLVM, MLIR"),
    )
    assert line(report, "FileCheck") == f"ok FileCheck {chapters.llvm_prefix()}/bin/FileCheck"
    assert "the build's" in line(report, "compiler")
    assert f"with LLVM {chapters.llvm_major()}." in line(report, "build tree")


def test_every_chapter_is_looked_at(here):
    _, report = here
    for folder in chapters.source_folders():
        assert line(report, folder.name) == f"ok {folder.name} built, and can be imported"


def test_it_is_the_same_for_a_program():
    status, output = run("--json")
    found = json.loads(output)
    assert status == 0 and found["complete"] is True
    assert {check["state"] for check in found["checks"]} <= {"ok", "absent", "note"}
    names = [check["name"] for check in found["checks"]]
    assert {"LLVM, MLIR", "mlir-opt", "compiler", "libffi", "CMake", "Ninja", "Python", "numpy", "torch"} <= {
        *names
    }


def test_help():
    status, output = run("--help")
    assert status == 0 and "python3 doctor.py" in output


def test_an_old_python_can_run_it():
    ast.parse(DOCTOR.read_text(), feature_version=(3, 8))
    candidates = glob.glob(os.path.expanduser("~/.pyenv/versions/3.8.*/bin/python")) + ["python3.8"]
    old = next((c for c in candidates if shutil.which(c) and subprocess.call([c, "-c", ""]) == 0), None)
    if old is None:
        pytest.skip("there is no Python 3.8 here")
    done = subprocess.run([old, "-I", DOCTOR], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# --- one source of truth ------------------------------------------------------------------------------------


def test_the_set_up_agrees():
    setup = (chapters.ROOT / "scripts/setup.sh").read_text()
    doctor = chapters.run_script(DOCTOR)
    assert f"for version in {' '.join(doctor.llvm_versions())}; do" in setup
    assert f"{doctor.cmake_needed()}\\n%s" in setup and "sys.version_info >= (3, 11)" in setup
    assert doctor.python_needed() == "3.11"
    assert "libffi-dev" in setup and "libffi-dev" in DOCTOR.read_text()
    for package in ("llvm-$1-dev", "libmlir-$1-dev", "mlir-$1-tools", "clang-$1", "lld-$1", "libomp-$1-dev"):
        assert package in setup and package.replace("$1", "{newest}") in DOCTOR.read_text()


def test_requirements_are_those_of_pyproject():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((chapters.ROOT / "pyproject.toml").read_text())["project"]
    doctor = chapters.run_script(DOCTOR)
    assert doctor.requirements() == {"": project["dependencies"], **project["optional-dependencies"]}
    assert set(doctor.PURPOSE) == set(project["optional-dependencies"])


# --- what is missing ----------------------------------------------------------------------------------------


def test_an_llvm_that_the_course_does_not_follow(tmp_path):
    status, report = run("--llvm", llvm(tmp_path / "llvm-20", "20.1.8"))
    assert status == 1
    assert f"missing LLVM, MLIR no 22 or 21; there is only 20.1.8 in {tmp_path}/llvm-20 ->" in line(
        report, "LLVM, MLIR"
    )
    assert "llvm-22-dev libmlir-22-dev mlir-22-tools clang-22 lld-22 libomp-22-dev" in line(
        report, "LLVM, MLIR"
    )
    assert (
        "\nMissing: LLVM, MLIR" in report and "./test.sh --setup-only installs and builds all of it" in report
    )


def test_no_llvm_at_all(tmp_path):
    status, report = run("--llvm", tmp_path)
    assert status == 1 and "missing LLVM, MLIR no 22 or 21 was found ->" in line(report, "LLVM, MLIR")


def test_an_llvm_without_mlir(tmp_path):
    status, report = run("--llvm", llvm(tmp_path / "llvm-21", "21.1.8", mlir=False, libraries=False))
    assert status == 1
    said = line(report, "LLVM, MLIR")
    assert "21.1.8 in" in said and "lacks MLIR's CMake files, libMLIR.so" in said and "libmlir-21-dev" in said
    assert line(report, "mlir-opt").startswith("missing mlir-opt not in ")
    assert line(report, "mlir-runner").startswith("absent ")  # only for some lessons


def test_a_preferred_and_another_llvm(tmp_path):
    old = llvm(tmp_path / "llvm-19", "19.1.7")
    good = llvm(
        tmp_path / "llvm-22", "22.1.8", tools=["mlir-opt", "mlir-tblgen", "mlir-translate", "FileCheck"]
    )
    _, report = run("--llvm", old, "--llvm", good)
    assert line(report, "LLVM, MLIR") == f"ok LLVM, MLIR 22.1.8 in {good}"
    assert line(report, "also there") == (
        f"note also there 19.1.7 in {old}, which the course does not follow (22 and 21)"
    )
    assert line(report, "lld").startswith("absent lld") and line(report, "clang").startswith("absent clang")


def test_nothing_on_path(tmp_path):
    """No CMake, no Ninja, not even apt. (Those of .venv/bin count too, so this is a copy without one.)"""
    copy = copy_of_the_frame(tmp_path)
    status, report = run_copy(copy, PATH=tmp_path / "empty")
    assert status == 1
    assert line(report, "CMake").startswith(
        "missing CMake not on PATH -> install what these Debian packages hold: cmake, or: "
    )
    assert line(report, "Ninja") == (
        "missing Ninja not on PATH -> install what these Debian packages hold: ninja-build"
    )
    assert line(report, "ccache").startswith("absent ccache")
    build = "cmake --preset x64-release && cmake --build --preset x64-release"
    assert line(report, "build tree") == f"missing build tree build/x64-release is not there -> {build}"


def test_an_old_cmake(tmp_path):
    program(tmp_path / "bin/cmake", "echo cmake version 3.16.3")
    status, report = run(PATH=f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    assert status == 1
    assert f"missing CMake 3.16.3 in {tmp_path}/bin/cmake is older than 3.21 ->" in line(report, "CMake")


def test_a_compiler_that_does_not_compile(tmp_path):
    compiler = program(tmp_path / "c++", "echo 'no <vector> here' >&2; exit 1")
    status, report = run(COURSE_BUILD_DIR=tmp_path, CXX=compiler)
    assert status == 1
    assert f"missing compiler {compiler} compiles no C++17: no <vector> here ->" in line(report, "compiler")


def python_that_says(folder: pathlib.Path, version: str, headers: bool, **packages: str) -> pathlib.Path:
    """A virtual environment whose Python answers doctor.py with this."""
    names = [
        re.match(r"[\w-]+", r)[0]
        for group in chapters.run_script(DOCTOR).requirements().values()
        for r in group
    ]
    versions = {name: packages.get(name.replace("-", "_")) for name in names}
    program(folder / "bin/python", f"echo '{json.dumps([version, True, headers, versions])}'")
    return folder


def test_an_empty_environment(tmp_path):
    status, report = run(VIRTUAL_ENV=python_that_says(tmp_path, "3.12.1", True, pytest="8.0.0", lit="17.0"))
    assert status == 1
    python = f"{tmp_path}/bin/python"
    assert line(report, "Python") == f"ok Python 3.12.1 in {python}, a virtual environment"
    assert line(report, "numpy") == f'missing numpy not installed -> {python} -m pip install "numpy>=1.26"'
    assert line(report, "pytest").startswith("missing pytest 8.0.0, the course asks for >=8.2 ->")
    assert line(report, "lit").startswith("note lit 17.0, the course asks for >=18 (for ./test.sh) ->")
    assert line(report, "matplotlib").startswith(
        "absent matplotlib not installed (for the chapters' plots) ->"
    )
    assert "--index-url https://download.pytorch.org/whl/cpu" in line(report, "torch")
    assert "extensions are made for one Python, and this is not it" in line(report, "the build's")
    missing = re.search(r"^Missing: (.*)\.$", report, re.M)[1].split(", ")
    assert {"numpy", "pybind11", "pytest", "hypothesis"} <= {*missing} and "torch" not in missing


def test_an_old_python_with_no_headers(tmp_path):
    status, report = run(VIRTUAL_ENV=python_that_says(tmp_path, "3.9.2", False))
    assert status == 1
    assert "3.9.2 in" in line(report, "Python") and "is older than 3.11 ->" in line(report, "Python")
    assert "python3-dev" in line(report, "Python.h")


def test_a_python_that_does_not_run(tmp_path):
    program(tmp_path / "bin/python", "echo cannot run; exit 1")
    status, report = run(VIRTUAL_ENV=tmp_path)
    assert status == 1 and "bin/python does not run: cannot run ->" in line(report, "Python")


# --- the build tree -----------------------------------------------------------------------------------------


def build_tree(folder: pathlib.Path, **variables: str) -> pathlib.Path:
    mlir = chapters.llvm_prefix() / "lib/cmake/mlir"
    variables = {
        "MLIR_DIR": mlir,
        "CMAKE_HOME_DIRECTORY": chapters.ROOT,
        "CMAKE_BUILD_TYPE": "Release",
    } | variables
    folder.mkdir()
    (folder / "CMakeCache.txt").write_text("".join(f"{k}:STRING={v}\n" for k, v in variables.items()))
    return folder


def test_no_build_tree(tmp_path):
    status, report = run(COURSE_BUILD_DIR=tmp_path / "none")
    assert status == 1
    assert line(report, "build tree").startswith(
        f"missing build tree {tmp_path}/none is not there -> cmake -G Ninja -S "
    )


def test_a_build_tree_of_another_folder(tmp_path):
    status, report = run(COURSE_BUILD_DIR=build_tree(tmp_path / "b", CMAKE_HOME_DIRECTORY="/elsewhere"))
    assert status == 1
    assert "was made for /elsewhere: this folder has moved -> rm -r " in line(report, "build tree")


def test_a_build_tree_whose_llvm_is_gone(tmp_path):
    status, report = run(
        COURSE_BUILD_DIR=build_tree(tmp_path / "b", MLIR_DIR=tmp_path / "gone/lib/cmake/mlir")
    )
    assert status == 1 and "gone/lib/cmake/mlir: that is not there any more" in line(report, "build tree")


def test_chapters_that_are_not_built_or_do_not_load(tmp_path):
    build = build_tree(tmp_path / "b")
    (build / "ch.1.Fixed-size").mkdir()
    (build / "ch.1.Fixed-size/ch1_fixed_size.so").write_text("no library")
    status, report = run(COURSE_BUILD_DIR=build)
    assert status == 1
    assert line(report, "build tree").startswith("ok build tree ")
    said = line(report, "ch.1.Fixed-size")
    assert said.startswith("missing ch.1.Fixed-size built, but `import ch1_fixed_size` fails: ImportError: ")
    assert "-> rm -r " in said
    assert re.match(
        r"missing ch\.11\.Attention not built -> cmake --build .* --target ch11$",
        line(report, "ch.11.Attention"),
    )


# --- before the set-up --------------------------------------------------------------------------------------


def copy_of_the_frame(folder: pathlib.Path) -> pathlib.Path:
    """A fresh checkout, as far as doctor.py looks at it."""
    copy = folder / "the course"
    (copy / "cmake").mkdir(parents=True)
    for file in ("doctor.py", "cmake/Compiler.cmake", "CMakePresets.json", "pyproject.toml"):
        shutil.copy(chapters.ROOT / file, copy / file)
    return copy


def run_copy(copy: pathlib.Path, **variables) -> tuple[int, str]:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("COURSE_BUILD_DIR", "VIRTUAL_ENV", "MLIR_DIR")
    }
    environment |= {name: str(value) for name, value in variables.items()}
    command = [sys.executable, "-I", copy / "doctor.py"]
    done = subprocess.run(command, env=environment, cwd=copy.parent, capture_output=True, text=True)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def test_in_a_fresh_checkout(tmp_path):
    copy = copy_of_the_frame(tmp_path)
    status, report = run_copy(copy)
    assert status == 1
    assert re.search(r"^Missing: .*build tree\.$", report, re.M), report
    assert sorted(p.name for p in copy.iterdir()) == [
        "CMakePresets.json",
        "cmake",
        "doctor.py",
        "pyproject.toml",
    ]
