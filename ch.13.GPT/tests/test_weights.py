"""What load_gpt2_weights accepts, what it refuses, and in which words.

The models are made here; nothing is downloaded.
"""

import json
import pathlib
import sys

import huggingface_hub
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import safetensors.torch
import tokenizers
import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # nothing here needs the build
from ch13_safetensors import SafetensorsFile
from ch13_weights import GPT2Config, GPT2Weights, expected_tensors, load_gpt2_weights

SHAPE = {"vocab_size": 101, "n_layer": 2, "n_head": 3, "n_embd": 36, "n_positions": 17}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**SHAPE)).eval()


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path)
    return tmp_path


def read_tensors(folder):
    return safetensors.torch.load_file(folder / "model.safetensors")


def write_tensors(folder, tensors):
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


def edit_config(folder, **changes):
    path = folder / "config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in fields.items() if v != "DELETE"}))


def assert_same(weights, model):
    state = model.state_dict()
    assert list(weights.tensors) == [name for name, _ in expected_tensors(weights.config)]
    for name, tensor in weights.tensors.items():
        assert tensor.dtype == np.float32 and tensor.flags.c_contiguous and tensor.flags.owndata
        np.testing.assert_array_equal(tensor, state["transformer." + name].float().numpy(), err_msg=name)


# --- what is accepted


def test_a_saved_model_is_read_as_it_is(model, folder):
    weights = load_gpt2_weights(folder)
    assert_same(weights, model)
    assert weights.config == GPT2Config(**SHAPE)  # eos 50256 is outside of 101 tokens: the model has none
    assert (weights.config.head_dim, weights.config.max_seq_len, weights.config.n_inner) == (12, 17, 144)
    assert weights.tokenizer is None
    assert_same(load_gpt2_weights(str(folder)), model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_become_float32(model, folder, dtype):
    write_tensors(folder, {name: tensor.to(dtype) for name, tensor in read_tensors(folder).items()})
    assert_same(load_gpt2_weights(folder), model.to(dtype))


def test_names_without_the_transformer_prefix(model, folder):
    write_tensors(folder, {k.removeprefix("transformer."): v for k, v in read_tensors(folder).items()})
    assert_same(load_gpt2_weights(folder), model)


def test_sharded_models(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_same(load_gpt2_weights(tmp_path), model)


def test_a_tied_head_may_be_stored_twice_but_not_differently(model, folder):
    tensors = read_tensors(folder)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    write_tensors(folder, tensors)
    assert_same(load_gpt2_weights(folder), model)
    tensors["lm_head.weight"][3, 4] += 1
    write_tensors(folder, tensors)
    with pytest.raises(
        ValueError, match=r"model.safetensors: tensor 'lm_head.weight' differs from 'wte.weight'"
    ):
        load_gpt2_weights(folder)


def test_mask_buffers_of_old_checkpoints_are_left_alone(model, folder):
    tensors = read_tensors(folder)
    tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 17, 17, dtype=torch.bool)
    tensors["transformer.h.1.attn.masked_bias"] = torch.tensor(-1e4)
    write_tensors(folder, tensors)
    assert_same(load_gpt2_weights(folder), model)


def test_own_inner_width_epsilon_and_end_of_text(tmp_path):
    config = transformers.GPT2Config(**SHAPE, n_inner=50, layer_norm_epsilon=1e-3, eos_token_id=7)
    model = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(tmp_path)
    weights = load_gpt2_weights(tmp_path)
    assert_same(weights, model)
    assert (weights.config.n_inner, weights.config.layer_norm_epsilon, weights.config.eos_token_id) == (
        50,
        1e-3,
        7,
    )


def test_the_tokenizer_is_read_and_does_not_truncate(folder):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"to": 0, "be": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))
    assert load_gpt2_weights(folder).tokenizer.encode("to be to be").ids == [0, 1, 0, 1]


def test_random_weights_have_the_shape_and_repeat():
    config = GPT2Config(**SHAPE)
    a, b, c = (
        GPT2Weights.random(config),
        GPT2Weights.random(config, seed=0),
        GPT2Weights.random(config, seed=1),
    )
    assert {k: v.shape for k, v in a.tensors.items()} == dict(expected_tensors(config))
    assert all(v.dtype == np.float32 for v in a.tensors.values())
    assert all(np.array_equal(v, b.tensors[k]) for k, v in a.tensors.items())
    assert not any(np.array_equal(v, c.tensors[k]) for k, v in a.tensors.items())
    assert abs(a.tensors["h.1.ln_2.weight"].mean() - 1) < 0.1 and abs(a.tensors["h.1.ln_2.bias"].mean()) < 0.1


