"""Small programs that fail, each with one of the errors that learners meet, and the line that puts it right.

    python3 run.py                 the programs
    python3 run.py NAME            runs one and prints what is said
    python3 run.py --fix NAME      prints the line to change
    python3 run.py --fixed NAME    runs it with that line

A program is one file. Its first comment says what is wrong; after that

    // says: TEXT       what is printed, among other things (several of these: in this order)
    // run: COMMAND     how to run a .mlir file, %s being its name (.py and .cpp need none)
    // instead: LINE    what should stand in place of the line above
    // insert: LINE     what should stand here

README.md explains each, and is sorted by what is said.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # finds the build tree

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 120
MARKER = re.compile(r"(?P<indent>\s*)(?://|#) (?P<what>instead|insert): (?P<line>.*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A program that fails: its file, and what its comments say."""

    file: pathlib.Path
    title: str
    says: list[str]
    broken: str  # the file as it is
    fixed: str  # with the line that puts it right
    fix: list[str]  # the lines taken away ("-…") and put in ("+…")

    @property
    def name(self) -> str:
        return self.file.stem


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    status: int
    output: str  # stdout and stderr


def read(file: pathlib.Path) -> Case:
    text = file.read_text()
    fixed, fix = [], []
    for line in text.splitlines():
        marker = MARKER.fullmatch(line)
        if marker is None:
            fixed.append(line)
            continue
        if marker["what"] == "instead":
            fix.append("-" + fixed.pop())
        comment = "// " if marker["line"].startswith("run: ") else ""
        fixed.append(marker["indent"] + comment + marker["line"])
        fix.append("+" + fixed[-1])
    return Case(
        file,
        title=text.splitlines()[0].removeprefix("//").strip(' "'),
        says=re.findall(r"^(?://|#) says: (.*)$", text, re.M),
        broken=text,
        fixed="\n".join(fixed) + "\n",
        fix=fix,
    )


def cases() -> dict[str, Case]:
    """All programs, by name."""
    files = [f for f in HERE.iterdir() if f.suffix in (".mlir", ".py", ".cpp")]
    return {f.stem: read(f) for f in sorted(files) if f.stem not in ("run", "compiled")}


# --- running ------------------------------------------------------------------------------------------------


@functools.cache
def compiler() -> list[str]:
    """The command with which the build compiles a file of chapter 1, without the file."""
    commands = json.loads((chapters.BUILD / "compile_commands.json").read_text())
    entry = next(c for c in commands if "/ch.1.Fixed-size/src/" in c["file"])
    words = shlex.split(entry["command"])
    for option in ("-o", "-c"):
        at = words.index(option)
        del words[at : at + 2]
    return words


def environment() -> dict[str, str]:
    """For the programs: the chapters and this folder importable, LLVM's tools on PATH; LLVM: its folder, CXX: the
    compiler of the build."""
    variables = chapters.environment()
    (compiler_found,) = chapters.BUILD.glob("CMakeFiles/*/CMakeCXXCompiler.cmake")
    return variables | {
        "PYTHONPATH": f"{HERE}{os.pathsep}{variables['PYTHONPATH']}",
        "LLVM": str(chapters.llvm_prefix()),
        "CXX": re.search(r'^set\(CMAKE_CXX_COMPILER "(.*)"\)$', compiler_found.read_text(), re.M)[1],
    }


def command_of(case: Case, text: str) -> str:
    """The shell command that runs the program, in the folder it is in."""
    name = case.file.name
    if case.file.suffix == ".mlir":
        return re.search(r"^// run: (.*)$", text, re.M)[1].replace("%s", name)
    if case.file.suffix == ".py":
        return f"{shlex.quote(sys.executable)} {name}"
    libraries = ["-L$LLVM/lib", "-Wl,-rpath,$LLVM/lib", "-lMLIR", "-lLLVM"]
    return (
        f'{shlex.join(compiler())} -c {name} -o program.o && "$CXX" program.o -o program '
        + " ".join(f'"{library}"' for library in libraries)
        + " && ./program"
    )


def run(case: Case, fixed: bool = False) -> Result:
    """Runs the program, as it is or with the line that puts it right."""
    text = case.fixed if fixed else case.broken
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, case.file.name).write_text(text)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command_of(case, text)],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
    return Result(done.returncode, done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--fix", action="store_true", help="print the line to change")
    how.add_argument("--fixed", action="store_true", help="run the program with that line")
    parser.add_argument("name", nargs="?", metavar="NAME")
    arguments = parser.parse_args()
    known = cases()
    if arguments.name is None:
        width = max(map(len, known))
        for name, case in known.items():
            print(f"{name:{width}}  {case.title}")
        return 0
    if arguments.name not in known:
        print(f"There is no program {arguments.name!r}. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    case = known[arguments.name]
    if arguments.fix:
        print(*case.fix, sep="\n")
        return 0
    result = run(case, arguments.fixed)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `run.py NAME | head` just ends
    print(result.output.strip())
    # A program that fails has done what it is here for.
    return int((result.status == 0) != arguments.fixed)


if __name__ == "__main__":
    raise SystemExit(main())
