"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import runpy
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch16_nano_serving as ch16

FOLDER = pathlib.Path(__file__).resolve().parent


def check_min_p(min_p) -> None:
    def case(logits, p, expected):
        got = list(min_p(np.array(logits, np.float32), p))
        assert got == expected, f"min_p({logits}, {p}) must be {expected}, got {got}"

    case(np.log([0.5, 0.3, 0.2]).tolist(), 0.5, [0, 1])
    case(np.log([0.2, 0.5, 0.3]).tolist(), 0.39, [0, 1, 2])
    case([1e30, -1e30, 1e30], 0.01, [0, 2])
    case([-np.inf, 3, 2], 1.0, [1])


def check_split_evenly(split_evenly) -> None:
    def dealt(pending, budget):
        given = [0] * len(pending)
        while budget and given != pending:
            for i in range(len(pending)):
                if given[i] < pending[i] and budget:
                    given[i] += 1
                    budget -= 1
        return given

    def case(pending, budget, expected):
        got = list(split_evenly(list(pending), budget))
        assert got == expected, f"split_evenly({pending}, {budget}) must be {expected}, got {got}"

    rng = np.random.default_rng(0)
    for _ in range(300):
        pending, budget = rng.integers(1, 12, rng.integers(0, 6)).tolist(), int(rng.integers(0, 40))
        case(pending, budget, dealt(pending, budget))
    case([10**9, 3, 10**9], 10**6, [499_999, 3, 499_998])


def check_fork(fork) -> None:
    for num_tokens in (1, 4, 6, 8, 9):
        pool = ch16.KVCachePool(6, 4, 2, 1, 3)
        pages = pool.allocate(11)
        content = np.random.default_rng(1).standard_normal((2, 11, 1, 3), dtype=np.float32)
        for layer in range(2):
            pool.store_kv(*content, pages, layer)

        table = fork(pool, pages, num_tokens)
        call, full = f"fork(pool, {pages}, {num_tokens})", num_tokens // 4
        num_pages = pool.pages_needed(num_tokens)
        assert len(table) == num_pages, f"{call} must have {num_pages} pages, got {table}"
        assert table[:full] == pages[:full], f"{call} must begin with {pages[:full]}, got {table}"
        pool.check_integrity([pages, table])
        if num_tokens % 4:
            assert table[-1] not in pages, f"{call} must end in a page of its own, got {table}"
            for name, cache in (("K", pool.k_cache), ("V", pool.v_cache)):
                assert (cache[:, table[-1]] == cache[:, pages[full]]).all(), f"{call}: {name} is not copied"

    pool = ch16.KVCachePool(2, 4, 1, 1, 1)
    pages = pool.allocate(7)
    try:
        fork(pool, pages, 7)
    except ch16.OutOfPages:
        pool.check_integrity([pages])
    else:
        raise AssertionError("fork must raise OutOfPages if no page is free")


CHECKS = {"1": check_min_p, "2": check_split_evenly, "3": check_fork}


def check(number: str, file: pathlib.Path) -> None:
    """Raises AssertionError with the first case that is wrong, NotImplementedError for a stub."""
    test = CHECKS[number]
    test(runpy.run_path(str(file))[test.__name__.removeprefix("check_")])


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    stub = next(FOLDER.glob(f"{sys.argv[1]}_*.py"))
    try:
        check(sys.argv[1], pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else stub)
    except NotImplementedError:
        sys.exit(f"not solved yet: write {stub.name}")
    except AssertionError as wrong:
        sys.exit(f"not solved: {wrong}")
    print(f"exercise {sys.argv[1]}: solved")
