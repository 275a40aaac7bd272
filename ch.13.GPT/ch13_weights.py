"""GPT-2 weights: found, read, checked and named.

    directory or Hugging Face id --> config.json       --> GPT2Config
                                     model.safetensors --> GPT2Weights.tensors   (float32, [in, out])
                                     tokenizer.json    --> GPT2Weights.tokenizer (optional)

What comes out is complete and of the right shapes, so that no kernel ever meets a wrong array; what is
wrong is a ValueError that names the file and the tensor. Names and layout stay those of the file: GPT-2's
`Conv1D` stores a weight as [in, out], the layout that `x @ w` wants, where `torch.nn.Linear` stores
[out, in]. Packing for speed is ch.14's matter.
"""

import json
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ch13_safetensors import SafetensorsFile

# The only files of a Hugging Face repository that are ever downloaded: no pickles, no code.
DOWNLOADED_FILES = [
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "tokenizer.json",
]

# Settings of config.json that change what the model computes, and the values that are implemented. A file
# that lacks one means the first value, as in transformers.
SUPPORTED_SETTINGS: dict[str, tuple[object, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of the tanh form
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
    "quantization_config": (None,),
}


# [config]
@dataclass(frozen=True)
class GPT2Config:
    """The shape of a model, in Hugging Face's names."""

    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    n_positions: int
    n_inner: int | None = None  # None: 4 * n_embd
    layer_norm_epsilon: float = 1e-5
    eos_token_id: int | None = None  # None: the model never says that it has finished

    # [/config]
    def __post_init__(self):
        if self.n_inner is None:
            object.__setattr__(self, "n_inner", 4 * self.n_embd if _is_int(self.n_embd) else None)
        for name in ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions", "n_inner"):
            value = getattr(self, name)
            if not _is_int(value) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd must be a multiple of n_head, got {self.n_embd} and {self.n_head}")
        epsilon = self.layer_norm_epsilon
        if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0 < epsilon < 1:
            raise ValueError(f"layer_norm_epsilon must be a number between 0 and 1, got {epsilon!r}")
        if self.eos_token_id is not None and not _is_int(self.eos_token_id):
            raise ValueError(f"eos_token_id must be an integer or None, got {self.eos_token_id!r}")

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def max_seq_len(self) -> int:
        return self.n_positions


# [expected-tensors]
def expected_tensors(config: GPT2Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every tensor of the model, in the order in which they are used."""
    d, inner = config.n_embd, config.n_inner
    yield "wte.weight", (config.vocab_size, d)  # token embedding, and transposed the language-model head
    yield "wpe.weight", (config.n_positions, d)  # learned positions
    for layer in range(config.n_layer):
        h = f"h.{layer}."
        yield h + "ln_1.weight", (d,)
        yield h + "ln_1.bias", (d,)
        yield h + "attn.c_attn.weight", (d, 3 * d)  # q, k and v side by side; [in, out]
        yield h + "attn.c_attn.bias", (3 * d,)
        yield h + "attn.c_proj.weight", (d, d)
        yield h + "attn.c_proj.bias", (d,)
        yield h + "ln_2.weight", (d,)
        yield h + "ln_2.bias", (d,)
        yield h + "mlp.c_fc.weight", (d, inner)
        yield h + "mlp.c_fc.bias", (inner,)
        yield h + "mlp.c_proj.weight", (inner, d)
        yield h + "mlp.c_proj.bias", (d,)
    yield "ln_f.weight", (d,)
    yield "ln_f.bias", (d,)


# [/expected-tensors]


# Causal masks that old checkpoints carry along as buffers. They are no weights, and nothing here needs them.
MASK_BUFFER = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")


@dataclass(frozen=True, eq=False)
class GPT2Weights:
    """A model in memory: the arrays of `expected_tensors(config)`, all float32 and row-major."""

    config: GPT2Config
    tensors: dict[str, np.ndarray]
    tokenizer: Any = None  # a tokenizers.Tokenizer, or None where the folder has no tokenizer.json

    @classmethod
    def random(cls, config: GPT2Config, seed: int = 0) -> "GPT2Weights":
        """A model of that shape that knows nothing: for tests and for measuring."""
        rng = np.random.default_rng(seed)

        def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
            values = rng.standard_normal(shape, dtype=np.float32)
            if name.startswith("w"):
                return values * np.float32(0.1)
            if len(shape) == 2:
                return values * np.float32(shape[0] ** -0.5)  # keeps the size of what flows through
            is_gain = ".ln_" in name and name.endswith("weight") or name == "ln_f.weight"
            return values * np.float32(0.1) + np.float32(is_gain)

        return cls(config, {name: draw(name, shape) for name, shape in expected_tensors(config)})


def load_gpt2_weights(path_or_id: str | pathlib.Path | None = None) -> GPT2Weights:
    """Loads a GPT-2 from a local directory or by its Hugging Face id; None is the bundled model."""
    folder = find_folder(path_or_id)
    config = read_config(folder)
    return GPT2Weights(config, _read_tensors(folder, config), read_tokenizer(folder, config))


# --- where the files are


def find_folder(path_or_id: str | pathlib.Path | None = None) -> pathlib.Path:
    """The folder that load_gpt2_weights reads, downloaded first where it is named by a Hugging Face id."""
    if path_or_id is None:
        return _find_bundled_model()
    if not isinstance(path_or_id, (str, pathlib.PurePath)):
        raise TypeError(
            f"path_or_id must be a path, a Hugging Face id or None, got {type(path_or_id).__name__}"
        )
    folder = pathlib.Path(path_or_id).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ValueError(
            f"{folder} is a file; expected the folder that holds config.json and model.safetensors"
        )
    if isinstance(path_or_id, str) and re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", path_or_id):
        return _download(path_or_id)
    raise ValueError(f"no model folder at {str(path_or_id)!r}")


def _find_bundled_model() -> pathlib.Path:
    here = pathlib.Path(__file__).resolve().parent
    # An installed wheel has the model beside this module; the source and build trees have it further up.
    candidates = [here / "ch13_models" / "shakespeare"]
    candidates += [folder / "models" / "shakespeare" for folder in list(here.parents)[:4]]
    for folder in candidates:
        if (folder / "config.json").is_file():
            return folder
    raise ValueError(
        f"the bundled model models/shakespeare was not found above {here}; give a folder or a Hugging Face id"
    )


def _download(repo_id: str) -> pathlib.Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(
            f"there is no folder {repo_id!r}, and the Hugging Face model of that name cannot be downloaded "
            "without the package huggingface_hub (pip install huggingface_hub)"
        ) from error
    try:
        return pathlib.Path(snapshot_download(repo_id, allow_patterns=DOWNLOADED_FILES))
    except Exception as error:  # the client's own, OSError and its HTTP library's: to a caller they are one
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(
            f"there is no folder {repo_id!r}, and the Hugging Face model of that name could not be "
            f"downloaded: {reason}"
        ) from error


# --- what is in them


def _read_json(path: pathlib.Path) -> dict:
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a JSON {type(value).__name__}; expected an object")
    return value


def read_config(folder: pathlib.Path) -> GPT2Config:
    """The shape of the model in `folder`. ValueError for one that is not a GPT-2 as implemented here."""
    path = folder / "config.json"
    fields = _read_json(path)
    if fields.get("model_type", "gpt2") != "gpt2":
        raise ValueError(f"{path}: model_type is {fields['model_type']!r}; only 'gpt2' is supported")
    for name, supported in SUPPORTED_SETTINGS.items():
        value = fields.get(name, supported[0])
        if value not in supported:
            expected = " or ".join(repr(s) for s in supported)
            raise ValueError(f"{path}: {name} is {value!r}; only {expected} is supported")
    required = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions")
    missing = [name for name in required if name not in fields]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    optional = ("n_inner", "layer_norm_epsilon", "eos_token_id")
    values = {name: fields[name] for name in required + optional if name in fields}
    # A default id of 50256 in a smaller model names no token: the model has no end-of-text.
    eos, vocab_size = values.get("eos_token_id"), values["vocab_size"]
    if _is_int(eos) and _is_int(vocab_size) and not 0 <= eos < vocab_size:
        values["eos_token_id"] = None
    try:
        return GPT2Config(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def weight_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The file with the tensors, or the files of a model that is stored in shards."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        other = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.h5") for p in folder.glob(pattern))
        hint = (
            f" ({', '.join(other)} is not read: a pickle can run code, so convert it to safetensors)"
            if other
            else ""
        )
        raise ValueError(f"{folder} has no model.safetensors{hint}")
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index} has no weight_map")
    names = set(weight_map.values())
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[\w-][\w.-]*\.safetensors", name):
            raise ValueError(f"{index}: {name!r} is not the name of a safetensors file in this folder")
    return [folder / name for name in sorted(names)]


# [read-tensors]
def _read_tensors(folder: pathlib.Path, config: GPT2Config) -> dict[str, np.ndarray]:
    files = [SafetensorsFile(path) for path in weight_files(folder)]
    found: dict[str, tuple[SafetensorsFile, str]] = {}  # without the prefix -> where, and its name there
    for file in files:
        for stored_name in file.entries:
            name = stored_name.removeprefix("transformer.")
            if name in found:
                raise ValueError(f"{file.path}: tensor '{name}' is there twice")
            found[name] = (file, stored_name)

    where = files[0].path if len(files) == 1 else folder
    tensors = {}
    for name, shape in expected_tensors(config):
        if name not in found:
            raise ValueError(
                f"{where}: tensor '{name}' is missing (config.json asks for n_layer = {config.n_layer})"
            )
        tensors[name] = _read_tensor(*found.pop(name), shape)

    # The head is the embedding transposed. A file may store it a second time, but not a different one.
    if "lm_head.weight" in found:
        file, stored_name = found.pop("lm_head.weight")
        if not np.array_equal(
            _read_tensor(file, stored_name, tensors["wte.weight"].shape), tensors["wte.weight"]
        ):
            raise ValueError(
                f"{file.path}: tensor 'lm_head.weight' differs from 'wte.weight'; only a tied head is "
                "supported"
            )
    for name, (file, _) in found.items():
        if not MASK_BUFFER.fullmatch(name):
            raise ValueError(
                f"{file.path}: tensor '{name}' does not belong to a GPT-2 of {config.n_layer} layers"
            )
    return tensors


# [/read-tensors]


def _read_tensor(file: SafetensorsFile, stored_name: str, shape: tuple[int, ...]) -> np.ndarray:
    found = file.entries[stored_name].shape
    if found != shape:
        raise ValueError(
            f"{file.path}: tensor '{stored_name}' has shape {list(found)}; config.json asks for {list(shape)}"
        )
    tensor = file.read(stored_name)
    # One NaN makes every logit NaN. The sum finds it without a temporary; if it overflows, look closely.
    if not np.isfinite(tensor.sum()) and not np.isfinite(tensor).all():
        raise ValueError(f"{file.path}: tensor '{stored_name}' holds NaN or infinity")
    return tensor


def read_tokenizer(folder: pathlib.Path, config: GPT2Config):
    """The tokenizer of the model in `folder` (a tokenizers.Tokenizer), or None where it has none."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError(f"{path} needs the package tokenizers (pip install tokenizers)") from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # what tokenizers raises is a plain Exception
        raise ValueError(f"{path} is not a tokenizer: {error}") from error
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise ValueError(
            f"{path} has {tokenizer.get_vocab_size()} tokens; config.json says vocab_size = "
            f"{config.vocab_size}"
        )
    tokenizer.no_truncation()  # a prompt is never cut behind the caller's back
    tokenizer.no_padding()
    return tokenizer


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
