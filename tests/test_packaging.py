"""What `pip install .` and `pip install -e .` put into an environment.

A wheel holds what CMake installs, so the quick tests install this build's files into a folder and use them there.
The slow one (`./test.sh -m slow`) lets pip build the course in a copy of the tree, isolated, for a fresh environment.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import chapters

ROOT = chapters.ROOT

# Runs in an environment that has the installed course. The words that follow it on the command line are the folder
# where the extensions must come from, and the extensions' names.
CHECK = """
import importlib, pathlib, sys
site, *modules = sys.argv[1:]
for module in modules:
    long = importlib.import_module(module)
    short = importlib.import_module(module.split("_")[0])
    assert long is short, f"{module} has two module objects"
    assert pathlib.Path(long.__file__).is_relative_to(site), f"{long.__file__} is not in {site}"
for path in pathlib.Path(site).glob("ch*_*.py"):
    if not path.stem.startswith("ch9_nn"):  # these need the MLIR project's bindings: ch.9's own tests have them
        importlib.import_module(path.stem)
import numpy as np, ch1
product = ch1.gemm(np.ones((8, 32), np.float32), np.ones((32, 16), np.float32))
assert (product == 32).all()
"""
ENGINE = """
import nano_engine
engine = nano_engine.NanoServingEngine.from_pretrained()
(request,) = engine.generate(["To be"], [nano_engine.SamplingParams(max_tokens=3, temperature=0)])
assert len(request.output_tokens) == 3
"""


def run(*command, **options) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}"
    return result.stdout


def modules() -> list[str]:
    """ch1_fixed_size and so on, as built."""
    found = [path.name.split(".")[0] for path in chapters.BUILD.glob("ch.*/ch*.so")]
    return sorted(found, key=lambda name: int(name[2:].split("_")[0]))


def check(python, site, cwd):
    """Imports and uses the course by `python`, which must find it without this tree."""
    has_engine = "ch16_nano_serving" in modules()
    run(python, "-c", CHECK + (ENGINE if has_engine else ""), site, *modules(), cwd=cwd)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> pathlib.Path:
    """A folder with what a wheel of this build holds."""
    folder = tmp_path_factory.mktemp("site")
    cmake = shutil.which("cmake") or pathlib.Path(sys.executable).parent / "cmake"
    run(cmake, "--install", chapters.BUILD, "--component", "python", "--prefix", folder)
    return folder


def test_installed_files_work_without_the_tree(site, tmp_path):
    # -S: none of the environment's .pth files, so that an editable install in it cannot help.
    packages = ":".join(path for path in sys.path if path.endswith("-packages"))
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{site}:{packages}" PYTHONDONTWRITEBYTECODE=1\nexec "{sys.executable}" -S "$@"\n'
    )
    python.chmod(0o755)
    check(python, site, tmp_path)


def test_the_bundled_model_is_installed(site):
    source = ROOT / "models/shakespeare"
    installed = site / "ch13_models/shakespeare"
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (installed / name).read_bytes() == (source / name).read_bytes()


def test_nothing_else_is_installed(site):
    known = {f"ch{chapters.number(folder)}" for folder in chapters.source_folders()} | {
        "nano",
        "graph",
        "lowering",
    }
    assert not [path.name for path in site.iterdir() if re.split(r"[._]", path.name)[0] not in known]


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_pip_install_into_a_fresh_environment(tmp_path, editable):
    tree = tmp_path / "the course"
    ignore = shutil.ignore_patterns("build", "dist", ".*", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=ignore)
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", *(["-e"] if editable else []), f"{tree}[run]")
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    check(python, site, tmp_path)
    if editable:  # a changed Python file counts at once
        for name in ("ch13_weights", "nano_engine"):
            where = run(python, "-c", f"import {name}; print({name}.__file__)", cwd=tmp_path).strip()
            assert pathlib.Path(where).is_relative_to(tree)
