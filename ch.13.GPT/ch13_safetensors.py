"""Reads .safetensors files into float32 arrays.

A safetensors file is eight bytes of header length, a JSON header, and bytes:

    | u64 n | {"wte.weight": {"dtype": "F32", "shape": [9, 4], "data_offsets": [0, 144]}, ...} | bytes |
    0       8                                                                                  8+n

Nothing in it can run, which is why this course reads no pickles. The file comes from a stranger all the
same: every number of the header is checked before it is used. This module knows files and tensors; what a
GPT-2 needs is ch13_weights.py's matter.
"""

import json
import math
import pathlib
from typing import NamedTuple

import numpy as np

# How the bytes of each dtype are read. NumPy has no bfloat16, so its two bytes are read as an integer.
FLOAT_DTYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
MAX_HEADER_BYTES = 100_000_000  # the limit of the format's own library


class TensorEntry(NamedTuple):
    """Where one tensor lies: bytes [begin, end) of the file, as the header describes them."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsFile:
    """An open file: `.entries` by name, `.read(name)` for one tensor. Keeps no array alive."""

    def __init__(self, path: pathlib.Path):
        self.path = pathlib.Path(path)
        if not self.path.is_file():
            raise ValueError(f"{self.path} does not exist or is not a file")
        try:
            self._bytes = np.memmap(self.path, dtype=np.uint8, mode="r") if self.path.stat().st_size else b""
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read: {error}") from error
        self.entries = self._read_header()

    # [read-header]
    def _read_header(self) -> dict[str, TensorEntry]:
        file_bytes = len(self._bytes)
        if file_bytes < 8:
            raise self._damaged(f"it has {file_bytes} bytes, too few for a header")
        header_bytes = int.from_bytes(bytes(self._bytes[:8]), "little")
        if header_bytes > min(MAX_HEADER_BYTES, file_bytes - 8):
            raise self._damaged(
                f"it claims a header of {header_bytes} bytes and has {file_bytes} bytes in all"
            )
        try:
            header = json.loads(bytes(self._bytes[8 : 8 + header_bytes]).decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise self._damaged(f"its header is not JSON ({error})") from error
        if not isinstance(header, dict):
            raise self._damaged("its header is not a JSON object")
        data_begin = 8 + header_bytes
        entries = {
            name: self._read_entry(name, value, data_begin)
            for name, value in header.items()
            if name != "__metadata__"
        }
        # The format leaves no gaps: a file that ends elsewhere was cut off or written over.
        data_end = max((entry.end for entry in entries.values()), default=data_begin)
        if data_end != file_bytes:
            raise self._damaged(f"its tensors end at byte {data_end} and the file at byte {file_bytes}")
        return entries

    # [/read-header]

    def _read_entry(self, name: str, value: object, data_begin: int) -> TensorEntry:
        fields = value if isinstance(value, dict) else {}
        dtype, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
        if not (isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
            raise self._damaged(f"its entry for tensor '{name}' is not a dtype, a shape and two offsets")
        begin, end = (data_begin + offset for offset in offsets)
        if not begin <= end <= len(self._bytes):
            raise self._damaged(
                f"tensor '{name}' lies at bytes {begin} to {end} of a file of {len(self._bytes)} bytes"
            )
        if dtype in FLOAT_DTYPES and end - begin != math.prod(shape) * FLOAT_DTYPES[dtype].itemsize:
            raise self._damaged(f"tensor '{name}' of shape {shape} and dtype {dtype} has {end - begin} bytes")
        return TensorEntry(dtype, tuple(shape), begin, end)

    # [read-tensor]
    def read(self, name: str) -> np.ndarray:
        """A fresh float32 array, row-major, whatever the dtype on disk."""
        entry = self.entries[name]
        if entry.dtype not in FLOAT_DTYPES:
            raise ValueError(
                f"{self.path}: tensor '{name}' has dtype {entry.dtype}; expected F32, F16 or BF16 "
                "(quantized files are not read)"
            )
        stored = self._bytes[entry.begin : entry.end].view(FLOAT_DTYPES[entry.dtype]).reshape(entry.shape)
        if entry.dtype == "BF16":
            # bfloat16 is the upper half of a float32.
            return np.array((stored.astype(np.uint32) << 16).view(np.float32))
        return np.array(stored, dtype=np.float32)

    # [/read-tensor]

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(f"{self.path} is damaged or not a safetensors file: {reason}")


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
