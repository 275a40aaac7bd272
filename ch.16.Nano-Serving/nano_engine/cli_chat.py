"""`python -m nano_engine chat`: a conversation, turn by turn, in one growing text.

GPT-2 and the bundled model have no chat template: they continue texts. So a turn here is what --turn says, the answer
is what the model writes up to --stop, and the text so far is the next prompt. That it is read again costs nearly
nothing: it is in the prefix cache, and the figures say how much of it.
"""

import argparse
import sys

from .cli import Interrupt, Status, add_model_option, add_sampling_options, figures, sampling_params, write
from .engine import NanoServingEngine


def add_to(commands) -> None:
    parser = commands.add_parser(
        "chat",
        help="a conversation, line by line",
        description="Reads lines from stdin and answers each. The model has no chat template: the conversation is one "
        "text that it continues, and the format of a turn is yours to choose. An empty line ends it, as does Ctrl-D; "
        "Ctrl-C ends an answer.",
    )
    parser.add_argument(
        "--turn", metavar="FORMAT", default="{}\n", help="what a line becomes; {} is the line ('{}\\n')"
    )
    parser.add_argument("--system", metavar="TEXT", default="", help="what the conversation begins with")
    add_sampling_options(parser, max_tokens=60)
    add_model_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    params = sampling_params(args, stop=args.stop or ["\n\n"])
    turn = args.turn.replace("\\n", "\n")
    if "{}" not in turn:
        raise ValueError(f"--turn must contain {{}}, which stands for the line, got {args.turn!r}")
    with Status("loading and compiling the model ..."):
        engine = NanoServingEngine.from_pretrained(args.model, cache_dir=args.cache_dir)

    tokens = engine.tokenizer.encode(args.system).ids
    while line := read_line():
        tokens = fitted(
            tokens + engine.tokenizer.encode(turn.replace("{}", line)).ids, engine, params.max_tokens
        )
        stream = engine.stream(tokens, params)
        with Interrupt() as interrupt, stream:
            for piece in stream:
                write(piece)
                if interrupt.requested:
                    break
        write("\n")
        request = stream.request
        print(f"[{figures(request)}; {cached(request)}]", file=sys.stderr)
        if request.error:
            return 1
        # The answer's own tokens, so that the next prompt begins with exactly what is cached.
        tokens = tokens + request.output_tokens + engine.tokenizer.encode("\n").ids
    return 0


def read_line() -> str:
    """The next line, without its end; "" where there is none or an empty one."""
    if sys.stdin.isatty():
        write("> ")
    return sys.stdin.readline().rstrip("\r\n")


def fitted(tokens: list[int], engine: NanoServingEngine, max_tokens: int) -> list[int]:
    """The end of the conversation for which there is room beside an answer; half of it, where all is too much.

    Half, and not all that fits: the text must begin where it began the last time to be found in the prefix cache.
    """
    room = max(1, engine.config.max_seq_len - max_tokens)
    return tokens if len(tokens) <= room else tokens[-max(1, room // 2) :]


def cached(request) -> str:
    return f"{request.num_cached_tokens} of the prompt's {request.num_prompt_tokens} tokens were cached"
