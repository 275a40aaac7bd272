"""GPT-2 as an expression: from token ids to logits.

    ids --embedding--> + learned positions --block--> ... --block--> layer norm --embedding^T--> logits

What a GPT-2 adds to the transformer of ch.12 is little: two embeddings, a causal attention whose q, k and v
come out of one product, and a head that is the token embedding read the other way. The weights are used in
the layout of the file ([in, out], see ch13_weights.py). Sampling is ch13_generate.py's matter.
"""

import numpy as np

import ch13_gpt as gpt
from ch13_weights import GPT2Config, GPT2Weights

POSITIONS_PER_BUCKET = 64


# [bucket]
def padded_length(num_tokens: int, config: GPT2Config) -> int:
    """The length that a text of `num_tokens` is computed at.

    Shapes are part of a graph's structure, so every length would be compiled anew. Rounding up to a multiple
    of 64 leaves n_positions / 64 structures in all. What stands in the padding does not matter: no token
    sees what follows it, and adding a masked exp(-inf) = 0 to a sum changes no bit of it.
    """
    rounded = -(-num_tokens // POSITIONS_PER_BUCKET) * POSITIONS_PER_BUCKET
    return min(rounded, config.n_positions)


# [/bucket]


def check_ids(weights: GPT2Weights, ids) -> np.ndarray:
    """`ids` as int32 [T], 1 <= T <= n_positions, each the number of a row of the embedding."""
    if not isinstance(weights, GPT2Weights):
        raise TypeError(f"weights: expected a GPT2Weights, got {type(weights).__name__}")
    if isinstance(ids, (list, tuple)):
        if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in ids):
            raise TypeError("ids: expected integers")
        ids = np.array(ids, dtype=object)  # of any size, until the range has been checked
    elif not isinstance(ids, np.ndarray):
        raise TypeError(f"ids: expected a NumPy array of int32, got {type(ids).__name__}")
    elif ids.dtype != np.int32:
        raise TypeError(f"ids: expected an array of int32, got one of {ids.dtype}")
    if ids.ndim != 1:
        raise ValueError(f"ids: expected shape (any,), got {ids.shape}")
    config = weights.config
    if not 1 <= len(ids) <= config.n_positions:
        raise ValueError(f"ids: expected 1 to n_positions = {config.n_positions} tokens, got {len(ids)}")
    outside = np.flatnonzero((ids < 0) | (ids >= config.vocab_size))
    if outside.size:
        at = outside[0]
        raise ValueError(
            f"ids: expected token ids from 0 to {config.vocab_size - 1}, got {ids[at]} at position {at}"
        )
    return ids.astype(np.int32)


# [block]
def gpt2_block(x: gpt.Tensor, w: dict[str, np.ndarray], config: GPT2Config) -> gpt.Tensor:
    """One layer. x [T, D]; `w` holds the layer's tensors under their names without "h.N."."""
    d = config.n_embd
    h = gpt.layer_norm(x, w["ln_1.weight"], w["ln_1.bias"], config.layer_norm_epsilon)
    qkv = gpt.add(gpt.matmul(h, w["attn.c_attn.weight"]), w["attn.c_attn.bias"])  # [T, 3D]
    q, k, v = (gpt.columns(qkv, i * d, d) for i in range(3))
    a = gpt.causal_attention(q, k, v, num_heads=config.n_head)
    x = gpt.add(x, gpt.add(gpt.matmul(a, w["attn.c_proj.weight"]), w["attn.c_proj.bias"]))
    h = gpt.layer_norm(x, w["ln_2.weight"], w["ln_2.bias"], config.layer_norm_epsilon)
    h = gpt.gelu(gpt.add(gpt.matmul(h, w["mlp.c_fc.weight"]), w["mlp.c_fc.bias"]))
    return gpt.add(x, gpt.add(gpt.matmul(h, w["mlp.c_proj.weight"]), w["mlp.c_proj.bias"]))


# [/block]


# [hidden]
def gpt2_hidden(weights: GPT2Weights, ids: np.ndarray) -> gpt.Tensor:
    """What the last layer norm makes of checked ids [T]: an expression [padded T, D]."""
    config, tensors = weights.config, weights.tensors
    length = padded_length(len(ids), config)
    padded = np.zeros(length, np.int32)
    padded[: len(ids)] = ids
    positions = np.arange(length, dtype=np.int32)
    x = gpt.add(
        gpt.embedding(padded, tensors["wte.weight"]),
        gpt.embedding(positions, tensors["wpe.weight"]),
    )
    for layer in range(config.n_layer):
        prefix = f"h.{layer}."
        w = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        x = gpt2_block(x, w, config)
    return gpt.layer_norm(x, tensors["ln_f.weight"], tensors["ln_f.bias"], config.layer_norm_epsilon)


# [/hidden]


def head(weights: GPT2Weights, hidden: gpt.Tensor) -> gpt.Tensor:
    """[T, D] -> [T, V]: the product of each row with each row of the token embedding.

    Turned around, like ch.12's `linear`: the embedding is read as it is stored, and what is transposed is small.
    """
    return gpt.transpose(gpt.matmul(weights.tensors["wte.weight"], gpt.transpose(hidden)))


def gpt2_logits(weights: GPT2Weights, ids) -> np.ndarray:
    """Logits [T, V] of every token of `ids` (int32 [T], or a list)."""
    ids = check_ids(weights, ids)
    return gpt.forward(head(weights, gpt2_hidden(weights, ids)))[: len(ids)].copy()


# [next]
def next_logits(weights: GPT2Weights, ids) -> np.ndarray:
    """Logits [V] of what follows `ids`. The row is chosen by a gather, so where it lies is data, not structure."""
    ids = check_ids(weights, ids)
    last = np.array([len(ids) - 1], np.int32)
    return gpt.forward(head(weights, gpt.embedding(last, gpt2_hidden(weights, ids))))[0]


# [/next]
