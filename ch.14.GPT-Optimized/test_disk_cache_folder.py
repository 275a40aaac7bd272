"""The folder of the disk cache: whose it is, who may write in it, what it holds, and that it is never in the way."""

import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters
from course_testing import run_python

# isort: split
import ch14_disk_cache
import ch14_gpt_optimized as gpt

LIMIT = 10**9
ROOT = os.geteuid() == 0
NOBODY = 65534


@pytest.fixture
def cache(tmp_path) -> "gpt.DiskCache":
    return gpt.DiskCache(str(tmp_path / "cache"), LIMIT)


def entries(folder) -> list[pathlib.Path]:
    return sorted(pathlib.Path(folder).glob("?" * 64 + ".*"))


def numbers(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8)


def mode(path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


# --- who may write


def test_the_folder_and_its_files_belong_to_the_user_alone(tmp_path):
    before = os.umask(0)
    try:
        cache = gpt.DiskCache(str(tmp_path / "a" / "b" / "cache"), LIMIT)
        assert cache.put("key", "test", numbers(10))
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/cache")] == [0o700] * 3
    (path,) = entries(cache.folder)
    assert mode(path) == 0o600


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777])
def test_an_entry_that_others_have_rights_to_is_not_used_and_replaced(cache, rights):
    value = numbers(100)
    cache.put("key", "test", value)
    (path,) = entries(cache.folder)
    path.chmod(rights)
    assert cache.get("key", "test") is None
    assert f"has the mode {rights:o}" in cache.info()["problem"]
    assert cache.put("key", "test", value) and mode(path) == 0o600
    assert (cache.get("key", "test") == value).all()


