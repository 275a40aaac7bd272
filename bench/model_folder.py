"""A model of GPT-2's shape that knows nothing, as a folder in Hugging Face's format: for engines that are compared.

write(folder, n_layer=12)        random weights, config.json, and a tokenizer for whoever insists on one
reference_logits(folder, ids)    what the model says, in NumPy: what every engine is held against
"""

import json
import pathlib

import numpy as np

from ch13_weights import GPT2Config, GPT2Weights, load_gpt2_weights
from ch14_naive import attention, linear

GPT2_124M = {"vocab_size": 50257, "n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}


def write(folder: pathlib.Path, **other) -> None:
    """other: what is not as in GPT-2 124M, e.g. n_layer=2."""
    from safetensors.numpy import save_file

    shape = GPT2_124M | other
    save_file(GPT2Weights.random(GPT2Config(**shape)).tensors, folder / "model.safetensors")
    about = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "layer_norm_epsilon": 1e-5}
    about |= {"bos_token_id": 0, "eos_token_id": 0, "activation_function": "gelu_new"}
    (folder / "config.json").write_text(json.dumps(shape | about))
    made_up_tokenizer(shape["vocab_size"]).save(str(folder / "tokenizer.json"))


def made_up_tokenizer(vocab_size: int):
    """A byte-level BPE without merges, whose other tokens are three letters each: for models that know no text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [
        "<|endoftext|>",
        *letters,
        *(a + b + c for a in letters[:38] for b in letters[:38] for c in letters[:38]),
    ]
    vocabulary = {name: i for i, name in enumerate(names[:vocab_size])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(names[:1])
    return tokenizer


def reference_logits(folder: pathlib.Path, ids: np.ndarray) -> np.ndarray:
    """The logits [B, V] after the last token of each row of ids [B, T], in float32."""
    weights = load_gpt2_weights(folder)
    config, w = weights.config, weights.tensors

    def norm(name, x):
        x = x - x.mean(axis=1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + np.float32(config.layer_norm_epsilon))
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def part(name, x, **more):
        return linear(x, w[f"{name}.weight"], w[f"{name}.bias"], **more)

    logits = []
    for row in ids:
        x = w["wte.weight"][row] + w["wpe.weight"][: len(row)]
        for layer in range(config.n_layer):
            h = f"h.{layer}"
            qkv = np.split(part(f"{h}.attn.c_attn", norm(f"{h}.ln_1", x)), 3 * config.n_head, axis=1)
            heads = [attention(*qkv[head :: config.n_head]) for head in range(config.n_head)]
            x = part(f"{h}.attn.c_proj", np.concatenate(heads, axis=1), residual=x)
            up = part(f"{h}.mlp.c_fc", norm(f"{h}.ln_2", x), gelu=True)
            x = part(f"{h}.mlp.c_proj", up, residual=x)
        logits.append(norm("ln_f", x[-1:])[0] @ w["wte.weight"].T)
    return np.stack(logits).astype(np.float32)
