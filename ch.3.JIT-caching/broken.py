"""What goes wrong, and what is said then: `python3 broken.py race | failed | forgotten | itself | dangling`."""

import os
import pathlib
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch3_jit_caching as ch3

A = np.ones((2, 3), np.float32)
B = np.ones((3, 4), np.float32)
SANITIZER = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"}  # let a crash be a crash


def race():
    values, compiles, both_looked = {}, [], threading.Barrier(2)

    # [race]
    def get(key):
        if key not in values:
            both_looked.wait()  # the other thread is between the same two lines
            compiles.append(key)
            values[key] = "compiled"
        return values[key]
        # [/race]

    threads = [threading.Thread(target=get, args=["gemm"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise ValueError(f"gemm: expected 1 compile, got {len(compiles)}")


def failed():
    # [failed]
    ir = ch3.ir().replace("linalg.fill", "linalg.fil")
    for _ in range(2):  # the second call tries again, in vain again
        try:
            ch3.run(ir, A, B)
        except ch3.CompileError as error:
            print(ch3.cache_info().size, "kept")
            last = error
    raise last
    # [/failed]


def itself():
    # [itself]
    cache = ch3.Cache()
    cache.get("a", lambda: cache.get("a", lambda: 1))
    # [/itself]


def forgotten():
    cache = ch3.Cache()

    # [forgotten]
    def compiled(ir: str, opt_level: int) -> str:
        return cache.get(ir, lambda: f"{ir} at -O{opt_level}")  # opt_level is not in the key
        # [/forgotten]

    compiled("gemm", 3)
    raise ValueError("asked for -O0, got " + compiled("gemm", 0))


def dangling():
    # [dangling]
    code = "import numpy as np, ch3; ch3._gemm_dangling(np.ones((2, 3), 'f4'), np.ones((3, 4), 'f4'))"
    done = subprocess.run([sys.executable, "-c", code], env=chapters.environment() | SANITIZER)
    # [/dangling]
    raise ValueError(f"the process ended by {signal.Signals(-done.returncode).name}")


CASES = {case.__name__: case for case in (race, failed, forgotten, itself, dangling)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(RuntimeError,)))
