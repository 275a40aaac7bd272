#!/usr/bin/env python3
"""Looks at this machine and says what the course finds on it, and what to do about anything missing.

    python3 doctor.py              what is there, and what is not
    python3 doctor.py --json       the same for a program
    python3 doctor.py --llvm DIR   look for LLVM/MLIR in this folder and nowhere else

It changes nothing and needs nothing: any Python from 3.8 on, before or after the set-up. The exit status is 0 when
everything is there that chapters are built, run and tested with; what is only useful does not count.

Which versions the course supports is read from its own files: cmake/Compiler.cmake, CMakePresets.json, pyproject.toml.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import glob
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("COURSE_BUILD_DIR") or ROOT / "build" / "x64-release")
TIMEOUT_S = 60

# How to configure and build there.
if BUILD.parent == ROOT / "build":
    SHOWN = f"build/{BUILD.name}"
    CONFIGURE, BUILD_ALL = f"cmake --preset {BUILD.name}", f"cmake --build --preset {BUILD.name}"
else:
    SHOWN = str(BUILD)
    CONFIGURE, BUILD_ALL = f"cmake -G Ninja -S {ROOT} -B {BUILD}", f"cmake --build {BUILD}"
ANEW = f"rm -r {SHOWN}; {CONFIGURE} && {BUILD_ALL}"


class Check:
    """One thing that was looked for.

    state: ok; missing (something does not work without it); absent (useful, not needed); note (there, but …).
    """

    def __init__(self, group: str, name: str, state: str, found: str, advice: str = ""):
        self.group, self.name, self.state, self.found, self.advice = group, name, state, found, advice


# --- what the course says about itself --------------------------------------------------------------------


def numbers(version: str) -> tuple:
    """(3, 21, 1) for "3.21.1+cpu": for comparing."""
    return tuple(int(n) for n in re.findall(r"\d+", version.split("+")[0])[:3])


def text_of(*path: str) -> str:
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def llvm_versions() -> list:
    """["22", "21"]: the preferred one first."""
    return (
        re.search(r"set\(COURSE_LLVM_VERSIONS ([\d ]+)\)", text_of("cmake", "Compiler.cmake"))
        .group(1)
        .split()
    )


def cmake_needed() -> str:
    needed = json.loads(text_of("CMakePresets.json"))["cmakeMinimumRequired"]
    return f"{needed['major']}.{needed['minor']}"


def python_needed() -> str:
    return re.search(r'requires-python = ">=([\d.]+)"', text_of("pyproject.toml")).group(1)


def requirements() -> dict:
    """{extra: ["numpy>=1.26", …]} of pyproject.toml, "" for what every chapter needs."""
    text = text_of("pyproject.toml")
    (always,) = re.findall(r"^dependencies = (\[.*?\])", text, re.M)
    section = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    lists = {"": always, **dict(re.findall(r"^(\w+) = (\[.*\])", section, re.M))}
    return {extra: json.loads(line) for extra, line in lists.items()}


# --- finding things -----------------------------------------------------------------------------------------


def run(*command, **options):
    """(exit status, what it printed); (None, why) where it could not be run. A crash is a negative status."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=None if "input" in options else subprocess.DEVNULL,
            text=True,
            timeout=TIMEOUT_S,
            **options,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    return done.returncode, done.stdout


def version_of(program) -> str:
    """The first number with a dot that `program --version` prints; "" where it cannot be run."""
    status, output = run(program, "--version")
    found = re.search(r"\d+\.\d+[.\d]*", output) if status == 0 else None
    return found.group(0) if found else ""


def search_path() -> str:
    """PATH, and after it the programs of the course's own environment."""
    return os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".venv" / "bin")])


class Llvm:
    """An LLVM in a folder: its version ("22.1.8"), and what the course uses of it."""

    def __init__(self, prefix: pathlib.Path):
        self.prefix = prefix
        config = prefix / "lib" / "cmake" / "llvm" / "LLVMConfigVersion.cmake"
        found = re.search(r'PACKAGE_VERSION "([\d.]+)', config.read_text()) if config.is_file() else None
        named = re.search(r"llvm-(\d+)$", prefix.name)
        self.version = found.group(1) if found else named.group(1) if named else ""
        self.has_headers = found is not None
        self.has_mlir = (prefix / "lib" / "cmake" / "mlir" / "MLIRConfig.cmake").is_file()
        self.has_libraries = bool(glob.glob(f"{prefix}/lib*/libMLIR.so*"))

    @property
    def major(self) -> str:
        return self.version.split(".")[0]

    @property
    def supported(self) -> bool:
        return self.major in llvm_versions()

    @property
    def usable(self) -> bool:
        return self.supported and self.has_headers and self.has_mlir and self.has_libraries


