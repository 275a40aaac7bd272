"""What HTTP costs: tokens per second of 32 answers at once, from the engine itself and through the server of ch.16.

    python3 bench/over_http.py [--repeat 5]

The server is a process of its own on this machine, and so is the client, in Python, that reads every event. The three
ways take turns; the table has the median of each and the part of the first.
"""

import argparse
import asyncio
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx

import chapters

from nano_engine import NanoServingEngine, SamplingParams

NUM_REQUESTS, NUM_TOKENS = 32, 100
PROMPTS = [f"ROMEO {i}: what" for i in range(NUM_REQUESTS)]


async def ask_all(url: str, stream: bool) -> None:
    body = {"max_tokens": NUM_TOKENS, "temperature": 0, "ignore_eos": True, "stream": stream}
    async with httpx.AsyncClient(timeout=120) as client:
        asked = [client.post(url + "/v1/completions", json=body | {"prompt": prompt}) for prompt in PROMPTS]
        for response in await asyncio.gather(*asked):
            response.raise_for_status()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    engine = NanoServingEngine.from_pretrained()
    params = SamplingParams(max_tokens=NUM_TOKENS, ignore_eos=True)
    command = [sys.executable, "-m", "nano_engine", "serve", "--port", "0"]
    server = subprocess.Popen(command, env=chapters.environment(), stderr=subprocess.PIPE, text=True)
    try:
        url = re.match(r"ready: (\S+)", server.stderr.readline())[1]
        ways = {
            "engine.generate": lambda: engine.generate(PROMPTS, params),
            "HTTP, whole answers": lambda: asyncio.run(ask_all(url, stream=False)),
            "HTTP, streams": lambda: asyncio.run(ask_all(url, stream=True)),
        }
        rates = {name: [] for name in ways}
        for turn in range(args.repeat + 1):
            for name, way in ways.items():
                begin_s = time.perf_counter()
                way()
                if turn:  # the first warms up
                    rates[name].append(NUM_REQUESTS * NUM_TOKENS / (time.perf_counter() - begin_s))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        for name, median in medians.items():
            print(f"{name:<20} {median:6.0f} tokens/s  {median / medians['engine.generate']:4.2f}")
    finally:
        server.terminate()
        server.communicate()


if __name__ == "__main__":
    main()
