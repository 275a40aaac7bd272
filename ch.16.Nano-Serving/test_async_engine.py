"""The engine for asyncio: every request that was accepted has one last delta, whatever happens."""

import asyncio
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

from ch16_serving import slow_engine
from ch16_testing import TEXT, engine, require_all_back
from nano_engine import QueueFull, SamplingParams
from nano_engine.async_engine import AsyncEngine, NotServing

PATIENCE_S = 20


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE_S))


async def collect(answers) -> dict[int, list]:
    """The deltas of each prompt; each must have one last delta, and it must be the last."""
    deltas = {}
    async with answers:
        async for delta in answers:
            deltas.setdefault(delta.index, []).append(delta)
    await asyncio.sleep(0.02)
    assert answers._deltas.empty(), "something came after the end"
    for ours in deltas.values():
        assert [d.finish_reason is not None for d in ours] == [False] * (len(ours) - 1) + [True]
    return deltas


def test_the_same_answers_as_generate():
    """Text and tokens, for prompts that share every step."""
    prompts = [TEXT[:n] for n in (5, 9, 14)] + [[1, 2, 3]]
    params = [SamplingParams(max_tokens=9, temperature=0.9, seed=i) for i in range(4)]
    expected = engine("reference").generate(prompts, params)

    async def main():
        async with AsyncEngine(engine("reference")) as served:
            deltas = await collect(await served.submit(prompts, params))
            assert served.get_stats()["num_open_requests"] == 0
            return deltas, served.engine

    deltas, used = run(main())
    for index, request in enumerate(expected):
        assert [token for d in deltas[index] for token in d.tokens] == request.output_tokens
        assert "".join(d.text for d in deltas[index]) == request.output_text
        assert deltas[index][-1].finish_reason == request.finish_reason
    assert max(d.step.num_requests for d in deltas[0]) == 4
    require_all_back(used)


def test_what_the_engine_refuses_is_raised_and_takes_nothing():
    async def main():
        async with AsyncEngine(engine("reference"), max_open_requests=3) as served:
            params = SamplingParams(max_tokens=2)
            for prompts, sentence in [
                ([[]], "prompt is empty"),
                ([[1], [99999]], r"of prompt 1, prompt\[0\] must be between"),
                (["\ud800"], "not valid Unicode"),
                ([3], "must be a text or a list"),
            ]:
                with pytest.raises((ValueError, TypeError), match=sentence):
                    await served.submit(prompts, [params] * len(prompts))
            with pytest.raises(ValueError, match="one SamplingParams for each"):
                await served.submit([[1]], [])
            with pytest.raises(QueueFull, match="4 more requests do not fit: 0 of at most 3"):
                await served.submit([[1]] * 4, [params] * 4)
            assert served.get_stats()["num_open_requests"] == 0
            assert len(await collect(await served.submit([[1]] * 3, [params] * 3))) == 3
            require_all_back(served.engine)

    run(main())


def test_cancelling_a_task_ends_its_request():
    async def main():
        async with AsyncEngine(slow_engine()) as served:

            async def read():
                async for _ in served.stream([1, 2], SamplingParams(max_tokens=30)):
                    pass

            task = asyncio.create_task(read())
            while served.engine.get_stats()["total_tokens_generated"] < 2:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while served.get_stats()["num_open_requests"]:
                await asyncio.sleep(0.005)
            require_all_back(served.engine)
            assert served.engine.get_stats()["total_requests_aborted"] == 1

    run(main())


def test_a_storm_of_cancellations():
    """300 requests, each cancelled at some moment: while it is tokenized, waits, runs, or not at all."""
    rng = random.Random(0)
    reasons = []

    async def main():
        async with AsyncEngine(slow_engine(0.001, kv_cache_pages=24), max_open_requests=400) as served:

            async def one(patience_s):
                last = None
                try:
                    async with asyncio.timeout(patience_s):
                        async for delta in served.stream(TEXT[:8], SamplingParams(max_tokens=6, seed=1)):
                            assert last is None
                            last = delta.finish_reason
                except TimeoutError:
                    last = last or "cancelled"
                reasons.append(last)

            await asyncio.gather(*(one(rng.choice([0, 0.002, 0.01, 0.05, 0.2, 60])) for _ in range(300)))
            while served.get_stats()["num_open_requests"]:
                await asyncio.sleep(0.005)
            require_all_back(served.engine)

    run(main())
    assert len(reasons) == 300 and set(reasons) == {"cancelled", "length"}


class Broken(Exception):
    pass