def llvms(named: list) -> list:
    """Every LLVM there is: the one of the build tree or of MLIR_DIR first, then the preferred versions. With
    `named`, those folders only."""
    folders = [prefix_of(cache().get("MLIR_DIR")), prefix_of(os.environ.get("MLIR_DIR"))]
    folders = [folder.resolve() for folder in folders if folder]
    folders += [pathlib.Path(f"/usr/lib/llvm-{version}") for version in llvm_versions()]
    others = glob.glob("/usr/lib/llvm-*") + glob.glob("/usr/lib64/llvm*") + glob.glob("/opt/llvm*")
    folders += [pathlib.Path(f) for f in sorted(others)] + [pathlib.Path("/usr/local"), pathlib.Path("/usr")]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for program in glob.glob(os.path.join(folder, "mlir-opt*")):
            folders.append(pathlib.Path(program).resolve().parents[1])
    if named:
        folders = [pathlib.Path(folder).resolve() for folder in named]
    found = [Llvm(folder) for folder in dict.fromkeys(folders) if folder.is_dir()]
    return [llvm for llvm in found if llvm.version]


def prefix_of(mlir_dir: str):
    """The folder of an LLVM whose MLIR_DIR is given, None where it can be none."""
    found = re.match(r"(/.*)/lib[^/]*/cmake/mlir/?$", mlir_dir or "")
    return pathlib.Path(found.group(1)) if found else None


def cache() -> dict:
    """The variables of the build tree, empty without one."""
    file = BUILD / "CMakeCache.txt"
    if not file.is_file():
        return {}
    return dict(re.findall(r"^(\w+):\w+=(.*)$", file.read_text(), re.M))


def python() -> pathlib.Path:
    """The Python that CMake takes: of the active virtual environment, of ./.venv, else the one that runs this."""
    active = os.environ.get("VIRTUAL_ENV")
    for folder in ([pathlib.Path(active)] if active else []) + [ROOT / ".venv"]:
        if (folder / "bin" / "python").exists():
            return folder / "bin" / "python"
    return pathlib.Path(sys.executable)


def apt(*packages: str) -> str:
    """How to get packages, by their names in Debian."""
    if shutil.which("apt-get"):
        return "sudo apt-get install " + " ".join(packages)
    return "install what these Debian packages hold: " + " ".join(packages)


# --- the checks ---------------------------------------------------------------------------------------------


def check_llvm(found: list):
    """Yields checks; the LLVM that the course would be built with comes back by `return`."""
    group, versions = "LLVM and MLIR", llvm_versions()
    usable = [llvm for llvm in found if llvm.usable]
    supported = [llvm for llvm in found if llvm.supported]
    if usable:
        used = usable[0]
        yield Check(group, "LLVM, MLIR", "ok", f"{used.version} in {used.prefix}")
    elif supported:
        used = supported[0]
        lacking = [
            what
            for what, there in [
                ("headers", used.has_headers),
                ("MLIR's CMake files", used.has_mlir),
                ("libMLIR.so", used.has_libraries),
            ]
            if not there
        ]
        advice = apt(
            *(f"{p}-{used.major}{s}" for p, s in [("llvm", "-dev"), ("libmlir", "-dev"), ("mlir", "-tools")])
        )
        yield Check(
            group,
            "LLVM, MLIR",
            "missing",
            f"{used.version} in {used.prefix} lacks {', '.join(lacking)}",
            advice,
        )
    else:
        used = None
        newest = versions[0]
        there = ", ".join(f"{llvm.version} in {llvm.prefix}" for llvm in found)
        yield Check(
            group,
            "LLVM, MLIR",
            "missing",
            f"no {' or '.join(versions)}" + (f"; there is only {there}" if found else " was found"),
            apt(
                f"llvm-{newest}-dev",
                f"libmlir-{newest}-dev",
                f"mlir-{newest}-tools",
                f"clang-{newest}",
                f"lld-{newest}",
                f"libomp-{newest}-dev",
            )
            + ". Elsewhere? python3 doctor.py --llvm DIR",
        )
    for llvm in found:
        if llvm is not used and used:
            why = "" if llvm.supported else f", which the course does not follow ({' and '.join(versions)})"
            yield Check(group, "also there", "note", f"{llvm.version} in {llvm.prefix}{why}")
    for tool, package, needed in [
        ("mlir-tblgen", "mlir-{}-tools", "missing"),
        ("mlir-opt", "mlir-{}-tools", "missing"),
        ("mlir-translate", "mlir-{}-tools", "missing"),
        ("FileCheck", "llvm-{}-tools", "missing"),
        ("mlir-runner", "mlir-{}-tools", "absent"),
    ]:
        if used is None:
            break
        path = used.prefix / "bin" / tool
        if path.exists():
            yield Check(group, tool, "ok", str(path))
        else:
            yield Check(group, tool, needed, f"not in {path.parent}", apt(package.format(used.major)))
    return used


