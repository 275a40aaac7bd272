"""What tests/threads.py does with its calls: many threads make them at once, and every answer is compared bit by bit
with what one thread alone gets. Knows of calls and of modules with a cache, and of no chapter."""

import dataclasses
import itertools
import random
import threading
import time
from collections.abc import Callable

import numpy as np

BURST_S = 0.002
MOST_CLEAR_S = 1.0  # the longest time between two clears
NUM_FRESH = 20  # different functions of each Fresh: after that, only a cleared cache compiles them again


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One call of a chapter, always the same one."""

    name: str
    run: Callable[[], object]  # an array, or whatever has a repr
    check: Callable[[object], bool]  # whether the answer is right; asked once


@dataclasses.dataclass(frozen=True, slots=True)
class Fresh:
    """A call that compiles something new each time it is given another number; says itself whether it was right."""

    name: str
    run: Callable[[int], bool]


def bits(answer) -> object:
    """Something equal only for answers that are equal to the last bit."""
    if isinstance(answer, np.ndarray):
        return answer.dtype.str, answer.shape, answer.tobytes()
    return repr(answer)


def short(answer: object) -> str:
    """An answer for a message."""
    text = " ".join(repr(answer).split())
    return text if len(text) <= 200 else text[:200] + " …"


class Wrong(Exception):
    """An answer is not what it must be."""


@dataclasses.dataclass(slots=True)
class Load:
    """What the threads share."""

    calls: list[Call]
    fresh: list[Fresh]
    expected: dict[str, object] = dataclasses.field(default_factory=dict)  # name: bits of the single thread
    clears: list[tuple[object, float]] = dataclasses.field(
        default_factory=list
    )  # module, seconds to compile it again
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    numbers: itertools.count = dataclasses.field(default_factory=itertools.count)
    next_clear: float = 0.0
    num_calls: int = 0
    num_fresh: int = 0
    num_clears: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)

    def in_threads(self, count: int, work: Callable[[int], None]) -> None:
        """work(0), work(1), … side by side. What they raise is `wrong`."""
        together = threading.Barrier(count)

        def run(index: int) -> None:
            together.wait()
            try:
                work(index)
            except BaseException as error:
                self.wrong.append(f"thread {index}: {type(error).__name__}: {error}")

        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def first_calls(self, count: int, seed: int) -> list[dict[str, object]]:
        """Every call from every thread, with nothing compiled: half of the threads in the same order."""
        answers: list[dict[str, object]] = [{} for _ in range(count)]

        def work(index: int) -> None:
            order = list(self.calls)
            if index % 2:
                random.Random(f"{seed} {index}").shuffle(order)
            for call in order:
                answers[index][call.name] = bits(call.run())

        self.in_threads(count, work)
        return answers

    def alone(self) -> None:
        """The answers of one thread, compared with the oracles."""
        for call in self.calls:
            answer = call.run()
            self.expected[call.name] = bits(answer)
            if not call.check(answer):
                raise Wrong(f"{call.name}: one thread alone gets what its oracle does not: {short(answer)}")

    def compare(self, call: Call, answer: object, when: str) -> None:
        if bits(answer) != self.expected[call.name]:
            raise Wrong(f"{call.name}: {when}, another answer than that of one thread: {short(answer)}")

    def maybe_clear(self) -> None:
        """Now and then a thread clears a cache, as often as the time to fill it again allows."""
        if not self.clears or time.monotonic() < self.next_clear or not self.lock.acquire(blocking=False):
            return
        try:
            module, seconds = self.clears[self.num_clears % len(self.clears)]
            module.clear_cache()
            self.num_clears += 1
            self.next_clear = time.monotonic() + min(seconds, MOST_CLEAR_S)
        finally:
            self.lock.release()

    def any_calls(self, count: int, seed: int, seconds: float, sample: Callable[[], None]) -> None:
        end = time.monotonic() + seconds

        def work(index: int) -> None:
            choose = random.Random(f"{seed} {index} any")
            kept: dict[str, object] = {}  # each call's last answer: nobody else may write into it
            next_fresh = time.monotonic() + choose.random()
            calls = 0
            while time.monotonic() < end and not self.wrong:
                call = choose.choice(self.calls)
                if call.name in kept:
                    self.compare(call, kept[call.name], "looked at again later")
                burst = time.monotonic() + BURST_S  # so that quick calls come in numbers too
                while True:
                    kept[call.name] = call.run()
                    self.compare(call, kept[call.name], "among other calls")
                    calls += 1
                    if time.monotonic() > burst:
                        break
                self.maybe_clear()
                if index == 0:
                    sample()
                if self.fresh and time.monotonic() > next_fresh:
                    next_fresh = time.monotonic() + 1
                    fresh = choose.choice(self.fresh)
                    number = next(self.numbers) % NUM_FRESH
                    if not fresh.run(number):
                        raise Wrong(f"{fresh.name}({number}), compiled beside other calls, is wrong")
                    self.num_fresh += 1
            with self.lock:
                self.num_calls += calls

        self.in_threads(count, work)
