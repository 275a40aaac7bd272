"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution of exercise 1 or 2 (without it, the stub beside this script). Exits with 0 when solved.
"""

import functools
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # finds the build tree
import course_testing

import ch3_jit_caching as ch3

PATIENCE_S = 5
together = functools.partial(course_testing.together, patience_s=PATIENCE_S)


def once(module) -> None:
    """1: each value made once."""
    cache, made, slowly = module.Cache(), [], threading.Event()

    def make():
        made.append(1)
        slowly.wait(0.05)  # long enough for the others to come
        return len(made)

    values = together(*[lambda: cache.get("a", make)] * 8)
    assert len(made) == 1, f"eight threads made one value {len(made)} times"
    assert values == [1] * 8, "not all of them got it"

    meet = threading.Barrier(2)  # is left only when both keys are being made
    assert together(
        lambda: cache.get("b", lambda: meet.wait(PATIENCE_S / 2) >= 0),
        lambda: cache.get("c", lambda: meet.wait(PATIENCE_S / 2) >= 0),
    ) == [True, True], "two keys are not made side by side"

    def fail():
        slowly.wait(0.05)
        raise KeyError("no")

    assert all(isinstance(r, KeyError) for r in together(*[lambda: cache.get("d", fail)] * 3)), (
        "make() raised, and not all of them were told"
    )
    assert together(lambda: cache.get("d", lambda: 4)) == [4], "the call after a failure does not try again"
    assert together(lambda: cache.get("e", lambda: None), lambda: cache.get("e", lambda: None)) == [
        None,
        None,
    ]
    assert together(lambda: cache.get("e", lambda: 5)) == [None], "None is a value too"


def key(module) -> None:
    """2: one key for one program."""
    ir = ch3.ir()
    same = [
        ir,
        "// a comment\n" + ir,
        ir.replace("%cst", "%zero"),
        ir.replace("%arg0", "%A").replace("%arg1", "%B").replace("%arg2", "%C"),
        ir.replace("  ", "\t"),
        ir.replace("0.000000e+00", "0.0"),
    ]
    other = [
        ir.replace("0.000000e+00", "1.0"),
        ir.replace("ins(%arg0, %arg1", "ins(%arg1, %arg0"),
        ir.replace("linalg.fill", "// linalg.fill"),
    ]
    assert len({module.key(ch3, text) for text in same}) == 1, "one program has several keys"
    assert len({module.key(ch3, text) for text in [ir, *other]}) == 4, "different programs have one key"


def keys(_file) -> None:
    """3: Cache.keys(), in C++."""
    cache = ch3.Cache(3)
    assert hasattr(cache, "keys"), "Cache has no method keys yet"
    assert cache.keys() == [], "an empty cache has keys"
    for name in "abcdab":
        cache.get(name, lambda: name)  # noqa: B023  called at once
    assert cache.keys() == ["b", "a", "d"], f"most recently used first: b, a, d; got {cache.keys()}"
    info = cache.info()
    cache.keys()
    assert cache.info() == info, "looking is not using: keys() changed the counters"
    cache.clear()
    assert cache.keys() == [], "a cleared cache has keys"


EXERCISES = {"1": (once, "1_once.py"), "2": (key, "2_key.py"), "3": (keys, None)}


def load(file: pathlib.Path):
    return chapters.run_script(file)


if __name__ == "__main__":
    raise SystemExit(
        chapters.check_exercise(EXERCISES, __doc__, load, unsolved=(AssertionError, ch3.CompileError))
    )