def check_compiler(llvm):
    group = "C++"
    recorded = ""
    for file in BUILD.glob("CMakeFiles/*/CMakeCXXCompiler.cmake"):
        recorded = re.search(r'^set\(CMAKE_CXX_COMPILER "(.*)"\)$', file.read_text(), re.M).group(1)
    clang = llvm.prefix / "bin" / "clang++" if llvm else None
    candidates = [
        (recorded, "the build's"),
        (os.environ.get("CXX"), "named by CXX"),
        (clang and clang.exists() and clang, "of the same LLVM"),
        (shutil.which("c++"), "the system's"),
        (shutil.which("g++"), "the system's"),
    ]
    compiler, whose = next(((c, w) for c, w in candidates if c), (None, ""))
    major = llvm.major if llvm else llvm_versions()[0]
    if compiler is None:
        yield Check(group, "compiler", "missing", "none was found", apt(f"clang-{major}", f"lld-{major}"))
        return
    status, said = run(compiler, "-std=c++17", "-fsyntax-only", "-x", "c++", "-", input="#include <vector>\n")
    if status == 0:
        yield Check(group, "compiler", "ok", f"{compiler} {version_of(compiler)}, {whose}")
    else:
        why = said.strip().splitlines()[0] if said.strip() else "no reason given"
        advice = apt(f"clang-{major}", "g++") + ", or name another with CXX=…"
        yield Check(group, "compiler", "missing", f"{compiler} compiles no C++17: {why}", advice)
    if clang and not clang.exists():
        yield Check(
            group, "clang", "absent", "a build takes three times as long without it", apt(f"clang-{major}")
        )
    lld = llvm and llvm.prefix / "bin" / "ld.lld"
    if lld and not lld.exists():
        yield Check(group, "lld", "absent", "linking takes longer without it", apt(f"lld-{major}"))
    elif lld:
        yield Check(group, "lld", "ok", str(lld))
    status, said = run(compiler, "-E", "-x", "c++", "-", input="#include <ffi.h>\n")
    header = status == 0 or os.path.exists(os.path.join(cache().get("FFI_INCLUDE_DIR", ""), "ffi.h"))
    if header:
        yield Check(group, "libffi", "ok", "ffi.h is found (chapter 8)")
    else:
        yield Check(group, "libffi", "missing", "ffi.h is not found (chapter 8)", apt("libffi-dev"))
    libomp = llvm and glob.glob(f"{llvm.prefix}/lib/libomp.so*")
    if libomp:
        yield Check(group, "libomp", "ok", sorted(libomp)[0])
    else:
        yield Check(
            group, "libomp", "absent", "everything runs on one thread without it", apt(f"libomp-{major}-dev")
        )


def check_tools():
    group = "CMake"
    cmake, needed = shutil.which("cmake", path=search_path()), cmake_needed()
    version = version_of(cmake) if cmake else ""
    advice = f'{apt("cmake")}, or: {python()} -m pip install "cmake>={needed}"'
    if not version:
        yield Check(group, "CMake", "missing", "not on PATH", advice)
    elif numbers(version) < numbers(needed):
        yield Check(group, "CMake", "missing", f"{version} in {cmake} is older than {needed}", advice)
    else:
        yield Check(group, "CMake", "ok", f"{version} in {cmake}")
    ninja = shutil.which("ninja", path=search_path())
    if ninja:
        yield Check(group, "Ninja", "ok", f"{version_of(ninja)} in {ninja}")
    else:
        yield Check(group, "Ninja", "missing", "not on PATH", apt("ninja-build"))
    ccache = shutil.which("ccache")
    if ccache:
        yield Check(group, "ccache", "ok", f"{version_of(ccache)} in {ccache}")
    else:
        yield Check(group, "ccache", "absent", "makes a second build from nothing quick", apt("ccache"))


