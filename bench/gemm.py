"""Matrix products of ch.10 beside NumPy and PyTorch, and as a share of what this machine can do.

    python bench/gemm.py [--threads 2] [--bf16] [--only 128x768x3072 …] [--rounds 15] [--no-check]

Three forms of ch.10's product take turns with NumPy's and PyTorch's in one process: `raw` gets both operands as they
lie; `packed` has B as a constant, whose panels are made once; both compiled for the shape. The limits are measured
after them: a loop of multiply-adds on registers, and one that reads an array of B's size. Medians of rounds; the time
of a call from Python, its result allocated in it. With several threads, each turn begins with a rest of 0.3 s:
PyTorch, OpenBLAS and libomp have a pool each, and those wait in a loop.

Each row has the least ratio it should reach; the script exits with 1 where one falls short by more than 5 %, unless
--no-check says otherwise. It is a benchmark, not a test: run it on an idle machine.
"""

import argparse
import os
import sys

# One number for everybody, set before NumPy is imported.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = dict(zip(sys.argv, sys.argv[1:])).get(
    "--threads", "1"
)

import dataclasses
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ch.10.Optimization"))
import numpy as np
from limits import Machine
from timing import medians, processor

import chapters

import ch10_optimization as ch10

try:
    import torch
except ImportError:
    torch = None

SLACK = 0.95  # of a floor: what is below that is a shortfall


# [floors]
@dataclasses.dataclass(frozen=True)
class Case:
    """A shape and the least it should reach: against the best of the others, and of the machine's limit."""

    m: int
    k: int
    n: int
    raw: float
    packed: float
    share: float

    @property
    def name(self) -> str:
        return f"{self.m}x{self.k}x{self.n}"


CASES = [
    Case(64, 64, 64, 1.05, 1.07, 0.84),
    *(Case(n, n, n, 1.05, 1.07, 0.90) for n in (128, 256, 512)),
    *(Case(n, n, n, 1.00, 1.03, 0.92) for n in (1024, 2048)),
    *(Case(128, k, n, 1.05, 1.17, 0.94) for k, n in ((768, 3072), (3072, 768), (768, 2304))),
    *(Case(m, 768, 3072, 1.15, 1.50, 0.95) for m in (8, 32)),
    *(Case(*shape, 1.00, 1.15, 0.85) for shape in ((1000, 1000, 1000), (127, 769, 3071), (5, 768, 3072))),
    *(Case(1, 768, n, 1.00, 1.15, 0.95) for n in (3072, 50257)),
]
# [/floors]


def candidates(case: Case, threads: int, bf16: bool) -> dict:
    """{name: (call, calls a turn)}"""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((case.m, case.k), dtype=np.float32)
    b = rng.standard_normal((case.k, case.n), dtype=np.float32)
    raw, packed = ch10.matmul(a, b), ch10.matmul(a, ch10.constant(b))
    operations = 2 * case.m * case.k * case.n
    # Of one row many: B, read once a call, then lies where the call before has left it.
    calls = max(1, int((1e8 if case.m == 1 else 2e7) * threads / operations))
    all = {
        "raw": (lambda: ch10.forward(raw, num_threads=threads), calls),
        "packed": (lambda: ch10.forward(packed, num_threads=threads), calls),
        "NumPy": (lambda: a @ b, calls),
    }
    if bf16:
        half = ch10.matmul(a, ch10.constant(b, "bfloat16"))
        all["bf16"] = (lambda: ch10.forward(half, num_threads=threads), calls)
    if torch:
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        all["PyTorch"] = (lambda: ta @ tb, calls)
    for name in ("raw", "packed"):  # right before it is fast
        np.testing.assert_allclose(all[name][0](), a @ b, rtol=1e-3, atol=1e-3)
    return all


def measure(case: Case, threads: int, rounds: int, bf16: bool) -> dict[str, float]:
    """{name: GFLOP/s}; of one row GB/s of B's bytes."""
    seconds = medians(candidates(case, threads, bf16), rounds, pause=0.3 if threads > 1 else 0)
    work = 2 * case.m * case.k * case.n if case.m > 1 else 4 * case.k * case.n
    rates = {name: work / s / 1e9 for name, s in seconds.items()}
    limits = Machine(threads, num_bytes=4 * case.k * case.n)
    return rates | {"peak": limits.peak() / 1e9, "read": limits.read() / 1e9}


def report(case: Case, rates: dict[str, float]) -> list[str]:
    """Prints a row; returns what falls short."""
    best = max(rates.get("NumPy", 0), rates.get("PyTorch", 0))
    limit = rates["read"] if case.m == 1 else rates["peak"]
    got = {
        "raw": (rates["raw"] / best, case.raw),
        "packed": (rates["packed"] / best, case.packed),
        "share": (rates["packed"] / limit, case.share),
    }
    cells = [f"{case.name:<15}"]
    cells += [f"{rates.get(name, float('nan')):8.1f}" for name in ("raw", "packed", "NumPy", "PyTorch")]
    cells.append(f"{limit:8.1f}")
    cells += [f"{value:6.2f} ({floor:.2f})" for value, floor in got.values()]
    if "bf16" in rates:
        cells.append(f"{rates['bf16']:8.1f} {rates['bf16'] / rates['packed']:6.2f}")
    print(" ".join(cells), flush=True)
    return [
        f"{case.name}: {name} {value:.2f}, wanted {floor:.2f}"
        for name, (value, floor) in got.items()
        if value < floor * SLACK
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="of ch.10, NumPy and PyTorch alike (1)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each candidate (15)")
    parser.add_argument("--only", nargs="+", metavar="MxKxN", help="these shapes")
    parser.add_argument("--bf16", action="store_true", help="a column for a constant in bfloat16")
    parser.add_argument("--no-check", action="store_true", help="exit with 0 whatever was measured")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    if not cases:
        parser.error(f"--only: there is none of these; there are {', '.join(c.name for c in CASES)}")
    if torch:
        torch.set_num_threads(options.threads)

    tile = ch10.tile()
    threads = f"{options.threads} thread" + "s" * (options.threads > 1)
    print(f"{processor()}, LLVM {chapters.llvm_major()}, {threads}, NumPy {np.__version__}", end="")
    print(f", PyTorch {torch.__version__}" if torch else ", no PyTorch")
    print(f"tile {tile['rows']} x {tile['columns']} ({tile['reason']})")
    print(
        "GFLOP/s (one row: GB/s of B); ratios to the better of NumPy and PyTorch, and to the limit; (floors)"
    )
    names = ["raw", "packed", "NumPy", "PyTorch", "limit"]
    print(
        f"{'MxKxN':<15} "
        + " ".join(f"{name:>8}" for name in names)
        + "".join(f" {name:>13}" for name in ("raw/best", "packed/best", "packed/limit"))
        + ("     bf16  /f32" if options.bf16 else "")
    )
    short = []
    for case in cases:
        short += report(case, measure(case, options.threads, options.rounds, options.bf16))
    for line in short:
        print("short:", line)
    return 1 if short and not options.no_check else 0


if __name__ == "__main__":
    raise SystemExit(main())
