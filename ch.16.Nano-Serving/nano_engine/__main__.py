"""The command line: `python -m nano_engine complete "To be, or not"`."""

import argparse
import signal
import sys

from .engine import NanoServingEngine
from .request import Request
from .sampling import SamplingParams


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nano_engine",
        description="A GPT-2 served on kernels that MLIR generated.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    complete = commands.add_parser(
        "complete",
        help="continue a text",
        description="Continues a text, printing it as it is written. The last line, on stderr, gives the "
        "figures: tokens written, tokens per second from the prompt to the last token, time to the first "
        "token, why the answer ended, and the seed that repeats it. Ctrl-C ends the answer early.",
    )
    complete.add_argument("prompt", help="the text to continue")
    options = [
        ("--max-tokens", "N", int, 200, "write N tokens at most (200)"),
        ("--temperature", "T", float, 0.8, "0 always takes the likeliest token (0.8)"),
        ("--top-k", "K", int, None, "draw from the K likeliest tokens only"),
        ("--top-p", "P", float, 1.0, "draw from the likeliest tokens up to this probability (1.0)"),
        ("--seed", "N", int, None, "repeats an answer; without it every answer is another"),
        (
            "--model",
            "DIR_OR_ID",
            str,
            None,
            "a folder in Hugging Face's format, or a Hugging Face id; without it, the bundled model",
        ),
    ]
    for name, metavar, kind, default, text in options:
        complete.add_argument(name, metavar=metavar, type=kind, default=default, help=text)
    complete.add_argument("--ignore-eos", action="store_true", help="go on after the end-of-text token")
    return parser


def complete(args: argparse.Namespace) -> int:
    params = SamplingParams(
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        seed=args.seed,
        ignore_eos=args.ignore_eos,
    )
    with Status("loading and compiling the model ..."):
        engine = NanoServingEngine.from_pretrained(args.model)

    stream = engine.stream(args.prompt, params)
    with Interrupt() as interrupt, stream:
        write(args.prompt)
        for piece in stream:
            write(piece)
            if interrupt.requested:
                break
    write("\n")
    print(figures(stream.request), file=sys.stderr)
    return 130 if interrupt.requested else 1 if stream.request.error else 0


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


def main(argv: list[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8 still gets its text
    try:
        return complete(args)
    except (ValueError, OSError) as failure:
        if isinstance(failure, BrokenPipeError):  # the reader has left, as `head` does
            sys.stdout = None
            return 0
        print(f"error: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
