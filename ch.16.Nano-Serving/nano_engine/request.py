"""One request: what was asked, how far it has come and how it ended.

A Request stores; it decides nothing. Its tokens are one row, and two marks divide it:

    tokens       [ prompt . . . . . . . . . . . | output . . . . ]
    position     0                              num_prompt_tokens   num_tokens
    in the cache [0, num_computed_tokens)                             keys and values are in its pages
    pending      [num_computed_tokens, num_tokens)                    still to be read by the model

A request that prefills has a pending range of many tokens, one that decodes has a pending range of one: the
token it has just chosen. Nothing else distinguishes the two, and the model sees no difference at all.
"""

import dataclasses
import enum
import time
from typing import TYPE_CHECKING

from .sampling import SamplingParams

if TYPE_CHECKING:
    from .detokenizer import TextDecoder
    from .sampler import TokenLogprobs


class RequestState(enum.Enum):
    """WAITING -> PREFILL -> DECODE -> FINISHED; PREFILL and DECODE -> WAITING by preemption; all -> FINISHED."""

    WAITING = "waiting"  # holds no pages
    PREFILL = "prefill"  # some of its tokens are still to be read, by all but the last token
    DECODE = "decode"  # has written a token that is still to be read, and only that one
    FINISHED = "finished"  # holds no pages; finish_reason says why


FINISH_REASONS = ("stop", "length", "abort", "error")


UNNUMBERED = -1  # the id of a request that no engine has taken yet


# [request]
@dataclasses.dataclass(slots=True, eq=False)
class Request:
    id: int  # in order of arrival
    prompt_tokens: list[int]
    params: SamplingParams
    seed: int  # params.seed, or the one drawn for this request
    max_new_tokens: int  # params.max_tokens, or fewer where the model's positions end
    prompt: str | None = None  # the text, if the request came as text
    cache_salt: str = ""  # shares cached pages only with requests of the same salt

    state: RequestState = RequestState.WAITING
    output_tokens: list[int] = dataclasses.field(default_factory=list)
    logprobs: list["TokenLogprobs"] = dataclasses.field(default_factory=list)  # one a token, if asked for
    output_text: str | None = None  # set when the answer is handed over, if the model has a tokenizer
    finish_reason: str | None = None  # one of FINISH_REASONS
    stop_reason: int | str | None = None  # with finish_reason "stop": the token or the text that ended it
    error: str | None = None  # a sentence, with finish_reason "error"

    page_table: list[int] = dataclasses.field(default_factory=list)
    num_computed_tokens: int = 0
    num_kept_pages: int = 0  # the first so many of its pages are also the prefix cache's
    stop_decoder: "TextDecoder | None" = None  # reads along, if a text may end the answer

    # How it fared, for who looks.
    num_cached_tokens: int = 0  # tokens of the prompt that were in the prefix cache
    num_preemptions: int = 0
    num_steps: int = 0  # steps that read some of its tokens
    sum_batch_sizes: int = 0  # requests in these steps, itself included
    max_batch_size: int = 0

    arrival_s: float = dataclasses.field(default_factory=time.perf_counter)
    first_token_s: float | None = None
    finish_s: float | None = None
    # [/request]

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt_tokens)

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_tokens) + len(self.output_tokens)

    @property
    def num_pending_tokens(self) -> int:
        return self.num_tokens - self.num_computed_tokens

    @property
    def max_cached_tokens(self) -> int:
        """How many tokens it can put into the cache at most: the last one is written and never read."""
        return len(self.prompt_tokens) + self.max_new_tokens - 1

    def tokens(self, start: int, stop: int) -> list[int]:
        """The tokens at positions [start, stop), from the prompt, the output or both."""
        n = len(self.prompt_tokens)
        return self.prompt_tokens[start:stop] + self.output_tokens[max(0, start - n) : max(0, stop - n)]

    @property
    def text_tokens(self) -> list[int]:
        """The output without the token that ended it."""
        return self.output_tokens[:-1] if isinstance(self.stop_reason, int) else self.output_tokens

    @property
    def mean_batch_size(self) -> float | None:
        """Requests that shared a step with it, on average over its steps, itself included."""
        return self.sum_batch_sizes / self.num_steps if self.num_steps else None

    @property
    def is_finished(self) -> bool:
        return self.state is RequestState.FINISHED

    @property
    def time_to_first_token_s(self) -> float | None:
        return None if self.first_token_s is None else self.first_token_s - self.arrival_s

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens written per second from arrival to end, waiting and prefill included."""
        return (
            None
            if self.finish_s is None
            else len(self.output_tokens) / max(self.finish_s - self.arrival_s, 1e-9)
        )
