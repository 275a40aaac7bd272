"""Each program of tests/broken still fails with its message, its one line puts it right, and its README lists it."""

import dataclasses
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters

broken = chapters.run_script(chapters.ROOT / "tests/broken/run.py")
CASES = broken.cases()
README = (broken.HERE / "README.md").read_text()


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def missing(case, output: str) -> list[str]:
    """Which of the sentences in the program's comment the output lacks, in their order."""
    lacks, at = [], 0
    for sentence in case.says:
        found = output.find(sentence, at)
        if found < 0:
            lacks.append(sentence)
        at = max(at, found + len(sentence))
    return lacks


def test_there_are_programs():
    assert len(CASES) >= 15


def test_it_fails_with_its_message(case):
    assert case.says, f"{case.file.name} does not say what is said"
    result = broken.run(case)
    assert result.status == 1, f"status {result.status}\n{result.output}"
    assert not missing(case, result.output), result.output


def test_the_fix_works(case):
    result = broken.run(case, fixed=True)
    assert result.status == 0, result.output
    assert "error" not in result.output.lower(), result.output
    assert not any(sentence in result.output for sentence in case.says), result.output


def test_the_fix_is_one_line(case):
    removed = [line for line in case.fix if line.startswith("-")]
    added = [line for line in case.fix if line.startswith("+")]
    assert len(added) == 1 and len(removed) <= 1, case.fix
    assert removed != added
    # A line of the program, not of what is said about it.
    assert not re.match(r"[-+]\s*(//|#) (?!run: )", added[0])


def test_it_is_small_and_says_what_is_wrong(case):
    assert len(case.broken.splitlines()) <= 35
    assert re.fullmatch(r"[A-Z].{20,}\.", case.title), case.title


@pytest.mark.parametrize(
    "line, said",
    [
        (
            "b.create<arith::ConstantOp>(loc, b.getF32FloatAttr(1.0f));",
            "but it isn't known in this MLIRContext",
        ),
        ("LLVM::LLVMPointerType::get(&context);", "^$|storage uniquer isn't initialized"),
    ],
)
def test_the_other_faces_of_a_dialect_that_is_not_loaded(line, said):
    """What README.md says under `context` about the older spelling and about types: the process ends."""
    case = CASES["context"]
    made = "arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1.0f));"
    assert case.broken.count(made) == 1
    text = '#include "mlir/Dialect/LLVMIR/LLVMTypes.h"\n' + case.broken.replace(made, line)
    result = broken.run(dataclasses.replace(case, broken=text))
    assert result.status < 0 or result.status > 128, f"{result.status}: {result.output}"  # ended by a signal
    assert re.search(said, result.output), result.output


# --- the README ---------------------------------------------------------------------------------------------


def rows() -> list[tuple[str, list[str]]]:
    """(what is said, [program]) of the table."""
    found = re.findall(r"^\| (.*) \| (\[.*\]\(#.*\)) \|$", README, re.M)
    return [(said, re.findall(r"\[(\w+)\]\(#\1\)", programs)) for said, programs in found]


def test_readme_lists_every_program():
    assert {name for _, programs in rows() for name in programs} == set(CASES)
    assert sorted(re.findall(r"^### (\w+)$", README, re.M)) == sorted(CASES)


def test_readme_quotes_what_is_said():
    """A reader who looks for the message finds it: each piece in code, up to its `…`, is in the program's comment."""
    for said, programs in rows():
        if said.startswith("nothing"):
            continue
        pieces = [a or b for a, b in re.findall(r"``(.+?)``|`(.+?)`", said)]
        for name in programs:
            sentence = " ".join(CASES[name].says)
            quoted = [
                all(part in sentence for part in re.split(r"\s*…\s*", piece) if part) for piece in pieces
            ]
            assert any(quoted), f"{name} says {sentence!r}; the table has {pieces}"


def test_readme_shows_message_and_fix_of_every_program():
    for name in CASES:
        section = README.split(f"\n### {name}\n")[1].split("\n### ")[0]
        commands = re.findall(r"<!-- output: python3 run\.py (.*?) -->", section)
        assert commands[0].split()[0] == name and commands[1] == f"--fix {name}", commands


# --- the command --------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, broken.__file__, *arguments], capture_output=True, text=True)


def test_command():
    listed = command()
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted(CASES)
    said = command("scope")
    assert (said.returncode, said.stderr) == (0, "") and "undeclared" in said.stdout
    assert command("--fix", "scope").stdout == "-  return %next : f32\n+  return %sum : f32\n"
    fixed = command("--fixed", "scope")
    assert fixed.returncode == 0 and "return" in fixed.stdout


def test_a_program_that_is_not_there():
    done = command("scoop")
    assert done.returncode == 2 and done.stderr.startswith("There is no program 'scoop'. There are: anchor, ")


def test_a_program_that_does_not_fail_is_noticed(tmp_path):
    file = tmp_path / "fine.mlir"
    file.write_text(
        "// Nothing is wrong here at all.\n// run: mlir-opt %s\n// says: error\n// insert: // run:\n"
    )
    result = broken.run(broken.read(file))
    assert result.status == 0 and missing(broken.read(file), result.output) == ["error"]
