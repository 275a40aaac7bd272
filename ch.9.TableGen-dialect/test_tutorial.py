"""The steps of TUTORIAL.md: each is built, and its tool does to its .mlir files what their CHECK lines say.

What TUTORIAL.md shows of them is checked by tests/test_docs.py.
"""

import fcntl
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

HERE = pathlib.Path(__file__).resolve().parent
TUTORIAL = HERE / "tutorial"
TOOLS = chapters.build_folder(HERE) / "tutorial"
STEPS = range(1, 10)
GENERATORS = {
    "-gen-dialect-decls": 1,
    "-gen-dialect-defs": 1,
    "-gen-op-decls": 1,
    "-gen-op-defs": 1,
    "-gen-op-doc": 1,
    "-gen-python-op-bindings": 1,
    "-gen-rewriters": 7,
    "-gen-op-interface-decls": 8,
    "-gen-op-interface-defs": 8,
    "-gen-pass-decls": 8,
}  # and the first step whose file has something for it
EXAMPLES = sorted(TUTORIAL.glob("step*/*.mlir"))


def run(*command: str | pathlib.Path) -> str:
    """What a command prints, chapters and steps on its PATH; it must succeed."""
    environment = chapters.environment()
    environment["PATH"] += os.pathsep + str(TOOLS)
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tblgen(step: int, generator: str) -> str:
    extra = ["-bind-dialect=nn"] if "python" in generator else []
    include = chapters.llvm_prefix() / "include"
    return run("mlir-tblgen", generator, *extra, "-I", include, TUTORIAL / f"step{step}" / "NN.td")


@pytest.fixture(scope="module")
def tools():
    """All steps, built: half a minute the first time, and nothing to do after that."""
    with open(chapters.BUILD / "tutorial.lock", "w") as lock:  # tutorial/opt may be building too
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("cmake", "--build", chapters.BUILD, "--target", "ch9-tutorial")


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("step", STEPS)
def test_every_td_file_is_read_by_every_generator(step, generator):
    assert step < GENERATORS[generator] or tblgen(step, generator).strip()


def test_each_step_has_what_the_one_before_had():
    """No op is lost on the way, and the last step's are ops of the chapter's own dialect."""
    names = [set(re.findall("^### `(.+?)`", tblgen(step, "-gen-op-doc"), re.M)) for step in STEPS]
    assert names[0] == set() and names[1] == {"nn.relu"}
    assert all(before <= after for before, after in zip(names, names[1:]))
    chapter = (HERE / "inc" / "ch9" / "NNOps.td").read_text()
    assert all(f'"{name.removeprefix("nn.")}"' in chapter for name in names[-1])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_example(example, tools):
    assert f"// RUN: nn{example.parent.name.removeprefix('step')}-opt" in example.read_text()
    run(sys.executable, "-c", "from lit.main import main; main()", "-v", example)


def test_every_step_has_an_example():
    assert {e.parent.name for e in EXAMPLES} == {f"step{step}" for step in STEPS}


def test_the_last_step_runs(tools):
    computed = [line.strip() for line in run("tutorial/run", "tutorial/run.mlir").splitlines()[1:]]
    assert computed == ["[[7,   0],", "[2,   3]]"]


def test_the_chapter_reads_what_the_last_step_reads():
    assert "llvm.func @main" in run("ch9-opt", "--ch9-pipeline", "tutorial/run.mlir")


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
