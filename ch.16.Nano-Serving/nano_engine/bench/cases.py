"""The engine as it is, and with each optimization switched off in turn."""

from ..engine import NanoServingEngine


# [cases]
def cases(max_seq_len: int) -> dict[str, dict]:
    """Options of an engine, by what is different about it."""
    return {
        "all on": {},
        "no prefix cache": {"enable_prefix_cache": False},
        "no chunks": {"max_chunk_size": max_seq_len},
        "no paging": {"enable_paging": False, "enable_prefix_cache": False},
        "no batching": {"max_batch_size": 1},
        "none": {
            "max_batch_size": 1,
            "max_chunk_size": max_seq_len,
            "enable_paging": False,
            "enable_prefix_cache": False,
        },
    }


# [/cases]
def make_engine(weights, model, **options) -> NanoServingEngine:
    """An engine on a model that several engines share (its step keeps nothing between calls)."""
    return NanoServingEngine(weights.config, weights, model=model, **options)
