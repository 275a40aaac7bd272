"""GPT-2: from token ids to logits, in three compiled functions.

    ids --embed--> x [T, D] --block, once a layer--> x [T, D] --head--> logits [T, V]

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
    of 64 leaves n_positions / 64 lengths in all. What stands in the padding does not matter: no token sees
    what follows it, and adding a masked exp(-inf) = 0 to a sum changes no bit of it.
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


# [embed]
def embed(weights: GPT2Weights, ids: np.ndarray) -> gpt.Tensor:
    """Checked ids [n] -> [T, D], T the padded length: what each token is, plus where it stands."""
    padded = np.zeros(padded_length(len(ids), weights.config), np.int32)
    padded[: len(ids)] = ids
    positions = np.arange(len(padded), dtype=np.int32)
    return gpt.add(
        gpt.embedding(padded, weights.tensors["wte.weight"]),
        gpt.embedding(positions, weights.tensors["wpe.weight"]),
    )


# [/embed]


# [block]
def block(weights: GPT2Weights, layer: int, x: np.ndarray) -> gpt.Tensor:
    """x [T, D] -> [T, D]. All layers are one structure: only the first of them is compiled."""
    d = weights.config.n_embd
    epsilon = weights.config.layer_norm_epsilon

    def w(name: str) -> np.ndarray:
        return weights.tensors[f"h.{layer}.{name}"]

    def project(h: gpt.Tensor, name: str) -> gpt.Tensor:
        return gpt.add(gpt.matmul(h, w(f"{name}.weight")), w(f"{name}.bias"))

    x = gpt.Tensor(x)
    qkv = project(gpt.layer_norm(x, w("ln_1.weight"), w("ln_1.bias"), epsilon), "attn.c_attn")  # [T, 3D]
    q, k, v = (gpt.columns(qkv, i * d, d) for i in range(3))
    mixed = gpt.causal_attention(q, k, v, num_heads=weights.config.n_head)
    x = gpt.add(x, project(mixed, "attn.c_proj"))
    inner = gpt.gelu(project(gpt.layer_norm(x, w("ln_2.weight"), w("ln_2.bias"), epsilon), "mlp.c_fc"))
    return gpt.add(x, project(inner, "mlp.c_proj"))


# [/block]


# [head]
def head(weights: GPT2Weights, x: np.ndarray) -> gpt.Tensor:
    """x [T, D] -> logits [T, V]: the last norm, and the product with each row of the token embedding.

    Turned around, like ch.12's `linear`: the embedding is read as it is stored, and what is transposed is small.
    """
    tensors = weights.tensors
    h = gpt.layer_norm(x, tensors["ln_f.weight"], tensors["ln_f.bias"], weights.config.layer_norm_epsilon)
    return gpt.transpose(gpt.matmul(tensors["wte.weight"], gpt.transpose(h)))


# [/head]


# [logits]
def last_block(weights: GPT2Weights, ids: np.ndarray) -> np.ndarray:
    """What the blocks make of checked ids [n]: [T, D], T the padded length."""
    x = gpt.forward(embed(weights, ids))
    for layer in range(weights.config.n_layer):
        x = gpt.forward(block(weights, layer, x))
    return x


def gpt2_logits(weights: GPT2Weights, ids) -> np.ndarray:
    """Logits [T, V] of every token of `ids` (int32 [T], or a list)."""
    ids = check_ids(weights, ids)
    return gpt.forward(head(weights, last_block(weights, ids)))[: len(ids)].copy()


def next_logits(weights: GPT2Weights, ids) -> np.ndarray:
    """Logits [V] of what follows `ids`: only the last row needs a head."""
    ids = check_ids(weights, ids)
    last = len(ids) - 1
    return gpt.forward(head(weights, last_block(weights, ids)[last : last + 1]))[0]


# [/logits]
