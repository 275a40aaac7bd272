#!/usr/bin/env python3
"""Installs the MLIR project's Python bindings (`import mlir.ir`) into .venv, built against the LLVM of the build tree.

    .venv/bin/python scripts/mlir-python/build.py            fetch, build, install; does nothing where `mlir` is there
    .venv/bin/python scripts/mlir-python/build.py --tarball llvm-toolchain-22_22.1.8.orig.tar.xz

Chapter 9 uses them to build IR of its own dialect in Python; nothing else in the course needs them. They must be built
against the same libMLIR.so as the chapters, or objects could not be handed from one to the other. The distribution has
no package of them, but its source package of LLVM has the code (about 200 MB to fetch, of which 19 MB are used). Takes
about two minutes on two idle cores after that.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters

NEEDED = ["nanobind>=2.9,<3", "numpy", "ml_dtypes", "PyYAML", "typing_extensions"]


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def run(*command, **options) -> subprocess.CompletedProcess:
    """Runs a command; where it fails, ends with its whole output."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nerror: `{' '.join(map(str, command))}` failed; its output is above.")
    return done


def is_installed() -> bool:
    return subprocess.run([sys.executable, "-c", "import mlir.ir"], stderr=subprocess.DEVNULL).returncode == 0


# --- The source -------------------------------------------------------------------------------------------


