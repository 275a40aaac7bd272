"""`python -m nano_engine serve`: answer requests over HTTP."""

from .server.arguments import add_serve_arguments, start_server


def add_to(commands) -> None:
    parser = commands.add_parser(
        "serve",
        help="answer requests over HTTP, as OpenAI's API does",
        description="Answers requests over HTTP with the endpoints of OpenAI's API, and shows a page at /.",
    )
    add_serve_arguments(parser)
    parser.set_defaults(run=start_server)
