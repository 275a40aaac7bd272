"""What is kept on disk is found again by all that it depends on, and is whole or not used.

test_disk_cache_folder.py has whose folder it is, how much it holds, and what is in the way."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters
from course_testing import run_python, together

# isort: split
import safetensors.numpy

import ch14_gpt_optimized as gpt
import ch14_testing
import ch14_weights
from ch13_weights import GPT2Config

CONFIG = GPT2Config(vocab_size=50, n_layer=2, n_head=2, n_embd=8, n_positions=32)
PAGE = 4096  # the bytes in front of what is stored
LIMIT = 10**9
PROMPT = [[1, 2, 3, 4, 5]]


def make_model(folder: pathlib.Path, seed: int = 0, config: GPT2Config = CONFIG) -> pathlib.Path:
    """A model folder in Hugging Face's format."""
    folder.mkdir(exist_ok=True)
    names = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions")
    (folder / "config.json").write_text(json.dumps({name: getattr(config, name) for name in names}))
    tensors = ch14_testing.weights(config, seed).tensors
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(tensors))
    return folder


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled at once, so that no test has to wait."""
    monkeypatch.setattr(ch14_weights, "SETTLED_S", -1000.0)


@pytest.fixture
def cache(tmp_path) -> "gpt.DiskCache":
    return gpt.DiskCache(str(tmp_path / "cache"), LIMIT)


def entries(folder, kind: str = "*") -> list[pathlib.Path]:
    return sorted(pathlib.Path(folder).glob("?" * 64 + "." + kind))


def numbers(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8)


# --- a second process


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ch14_weights.DTYPES)
def test_a_second_process_finds_code_and_weights_and_computes_the_same_bits(tmp_path, dtype, threads):
    code = f"""
        import hashlib, chapters, ch14_gpt_optimized as gpt
        weights = gpt.load_gpt2_weights(dtype={dtype!r})
        model = gpt.GPT2(weights, num_threads={threads})
        logits = [model.prefill([list(range(100)), [5]]), model.decode([7, 8])]
        bits = hashlib.sha256(b"".join(part.tobytes() for part in logits)).hexdigest()
        info = gpt.disk_cache_info()
        print(bits, model.is_from_disk, weights.arrays["qkv"].flags.writeable, info.hits, info.misses, info.rejected)
        assert not info.problem, info.problem
        """
    bits, *first = run_python(code, COURSE_CACHE_DIR=str(tmp_path / "c")).split()
    again, *second = run_python(code, COURSE_CACHE_DIR=str(tmp_path / "c")).split()
    off, *third = run_python(code, COURSE_CACHE_DIR="off").split()
    assert first == ["False", "True", "0", "2", "0"]
    assert second == ["True", "False", "2", "0", "0"]
    assert third == ["False", "True", "0", "0", "0"]
    assert bits == again == off
    assert [p.suffix for p in entries(tmp_path / "c")].count(".code") == 1
    assert len(entries(tmp_path / "c")) == 2


def test_processes_that_start_together_all_get_the_right_thing(tmp_path):
    code = """
        import chapters, sys, ch14_gpt_optimized as gpt
        model = gpt.GPT2(gpt.load_gpt2_weights(), page_size=8)
        print(float(model.prefill([[1, 2, 3]]).sum()), gpt.disk_cache_info().problem)
        """
    folder = str(tmp_path / "c")
    results = together(*[lambda: run_python(code, COURSE_CACHE_DIR=folder)] * 3, patience_s=300)
    assert len(set(results)) == 1 and results[0].split()[1:] == []
    assert len(entries(folder)) == len(os.listdir(folder)) == 2  # nothing unfinished is left


def test_readers_and_writers_of_one_key_see_whole_values_only(tmp_path):
    """Three processes write values of their own under one key while they read it."""
    code = """
        import chapters, os, numpy as np, ch14_gpt_optimized as gpt
        cache = gpt.DiskCache(os.environ["CACHE"], 10**9)
        for i in range(150):
            assert cache.put("key", "test", np.full(30_000 + 1000 * (i % 7), os.getpid() % 256, np.uint8))
            found = cache.get("key", "test")
            assert len(found) % 1000 == 0 and len(set(found.tolist())) == 1
        info = cache.info()
        print(info["hits"], info["misses"], info["problem"])
        """
    results = together(*[lambda: run_python(code, CACHE=str(tmp_path / "c"))] * 3, patience_s=300)
    assert [r.split() for r in results] == [["150", "0"]] * 3
    assert len(os.listdir(tmp_path / "c")) == 1


# --- the key of code


def fields(key: str) -> dict[str, str]:
    """The key's lines by their first words; what follows the passes is the IR."""
    head, _, ir = key.partition("\nmodule")
    return dict(line.split(" ", 1) if " " in line else (line, "") for line in head.split("\n")) | {"ir": ir}


