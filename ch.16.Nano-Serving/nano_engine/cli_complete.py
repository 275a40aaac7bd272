"""`python -m nano_engine complete`: continues one text, printing it as it is written."""

import argparse
import sys

from .cli import Interrupt, Status, add_model_option, add_sampling_options, figures, sampling_params, write
from .engine import NanoServingEngine


def add_to(commands) -> None:
    parser = commands.add_parser(
        "complete",
        help="continue a text",
        description="Continues a text, printing it as it is written. The last line, on stderr, gives the "
        "figures: tokens written, tokens per second from the prompt to the last token, time to the first "
        "token, why the answer ended, and the seed that repeats it. Ctrl-C ends the answer early.",
    )
    parser.add_argument("prompt", help="the text to continue")
    add_sampling_options(parser, max_tokens=200)
    add_model_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    params = sampling_params(args)
    with Status("loading and compiling the model ..."):
        engine = NanoServingEngine.from_pretrained(args.model, cache_dir=args.cache_dir)

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
