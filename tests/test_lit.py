"""The chapters' .mlir tests, run by lit (see lit.cfg.py): one pytest a file, one lit for all of them."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted(ROOT.glob("ch.*/tests/**/*.mlir"))
SUFFIX = r"(?:-(?:NEXT|SAME|NOT|DAG|LABEL|EMPTY|COUNT-\d+))?"


def run_lit(files: list[pathlib.Path], report: pathlib.Path) -> dict[pathlib.Path, tuple[str, str]]:
    """{file: (result code, what lit said)}."""
    command = [
        sys.executable,
        "-c",
        "from lit.main import main; main()",
        "--quiet",
        f"--output={report}",
        *map(str, files),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert report.is_file(), done.stdout + done.stderr
    results = {}
    for test in json.loads(report.read_text())["tests"]:
        path = ROOT / test["name"].partition(" :: ")[2]
        results[path] = (test["code"], test["output"])
    return results


@pytest.fixture(scope="session")
def results(request, tmp_path_factory):
    selected = [
        item.callspec.params.get("lit_file") for item in request.session.items if hasattr(item, "callspec")
    ]
    return run_lit([f for f in selected if f], tmp_path_factory.mktemp("lit") / "report.json")


def name(file: pathlib.Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("lit_file", FILES, ids=name)
def test_lit(lit_file, results):
    code, said = results.get(lit_file, ("NOT RUN", "lit found no test in this file"))
    if code == "UNSUPPORTED":
        pytest.skip(said or "REQUIRES a feature that this build lacks")
    if code != "PASS":
        pytest.fail(f"{name(lit_file)}: {code}\n{said}", pytrace=False)


def dead_lines(text: str) -> list[str]:
    """Lines that look like tests and never run: a RUN without its colon, a CHECK that no RUN line reads."""
    commands = " ".join(re.findall(r"// *RUN:(.*)", text))
    prefixes = {
        p for group in re.findall(r"-?-check-prefix(?:es)?[= ]([\w,-]+)", commands) for p in group.split(",")
    }
    if re.search(r"FileCheck(?![^|]*check-prefix)", commands):
        prefixes.add("CHECK")
    live = "|".join(map(re.escape, sorted(prefixes))) or "(?!)"
    dead = []
    for line in text.splitlines():
        looks_like_run = re.match(r"\s*// *RUN\b(?!:)", line)
        looks_like_check = re.match(r"\s*// *CHECK[\w-]*", line) and not re.match(
            r"\s*// *CHECK[- \w]* [a-z]", line
        )
        known = re.match(rf"\s*// *(?:{live}){SUFFIX}(?:\{{[A-Z]+\}})?:", line)
        if looks_like_run or (looks_like_check and not known):
            dead.append(line.strip())
    return dead


@pytest.mark.parametrize("lit_file", FILES, ids=name)
def test_no_line_is_dead(lit_file):
    assert dead_lines(lit_file.read_text()) == []


# --- that these tests can fail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, code",
    [
        ("// RUN: mlir-opt %s | FileCheck %s\n// CHECK: module\n", "PASS"),
        ("// RUN: mlir-opt %s | FileCheck %s\n// CHECK: modul3\n", "FAIL"),
        ("// RUN: mlir-opt %s | FileCheck %s\n", "FAIL"),
        ("// RUN: not mlir-opt %s\n", "FAIL"),
        ("// RUN mlir-opt %s | FileCheck %s\n// CHECK: modul3\n", "UNRESOLVED"),
        ("// CHECK: module\n", "UNRESOLVED"),
    ],
)
def test_what_lit_says(text, code, tmp_path):
    (tmp_path / "lit.cfg.py").write_text(
        (ROOT / "lit.cfg.py").read_text().replace("__file__", repr(str(ROOT / "lit.cfg.py")))
    )
    (tmp_path / "a.mlir").write_text(text)
    ((found, said),) = run_lit([tmp_path / "a.mlir"], tmp_path / "report.json").values()
    assert found == code, said


@pytest.mark.parametrize(
    "line, dead",
    [
        ("// CHECK-NEXT: a", False),
        ("// CHECK-COUNT-3: a", False),
        ("// LLVM-NOT: a", False),
        ("// CHECK that this is prose", False),
        ("// RUN mlir-opt %s", True),
        ("// CHECK-NXT: a", True),
        ("// CHECK-ELSE: a", True),
        ("// CHECK a", False),
        ("// CHECK %0", True),
    ],
)
def test_dead_lines(line, dead):
    text = "// RUN: mlir-opt %s | FileCheck %s\n// RUN: mlir-opt %s | FileCheck %s --check-prefix=LLVM\n"
    assert (dead_lines(text + line + "\n") != []) == dead