def build_id(library: pathlib.Path) -> str:
    notes = subprocess.check_output(
        [chapters.llvm_prefix() / "bin" / "llvm-readelf", "-n", library], text=True
    )
    return re.search(r"Build ID: (\w+)", notes)[1]


def test_the_key_names_all_that_code_depends_on():
    key = fields(gpt.code_key())
    lib = chapters.llvm_prefix() / "lib"
    version, llvm = key["llvm"].split()
    assert version.split(".")[0] == str(chapters.llvm_major())
    (shared,) = {p.resolve() for p in lib.glob("libLLVM.so.*")}
    assert llvm.lower() == build_id(shared)
    (shared,) = {p.resolve() for p in lib.glob("libMLIR.so.*")}
    assert key["mlir"].lower() == build_id(shared)
    assert key["core"].lower() == build_id(pathlib.Path(gpt.__file__))
    llc = subprocess.check_output([chapters.llvm_prefix() / "bin" / "llc", "--version"], text=True)
    triple, cpu, features, *rest = key["host"].split()
    assert triple == re.search(r"Default target: (\S+)", llc)[1]
    assert cpu == re.search(r"Host CPU: (\S+)", llc)[1]
    assert "+sse2" in features.split(",") and rest == ["O3", "pic"]
    assert key["passes"].startswith("any(ch14-expand-kernels{lanes=")
    without_locations = re.sub(r"#loc.*\n?| loc\((#loc\d*|unknown)\)", "", key["ir"])
    assert without_locations.strip() == gpt.ir().partition("module")[2].strip()


SHAPES = {
    "vocabulary": 1008,
    "positions": 64,
    "width": 128,
    "heads": 8,
    "inner": 512,
    "page_size": 8,
    "lanes": 4,
    "dtype": "bfloat16",
    "threads": True,
}


def test_every_part_of_the_shape_is_in_the_key():
    keys = [gpt.code_key()] + [gpt.code_key(**{name: value}) for name, value in SHAPES.items()]
    keys.append(gpt.code_key(dtype="int8"))
    assert len(set(keys)) == len(keys)
    assert gpt.code_key() == keys[0]  # and nothing else is, such as an address or the time
    assert "__kmpc_fork_call" in fields(gpt.code_key(threads=True))["calls"]


def test_another_build_of_the_core_compiles_again(tmp_path):
    """The same extension with another build ID in it, as after a change of a kernel."""
    run = """
        import sys, chapters, os
        sys.path.insert(0, os.environ["FIRST"])
        import ch14_gpt_optimized as gpt
        assert gpt.__file__.startswith(os.environ["FIRST"])
        print(gpt.GPT2(gpt.load_gpt2_weights(), page_size=32).is_from_disk)
        """
    built, folder = pathlib.Path(gpt.__file__), tmp_path / "other"
    folder.mkdir()
    identity = bytes.fromhex(build_id(built))
    content = built.read_bytes()
    assert content.count(identity) == 1
    (folder / built.name).write_bytes(content.replace(identity, identity[::-1]))
    places = {"FIRST": str(built.parent), "COURSE_CACHE_DIR": str(tmp_path / "c")}
    assert run_python(run, **places) == "False\n"
    assert run_python(run, **places) == "True\n"
    assert run_python(run, **places | {"FIRST": str(folder)}) == "False\n"
    assert run_python(run, **places | {"FIRST": str(folder)}) == "True\n"


