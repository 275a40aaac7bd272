"""A small LLM serving engine: continuous batching over a paged KV cache.

    from nano_engine import NanoServingEngine, SamplingParams

    engine = NanoServingEngine.from_pretrained()          # the bundled model
    results = engine.generate(["To be, or"], SamplingParams(max_tokens=50))

A request's way through the files, one noun each:

    engine.py             checks and tokenizes a prompt                       -> Request
    request_pool.py       keeps it, first waiting, then running with its pages
    radix_manager.py      gives it pages that others have filled, and keeps those it fills
    prefill_manager.py    admits it, and cuts its prompt with chunked_prefill.py
    decode_manager.py     continues it a token at a time, and says when it ends
    batch.py              makes one flat list of tokens of all that run        -> Batch
    executor.py           gives the batch to ch.14's compiled step             -> logits
    sampler.py            picks a token from each row of logits, as sampling.py's parameters say
    continuous_batcher.py does these in turn: one tick
    stream.py             hands an answer out while it is written, with detokenizer.py
"""

from .engine import NanoServingEngine
from .executor import ModelConfig
from .request import Request, RequestState
from .request_pool import QueueFull
from .sampler import TokenLogprobs
from .sampling import SamplingParams

__all__ = [
    "ModelConfig",
    "NanoServingEngine",
    "QueueFull",
    "Request",
    "RequestState",
    "SamplingParams",
    "TokenLogprobs",
]
