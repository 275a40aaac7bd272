"""GPT-2's weights in the layout that the compiled step reads: packed once, when they are loaded.

    w [K, N]  -->  [N / nr, K, nr]        nr = the width of a register tile (host_tile()["panel"])

A panel is nr columns of w, and its K rows of nr numbers follow each other in memory: computing nr outputs
of a linear layer reads one panel from front to back. N is padded with zeros to whole panels. Layers are
stacked in front, so that the step's loop over layers is a loop over the first index.

    float32     as they are
    bfloat16    rounded to nearest even, kept as the uint16 of their bits; pairs where the host multiplies pairs
    int8        w = integer * scale of the column, the integer from -127 to 127; in pairs

In pairs, two neighbours of k lie side by side: [N / nr, K / 2, nr, 2], and K is padded with a zero.
"""

import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np

import ch13_weights
import ch14_gpt_optimized as ch14
from ch13_weights import GPT2Config, GPT2Weights

DTYPES = ("float32", "bfloat16", "int8")

# Packed name -> name of the tensor in a GPT-2 file.
LAYER_TENSORS = {
    "norm1_gamma": "ln_1.weight",
    "norm1_beta": "ln_1.bias",
    "qkv": "attn.c_attn.weight",
    "qkv_bias": "attn.c_attn.bias",
    "out": "attn.c_proj.weight",
    "out_bias": "attn.c_proj.bias",
    "norm2_gamma": "ln_2.weight",
    "norm2_beta": "ln_2.bias",
    "up": "mlp.c_fc.weight",
    "up_bias": "mlp.c_fc.bias",
    "down": "mlp.c_proj.weight",
    "down_bias": "mlp.c_proj.bias",
}
MODEL_TENSORS = {"wpe": "wpe.weight", "final_gamma": "ln_f.weight", "final_beta": "ln_f.bias"}


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A GPT-2 ready to run: its config, its tokenizer (or None) and the packed arrays.

    lanes: the vectors that the arrays are packed for, see Model. dtype: how matrices are kept, one of DTYPES;
    vectors are float32.
    """

    config: GPT2Config
    arrays: dict[str, np.ndarray]
    tokenizer: Any = None
    lanes: int | None = None
    dtype: str = "float32"

    @property
    def num_bytes(self) -> int:
        """Bytes of all weights in memory."""
        return sum(array.nbytes for array in self.arrays.values())

    @classmethod
    def pack(cls, weights: GPT2Weights, lanes: int | None = None, dtype: str = "float32") -> "PackedWeights":
        """Packs what ch.13 loads. `weights` is not changed and no longer needed.

        lanes: for vectors of 16, 8 or 4 floats (None: this machine's). Tests try all of them anywhere.
        dtype: one of DTYPES, ValueError for another.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype: expected {', '.join(map(repr, DTYPES))}, got {dtype!r}")
        config, tensors = weights.config, weights.tensors
        shapes = ch14.weight_shapes(
            vocabulary=config.vocab_size,
            positions=config.n_positions,
            width=config.n_embd,
            inner=config.n_inner,
            layers=config.n_layer,
            lanes=lanes,
            dtype=dtype,
        )
        arrays = {name: ch14.aligned_zeros(shape, kind) for name, (shape, kind) in shapes.items()}
        _fill(arrays, "table", (), tensors["wte.weight"].T)
        for name, tensor in MODEL_TENSORS.items():
            _fill(arrays, name, (), tensors[tensor])
        for name, tensor in LAYER_TENSORS.items():
            for layer in range(config.n_layer):
                _fill(arrays, name, layer, tensors[f"h.{layer}.{tensor}"])
        return cls(config, arrays, weights.tokenizer, lanes, dtype)


def _fill(arrays: dict[str, np.ndarray], name: str, layer: int | tuple, tensor: np.ndarray) -> None:
    """Copies `tensor` into the `layer` of its packed array: a vector as it is, a matrix rounded and in panels."""
    packed = arrays[name][layer]
    if packed.ndim < 3:
        packed[..., : tensor.shape[-1]] = tensor  # the padding of a bias stays zero
        return
    if packed.dtype == np.int8:
        tensor, scales = _to_int8(tensor)
        arrays[name + "_scales"][layer][: len(scales)] = scales
    elif packed.dtype == np.uint16:
        tensor = _to_bfloat16(tensor)
    _pack(packed, tensor)


# [round]
def _to_bfloat16(tensor: np.ndarray) -> np.ndarray:
    """The bits of the bfloat16 nearest to each number, ties to even."""
    bits = np.ascontiguousarray(tensor, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(tensor), 0x7FC0, rounded).astype(np.uint16)


def _to_int8(tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """w = integer * scale: the greatest magnitude of a column becomes 127."""
    scales = np.abs(tensor).max(axis=0) / np.float32(127)
    with np.errstate(invalid="ignore", divide="ignore"):
        integers = np.rint(tensor / scales)
    return np.nan_to_num(integers).astype(np.int8), scales  # a column of zeros has the scale 0


# [/round]


# [pack]
def _pack(packed: np.ndarray, tensor: np.ndarray) -> None:
    """Copies a matrix [K, N] into panels [N / nr, K, nr], or [N / nr, K / 2, nr, 2] in pairs."""
    panels, rows, width = packed.shape
    k, n = tensor.shape
    pair = 1 if rows == k else 2
    nr = width // pair
    packed = packed.reshape(panels, rows, nr, pair)
    whole, rest = divmod(n, nr)
    for i in range(pair):
        part = tensor[i::pair]  # k = i, i + pair, ...
        packed[:whole, : len(part), :, i] = (
            part[:, : whole * nr].reshape(len(part), whole, nr).transpose(1, 0, 2)
        )
        if rest:
            packed[whole, : len(part), :rest, i] = part[:, whole * nr :]


# [/pack]


def load_gpt2_weights(path_or_id: str | pathlib.Path | None = None, dtype: str = "float32") -> PackedWeights:
    """Loads a GPT-2 from a local directory or by its Hugging Face id (None: the bundled model) and packs it.

    dtype: how the matrices are kept in memory, and multiplied: "float32"; "bfloat16", half the bytes;
    "int8", a quarter, with a scale for each column. ValueError for another dtype, and for whatever ch.13's
    loader refuses.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected {', '.join(map(repr, DTYPES))}, got {dtype!r}")
    return PackedWeights.pack(ch13_weights.load_gpt2_weights(path_or_id), dtype=dtype)