# Run by the course's Python, whichever that is.
ASK_PYTHON = """
import json, os, sys, sysconfig
from importlib import metadata
versions = {}
for name in sys.argv[1:]:
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        versions[name] = None
headers = os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
print(json.dumps([sys.version.split()[0], sys.prefix != sys.base_prefix, headers, versions]))
"""


def fits(version: str, requirement: str) -> bool:
    """Whether a version is what "name>=1.2" or "name==1.2" asks for."""
    name, relation, wanted = re.fullmatch(r"([\w-]+)(?:\[.*\])?(>=|==)([\w.]+)", requirement).groups()
    return numbers(version) == numbers(wanted) if relation == "==" else numbers(version) >= numbers(wanted)


def check_python():
    group, interpreter, needed = "Python", python(), python_needed()
    lists = requirements()
    # What the two ways of the README install: all of [run] for ./run.sh, all of [test] for ./test.sh.
    by_hand = ("pybind11", "pytest", "hypothesis")
    wanted = {}  # name: (requirement, the first extra that asks for it)
    for extra, lines in lists.items():
        for line in lines:
            name = re.match(r"[\w-]+", line).group(0)
            if name != "mlir-course":
                wanted.setdefault(name, (line, extra))
    status, said = run(interpreter, "-c", ASK_PYTHON, *wanted)
    try:
        version, in_environment, headers, versions = json.loads(said)
    except ValueError:
        why = said.strip().splitlines()[-1] if said.strip() else f"status {status}"
        yield Check(
            group, "Python", "missing", f"{interpreter} does not run: {why}", "remove .venv and set up again"
        )
        return
    where = f"{version} in {interpreter}" + (", a virtual environment" if in_environment else "")
    if numbers(version) < numbers(needed):
        advice = f"make .venv with Python {needed} or newer: python3.12 -m venv .venv (Debian: python3-venv)"
        yield Check(group, "Python", "missing", f"{where}, is older than {needed}", advice)
    else:
        yield Check(group, "Python", "ok", where)
    if not headers:
        yield Check(
            group, "Python.h", "missing", "the headers of this Python are not there", apt("python3-dev")
        )
    built_for = cache().get("_Python_EXECUTABLE")
    if built_for and os.path.realpath(built_for) != os.path.realpath(str(interpreter)):
        yield Check(
            group,
            "the build's",
            "note",
            f"{built_for}: extensions are made for one Python, and this is not it",
            f"{CONFIGURE} -DPython_EXECUTABLE={interpreter} && {BUILD_ALL}",
        )
    pip = f"{interpreter} -m pip install"
    for name, (requirement, extra) in wanted.items():
        needed_here = extra == "" or name in by_hand
        quoted = f'"{requirement}"'
        why = "" if needed_here else f" (for {PURPOSE.get(extra, extra)})"
        advice = f"{pip} {quoted}"
        if name == "torch":
            advice += " --index-url https://download.pytorch.org/whl/cpu"
        if versions[name] is None:
            yield Check(group, name, "missing" if needed_here else "absent", f"not installed{why}", advice)
        elif not fits(versions[name], requirement):
            wish = requirement[len(name) :]
            state = "missing" if needed_here else "note"
            yield Check(group, name, state, f"{versions[name]}, the course asks for {wish}{why}", advice)
        else:
            yield Check(group, name, "ok", versions[name] + why)


PURPOSE = {
    "run": "./run.sh",
    "serve": "./run.sh --serve",
    "ray": "several engines behind one address, in ch.16",
    "cuda": "ch.15's kernels on an NVIDIA GPU",
    "gpt": "models of other people's, and to compare with",
    "plot": "the chapters' plots",
    "train": "training, and to compare with",
    "lint": "scripts/lint.sh",
    "build": "pip install .",
    "test": "./test.sh",
}


def chapter_number(folder: pathlib.Path) -> int:
    return int(folder.name.split(".")[1])


