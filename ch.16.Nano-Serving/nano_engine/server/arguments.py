"""The options of `python -m nano_engine serve`. It imports nothing of the server, whose packages are an extra."""

import argparse

from ..cli import add_model_option
from .limits import Limits

KEY_VARIABLE = "NANO_ENGINE_API_KEY"


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen at (127.0.0.1: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8000, help="the port; 0: any that is free (8000)")
    add_model_option(parser)
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or int8 (float32)")
    parser.add_argument("--name", help="what requests call the model; without it, its folder's name")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a step (1)")
    parser.add_argument("--kv-cache-pages", type=int, metavar="N", help="pages of the KV cache (256)")
    parser.add_argument("--max-batch-size", type=int, metavar="N", help="requests that run at once (32)")
    parser.add_argument(
        "--max-chunk-size", type=int, metavar="N", help="tokens of a step (by how many requests run)"
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        action="append",
        help=f"requests must show this key; may be given again. Others on this machine can see it in the list "
        f"of processes: prefer the variable {KEY_VARIABLE} or --api-key-file",
    )
    parser.add_argument("--api-key-file", metavar="FILE", help="a file with one key in each line")
    parser.add_argument(
        "--chat-template",
        metavar="FILE",
        help="a jinja2 template that makes a prompt of messages, for /v1/chat/completions",
    )
    parser.add_argument(
        "--allowed-host",
        metavar="NAME",
        action="append",
        help="a name by which clients may call this server; without it, its own address where that is "
        "local, else any",
    )
    parser.add_argument(
        "--limit", metavar="NAME=VALUE", action="append", default=[], help="set a limit (see --limits)"
    )
    parser.add_argument("--limits", action="store_true", help="print all limits, and end")
    parser.add_argument("--debug-cache", action="store_true", help="show the prefix cache at /debug/cache")
    parser.add_argument("--access-log", action="store_true", help="a line on stderr for every response")


def start_server(args: argparse.Namespace) -> int:
    """The exit status. ValueError or OSError with a sentence if it cannot begin."""
    limits = Limits().with_settings(args.limit)
    if args.limits:
        print(limits.table())
        return 0
    try:
        from .command import serve
    except ModuleNotFoundError as failure:
        raise ValueError(
            f"the server needs the package {failure.name}: python3 -m pip install fastapi uvicorn "
            "prometheus-client jinja2 (the extra [serve])"
        ) from None
    return serve(args, limits)
