"""The processes of gpt2_peers.py, as gpt2.py sees them: started twice, held against the reference, asked for turns."""

import json
import pathlib
import select
import subprocess
import time

FIRST_TOKENS = 5  # of the prompt after which an engine is ready


class Gone(Exception):
    """An engine that is no longer there, and why."""


class Engine:
    """One process. `failure` says why there is none, or is None."""

    def __init__(self, python: str, name: str, folder: pathlib.Path, dtype: str, threads: int, log):
        self.name = name
        script = pathlib.Path(__file__).with_name("gpt2_peers.py")
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [python, str(script), name, str(folder), dtype, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            self._hear_out(begin)
        except BaseException:  # Ctrl-C too: nobody would end it
            self.process.kill()
            raise

    def _hear_out(self, begin: float) -> None:
        """Its first line and its first token."""
        state, _, rest = self.process.stdout.readline().strip().partition(" ")
        self.failure = None if state == "ready" else rest or "it ended without a word"
        if self.failure:
            return
        about = json.loads(rest)
        self.about, self.imported_mb = about["about"], about["imported_mb"]
        self.compile_seconds = about["compile_seconds"]
        self.ask(f"start 1 {FIRST_TOKENS}")
        self.first_token_seconds = time.perf_counter() - begin

    def ask(self, line: str, limit: float | None = None) -> float:
        """Its answer. Gone, and the end of its process, where that takes more than `limit` seconds or never comes."""
        try:
            print(line, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise Gone(f"{self.name} is left out: it ended before `{line}`") from None
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.process.kill()
            raise Gone(f"{self.name} is left out: `{line}` took more than {limit:g} s")
        answer = self.process.stdout.readline()
        if not answer:
            raise Gone(f"{self.name} is left out: it ended in the middle of `{line}`")
        return float(answer)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
        self.process.wait()


def start(
    python: str, name: str, folder: pathlib.Path, dtype: str, threads: int, log, reference, tolerance: float
) -> Engine:
    """The engine at rest, after a prompt and a decode, with what that took; Gone where it cannot be had or is wrong.

    It starts twice: the first start writes or compiles what the engine wants once for a model, the second finds it.
    reference: a file for `check`. tolerance: how far logits may be off, relative to the greatest.
    """
    before = Engine(python, name, folder, dtype, threads, log)
    if before.failure:
        raise Gone(f"{name} is left out: {before.failure}")
    before.close()
    engine = Engine(python, name, folder, dtype, threads, log)
    if engine.failure:
        raise Gone(f"{name} is left out: at its second start, {engine.failure}")
    try:
        engine.error = engine.ask(f"check {reference}")
        if not engine.error <= tolerance:  # or it is no number
            raise Gone(
                f"{name} is left out: its logits are off by {engine.error:.2g}, more than {tolerance:g}"
            )
        engine.ask(f"start 1 {FIRST_TOKENS}")
        engine.ask("decode")
        engine.memory_mb = engine.ask("memory")
    except BaseException:
        engine.process.kill()
        raise
    engine.first_start_seconds = before.first_token_seconds
    engine.compile_seconds = before.compile_seconds
    return engine
