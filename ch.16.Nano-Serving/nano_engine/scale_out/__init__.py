"""Several engines behind one address, by Ray Serve: `python -m nano_engine.scale_out --replicas 2`.

    prefix_index.py   who has seen which beginning of a text
    prefix_router.py  Ray Serve's request router that asks it
    replica.py        one engine with its server, as a Ray Serve deployment
    front.py          the deployment that takes HTTP and hands requests to replicas
    __main__.py       the command

It imports nothing here, so that a process which only looks needs no Ray.
"""
