"""GPT-2's weights in the layout that the compiled step reads: packed once, when they are loaded.

    w [K, N]  -->  [N / nr, K, nr]        nr = the width of a register tile (host_tile()["panel"])

A panel is nr columns of w, and its K rows of nr numbers follow each other in memory: computing nr outputs
of a linear layer reads one panel from front to back. N is padded with zeros to whole panels. Layers are
stacked in front, so that the step's loop over layers is a loop over the first index.
"""

import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np

import ch13_weights
import ch14_gpt_optimized as ch14
from ch13_weights import GPT2Config, GPT2Weights

DTYPES = ("float32",)

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
    """A GPT-2 ready to run: its config, its tokenizer (or None) and the packed arrays, float32.

    lanes: the vectors that the arrays are packed for, see Model.
    """

    config: GPT2Config
    arrays: dict[str, np.ndarray]
    tokenizer: Any = None
    lanes: int | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of all weights in memory."""
        return sum(array.nbytes for array in self.arrays.values())

    @classmethod
    def pack(cls, weights: GPT2Weights, lanes: int | None = None) -> "PackedWeights":
        """Packs what ch.13 loads. `weights` is not changed and no longer needed.

        lanes: for vectors of 16, 8 or 4 floats (None: this machine's). Tests try all of them anywhere.
        """
        config, tensors = weights.config, weights.tensors
        shapes = ch14.weight_shapes(
            vocabulary=config.vocab_size,
            positions=config.n_positions,
            width=config.n_embd,
            inner=config.n_inner,
            layers=config.n_layer,
            lanes=lanes,
        )
        arrays = {name: ch14.aligned_zeros(shape) for name, shape in shapes.items()}
        _fill(arrays["table"], tensors["wte.weight"].T)
        for name, tensor in MODEL_TENSORS.items():
            _fill(arrays[name], tensors[tensor])
        for name, tensor in LAYER_TENSORS.items():
            for layer in range(config.n_layer):
                _fill(arrays[name][layer], tensors[f"h.{layer}.{tensor}"])
        return cls(config, arrays, weights.tokenizer, lanes)


# [pack]
def _fill(packed: np.ndarray, tensor: np.ndarray) -> None:
    """Copies `tensor` into `packed`: as it is, or a matrix [K, N] into panels [N / nr, K, nr]."""
    if packed.ndim != 3:
        packed[..., : tensor.shape[-1]] = tensor  # the padding of a bias stays zero
        return
    panels, k, nr = packed.shape
    whole = tensor.shape[1] // nr
    packed[:whole] = tensor[:, : whole * nr].reshape(k, whole, nr).transpose(1, 0, 2)
    if whole < panels:
        packed[whole, :, : tensor.shape[1] - whole * nr] = tensor[:, whole * nr :]


# [/pack]


def load_gpt2_weights(path_or_id: str | pathlib.Path | None = None, dtype: str = "float32") -> PackedWeights:
    """Loads a GPT-2 from a local directory or by its Hugging Face id (None: the bundled model) and packs it.

    dtype: how the weights are kept in memory; "float32" is the only one so far. ValueError for another
    dtype, and for whatever ch.13's loader refuses.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected {' or '.join(map(repr, DTYPES))}, got {dtype!r}")
    return PackedWeights.pack(ch13_weights.load_gpt2_weights(path_or_id))
