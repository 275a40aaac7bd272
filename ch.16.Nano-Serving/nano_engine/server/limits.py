"""Every bound of the server, with its default. Nothing a client sends is unbounded.

`python -m nano_engine serve --limits` prints them; `--limit NAME=VALUE` sets one.
"""

import dataclasses
import math


def limit(default: float, meaning: str):
    return dataclasses.field(default=default, metadata={"meaning": meaning})


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    max_header_bytes: int = limit(16_384, "of a request's line and headers together")
    max_body_bytes: int = limit(1_048_576, "of a request's body")
    max_prompts: int = limit(16, "prompts in one completion request")
    max_prompt_chars: int = limit(65_536, "characters of a prompt, looked at before it is tokenized")
    max_messages: int = limit(256, "messages in one chat request")
    max_n: int = limit(8, "answers to one prompt")
    max_logprobs: int = limit(20, "alternatives shown for each token")
    max_logit_bias: int = limit(300, "tokens with a bias")
    max_stop: int = limit(4, "stop strings")
    max_stop_chars: int = limit(64, "characters of a stop string")
    max_stop_token_ids: int = limit(64, "stop tokens")
    max_open_requests: int = limit(256, "answers that wait and are written; one more is a 429")
    max_connections: int = limit(512, "open connections; one more is a 503")
    header_timeout_s: float = limit(10.0, "for a request's line and headers to arrive")
    body_timeout_s: float = limit(10.0, "for a request's body to arrive")
    keep_alive_s: float = limit(15.0, "between two requests of one connection")
    request_timeout_s: float = limit(300.0, "for one answer; a request may ask for less by timeout_s")
    send_timeout_s: float = limit(30.0, "for a client that does not read what it is sent")
    ping_s: float = limit(15.0, "between two comments in a stream that has no news")
    drain_timeout_s: float = limit(30.0, "for open answers to end after SIGTERM")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{field.name} must be a whole number of at least 1, got {value!r}")
            if field.type is float and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ValueError(f"{field.name} must be a number of seconds above 0, got {value!r}")

    def with_settings(self, settings: list[str]) -> "Limits":
        """These limits with some of them set, each as NAME=VALUE."""
        kinds = {field.name: field.type for field in dataclasses.fields(self)}
        values = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in kinds:
                raise ValueError(f"there is no limit {name!r}; there are: {', '.join(kinds)}")
            try:
                values[name] = kinds[name](text)
            except ValueError:
                kind = "a whole number" if kinds[name] is int else "a number"
                raise ValueError(f"{name} must be {kind}, got {text!r}") from None
        return dataclasses.replace(self, **values)

    def table(self) -> str:
        """One line for each: name, value, meaning."""
        rows = [(f.name, str(getattr(self, f.name)), f.metadata["meaning"]) for f in dataclasses.fields(self)]
        return "\n".join(f"{name:<19} {value:>8}  {meaning}" for name, value, meaning in rows)
