"""Where compiled code and packed weights are kept for the next process.

    python3 -m ch14_disk_cache            what is there
    python3 -m ch14_disk_cache --clear    takes it away

The folder is $COURSE_CACHE_DIR, or mlir-course in $XDG_CACHE_HOME or ~/.cache. COURSE_CACHE_DIR=off switches the
cache off. $COURSE_CACHE_MAX_MB is what the folder may hold (4096); beyond, what was used longest ago goes.

What may be trusted is the matter of ch.3's DiskCache; what the entries are is that of src/jit.cpp (code) and of
ch14_weights.py (weights). A disk that cannot be used is no error: everything is made anew.
"""

import argparse
import functools
import os
import pathlib
import re
import signal
import sys
import warnings
from typing import NamedTuple

import ch14_gpt_optimized as ch14

DEFAULT_MAX_MB = 4096


class DiskCacheInfo(NamedTuple):
    """What the folder holds, and what this process found there.

    hits, misses: how often something was asked for and was there, or not. rejected: of the misses, entries that
    were there and not used, because they were damaged or others had rights to them. problem: the last thing that
    went wrong, in a sentence, or "". folder is None where the cache is switched off.
    """

    folder: str | None
    entries: int = 0
    bytes: int = 0
    max_bytes: int = 0
    hits: int = 0
    misses: int = 0
    rejected: int = 0
    problem: str = ""


# [folder]
def disk_cache(cache_dir: str | os.PathLike | bool | None = None) -> "ch14.DiskCache | None":
    """The cache in `cache_dir`: a folder, None for the usual one, False for none at all."""
    if cache_dir is None:
        cache_dir = os.environ.get("COURSE_CACHE_DIR") or _usual_folder()
        if cache_dir == "off":
            cache_dir = False
    if cache_dir is False:
        return None
    if not isinstance(cache_dir, (str, os.PathLike)):
        raise TypeError(f"cache_dir: expected a folder, None or False, got {cache_dir!r}")
    return _opened(os.path.abspath(os.path.expanduser(cache_dir)), _max_bytes())


def _usual_folder() -> str | bool:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # so says the XDG specification
        base = os.path.expanduser("~/.cache")
    return os.path.join(base, "mlir-course") if os.path.isabs(base) else False


# [/folder]


def _max_bytes() -> int:
    text = os.environ.get("COURSE_CACHE_MAX_MB") or str(DEFAULT_MAX_MB)
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"COURSE_CACHE_MAX_MB: expected a number of megabytes, got {text!r}")
    return int(text) * 10**6


@functools.cache
def _opened(folder: str, max_bytes: int) -> "ch14.DiskCache":
    """One object for each folder, so that it counts for the whole process."""
    cache = ch14.DiskCache(folder, max_bytes)
    if problem := cache.info()["problem"]:
        warnings.warn(f"nothing is kept on disk: {problem}", RuntimeWarning, stacklevel=4)
    return cache


def disk_cache_info(cache_dir: str | os.PathLike | bool | None = None) -> DiskCacheInfo:
    """What the cache on disk holds, and what this process found there. cache_dir: see load_gpt2_weights."""
    cache = disk_cache(cache_dir)
    if cache is None:
        return DiskCacheInfo(None)
    return DiskCacheInfo(folder=cache.folder, max_bytes=cache.limit, **cache.info())


def clear_disk_cache(cache_dir: str | os.PathLike | bool | None = None) -> int:
    """Removes all entries of the cache on disk; returns how many there were. Models in use are not touched."""
    cache = disk_cache(cache_dir)
    return cache.clear() if cache else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m ch14_disk_cache", description="Shows or clears what is kept for the next process."
    )
    parser.add_argument("--clear", action="store_true", help="remove all entries")
    parser.add_argument("folder", nargs="?", help="another folder than the usual one")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # it is printed below
    info = disk_cache_info(options.folder)
    if info.folder is None:
        print("switched off by COURSE_CACHE_DIR=off")
        return 0
    if info.problem:
        print(info.problem, file=sys.stderr)
        return 1
    print(f"{info.folder}: {info.entries} entries, {info.bytes / 1e6:.1f} of {info.max_bytes / 1e6:.0f} MB")
    if options.clear:
        print(f"{clear_disk_cache(options.folder)} removed")
    elif info.entries:
        for path in sorted(pathlib.Path(info.folder).glob("?" * 64 + ".*")):
            print(f"{path.stat().st_size / 1e6:9.1f} MB  {path.suffix[1:]:8} {path.stem[:12]}…")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    sys.exit(main())