# --- what is refused


def expect_refusal(folder, pattern):
    with pytest.raises(ValueError, match=pattern):
        load_gpt2_weights(folder)


def test_a_missing_extra_or_misshapen_tensor_is_named(folder):
    tensors = read_tensors(folder)
    name = "transformer.h.1.mlp.c_fc.weight"
    write_tensors(folder, {k: v for k, v in tensors.items() if k != name})
    expect_refusal(folder, r"model.safetensors: tensor 'h.1.mlp.c_fc.weight' is missing")
    write_tensors(folder, tensors | {"transformer.h.2.ln_1.weight": torch.ones(36)})
    expect_refusal(folder, r"tensor 'h.2.ln_1.weight' does not belong to a GPT-2 of 2 layers")
    write_tensors(folder, tensors | {name: tensors[name].T.contiguous()})
    expect_refusal(
        folder,
        r"tensor 'transformer.h.1.mlp.c_fc.weight' has shape \[144, 36\]; config.json asks for \[36, 144\]",
    )
    write_tensors(folder, tensors | {"wte.weight": tensors["transformer.wte.weight"].clone()})
    expect_refusal(folder, r"tensor 'wte.weight' is there twice")


def test_a_wrong_dtype_or_value_is_named(folder):
    tensors = read_tensors(folder)
    name = "transformer.h.0.ln_2.bias"
    write_tensors(folder, tensors | {name: tensors[name].to(torch.int8)})
    expect_refusal(folder, rf"tensor '{name}' has dtype I8; expected F32, F16 or BF16")
    write_tensors(folder, tensors | {name: tensors[name] / 0})
    expect_refusal(folder, rf"tensor '{name}' holds NaN or infinity")


def test_a_damaged_file_is_named(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    header_bytes = int.from_bytes(whole[:8], "little")
    damage = {
        "lies at bytes": whole[:-1],
        "the file at byte": whole + b"\0",
        "too few for a header": b"",
        "claims a header of": whole[:40],
        "is not JSON": whole[:8] + b"\xff" * header_bytes + whole[8 + header_bytes :],
    }
    for pattern, content in damage.items():
        path.write_bytes(content)
        expect_refusal(folder, rf"model.safetensors is damaged or not a safetensors file: .*{pattern}")


def safetensors_bytes(header, data):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("entry", "pattern"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, r"shape \[2\] and dtype F32 has 4 bytes"),
        ({"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}, "not a dtype, a shape and two offsets"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}, "not a dtype, a shape and two offsets"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}, "lies at bytes"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "not a dtype, a shape and two offsets"),
        ({"dtype": 32, "shape": [1], "data_offsets": [0, 4]}, "not a dtype, a shape and two offsets"),
        ([], "not a dtype, a shape and two offsets"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, entry, pattern):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes({"w": entry}, b"\0\0\0\0"))
    with pytest.raises(ValueError, match=f"x.safetensors is damaged.*'w'.*{pattern}"):
        SafetensorsFile(path)


VALID = safetensors_bytes(
    {
        "a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [12, 16]},
        "c": {"dtype": "F32", "shape": [], "data_offsets": [16, 20]},
    },
    bytes(range(20)),
)


@hypothesis.settings(max_examples=500, deadline=None)
@hypothesis.given(
    edits=st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=4),
    end=st.just(len(VALID)) | st.integers(0, len(VALID)),
)
def test_whatever_bytes_a_file_has_it_is_read_or_refused(tmp_path_factory, edits, end):
    content = bytearray(VALID)
    for at, value in edits:
        content[at] = value
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content[:end])
    try:
        file = SafetensorsFile(path)
        for name, entry in file.entries.items():
            assert file.read(name).shape == entry.shape
    except ValueError as error:
        assert "any.safetensors" in str(error)


def test_a_file_of_the_formats_own_library_is_read_unaligned(tmp_path):
    path = tmp_path / "x.safetensors"
    entry = {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}
    path.write_bytes(safetensors_bytes({"__metadata__": {"a": "b"}, "odd": entry}, np.float32(2.5).tobytes()))
    assert SafetensorsFile(path).read("odd") == np.float32(2.5)


