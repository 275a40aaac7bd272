"""`python -m nano_engine.scale_out --replicas 2`: N engines behind one address, on this machine.

The options are those of `python -m nano_engine serve`, and --replicas. Ctrl-C and SIGTERM drain.
"""

import argparse
import os
import signal
import sys
import threading

from ..server.arguments import add_serve_arguments
from ..server.limits import Limits

APPLICATION = "nano_engine"


def start(
    num_replicas: int,
    *,
    model: str | None = None,
    dtype: str = "float32",
    engine_options: dict | None = None,
    name: str = "shakespeare",
    limits: Limits | None = None,
    keys: tuple[str, ...] = (),
    hosts: frozenset[str] | None = None,
    max_imbalance: int = 8,
) -> None:
    """Runs the application on the Ray cluster and the Serve instance that there are."""
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    from .front import REPLICAS, front_builder
    from .prefix_router import PrefixRouter
    from .replica import Replica

    limits = limits or Limits()
    replicas = serve.deployment(
        name=REPLICAS,
        num_replicas=num_replicas,
        max_ongoing_requests=limits.max_open_requests,
        graceful_shutdown_timeout_s=limits.drain_timeout_s,
        graceful_shutdown_wait_loop_s=0.2,
        health_check_period_s=2,
        ray_actor_options={"num_cpus": 0},
        request_router_config=RequestRouterConfig(
            request_router_class=PrefixRouter, request_router_kwargs={"max_imbalance": max_imbalance}
        ),
    )(Replica)
    front = serve.deployment(
        name="front",
        max_ongoing_requests=num_replicas * limits.max_open_requests,
        graceful_shutdown_timeout_s=limits.drain_timeout_s,
        graceful_shutdown_wait_loop_s=0.2,
        ray_actor_options={"num_cpus": 0},
    )(serve.ingress(front_builder(APPLICATION, keys, limits, hosts))())
    bound = replicas.bind(model, dtype, engine_options or {}, name, limits, {"api_keys": keys})
    serve.run(front.bind(bound), name=APPLICATION, route_prefix="/")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nano_engine.scale_out", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--replicas", type=int, default=2, metavar="N", help="engines (2)")
    add_serve_arguments(parser)
    args = parser.parse_args(argv)
    try:
        limits = Limits().with_settings(args.limit)
        if args.limits:
            print(limits.table())
            return 0
        if args.replicas < 1:
            raise ValueError(f"--replicas must be at least 1, got {args.replicas}")
        import ray
        from ray import serve

        from ..server.command import allowed_hosts, engine_options, listen, model_name, read_keys
    except ModuleNotFoundError as failure:
        print(
            f"error: this needs the package {failure.name}: python3 -m pip install 'ray[serve]'",
            file=sys.stderr,
        )
        return 2
    except ValueError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    try:
        keys = read_keys(args)
        with listen(args.host, args.port) as listener:
            host, port = listener.getsockname()[:2]  # free a moment ago; Ray takes a number, not a socket
        os.environ.setdefault("RAY_SERVE_LOG_TO_STDERR", "0")
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
        serve.start(http_options={"host": host, "port": port})
        start(
            args.replicas,
            model=args.model,
            dtype=args.dtype,
            engine_options=engine_options(args),
            name=args.name or model_name(args.model),
            limits=limits,
            keys=keys,
            hosts=allowed_hosts(host, args.allowed_host),
        )
    except (ValueError, OSError, RuntimeError) as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(
        f"ready: http://{host}:{port} with {args.replicas} replicas (Ctrl-C ends it)",
        file=sys.stderr,
        flush=True,
    )
    stop.wait()
    print("stopping: open answers may go on", file=sys.stderr, flush=True)
    serve.delete(APPLICATION)  # lets what is open end; `shutdown` alone would cut it off
    serve.shutdown()
    ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