@pytest.mark.parametrize("rights", [0o770, 0o707, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_in_is_not_used(cache, rights):
    cache.put("key", "test", numbers(100))
    os.chmod(cache.folder, rights)
    assert cache.get("key", "test") is None and not cache.put("key", "test", numbers(100))
    assert "others too many rights" in cache.info()["problem"]
    os.chmod(cache.folder, 0o755)  # to be read by others does no harm
    assert cache.get("key", "test") is not None


def test_what_belongs_to_another_user_is_not_used(cache):
    if not ROOT:  # the nearest thing: a folder that is root's
        assert gpt.DiskCache("/usr", LIMIT).get("key", "test") is None
        assert "belongs to the user with the number 0" in gpt.DiskCache("/usr", LIMIT).info()["problem"]
        return
    value = numbers(100)
    cache.put("key", "test", value)
    (path,) = entries(cache.folder)
    os.chown(path, NOBODY, NOBODY)
    assert cache.get("key", "test") is None
    assert f"belongs to the user with the number {NOBODY}" in cache.info()["problem"]
    assert cache.put("key", "test", value) and (cache.get("key", "test") == value).all()
    os.chown(cache.folder, NOBODY, NOBODY)
    assert cache.get("key", "test") is None and not cache.put("key", "test", value)


def test_a_link_in_place_of_an_entry_is_not_followed(cache, tmp_path):
    value = numbers(100)
    cache.put("key", "test", value)
    (path,) = entries(cache.folder)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)  # whole, ours, and private; and still not what the folder holds
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert cache.get("key", "test") is None
    assert cache.put("key", "test", numbers(50)) and not path.is_symlink()
    assert elsewhere.read_bytes() == before  # nothing was written through the link


def test_a_link_or_a_file_in_place_of_the_folder_is_not_used(tmp_path):
    target = gpt.DiskCache(str(tmp_path / "target"), LIMIT)
    target.put("key", "test", numbers(10))
    (tmp_path / "link").symlink_to(target.folder)
    (tmp_path / "file").write_text("")
    for name in ("link", "link/", "file"):
        cache = gpt.DiskCache(str(tmp_path / name), LIMIT)
        assert cache.get("key", "test") is None and not cache.put("key", "test", numbers(10))
        assert "is a file or a link; expected a folder" in cache.info()["problem"]
    assert len(os.listdir(target.folder)) == 1
    # Above the folder links are common: a home that lies on another disk.
    (tmp_path / "home").symlink_to(tmp_path)
    assert gpt.DiskCache(str(tmp_path / "home" / "target"), LIMIT).get("key", "test") is not None


def test_other_things_in_place_of_an_entry_keep_nobody_waiting(cache):
    cache.put("key", "test", numbers(10))
    (path,) = entries(cache.folder)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert cache.get("key", "test") is None and "is no file" in cache.info()["problem"]
    assert cache.put("key", "test", numbers(10)) and path.is_file()
    path.unlink()
    path.mkdir()
    assert cache.get("key", "test") is None and not cache.put("key", "test", numbers(10))
    assert len(os.listdir(cache.folder)) == 1  # what could not be put there is gone


# --- a disk that cannot be used


def test_a_folder_that_cannot_be_written_is_no_error():
    """As root nothing is forbidden, so the process becomes somebody else for this."""
    code = """
        import os, chapters, numpy as np, ch14_gpt_optimized as gpt
        cache = gpt.DiskCache(os.environ["CACHE"], 10**9)
        assert cache.put("key", "test", np.zeros(10, np.uint8))
        os.chmod(cache.folder, 0o500)
        if os.geteuid() == 0:
            for name in os.listdir(cache.folder):
                os.chown(os.path.join(cache.folder, name), 65534, -1)
            os.chown(cache.folder, 65534, -1)
            os.seteuid(65534)
        assert cache.get("key", "test") is not None  # what is there is used
        assert not cache.put("other", "test", np.zeros(10, np.uint8))
        print(cache.info()["problem"])
        """
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        assert "Permission denied" in run_python(code, CACHE=folder + "/c")
        os.chmod(folder + "/c", 0o700)


def test_a_full_disk_is_no_error():
    """A limit on the size of files makes writing fail as a full disk does."""
    code = """
        import os, resource, chapters, numpy as np, ch14_gpt_optimized as gpt
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        weights = gpt.load_gpt2_weights()
        text = gpt.generate("ROMEO:", max_tokens=3, weights=weights)
        info = gpt.disk_cache_info()
        print(text != "", info.entries, info.rejected, os.listdir(info.folder), info.problem)
        """
    with tempfile.TemporaryDirectory() as folder:
        printed = run_python(code, COURSE_CACHE_DIR=folder + "/c")
        assert printed.startswith("True 0 0 []") and "is not stored" in printed


def test_a_folder_that_cannot_be_made_is_no_error():
    cache = gpt.DiskCache("/proc/course", LIMIT)
    assert cache.get("key", "test") is None and not cache.put("key", "test", numbers(10))
    assert "cannot be made" in cache.info()["problem"] or "/proc/course" in cache.info()["problem"]
    assert cache.clear() == 0


def test_arguments_are_checked(cache):
    with pytest.raises(TypeError, match="bytes: expected an array of uint8"):
        cache.put("key", "test", np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="in C order"):
        cache.put("key", "test", numbers(10)[::2])
    with pytest.raises(TypeError, match="cache_dir: expected a folder, None or False, got True"):
        gpt.load_gpt2_weights(cache_dir=True)


# --- how much is kept


def test_what_was_used_longest_ago_goes(tmp_path):
    cache = gpt.DiskCache(str(tmp_path / "c"), 4 * 6000)  # four entries of 1000 bytes and a page
    names = {}
    for key in "abcd":
        before = set(entries(cache.folder))
        assert cache.put(key, "test", numbers(1000))
        (names[key],) = set(entries(cache.folder)) - before
    for age, key in enumerate("abcd"):
        past = time.time() - 1000 + age
        os.utime(names[key], (past, past))
    assert cache.get("a", "test") is not None  # used now, so "b" is the oldest
    assert cache.put("e", "test", numbers(1000))
    assert [key for key in "abcd" if not names[key].exists()] == ["b"]
    assert cache.put("f", "test", numbers(12_000))
    assert cache.info()["bytes"] <= cache.limit and not names["c"].exists() and not names["d"].exists()
    assert cache.get("f", "test") is not None


def test_what_is_larger_than_the_limit_is_not_stored_and_drives_nothing_out(tmp_path):
    cache = gpt.DiskCache(str(tmp_path / "c"), 10_000)
    assert cache.put("small", "test", numbers(1000))
    assert not cache.put("large", "test", numbers(6000))
    assert "more than the cache's limit of 10000" in cache.info()["problem"]
    assert cache.get("small", "test") is not None


def test_only_its_own_files_are_ever_removed(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir(0o700)
    others = ["notes.txt", "a" * 64, "a" * 63 + ".code", "a" * 64 + ".CODE", "g" * 64 + ".code", ".hidden"]
    for name in others:
        (folder / name).write_text("x" * 5000)
    hour = time.time() - 3700
    (folder / ".new-left").write_text("by a process that ended")
    os.utime(folder / ".new-left", (hour, hour))
    (folder / ".new-young").write_text("by one that writes")
    cache = gpt.DiskCache(str(folder), 10_000)
    for key in "abc":
        cache.put(key, "test", numbers(100))
    assert not (folder / ".new-left").exists() and (folder / ".new-young").exists()
    assert len(entries(folder)) - 2 == 2  # two of the others only look like entries
    assert cache.clear() == 3  # and the unfinished one
    assert sorted(os.listdir(folder)) == sorted(others)
    assert cache.get("a", "test") is None


# --- where it is


@pytest.fixture
def surroundings(monkeypatch):
    for name in ("COURSE_CACHE_DIR", "COURSE_CACHE_MAX_MB", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_folder_is_chosen_by_the_surroundings(surroundings, tmp_path):
    surroundings.setenv("HOME", str(tmp_path))
    assert gpt.disk_cache_info().folder == f"{tmp_path}/.cache/mlir-course"
    surroundings.setenv("XDG_CACHE_HOME", "relative")  # is to be ignored, says its specification
    assert gpt.disk_cache_info().folder == f"{tmp_path}/.cache/mlir-course"
    surroundings.setenv("XDG_CACHE_HOME", f"{tmp_path}/xdg")
    assert gpt.disk_cache_info().folder == f"{tmp_path}/xdg/mlir-course"
    surroundings.setenv("COURSE_CACHE_DIR", "~/mine")
    assert gpt.disk_cache_info().folder == f"{tmp_path}/mine"
    surroundings.setenv("COURSE_CACHE_DIR", "off")
    assert gpt.disk_cache_info() == gpt.DiskCacheInfo(None) and gpt.clear_disk_cache() == 0
    assert gpt.disk_cache_info(tmp_path / "given").folder == f"{tmp_path}/given"
    surroundings.setenv("COURSE_CACHE_DIR", f"{tmp_path}/mine")
    assert gpt.disk_cache_info(False).folder is None
    assert gpt.disk_cache_info().max_bytes == 4096 * 10**6
    surroundings.setenv("COURSE_CACHE_MAX_MB", "7")
    assert gpt.disk_cache_info().max_bytes == 7 * 10**6
    surroundings.setenv("COURSE_CACHE_MAX_MB", "-1")
    with pytest.raises(ValueError, match="COURSE_CACHE_MAX_MB: expected a number of megabytes, got '-1'"):
        gpt.disk_cache_info()
    assert os.listdir(tmp_path) == []  # looking makes no folder


def test_switched_off_nothing_is_written(tmp_path):
    code = """
        import chapters, ch14_gpt_optimized as gpt
        weights = gpt.load_gpt2_weights(cache_dir={argument})
        print(gpt.GPT2(weights, cache_dir={argument}).is_from_disk)
        """
    for argument, folder in (("None", "off"), ("False", str(tmp_path / "c"))):
        places = {"COURSE_CACHE_DIR": folder, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
        assert run_python(code.format(argument=argument), **places) == "False\n"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_trusted_is_named_in_a_warning(tmp_path):
    (tmp_path / "c").mkdir()
    os.chmod(tmp_path / "c", 0o777)
    with pytest.warns(RuntimeWarning, match="nothing is kept on disk: .*/c has the mode 777"):
        gpt.load_gpt2_weights(cache_dir=tmp_path / "c")
    assert os.listdir(tmp_path / "c") == []


def test_the_tests_have_a_cache_of_their_own():
    assert "course-tests-" in gpt.disk_cache_info().folder


# --- the command


def command(*arguments, **variables) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "ch14_disk_cache", *map(str, arguments)],
        env=chapters.environment() | variables,
        capture_output=True,
        text=True,
    )


def test_the_command_shows_and_clears(tmp_path):
    cache = gpt.DiskCache(str(tmp_path / "c"), LIMIT)
    cache.put("key", "test", numbers(250_000))
    shown = command(tmp_path / "c")
    assert shown.returncode == 0 and not shown.stderr
    assert f"{tmp_path}/c: 1 entries, 0.3 of 4096 MB" in shown.stdout and " test " in shown.stdout
    cleared = command("--clear", COURSE_CACHE_DIR=str(tmp_path / "c"))
    assert cleared.returncode == 0 and "1 removed" in cleared.stdout and os.listdir(tmp_path / "c") == []
    assert "0 entries" in command(tmp_path / "c").stdout
    assert "0 entries" in command(tmp_path / "missing").stdout
    assert command(COURSE_CACHE_DIR="off").stdout == "switched off by COURSE_CACHE_DIR=off\n"
    os.chmod(tmp_path / "c", 0o777)
    failed = command(tmp_path / "c")
    assert failed.returncode == 1 and "has the mode 777" in failed.stderr and not failed.stdout
    assert "--clear" in command("--help").stdout
    assert ch14_disk_cache.DEFAULT_MAX_MB == 4096