@pytest.mark.parametrize("where", ["model", "engine"])
def test_a_failing_step_does_not_take_the_engine_with_it(where, monkeypatch):
    """Whether the model fails or the engine itself: who was in the step gets a sentence, the next is served."""
    served_engine = slow_engine(0.001)
    real = served_engine.step if where == "engine" else served_engine._batcher.executor.model.step
    fails = threading.Event()

    def step(*arguments):
        if fails.is_set():
            fails.clear()
            raise Broken("on purpose")
        return real(*arguments)

    if where == "engine":
        monkeypatch.setattr(served_engine, "step", step)
    else:
        monkeypatch.setattr(served_engine._batcher.executor.model, "step", step)

    async def main():
        async with AsyncEngine(served_engine) as served:
            fails.set()
            answers = await served.submit([[1, 2], [3]], [SamplingParams(max_tokens=5)] * 2)
            for deltas in (await collect(answers)).values():
                assert deltas[-1].finish_reason == "error" and "Broken: on purpose" in deltas[-1].error
            require_all_back(served_engine)
            answers = await served.submit([[1, 2]], [SamplingParams(max_tokens=5)])
            assert (await collect(answers))[0][-1].finish_reason == "length"

    run(main())


def test_when_the_thread_dies_everybody_hears_of_it(monkeypatch):
    async def main():
        served = AsyncEngine(slow_engine())
        answers = await served.submit([[1, 2]], [SamplingParams(max_tokens=30)])
        await anext(answers)

        def die():
            raise SystemExit

        monkeypatch.setattr(served.engine, "step", die)
        deltas = await collect(answers)
        assert deltas[0][-1].finish_reason == "abort"
        served._thread.join(PATIENCE_S)
        assert not served.is_serving
        with pytest.raises(NotServing):
            await served.submit([[1, 2]], [SamplingParams()])
        served.close()
        require_all_back(served.engine)

    run(main())


def test_drain_lets_answers_end_and_then_ends_them():
    async def main():
        for timeout_s, all_ended, reason in [(10, True, "length"), (0.05, False, "abort")]:
            async with AsyncEngine(slow_engine(0.02)) as served:
                answers = await served.submit([[1, 2]], [SamplingParams(max_tokens=20)])
                reading = asyncio.create_task(collect(answers))
                draining = asyncio.create_task(served.drain(timeout_s))
                await asyncio.sleep(0)
                with pytest.raises(NotServing):
                    await served.submit([[1]], [SamplingParams()])
                assert await draining is all_ended
                assert (await reading)[0][-1].finish_reason == reason
                require_all_back(served.engine)

    run(main())


def test_close_ends_what_is_open_and_can_be_called_again():
    async def main():
        served = AsyncEngine(slow_engine())
        answers = await served.submit([[1, 2]], [SamplingParams(max_tokens=30)])
        await asyncio.to_thread(served.close)
        assert (await collect(answers))[0][-1].finish_reason == "abort"
        served.close()
        require_all_back(served.engine)

    run(main())


def test_a_loop_that_is_gone_leaves_no_request():
    """A caller's event loop ends with its answer half read; other loops are served on."""
    served = AsyncEngine(slow_engine())

    async def leave():
        answers = await served.submit([[1, 2]], [SamplingParams(max_tokens=30)])
        await anext(answers)

    run(leave())

    async def stay():
        return await collect(await served.submit([[1, 2]], [SamplingParams(max_tokens=3)]))

    assert run(stay())[0][-1].finish_reason == "length"
    end_s = time.monotonic() + PATIENCE_S
    while served.get_stats()["num_open_requests"] and time.monotonic() < end_s:
        time.sleep(0.01)
    require_all_back(served.engine)
    served.close()


def test_the_event_loop_never_waits_for_a_step():
    """Steps take 200 ms; in between the loop gets its turns, submissions and aborts included."""

    async def main():
        async with AsyncEngine(slow_engine(0.2)) as served:
            latest, longest_s = time.perf_counter(), 0.0
            answers = [await served.submit([[1, 2]], [SamplingParams(max_tokens=30)])]
            for turn in range(40):
                if turn % 10 == 0:
                    begun = asyncio.create_task(served.submit([TEXT[:9]], [SamplingParams(max_tokens=30)]))
                await asyncio.sleep(0.01)
                if begun.done() and begun.result() not in answers:
                    answers.append(begun.result())
                    answers[-1].abort("enough")
                served.get_stats()
                now = time.perf_counter()
                longest_s, latest = max(longest_s, now - latest - 0.01), now
            for each in answers:
                each.abort("enough")
            return longest_s

    # Anything that waited for the engine's lock would have waited for most of a step.
    assert run(main()) < 0.15


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
