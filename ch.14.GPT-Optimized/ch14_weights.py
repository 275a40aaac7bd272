"""GPT-2's weights in the layout that the compiled step reads: packed once, when they are loaded.

    w [K, N]  -->  [N / nr, K, nr]        nr = the width of a register tile (host_tile()["panel"])

A panel is nr columns of w, and its K rows of nr numbers follow each other in memory: computing nr outputs
of a linear layer reads one panel from front to back. N is padded with zeros to whole panels. Layers are
stacked in front, so that the step's loop over layers is a loop over the first index.

    float32     as they are
    bfloat16    rounded to nearest even, kept as the uint16 of their bits; pairs where the host multiplies pairs
    int8        w = integer * scale of the column, the integer from -127 to 127; in pairs

In pairs, two neighbours of k lie side by side: [N / nr, K / 2, nr, 2], and K is padded with a zero.

All arrays are parts of one block of memory, which is kept on disk as it is: the next process maps it.
"""

import hashlib
import json
import math
import os
import pathlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import ch13_safetensors
import ch13_weights
import ch14_gpt_optimized as ch14
from ch13_weights import GPT2Config, GPT2Weights
from ch14_disk_cache import disk_cache
from ch14_progress import track

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
    vectors are float32. block: the memory that the arrays are parts of, uint8, or None.
    """

    config: GPT2Config
    arrays: dict[str, np.ndarray]
    tokenizer: Any = None
    lanes: int | None = None
    dtype: str = "float32"
    block: np.ndarray | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of all weights in memory."""
        return sum(array.nbytes for array in self.arrays.values())

    @classmethod
    def pack(
        cls,
        weights: GPT2Weights,
        lanes: int | None = None,
        dtype: str = "float32",
        progress: bool | None = None,
    ) -> "PackedWeights":
        """Packs what ch.13 loads. `weights` is not changed and no longer needed.

        lanes: for vectors of 16, 8 or 4 floats (None: this machine's). Tests try all of them anywhere.
        dtype: one of DTYPES, ValueError for another. progress: see progress_bar.
        """
        config, tensors = weights.config, weights.tensors
        shapes = _shapes(config, dtype, lanes)
        block = ch14.aligned_zeros([_block_bytes(shapes)], "uint8")
        arrays = _parts(block, shapes)
        _fill(arrays, "table", (), tensors["wte.weight"].T)
        for name, tensor in MODEL_TENSORS.items():
            _fill(arrays, name, (), tensors[tensor])
        for name, tensor in track(LAYER_TENSORS.items(), "matrix", progress, "pack weights"):
            for layer in range(config.n_layer):
                _fill(arrays, name, layer, tensors[f"h.{layer}.{tensor}"])
        return cls(config, arrays, weights.tokenizer, lanes, dtype, block)


def _shapes(config: GPT2Config, dtype: str, lanes: int | None = None) -> dict[str, tuple[tuple, str]]:
    """{name: (shape, dtype)} of the packed arrays of such a model."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected {', '.join(map(repr, DTYPES))}, got {dtype!r}")
    return ch14.weight_shapes(
        vocabulary=config.vocab_size,
        positions=config.n_positions,
        width=config.n_embd,
        inner=config.n_inner,
        layers=config.n_layer,
        lanes=lanes,
        dtype=dtype,
    )


def _num_bytes(shape: tuple, kind: str) -> int:
    """Of an array's part of the block: whole cache lines."""
    return -(-math.prod(shape) * np.dtype(kind).itemsize // 64) * 64


def _block_bytes(shapes: dict[str, tuple[tuple, str]]) -> int:
    return sum(_num_bytes(shape, kind) for shape, kind in shapes.values())


def _parts(block: np.ndarray, shapes: dict[str, tuple[tuple, str]]) -> dict[str, np.ndarray]:
    """The packed arrays, one behind the other in `block`."""
    arrays, begin = {}, 0
    for name, (shape, kind) in shapes.items():
        count = math.prod(shape) * np.dtype(kind).itemsize
        arrays[name] = block[begin : begin + count].view(kind).reshape(shape)
        begin += _num_bytes(shape, kind)
    return arrays


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


# [source]
# A file whose time of change is younger than this can change again and keep it: clocks of file systems tick slowly.
SETTLED_S = 2.0


def _source(folder: pathlib.Path) -> tuple[list, float]:
    """What says whether the files of a model have changed, and the time when they last did.

    Reading half a gigabyte to hash it would take as long as all the rest. A file system keeps account of changes:
    whatever writes to a file, or puts another in its place, changes its ctime, which no program can set.
    """
    stats = {os.path.realpath(path): path.stat() for path in ch13_weights.weight_files(folder)}
    identity = [[path, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns] for path, s in stats.items()]
    return identity, max(max(s.st_mtime, s.st_ctime) for s in stats.values())


def _packing() -> str:
    """The code that reads and packs: a hash of its text."""
    files = [ch13_weights.__file__, ch13_safetensors.__file__, __file__]
    return hashlib.sha256(b"".join(pathlib.Path(file).read_bytes() for file in files)).hexdigest()


# [/source]


# [load]
def load_gpt2_weights(
    path_or_id: str | pathlib.Path | None = None,
    dtype: str = "float32",
    cache_dir: str | os.PathLike | bool | None = None,
) -> PackedWeights:
    """Loads a GPT-2 from a local directory or by its Hugging Face id (None: the bundled model) and packs it.

    dtype: how the matrices are kept in memory, and multiplied: "float32"; "bfloat16", half the bytes;
    "int8", a quarter, with a scale for each column. cache_dir: a folder where packed weights are kept for the next
    process (None: the usual one, see ch14_disk_cache; False: none); arrays that come from there are read-only.
    ValueError for another dtype, and for whatever ch.13's loader refuses.
    """
    cache, folder = disk_cache(cache_dir), ch13_weights.find_folder(path_or_id)
    config = ch13_weights.read_config(folder)
    shapes = _shapes(config, dtype)
    if cache is None:
        return PackedWeights.pack(ch13_weights.load_gpt2_weights(folder), dtype=dtype)

    begun = time.time()
    source, changed = _source(folder)
    key = json.dumps([source, shapes, _packing()])
    block = cache.get(key, "weights")
    if block is not None and len(block) == _block_bytes(shapes):
        tokenizer = ch13_weights.read_tokenizer(folder, config)
        return PackedWeights(config, _parts(block, shapes), tokenizer, None, dtype, block)

    packed = PackedWeights.pack(ch13_weights.load_gpt2_weights(folder), dtype=dtype)
    if changed < begun - SETTLED_S and _source(folder)[0] == source:
        cache.put(key, "weights", packed.block)
    return packed


# [/load]