def check_build():
    group, variables = "Chapters", cache()
    sources = sorted((p.parent for p in ROOT.glob("ch.*/CMakeLists.txt")), key=chapter_number)
    if not variables:
        yield Check(group, "build tree", "missing", f"{SHOWN} is not there", f"{CONFIGURE} && {BUILD_ALL}")
        return
    home = variables.get("CMAKE_HOME_DIRECTORY", "")
    if os.path.realpath(home) != str(ROOT):
        yield Check(
            group, "build tree", "missing", f"{SHOWN} was made for {home}: this folder has moved", ANEW
        )
        return
    mlir_dir = variables.get("MLIR_DIR", "")
    llvm = Llvm(prefix_of(mlir_dir)) if prefix_of(mlir_dir) else None
    kind = variables.get("CMAKE_BUILD_TYPE", "")
    sanitizers = variables.get("COURSE_SANITIZE", "")
    made = f"{SHOWN}, {kind}, with LLVM {llvm.version if llvm else '?'}" + (
        f", -fsanitize={sanitizers}" if sanitizers else ""
    )
    if llvm is None or not llvm.usable:
        yield Check(group, "build tree", "missing", f"{made} of {mlir_dir}: that is not there any more", ANEW)
        return
    yield Check(group, "build tree", "ok", made)

    # Ninja only says what it would do.
    ninja = shutil.which("ninja", path=search_path())
    status, said = run(ninja, "-C", BUILD, "-n") if ninja else (None, "")
    if status == 0 and "no work to do" not in said:
        yield Check(group, "up to date", "note", "sources have changed since they were built", BUILD_ALL)

    folders = [str(f) for source in sources for f in (source, BUILD / source.name)]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(folders))

    def look(source: pathlib.Path) -> Check:
        name, target = source.name, f"ch{chapter_number(source)}"
        extensions = list((BUILD / source.name).glob(f"{target}_*.so"))
        if not extensions:
            return Check(group, name, "missing", "not built", f"{BUILD_ALL} --target {target}")
        if sanitizers:
            return Check(group, name, "ok", "built; scripts/sanitize.sh runs it")
        module = extensions[0].name.split(".")[0]
        status, said = run(python(), "-c", f"import {module}", env=environment)
        if status == 0:
            return Check(group, name, "ok", "built, and can be imported")
        why = said.strip().splitlines()[-1] if said.strip() else f"the process ended with {status}"
        return Check(
            group,
            name,
            "missing",
            f"built, but `import {module}` fails: {why}",
            ANEW,
        )

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield from pool.map(look, sources)


def examine(named: list) -> list:
    """All checks, in the order in which things are needed."""
    checks = []
    llvm_checks = check_llvm(llvms(named))
    while True:
        try:
            checks.append(next(llvm_checks))
        except StopIteration as end:
            llvm = end.value
            break
    for part in (check_compiler(llvm), check_tools(), check_python(), check_build()):
        checks += part
    return checks


# --- printing -----------------------------------------------------------------------------------------------


def system() -> str:
    try:
        release = dict(re.findall(r'^(\w+)="?(.*?)"?$', pathlib.Path("/etc/os-release").read_text(), re.M))
        name = release.get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    return f"{name}, {platform.machine()}, {os.cpu_count()} processors"


def supports() -> str:
    return (
        f"The course follows LLVM/MLIR {' and '.join(llvm_versions())}, with Python {python_needed()} or newer and "
        f"CMake {cmake_needed()} or newer."
    )


def report(checks: list) -> str:
    lines = [supports(), f"This machine: {system()}."]
    width = max(len(check.name) for check in checks)
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            lines += ["", group]
        lines.append(f"  {check.state:7}  {check.name:{width}}  {check.found}".rstrip())
        if check.advice:
            lines.append(f"  {'':7}  {'':{width}}  -> {check.advice}")
    missing = [check.name for check in checks if check.state == "missing"]
    lines.append("")
    if missing:
        lines.append(f"Missing: {', '.join(missing)}.")
        lines.append(
            "./test.sh --setup-only installs and builds all of it; the lines with -> do it one by one."
        )
    else:
        lines.append("Everything is there that chapters are built, run and tested with.")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--llvm", metavar="DIR", action="append", default=[], help="e.g. /usr/lib/llvm-22")
    arguments = parser.parse_args()
    checks = examine(arguments.llvm)
    complete = not any(check.state == "missing" for check in checks)
    if arguments.json:
        found = {
            "supports": supports(),
            "system": system(),
            "complete": complete,
            "checks": [vars(c) for c in checks],
        }
        print(json.dumps(found, indent=1))
    else:
        print(report(checks))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
