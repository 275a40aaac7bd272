"""The engine as its caller sees it: prompts in, answers out, from any number of threads.

It checks and tokenizes, so that nothing invalid ever reaches the scheduler, and holds the one lock under
which requests are added, stepped and aborted. There is no thread of its own: whoever waits for an answer
steps the engine, and a step advances everybody's requests. It keeps no request that has ended.
"""

import os
from collections import deque
from collections.abc import Sequence

import numpy as np

from ch16_nano_serving import KVCachePool

from .batch import Chunk
from .continuous_batcher import ContinuousBatcher
from .decode_manager import DecodeManager
from .detokenizer import Detokenizer, TextDecoder
from .executor import Model, ModelConfig, ModelExecutor
from .fair_lock import FairLock
from .prefill_manager import PrefillManager
from .radix_manager import RadixManager
from .request import UNNUMBERED, Request
from .request_pool import MAX_WAITING_REQUESTS, RequestPool
from .sampler import Sampler
from .sampling import SamplingParams, require_bool, require_int
from .stream import TextStream, TokenStream


class NanoServingEngine:
    """Serves one GPT-2 model.

    config                weights.config, or a ModelConfig
    weights               what ch.14's load_gpt2_weights returns (may be None if `model` is given)
    kv_cache_pages        pages of the KV cache
    page_size             tokens a page
    max_chunk_size        tokens of a step: decodes first, the rest for prompts (the model's positions: no chunks);
                          None: about as many as make a step twice as long as its decodes alone (chunked_prefill.py)
    max_batch_size        requests that run at once
    eos_token_id          the token that ends an answer; None: the config's, -1: none
    enable_prefix_cache   requests that begin alike share pages, and pages outlive their request
    enable_paging         pages are taken one by one; False: the worst case in one piece, and no prefix cache
    max_waiting_requests  requests that may wait; more are refused with QueueFull
    model                 anything with ch.14's step; None: ch.14's GPT2 on `weights`
    tokenizer             a tokenizers.Tokenizer; None: weights.tokenizer, if there is one
    num_threads           threads that share the work of a step, and change no bit of it; None: one a processor
    cache_dir             where compiled code is kept for the next process, as ch.14's GPT2 has it: a folder, None for
                          COURSE_CACHE_DIR or the usual one, False for none
    """

    def __init__(
        self,
        config,
        weights,
        kv_cache_pages: int = 256,
        page_size: int = 16,
        max_chunk_size: int | None = None,
        max_batch_size: int = 32,
        eos_token_id: int | None = None,
        *,
        enable_prefix_cache: bool = True,
        enable_paging: bool = True,
        max_waiting_requests: int = MAX_WAITING_REQUESTS,
        model: Model | None = None,
        tokenizer=None,
        num_threads: int | None = 1,
        cache_dir: str | os.PathLike | bool | None = None,
    ):
        self.config = ModelConfig.of(config)
        if hasattr(weights, "config") and self.config != ModelConfig.of(weights.config):
            raise ValueError(
                f"config is {self.config}, but the weights are of {ModelConfig.of(weights.config)}"
            )
        if max_chunk_size is not None:
            require_int("max_chunk_size", max_chunk_size, 1)
        require_int("max_batch_size", max_batch_size, 1)
        require_int("max_waiting_requests", max_waiting_requests, 1)
        require_bool("enable_prefix_cache", enable_prefix_cache)
        if not require_bool("enable_paging", enable_paging) and enable_prefix_cache:
            raise ValueError(
                "enable_paging=False needs enable_prefix_cache=False: pages are what requests share"
            )
        if model is not None and num_threads != 1:
            raise ValueError(f"num_threads={num_threads} is for the engine's own model, and model was given")
        if model is not None and cache_dir is not None:
            raise ValueError(f"cache_dir={cache_dir!r} is for the engine's own model, and model was given")
        if eos_token_id is None:
            eos_token_id = getattr(config, "eos_token_id", None)
        else:
            require_int("eos_token_id", eos_token_id, -1, self.config.vocab_size - 1)
        self.eos_token_id = None if eos_token_id == -1 else eos_token_id

        self.tokenizer = _without_truncation(
            getattr(weights, "tokenizer", None) if tokenizer is None else tokenizer
        )
        self._detokenizer = None if self.tokenizer is None else Detokenizer(self.tokenizer)

        self.kv_pool = KVCachePool(
            kv_cache_pages, page_size, self.config.n_layer, self.config.n_head, self.config.head_dim
        )
        if model is None:
            import ch14_gpt_optimized as gpt

            model = gpt.GPT2(weights, page_size=page_size, num_threads=num_threads, cache_dir=cache_dir)
        self._radix = RadixManager(self.kv_pool, enable_prefix_cache)
        self._requests = RequestPool(self.kv_pool, self._radix, max_waiting_requests, enable_paging)
        self._batcher = ContinuousBatcher(
            self._requests,
            PrefillManager(self._requests, max_chunk_size, max_batch_size),
            DecodeManager(self._requests, self.eos_token_id),
            ModelExecutor(model, self.config, self.kv_pool),
            Sampler(self.eos_token_id),
        )
        self._lock = FairLock()
        self._abandoned: deque[Request] = deque()

    @classmethod
    def from_pretrained(
        cls,
        path_or_id=None,
        dtype: str = "float32",
        *,
        cache_dir: str | os.PathLike | bool | None = None,
        **options,
    ) -> "NanoServingEngine":
        """An engine on the bundled model, a folder in Hugging Face's format, or a Hugging Face id.

        In cache_dir the packed weights are kept as well. The options are the engine's own.
        """
        import ch14_gpt_optimized as gpt

        weights = gpt.load_gpt2_weights(path_or_id, dtype=dtype, cache_dir=cache_dir)
        return cls(weights.config, weights, cache_dir=cache_dir, **options)

    # Answers
    def generate(
        self, prompts: Sequence, params=None, progress: bool = False, cache_salt: str = ""
    ) -> list[Request]:
        """Finished requests in the order of `prompts`.

        prompts     a list of texts or of lists of token ids
        params      one SamplingParams for all, a list with one for each prompt, or None for the defaults
        progress    show a progress bar (tqdm) on stderr
        cache_salt  share cached prefixes with requests of the same salt only

        If any prompt is invalid, a ValueError names it and nothing runs. A request that fails while it runs
        comes back with finish_reason "error"; the others are not touched by it.
        """
        requests = self._make_requests(prompts, params, cache_salt)
        with self._lock:
            self._requests.require_room(len(requests))
            for request in requests:
                self._requests.add(request)

        unfinished = requests
        try:
            with _progress_bar(len(requests), progress) as bar:
                while unfinished:
                    self.step()
                    still_unfinished = [request for request in unfinished if not request.is_finished]
                    bar.update(len(unfinished) - len(still_unfinished))
                    unfinished = still_unfinished
        finally:
            for request in unfinished:  # only after an exception, Ctrl-C for one
                self.abort(request.id)
        for request in requests:
            self._set_text(request)
        return requests

    def stream(self, prompt, params: SamplingParams | None = None, cache_salt: str = "") -> TextStream:
        """The answer to one prompt as an iterator over pieces of text; the request is its `.request`."""
        if self._detokenizer is None:
            raise ValueError("stream needs a tokenizer, and this model has none: use stream_tokens")
        request = self.submit(prompt, params, cache_salt)
        return TextStream(self, request, self.start_decoder(request))

    def stream_tokens(
        self, prompt, params: SamplingParams | None = None, cache_salt: str = ""
    ) -> TokenStream:
        """The answer to one prompt as an iterator over token ids; the request is its `.request`."""
        return TokenStream(self, self.submit(prompt, params, cache_salt))

    # The parts they are made of

    def submit(self, prompt, params: SamplingParams | None = None, cache_salt: str = "") -> Request:
        """Adds one request to the queue and returns it at once; `step` brings it forward."""
        request = self._make_request("prompt", prompt, _require_params("params", params), cache_salt)
        with self._lock:
            self._requests.add(request)
        return request

    def start_decoder(self, request: Request) -> TextDecoder:
        """A decoder of one answer's tokens into text, which ends where the request's stop texts end it."""
        return self._detokenizer.start(request.params.stop, request.params.min_tokens)

    def step(self) -> list[Chunk]:
        """One tick for all requests; returns what the model read in it, and [] if there was nothing to do."""
        with self._lock:
            return self._step()

    def advance(self, request: Request, num_known: int) -> tuple[list[int], bool]:
        """The output tokens beyond the first `num_known`, and whether that was all; steps if it has no news."""
        with self._lock:
            if len(request.output_tokens) == num_known and not request.is_finished:
                self._step()
            self._set_text(request)
            return request.output_tokens[num_known:], request.is_finished

    def abort(self, request_id: int) -> bool:
        """Ends a waiting or running request between two steps; False if it had ended or never was."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is not None:
                self._requests.finish(request, "abort")
            return request is not None

    def abandon(self, request: Request) -> None:
        """Has `request` aborted before the next step. Takes no lock, so that a finalizer may call it."""
        if not request.is_finished:
            self._abandoned.append(request)

    def get_stats(self) -> dict:
        """Counts since the engine was made, and what it holds now."""
        with self._lock:
            finished = self._requests.num_finished
            return {
                "cache_hit_rate": self._radix.hit_rate,
                "total_requests_served": finished["stop"] + finished["length"],
                "total_requests_aborted": finished["abort"],
                "total_requests_failed": finished["error"],
                "total_tokens_generated": self._requests.num_generated_tokens,
                "total_prompt_tokens": self._radix.num_prompt_tokens,
                "total_cached_prompt_tokens": self._radix.num_cached_prompt_tokens,
                "num_preemptions": self._requests.num_preemptions,
                "num_evicted_pages": self._radix.num_evicted_pages,
                "num_steps": self._batcher.num_steps,
                "num_waiting_requests": len(self._requests.waiting),
                "num_running_requests": len(self._requests.running),
                "num_cached_pages": self._radix.cache.num_pages,
                "num_free_pages": self.kv_pool.num_free_pages,
                "num_total_pages": self.kv_pool.num_pages,
            }

    def cache_nodes(self) -> list[dict]:
        """The radix tree of the prefix cache, as RadixCache.nodes describes it."""
        with self._lock:
            return self._radix.cache.nodes()

    def reset_prefix_cache(self) -> None:
        """Forgets what is cached. Requests that run keep their pages."""
        with self._lock:
            self._radix.cache.clear()

    def check_integrity(self) -> None:
        """Raises if a page or a request is not where the accounts say. For tests: it looks at every page."""
        with self._lock:
            self._requests.check_integrity()

    # Inside

    def _step(self) -> list[Chunk]:
        while self._abandoned:
            request = self._abandoned.popleft()
            if not request.is_finished:
                self._requests.finish(request, "abort")
        return self._batcher.step()

    def _set_text(self, request: Request) -> None:
        if self._detokenizer is not None and request.is_finished and request.output_text is None:
            params = request.params
            request.output_text = self._detokenizer.decode(
                request.text_tokens, params.stop, params.min_tokens
            )

    def _make_requests(self, prompts, params, cache_salt: str) -> list[Request]:
        if isinstance(prompts, str | bytes) or not isinstance(prompts, Sequence | np.ndarray):
            raise TypeError(f"prompts must be a list of texts or of lists of token ids, got {prompts!r:.60}")
        if not isinstance(params, Sequence):
            params = [params] * len(prompts)
        if len(params) != len(prompts):
            raise ValueError(f"params must be one for each of the {len(prompts)} prompts, got {len(params)}")
        checked = [_require_params(f"params[{i}]", each) for i, each in enumerate(params)]
        return [
            self._make_request(f"prompts[{i}]", prompt, checked[i], cache_salt)
            for i, prompt in enumerate(prompts)
        ]

    def _make_request(self, name: str, prompt, params: SamplingParams, cache_salt: str) -> Request:
        """A request that can be served, or a sentence that says why not, in which `name` is the prompt."""
        tokens = self._tokenize(name, prompt)
        if not tokens:
            raise ValueError(f"{name} is empty: expected at least one token")
        if len(tokens) > self.config.max_seq_len:
            raise ValueError(
                f"{name} has {len(tokens)} tokens; the model reads at most {self.config.max_seq_len}"
            )
        for token in params.stop_token_ids:
            require_int("stop_token_ids", token, 0, self.config.vocab_size - 1)
        for token, _ in params.logit_bias:
            require_int("a token of logit_bias", token, 0, self.config.vocab_size - 1)
        if params.stop and self._detokenizer is None:
            raise ValueError("stop is text, and this model has no tokenizer: give stop_token_ids")
        if not isinstance(cache_salt, str):
            raise TypeError(f"cache_salt must be a text, got {cache_salt!r:.60}")

        # The last token is written and never read, so it needs no position in the model.
        max_new_tokens = min(params.max_tokens, self.config.max_seq_len - len(tokens) + 1)
        num_pages = self.kv_pool.pages_needed(len(tokens) + max_new_tokens - 1)
        if num_pages > self.kv_pool.num_pages:
            raise ValueError(
                f"{name} of {len(tokens)} tokens with max_tokens={params.max_tokens} needs {num_pages} pages "
                f"of {self.kv_pool.page_size} tokens, and the whole KV cache has {self.kv_pool.num_pages}"
            )
        request = Request(
            id=UNNUMBERED,
            prompt_tokens=tokens,
            params=params,
            seed=int.from_bytes(os.urandom(4), "little") if params.seed is None else params.seed,
            max_new_tokens=max_new_tokens,
            prompt=prompt if isinstance(prompt, str) else None,
            cache_salt=cache_salt,
        )
        if params.stop:
            request.stop_decoder = self.start_decoder(request)
        return request

    def _tokenize(self, name: str, prompt) -> list[int]:
        if isinstance(prompt, str):
            if self.tokenizer is None:
                raise ValueError(f"{name} is text, and this model has no tokenizer: give a list of token ids")
            try:
                prompt.encode()
            except UnicodeEncodeError as failure:
                raise ValueError(f"{name} is not valid Unicode text: {failure}") from None
            prompt = self.tokenizer.encode(prompt).ids
        elif isinstance(prompt, bytes) or not isinstance(prompt, Sequence | np.ndarray):
            raise TypeError(f"{name} must be a text or a list of token ids, got {prompt!r:.60}")
        last = self.config.vocab_size - 1
        return [require_int(f"{name}[{i}]", token, 0, last) for i, token in enumerate(prompt)]


def _require_params(name: str, params) -> SamplingParams:
    if params is None:
        return SamplingParams()
    if not isinstance(params, SamplingParams):
        raise TypeError(f"{name} must be a SamplingParams, got {params!r:.60}")
    return params


def _without_truncation(tokenizer):
    """A tokenizer.json may ask for truncation or padding; a prompt is taken as it is, or refused."""
    if tokenizer is not None and (tokenizer.truncation or tokenizer.padding):
        tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
    return tokenizer


def _progress_bar(num_requests: int, wanted: bool):
    if not wanted:
        return _NoBar()
    from tqdm.auto import tqdm

    return tqdm(total=num_requests, unit="request")


class _NoBar:
    def update(self, num_finished: int) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass
