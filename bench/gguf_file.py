"""Writes a GPT-2 in Hugging Face's format as a GGUF file, the format of llama.cpp.

    python bench/gguf_file.py FOLDER FILE.gguf [float32 | bfloat16 | float16 | int8]

int8 is llama.cpp's Q8_0: 8 bits a weight, and a scale for each 32 of them. Vectors and the table of positions stay
float32. It needs the packages gguf and safetensors.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

KINDS = {
    "float32": gguf.GGMLQuantizationType.F32,
    "bfloat16": gguf.GGMLQuantizationType.BF16,
    "float16": gguf.GGMLQuantizationType.F16,
    "int8": gguf.GGMLQuantizationType.Q8_0,
}
# llama.cpp's name of each part of a block, and Hugging Face's
PARTS = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}


def write(folder: pathlib.Path, path: pathlib.Path, dtype: str = "float32") -> None:
    config = json.loads((folder / "config.json").read_text())
    tensors = {
        name.removeprefix("transformer."): t for name, t in load_file(folder / "model.safetensors").items()
    }
    w = gguf.GGUFWriter(str(path), "gpt2")
    w.add_block_count(config["n_layer"])
    w.add_context_length(config["n_positions"])
    w.add_embedding_length(config["n_embd"])
    w.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
    w.add_head_count(config["n_head"])
    w.add_layer_norm_eps(config["layer_norm_epsilon"])
    add_tokenizer(w, json.loads((folder / "tokenizer.json").read_text()), config)

    def matrix(name: str, data: np.ndarray) -> None:
        data = np.ascontiguousarray(data, np.float32)
        w.add_tensor(name, gguf.quants.quantize(data, KINDS[dtype]), raw_dtype=KINDS[dtype])

    def vector(name: str, data: np.ndarray) -> None:
        w.add_tensor(name, np.ascontiguousarray(data, np.float32))

    matrix("token_embd.weight", tensors["wte.weight"])
    vector("position_embd.weight", tensors["wpe.weight"])
    for layer in range(config["n_layer"]):
        for part, theirs in PARTS.items():
            weight = tensors[f"h.{layer}.{theirs}.weight"]
            if weight.ndim == 1:
                vector(f"blk.{layer}.{part}.weight", weight)
            else:
                matrix(f"blk.{layer}.{part}.weight", weight.T)  # [in, out] -> [out, in]
            vector(f"blk.{layer}.{part}.bias", tensors[f"h.{layer}.{theirs}.bias"])
    vector("output_norm.weight", tensors["ln_f.weight"])
    vector("output_norm.bias", tensors["ln_f.bias"])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def add_tokenizer(w: gguf.GGUFWriter, tokenizer: dict, config: dict) -> None:
    vocabulary = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    names = {number: name for name, number in vocabulary.items()}
    special = {t["id"] for t in tokenizer["added_tokens"]}
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    numbers = range(config["vocab_size"])
    w.add_token_list([names.get(i, f"[unused {i}]").encode() for i in numbers])
    w.add_token_types([gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in numbers])
    merges = tokenizer["model"]["merges"]
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges] or ["! !"])
    w.add_bos_token_id(config["bos_token_id"])
    w.add_eos_token_id(config["eos_token_id"])


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], *([kind] for kind in KINDS)):
        sys.exit(__doc__)
    write(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])
