"""The engine over HTTP, with the endpoints of OpenAI's API: `python -m nano_engine serve`.

A request's way through the files, one noun each:

    arguments.py    the command line
    command.py      the socket, the model, signals                           -> a running server
    connection.py   a connection's time: slow headers, answers nobody reads
    guard.py        host, API key, length of the body; headers of every response
    auth.py         keys, and which tenant one belongs to
    protocol.py     the fields a request may have, and what is refused by name
    params.py       sampling parameters within the limits
    limits.py       every bound with its default
    chat.py         messages to a prompt, by the operator's template
    app.py          the endpoints
    exchange.py     one request: submitted, followed, ended
    shapes.py       deltas as OpenAI's JSON, for completions and for chat
    logprobs.py     log-probabilities, the same
    sse.py          events on the wire
    errors.py       refusals in OpenAI's shape
    metrics.py      what Prometheus reads
    page/           the page at /
"""