def test_pickles_are_never_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    expect_refusal(folder, r"has no model.safetensors \(pytorch_model.bin is not read: a pickle can run code")


def test_a_shard_must_be_in_the_folder(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    next(tmp_path.glob("model-00002*")).unlink()
    expect_refusal(tmp_path, r"model-00002-of-\d+.safetensors does not exist")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"wte.weight": "../elsewhere/model.safetensors"}}))
    expect_refusal(
        tmp_path, r"'../elsewhere/model.safetensors' is not the name of a safetensors file in this folder"
    )
    index.write_text("{}")
    expect_refusal(tmp_path, "model.safetensors.index.json has no weight_map")


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'; only 'gpt2' is supported"),
        (
            {"activation_function": "relu"},
            "activation_function is 'relu'; only 'gelu_new' or 'gelu_pytorch_tanh'",
        ),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True; only False"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False; only True"),
        ({"add_cross_attention": True}, "add_cross_attention is True; only False"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False; only True"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}; only None"),
        ({"n_head": 5}, "n_embd must be a multiple of n_head, got 36 and 5"),
        ({"n_layer": 0}, "n_layer must be a positive integer, got 0"),
        (
            {"n_layer": 10**12},
            "tensor 'h.2.ln_1.weight' is missing .config.json asks for n_layer = 1000000000000",
        ),
        ({"n_embd": "36"}, "n_embd must be a positive integer, got '36'"),
        ({"vocab_size": True}, "vocab_size must be a positive integer, got True"),
        ({"layer_norm_epsilon": None}, "layer_norm_epsilon must be a number between 0 and 1, got None"),
        ({"eos_token_id": [1, 2]}, r"eos_token_id must be an integer or None, got \[1, 2\]"),
        ({"n_positions": "DELETE", "n_embd": "DELETE"}, "config.json lacks n_embd, n_positions"),
    ],
)
def test_a_config_that_asks_for_another_model_is_refused(folder, changes, pattern):
    edit_config(folder, **changes)
    expect_refusal(folder, pattern)


def test_a_missing_or_unreadable_config(folder):
    (folder / "config.json").write_text("{")
    expect_refusal(folder, "config.json is not readable JSON")
    (folder / "config.json").write_text("[]")
    expect_refusal(folder, "config.json holds a JSON list; expected an object")
    (folder / "config.json").unlink()
    expect_refusal(folder, "config.json is missing")


def test_a_tokenizer_must_be_one_and_fit_the_model(folder):
    (folder / "tokenizer.json").write_text("{}")
    expect_refusal(folder, "tokenizer.json is not a tokenizer")
    vocabulary = {str(i): i for i in range(102)}
    tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="0")).save(
        str(folder / "tokenizer.json")
    )
    expect_refusal(folder, "tokenizer.json has 102 tokens; config.json says vocab_size = 101")


def test_folders_that_are_none(tmp_path):
    expect_refusal(tmp_path / "nowhere", "no model folder at '.*nowhere'")
    expect_refusal(tmp_path, "config.json is missing")
    (tmp_path / "config.json").write_text("{}")
    expect_refusal(tmp_path / "config.json", "is a file; expected the folder")
    with pytest.raises(TypeError, match="path_or_id must be a path, a Hugging Face id or None, got int"):
        load_gpt2_weights(3)


def test_an_id_without_network_is_a_sentence(monkeypatch):
    asked = {}

    def offline(repo_id, allow_patterns):
        asked.update(repo_id=repo_id, patterns=allow_patterns)
        raise ConnectionError("cannot reach the hub\nand more lines")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(
        ValueError, match="no folder 'someone/a-model', and .* could not be downloaded: cannot reach the hub$"
    ):
        load_gpt2_weights("someone/a-model")
    assert asked["repo_id"] == "someone/a-model"
    # Nothing that could be a pickle or a program is ever asked for.
    assert all(p.endswith((".json", ".safetensors")) for p in asked["patterns"])


def test_an_id_is_downloaded_and_read(monkeypatch, model, folder):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo_id, allow_patterns: str(folder))
    assert_same(load_gpt2_weights("gpt2"), model)
