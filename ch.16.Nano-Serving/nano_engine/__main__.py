"""The command line: `python -m nano_engine complete "To be, or not"`. Each command is a file, cli_*.py."""

import argparse
import sys

from . import cli_bench, cli_chat, cli_complete, cli_serve

COMMANDS = (
    cli_complete,
    cli_chat,
    cli_serve,
    cli_bench,
)  # each has add_to(commands), which sets run(args) -> exit status


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nano_engine",
        description="A GPT-2 served on kernels that MLIR generated.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = arguments()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return 2
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        name = f"python -m nano_engine {args.command}"
        print(f"error: {name} does not know {unknown[0]}; {name} --help lists what it does", file=sys.stderr)
        return 2
    sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8 still gets its text
    try:
        return args.run(args)
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