def source_lists(folder: pathlib.Path, release: str) -> None:
    """Writes this system's apt sources, as sources of source packages and of this Debian release, into `folder`."""
    own = re.search(r"^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
    apt = pathlib.Path("/etc/apt")
    for file in [apt / "sources.list", *(apt / "sources.list.d").glob("*")]:
        if file.suffix == ".sources":
            text = re.sub(r"^Types:.*$", "Types: deb-src", file.read_text(), flags=re.M)
        elif file.suffix == ".list" and file.is_file():
            text = re.sub(r"^deb ", "deb-src ", file.read_text(), flags=re.M)
        else:
            continue
        if re.search(rf"\b{own}\b", text):  # of the distribution itself, and no other project's
            (folder / file.name).write_text(re.sub(rf"\b{own}\b", release, text))


def fetch(llvm_major: int, work: pathlib.Path) -> pathlib.Path:
    """The source tarball of the installed LLVM, fetched by apt with lists of our own: the system's stay as they are."""
    package = run("dpkg-query", "-W", "-f=${source:Upstream-Version}", f"libmlir-{llvm_major}-dev").stdout
    name = f"llvm-toolchain-{llvm_major}"
    tarball = work / f"{name}_{package}.orig.tar.xz"
    advice = f"get {tarball.name} (or llvm-project-{package}.src.tar.xz) and name it with --tarball."
    if tarball.is_file():
        return tarball
    if shutil.which("apt-get") is None:
        sys.exit(f"error: this system has no apt to fetch LLVM's source; {advice}")
    say(f"Fetching the source of {name} (about 200 MB)")
    own = re.search(r"^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
    for release in dict.fromkeys([own, "trixie"]):  # a mirror may keep the sources of the newest release only
        parts, lists = work / release / "sources.d", work / release / "lists"
        for folder in (parts, lists / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        source_lists(parts, release)
        options = ["-o", f"Dir::State::lists={lists}", "-o", "Dir::Etc::sourcelist=/dev/null"]
        options += ["-o", f"Dir::Etc::sourceparts={parts}", "-o", "APT::Sandbox::User=root", "-q"]
        subprocess.run(["apt-get", *options, "update"], capture_output=True)
        command = ["apt-get", *options, "source", "--download-only", "--tar-only", name]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        if tarball.is_file():
            return tarball
    sys.exit(f"{done.stdout}{done.stderr}\nerror: apt has no source of {name} {package}; {advice}")


def unpack(tarball: pathlib.Path, target: pathlib.Path) -> None:
    """Only what the bindings are made of, out of the whole of LLVM."""
    say("Unpacking the bindings")
    wanted = re.compile(r"[^/]+/mlir/((?:python|lib/Bindings/Python|include)/.*)")
    with tarfile.open(tarball, "r|xz") as tar:
        for member in tar:
            hit = wanted.fullmatch(member.name)
            if hit and member.isfile():
                file = target / hit[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(tar.extractfile(member).read())


# --- The build --------------------------------------------------------------------------------------------

AGGREGATE = """  # A distribution has no object libraries to aggregate: libMLIRCAPI*.a on top of libMLIR.so.
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp" "")
  add_library(${name} SHARED "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  set(_files)
  foreach(l ${_embed_libs})
    list(APPEND _files "$<TARGET_FILE:${l}>")
  endforeach()
  target_link_libraries(${name} PRIVATE "-Wl,--whole-archive" ${_files} "-Wl,--no-whole-archive" PUBLIC MLIR LLVM)

"""


def patch(source: pathlib.Path, llvm: pathlib.Path) -> None:
    """The bindings expect LLVM's own build tree; here is a distribution's, with one shared library."""
    lists = source / "mlir-src" / "python" / "CMakeLists.txt"
    lists.write_text(re.sub(r"^(\s+)LLVMSupport$", r"\1LLVM", lists.read_text(), flags=re.M))
    text = (llvm / "lib" / "cmake" / "mlir" / "AddMLIRPython.cmake").read_text()
    text = re.sub(r"^(\s+)LLVMSupport$", r"\1LLVM", text, flags=re.M)
    begin = text.index("  # Generate the aggregate .so that everything depends on.")
    end = text.index("  # Process any headers associated with the library")
    (source / "cmake").mkdir(exist_ok=True)
    (source / "cmake" / "AddMLIRPython.cmake").write_text(text[:begin] + AGGREGATE + text[end:])


def build(source: pathlib.Path, work: pathlib.Path, llvm: pathlib.Path, jobs: int) -> pathlib.Path:
    """Returns the folder that holds the package `mlir`."""
    say("Building the bindings (a few minutes)")
    compilers = [f"-DCMAKE_C{x}_COMPILER={llvm}/bin/clang{y}" for x, y in (("", ""), ("XX", "++"))]
    if not (llvm / "bin" / "clang++").exists():
        compilers = []
    definitions = [f"-DMLIR_DIR={llvm}/lib/cmake/mlir", f"-DPython3_EXECUTABLE={sys.executable}"]
    definitions += [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
    run("cmake", "-S", source, "-B", work / "build", "-G", "Ninja", *definitions, *compilers)
    run("cmake", "--build", work / "build", "--parallel", str(jobs))
    run(
        "cmake",
        "--install",
        work / "build",
        "--prefix",
        work / "stage",
        "--component",
        "MLIRPythonModules",
        "--strip",
    )
    package = work / "stage" / "python_packages" / "mlir_core"
    shutil.rmtree(package / "mlir" / "_mlir_libs" / "include", ignore_errors=True)
    return package


SETUP = """
from setuptools import find_namespace_packages, setup
from setuptools.dist import Distribution

class Binary(Distribution):
    def has_ext_modules(self):
        return True

setup(name="mlir-python-bindings", version="{version}+distribution", distclass=Binary, python_requires=">=3.10",
      packages=find_namespace_packages(include=["mlir*"]), package_data={{"": ["*.so", "*.pyi", "py.typed"]}},
      install_requires=["numpy", "ml_dtypes", "PyYAML", "typing_extensions"])
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tarball", type=pathlib.Path, help="LLVM's source, of the installed version")
    parser.add_argument("--work", type=pathlib.Path, help="keep the sources and the build in this folder")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if is_installed():
        say("mlir.ir is there already.")
        return 0
    llvm = chapters.llvm_prefix()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or pathlib.Path(temporary)).resolve()
        source = work / "source"
        source.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "pip", "install", "-q", *NEEDED, "setuptools", "wheel")
        if not (source / "mlir-src").is_dir():
            unpack(arguments.tarball or fetch(chapters.llvm_major(), work), source / "unpacking")
            (source / "unpacking").rename(source / "mlir-src")
        shutil.copy(pathlib.Path(__file__).parent / "CMakeLists.txt", source)
        patch(source, llvm)
        package = build(source, work, llvm, arguments.jobs)
        version = run(llvm / "bin" / "llvm-config", "--version").stdout.strip()
        (package / "setup.py").write_text(SETUP.format(version=version))
        run(sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", package)
    if not is_installed():
        sys.exit(
            "error: the bindings were built and installed, but `import mlir.ir` fails; try it to see why."
        )
    say("Installed: `import mlir.ir` works in this environment.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
