"""What the commands of `python -m nano_engine` have in common: options, figures, Ctrl-C, a line of status."""

import argparse
import signal
import sys

from .request import Request
from .sampling import SamplingParams


def add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="a folder in Hugging Face's format, or a Hugging Face id; without it, the bundled model",
    )
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        type=lambda text: False if text == "off" else text,
        help="where compiled code and packed weights are kept for the next start, off: nowhere (what the variable "
        "COURSE_CACHE_DIR says, else ~/.cache/mlir-course)",
    )


def add_sampling_options(parser: argparse.ArgumentParser, max_tokens: int) -> None:
    options = [
        ("--max-tokens", "N", int, max_tokens, f"write N tokens at most ({max_tokens})"),
        ("--temperature", "T", float, 0.8, "0 always takes the likeliest token (0.8)"),
        ("--top-k", "K", int, None, "draw from the K likeliest tokens only"),
        ("--top-p", "P", float, 1.0, "draw from the likeliest tokens up to this probability (1.0)"),
        ("--min-p", "P", float, 0.0, "draw from tokens at least P times as likely as the likeliest (0)"),
        ("--repetition-penalty", "R", float, 1.0, "above 1: fewer tokens that were there before (1.0)"),
        ("--seed", "N", int, None, "repeats an answer; without it every answer is another"),
    ]
    for name, metavar, kind, default, text in options:
        parser.add_argument(name, metavar=metavar, type=kind, default=default, help=text)
    parser.add_argument(
        "--stop",
        metavar="TEXT",
        action="append",
        default=[],
        help="end the answer before this text; repeatable",
    )
    parser.add_argument("--ignore-eos", action="store_true", help="go on after the end-of-text token")


def sampling_params(args: argparse.Namespace, **changes) -> SamplingParams:
    names = [
        "max_tokens",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repetition_penalty",
        "seed",
        "stop",
        "ignore_eos",
    ]
    return SamplingParams(**{name: getattr(args, name) for name in names} | changes)


def figures(request: Request) -> str:
    """One line: "200 tokens, 812.3 tokens/s, first token after 4.1 ms, ended by length, seed 7"."""
    if request.error:
        return f"error: {request.error}"
    parts = [f"{len(request.output_tokens)} tokens", f"{request.tokens_per_s:.1f} tokens/s"]
    if request.time_to_first_token_s is not None:
        parts.append(f"first token after {request.time_to_first_token_s * 1e3:.1f} ms")
    parts.append(f"ended by {request.finish_reason}")
    if request.params.temperature > 0:
        parts.append(f"seed {request.seed}")
    return ", ".join(parts)


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class Interrupt:
    """Turns the first Ctrl-C into a wish, so that an answer ends between two tokens; the second is the usual."""

    requested = False

    def __enter__(self):
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, self._before)

    def __exit__(self, *_) -> None:
        signal.signal(signal.SIGINT, self._before)


class Status:
    """A line on the terminal while something takes long; gone afterwards. Nothing if stderr is a file."""

    def __init__(self, text: str):
        self.text = text

    def __enter__(self):
        if sys.stderr.isatty():
            sys.stderr.write(self.text)
            sys.stderr.flush()

    def __exit__(self, *_) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r" + " " * len(self.text) + "\r")
            sys.stderr.flush()
