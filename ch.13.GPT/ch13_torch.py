"""GPT-2 in PyTorch, and the folder Hugging Face keeps such a model in.

The same network as this chapter's, as small as PyTorch allows: train.py finds its weights, and what it computes is
what `GPT2LMHeadModel` of transformers computes from the same folder. `s` is anything with the fields vocab_size,
n_positions, n_embd, n_layer, n_head and dropout.
"""

import json
import math

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn


class Conv1D(nn.Module):
    """x @ weight + bias. GPT-2 stores weights as [in, out], the transpose of nn.Linear."""

    def __init__(self, n_in, n_out, std=0.02):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.n_head = s.n_head
        self.c_attn = Conv1D(s.n_embd, 3 * s.n_embd)
        self.c_proj = Conv1D(s.n_embd, s.n_embd, std=0.02 / math.sqrt(2 * s.n_layer))

    def forward(self, x):  # [B, T, D] -> [B, T, D]
        B, T, D = x.shape
        q, k, v = (
            self.c_attn(x).view(B, T, 3, self.n_head, D // self.n_head).permute(2, 0, 3, 1, 4)
        )  # each [B, H, T, D/H]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, D))


class MLP(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.c_fc = Conv1D(s.n_embd, 4 * s.n_embd)
        self.c_proj = Conv1D(4 * s.n_embd, s.n_embd, std=0.02 / math.sqrt(2 * s.n_layer))

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))  # what GPT-2 calls gelu_new


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.ln_1 = nn.LayerNorm(s.n_embd)
        self.attn = Attention(s)
        self.ln_2 = nn.LayerNorm(s.n_embd)
        self.mlp = MLP(s)
        self.dropout = nn.Dropout(s.dropout)

    def forward(self, x):
        x = x + self.dropout(self.attn(self.ln_1(x)))
        return x + self.dropout(self.mlp(self.ln_2(x)))


class GPT(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.wte = nn.Embedding(s.vocab_size, s.n_embd)  # also the language-model head
        self.wpe = nn.Embedding(s.n_positions, s.n_embd)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.01)
        self.dropout = nn.Dropout(s.dropout)
        self.h = nn.ModuleList(Block(s) for _ in range(s.n_layer))
        self.ln_f = nn.LayerNorm(s.n_embd)

    def forward(self, ids, start=0):
        """Logits [B, T, V] of tokens [B, T] at positions start, start+1, …; start is a number or [B, 1]."""
        positions = start + torch.arange(ids.shape[1])
        x = self.dropout(self.wte(ids) + self.wpe(positions))
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


def write_folder(out, weights, tokenizer, s):
    """Hugging Face's format, in float16. `weights` is GPT.state_dict(): no head, it is the embedding."""
    out.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id("<|endoftext|>")
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": s.vocab_size,
        "n_positions": s.n_positions,
        "n_embd": s.n_embd,
        "n_layer": s.n_layer,
        "n_head": s.n_head,
        "n_inner": None,
        "layer_norm_epsilon": 1e-5,
        "embd_pdrop": s.dropout,
        "resid_pdrop": s.dropout,
        "attn_pdrop": 0.0,
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": "float16",
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {f"transformer.{name}": w.to(torch.float16).contiguous() for name, w in weights.items()}
    (out / "model.safetensors").write_bytes(safetensors.torch.save(tensors, metadata={"format": "pt"}))
    tokenizer.save(str(out / "tokenizer.json"))


def read_folder(out, s):
    """The model as it was written: float16 weights, computed with in float32."""
    tensors = safetensors.torch.load_file(out / "model.safetensors")
    model = GPT(s)
    model.load_state_dict({name.removeprefix("transformer."): w.float() for name, w in tensors.items()})
    return model.eval()
