"""ch.14's step in NumPy: slow, short and obviously right. The tests hold the engine and the compiled step to it.

It goes through the batch one token at a time, so the numbers for a token cannot depend on what else is in the
batch. Where a token's keys and values are comes from the page tables, as in the compiled step:

    k_cache [layers, pages, heads, head_dim, page_size]     v_cache [layers, pages, heads, page_size, head_dim]
"""

import numpy as np


def layer_norm(x, gain, bias, epsilon):
    centered = x - x.mean()
    return centered / np.sqrt((centered * centered).mean() + np.float32(epsilon)) * gain + bias


def gelu(x):
    return (
        np.float32(0.5)
        * x
        * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)))
    )


def softmax(x):
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


class ReferenceGPT2:
    """A model with the `step` of ch.14. `weights` has .config and .tensors, as load_gpt2_weights returns them."""

    def __init__(self, weights, page_size: int = 16):
        self.config = weights.config
        self.tensors = weights.tensors
        self.page_size = page_size

    def step(self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache):
        """Writes K and V of every token into its slot; returns the logits [R, vocab] of `logit_rows`."""
        logits = np.empty((len(logit_rows), self.config.vocab_size), np.float32)
        for t, (token, position, slot, sequence) in enumerate(zip(tokens, positions, slots, sequences)):
            num_pages = position // self.page_size + 1
            pages = page_tables[sequence][:num_pages]
            hidden = self._hidden(token, position, slot, pages, k_cache, v_cache)
            for r in np.flatnonzero(logit_rows == t):
                logits[r] = self.tensors["wte.weight"] @ hidden
        return logits

    def _hidden(self, token, position, slot, pages, k_cache, v_cache):
        w, config = self.tensors, self.config
        heads, head_dim, epsilon = config.n_head, config.head_dim, config.layer_norm_epsilon
        page, offset = divmod(slot, self.page_size)
        x = w["wte.weight"][token] + w["wpe.weight"][position]
        for layer in range(config.n_layer):
            p = f"h.{layer}."
            y = layer_norm(x, w[p + "ln_1.weight"], w[p + "ln_1.bias"], epsilon)
            qkv = y @ w[p + "attn.c_attn.weight"] + w[p + "attn.c_attn.bias"]
            q, k, v = qkv.reshape(3, heads, head_dim)
            k_cache[layer, page, :, :, offset] = k
            v_cache[layer, page, :, offset, :] = v

            # [heads, positions, head_dim]: this token's sequence, from its pages, up to this token.
            keys = k_cache[layer, pages].transpose(1, 0, 3, 2).reshape(heads, -1, head_dim)[:, : position + 1]
            values = (
                v_cache[layer, pages].transpose(1, 0, 2, 3).reshape(heads, -1, head_dim)[:, : position + 1]
            )
            scores = np.einsum("hd,hpd->hp", q, keys) / np.float32(np.sqrt(head_dim))
            mixed = np.einsum("hp,hpd->hd", softmax(scores), values).reshape(-1)
            x = x + mixed @ w[p + "attn.c_proj.weight"] + w[p + "attn.c_proj.bias"]

            y = layer_norm(x, w[p + "ln_2.weight"], w[p + "ln_2.bias"], epsilon)
            y = gelu(y @ w[p + "mlp.c_fc.weight"] + w[p + "mlp.c_fc.bias"])
            x = x + y @ w[p + "mlp.c_proj.weight"] + w[p + "mlp.c_proj.bias"]
        return layer_norm(x, w["ln_f.weight"], w["ln_f.bias"], epsilon)