# --- damage


def test_bytes_come_back_as_they_were(cache):
    for size in (0, 1, 1000, 2**20, 2**20 + 1, 5 * 2**20 + 17):
        value = numbers(size)
        assert cache.get(f"key {size}", "test") is None
        assert cache.put(f"key {size}", "test", value)
        found = cache.get(f"key {size}", "test")
        assert (found == value).all() and found.dtype == np.uint8 and len(found) == size
        with pytest.raises(ValueError, match="read-only"):
            found[:1] = 1
    assert cache.get("key 1", "other") is None  # another kind
    info = cache.info()
    assert (info["hits"], info["misses"], info["rejected"], info["entries"]) == (6, 7, 0, 6)


@pytest.mark.parametrize("where", [None, "/dev/shm"])
def test_bytes_that_are_mapped_and_bytes_that_are_copied(tmp_path, where):
    """Large values are mapped where the file system keeps them in huge pages, and copied where it does not, as in
    /dev/shm; both are checked."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        cache = gpt.DiskCache(folder + "/c", LIMIT)
        value = numbers(17 * 2**20 + 5)
        assert cache.put("key", "test", value)
        assert (cache.get("key", "test") == value).all()
        (path,) = entries(cache.folder)
        with open(path, "r+b") as file:
            file.seek(PAGE + 11 * 2**20 + 3)
            file.write(bytes([~value[11 * 2**20 + 3] & 255]))
        assert cache.get("key", "test") is None
        assert cache.put("key", "test", value) and (cache.get("key", "test") == value).all()


def test_a_damaged_entry_is_never_used(cache):
    value = numbers(10_000)
    cache.put("key", "test", value)
    (path,) = entries(cache.folder)
    whole = path.read_bytes()
    places = [*range(96), *range(96, len(whole), 37), len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert cache.get("key", "test") is None, place
    assert cache.info()["rejected"] == len(places)
    assert "is not what was written" in cache.info()["problem"]
    path.write_bytes(whole)
    assert (cache.get("key", "test") == value).all()


def test_an_entry_that_was_cut_off_or_went_on_is_never_used(cache):
    cache.put("key", "test", numbers(3000))
    (path,) = entries(cache.folder)
    whole = path.read_bytes()
    for size in [0, 1, 8, 87, 88, 89, 4095, 4096, 4097, *range(4100, len(whole), 499), len(whole) - 1]:
        path.write_bytes(whole[:size])
        assert cache.get("key", "test") is None, size
    path.write_bytes(whole + b"\0")
    assert cache.get("key", "test") is None


def test_an_entry_under_another_name_is_never_used(cache):
    cache.put("one", "test", numbers(100))
    (one,) = entries(cache.folder)
    cache.put("two", "test", numbers(100, seed=1))
    (two,) = set(entries(cache.folder)) - {one}
    shutil.copy(one, two)
    assert cache.get("two", "test") is None and cache.get("one", "test") is not None


def test_damaged_code_is_compiled_again(tmp_path):
    model = ch14_testing.model(CONFIG)
    expected, folder = model.prefill(PROMPT), tmp_path / "c"
    folder.mkdir()
    names = (tmp_path / str(i) for i in range(100))

    def start() -> gpt.GPT2:
        """As a new process would: this one also remembers what it compiled, by the name of the folder."""
        name = next(names)
        folder.rename(name)
        started = gpt.GPT2(model.weights, cache_dir=name)
        name.rename(folder)
        assert (started.prefill(PROMPT) == expected).all()
        return started

    assert not start().is_from_disk and start().is_from_disk
    (path,) = entries(folder, "code")
    whole = path.read_bytes()
    for place in (0, 60, PAGE - 1, PAGE, (PAGE + len(whole)) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 255
        path.write_bytes(damaged)
        assert not start().is_from_disk
        assert path.read_bytes() == whole  # and put right; the same code, to the last bit
    # Whole, and of no use: the right check of the wrong bytes.
    rubbish = b"this is no object file"
    header = whole[:48] + struct.pack("<Q", len(rubbish)) + hashlib.sha256(rubbish).digest()
    path.write_bytes(header.ljust(PAGE, b"\0") + rubbish)
    assert not start().is_from_disk
    assert path.read_bytes() == whole and start().is_from_disk


# --- weights


def test_weights_are_packed_again_when_their_file_has_changed(tmp_path, settled):
    folder, cache_dir = make_model(tmp_path / "model"), tmp_path / "c"

    def load():
        weights = gpt.load_gpt2_weights(folder, cache_dir=cache_dir)
        return weights, not weights.arrays["qkv"].flags.writeable

    first, was_there = load()
    assert not was_there
    again, was_there = load()
    assert was_there and all((again.arrays[n] == a).all() for n, a in first.arrays.items())
    # Written in place, the same size, and the time of the change put back: the ctime tells.
    file = folder / "model.safetensors"
    before = file.stat()
    other = make_model(tmp_path / "other", seed=1) / "model.safetensors"
    file.write_bytes(other.read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns and file.stat().st_size == before.st_size
    changed, was_there = load()
    assert not was_there and not (changed.arrays["qkv"] == first.arrays["qkv"]).all()
    assert load()[1]
    os.replace(
        make_model(tmp_path / "third", seed=2) / "model.safetensors", file
    )  # another file of that name
    assert not load()[1]


def test_weights_of_a_file_that_may_still_change_are_not_kept(tmp_path):
    folder = make_model(tmp_path / "model")
    for _ in range(2):
        assert gpt.load_gpt2_weights(folder, cache_dir=tmp_path / "c").arrays["qkv"].flags.writeable
    assert not entries(tmp_path / "c", "weights")


def test_weights_of_each_dtype_are_kept_apart_and_damaged_ones_packed_again(tmp_path, settled):
    folder, cache_dir = make_model(tmp_path / "model"), tmp_path / "c"
    made = {d: gpt.load_gpt2_weights(folder, d, cache_dir) for d in ch14_weights.DTYPES}
    assert len(entries(cache_dir, "weights")) == 3
    for path in entries(cache_dir, "weights"):
        content = bytearray(path.read_bytes())
        content[PAGE + len(content) // 2] ^= 4
        path.write_bytes(content)
    for _ in range(2):
        for dtype, expected in made.items():
            found = gpt.load_gpt2_weights(folder, dtype, cache_dir)
            assert found.num_bytes == expected.num_bytes and found.config == expected.config
            for name, array in expected.arrays.items():
                assert (found.arrays[name] == array).all() and found.arrays[name].dtype == array.dtype
    info = gpt.disk_cache_info(cache_dir)
    assert (info.hits, info.misses, info.rejected, info.entries) == (3, 6, 3, 3)


def test_a_wrong_model_is_refused_with_the_cache_as_without(tmp_path, settled):
    folder = make_model(tmp_path / "model")
    gpt.load_gpt2_weights(folder, cache_dir=tmp_path / "c")
    (folder / "model.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        gpt.load_gpt2_weights(folder, cache_dir=tmp_path / "c")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="has no model.safetensors"):
        gpt.load_gpt2_weights(folder, cache_dir=tmp_path / "c")
    with pytest.raises(ValueError, match="dtype: expected"):
        gpt.load_gpt2_weights(folder, "float64", cache_dir=tmp_path / "c")
