"""What the compiled step of ch.14 must do: transformers' numbers for every shape and tile, compiled once for all
lengths and depths; what it refuses, and what there is to read. Exactness is test_step.py's matter."""

import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch
import transformers

import chapters

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights
from ch14_testing import (
    EVERY_TILE,
    alone,
    assert_same_bits,
    caches,
    hugging_face,
    model,
    random_ids,
    reference_logits,
    relative_error,
    weights,
    whole,
)

# float32 against float32, the sums in another order. What is measured here is 1e-6 and less.
RELATIVE_ERROR = 2e-5

# --- numbers


@pytest.mark.parametrize(
    ("config", "page_size", "lanes"),
    [
        # vocabulary, layers, heads, width, positions, inner
        (GPT2Config(50, 1, 1, 1, 8, 1), 8, 16),
        (GPT2Config(101, 2, 3, 36, 37), 16, 16),
        (GPT2Config(33, 2, 5, 85, 33, 7), 1, 16),
        (GPT2Config(1000, 1, 2, 10, 70, 24), 32, 16),
        (GPT2Config(257, 3, 4, 64, 40, 100, layer_norm_epsilon=1e-3), 7, 16),
        (GPT2Config(101, 2, 3, 36, 37), 5, 8),
        (GPT2Config(97, 1, 4, 28, 20, 50), 3, 8),
        (GPT2Config(19, 1, 7, 49, 20, 13), 2, 4),
        (GPT2Config(64, 1, 1, 96, 48, 256), 24, None),
    ],
    ids=lambda value: str(getattr(value, "n_embd", value)),
)
def test_logits_are_those_of_transformers(config, page_size, lanes):
    ids = random_ids(config, config.n_positions)
    theirs = reference_logits(config, ids)
    m = model(config, page_size, lanes)
    last = config.n_positions
    for length in {1, 2, 3, min(page_size, last), min(page_size + 1, last), last - 1, last}:
        ours = alone(m, ids[:length])
        assert relative_error(ours, theirs[:length]) <= RELATIVE_ERROR, length


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 256])
def test_every_page_size(page_size):
    config = GPT2Config(5, 2, 2, 6, 40, 4)
    ids = random_ids(config, 40)
    assert relative_error(alone(model(config, page_size, 4), ids), reference_logits(config, ids)) <= 2e-5


def test_the_bundled_model():
    """Trained weights have larger numbers than random ones: a gain of 10 here, a logit of -20 there."""
    packed = gpt.load_gpt2_weights()
    folder = chapters.ROOT / "models" / "shakespeare"
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = np.array(packed.tokenizer.encode("First Citizen:\nBefore we proceed any further, hear me").ids)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids)[None]).logits[0].numpy()
    assert relative_error(alone(gpt.GPT2(packed), ids), expected) <= RELATIVE_ERROR


# --- compiled once

SMALL = GPT2Config(11, 1, 2, 8, 12, 6)


def test_layers_cost_no_compile_time():
    """The layers are a loop in the code: 48 of them run in what was compiled for one."""
    one, many = SMALL, GPT2Config(11, 48, 2, 8, 12, 6)
    shallow, deep = model(one), model(many)
    assert deep.compile_seconds == shallow.compile_seconds  # the same code, not compiled again
    ids = random_ids(one, 12)
    for config, m in ((one, shallow), (many, deep)):
        assert relative_error(alone(m, ids), reference_logits(config, ids)) <= RELATIVE_ERROR


def test_eight_threads_compile_a_shape_once():
    packed = gpt.PackedWeights.pack(weights(GPT2Config(13, 1, 1, 4, 6)))
    together = threading.Barrier(8)
    made, errors = [], []

    def make():
        try:
            together.wait()
            made.append(gpt.GPT2(packed))
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len({m.compile_seconds for m in made}) == 1
    # Code outlives its models for a while: the next generate() does not compile again.
    seconds = made[0].compile_seconds
    made.clear()
    assert gpt.GPT2(packed).compile_seconds == seconds


@pytest.mark.parametrize("num_threads", [2, 5])
def test_a_step_runs_on_as_many_threads_as_are_asked_for(num_threads):
    """Counted in a process of its own: OpenMP's threads stay once they are there."""
    code = f"""
import os, numpy as np, chapters, ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights
model = gpt.GPT2(GPT2Weights.random(GPT2Config(101, 1, 2, 16, 40)), num_threads={num_threads})
before = len(os.listdir("/proc/self/task"))
model.prefill([list(range(30))])
print(len(os.listdir("/proc/self/task")) - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=chapters.environment(), capture_output=True, text=True
    )
    assert done.stdout == f"{num_threads - 1}\n", done.stderr


def test_what_the_code_depends_on():
    """Another tile, epsilon or page size is other code, although the shape is the same."""
    epsilon = GPT2Config(11, 1, 2, 8, 12, 6, layer_norm_epsilon=0.5)
    ids = random_ids(SMALL, 12)
    models = [model(SMALL), model(SMALL, lanes=4), model(epsilon), model(SMALL, 3)]
    assert len({m.compile_seconds for m in models}) == 4
    for m in models:
        assert relative_error(alone(m, ids), reference_logits(m.config, ids)) <= RELATIVE_ERROR


# --- weights


def test_packing_keeps_every_number():
    config = GPT2Config(37, 2, 1, 5, 3, 41)
    given = weights(config)
    for lanes in EVERY_TILE:
        packed = gpt.PackedWeights.pack(given, lanes)
        assert {a.shape[-1] for a in packed.arrays.values() if a.ndim >= 3} == {2 * lanes}
        for name, source in (("qkv", "attn.c_attn"), ("up", "mlp.c_fc"), ("down", "mlp.c_proj")):
            for layer in range(2):
                w = given.tensors[f"h.{layer}.{source}.weight"]
                columns = packed.arrays[name][layer].transpose(1, 0, 2).reshape(len(w), -1)
                np.testing.assert_array_equal(columns[:, : w.shape[1]], w)
                assert not columns[:, w.shape[1] :].any()
        table = packed.arrays["table"].transpose(1, 0, 2).reshape(5, -1)
        np.testing.assert_array_equal(table[:, :37], given.tensors["wte.weight"].T)
        assert all(a.ctypes.data % 64 == 0 for a in packed.arrays.values())


def arguments(config=SMALL, **changes):
    packed = gpt.PackedWeights.pack(weights(config))
    shape = {
        "vocabulary": config.vocab_size,
        "positions": config.n_positions,
        "width": config.n_embd,
        "heads": config.n_head,
        "inner": config.n_inner,
    }
    return dict(packed.arrays), shape | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"page_size": 0}, "page_size: expected 1 or more, got 0"),
        ({"page_size": 257}, "page_size: expected 1 to 256, got 257"),
        ({"heads": 3}, "heads: expected a divisor of the width 8, got 3"),
        ({"heads": 0}, "heads: expected 1 or more, got 0"),
        ({"vocabulary": -1}, "vocabulary: expected 1 or more, got -1"),
        ({"lanes": 5}, "lanes: expected 16, 8, 4 or None, got 5"),
        ({"positions": 13}, r"wpe: expected shape \(13, 8\), got \(12, 8\)"),
        ({"inner": 1000}, r"up: expected shape \(any, \d+, 8, \d+\), got \(1, 1, 8, \d+\)"),
    ],
)
def test_a_shape_that_no_model_has(changes, message):
    arrays, shape = arguments(**changes)
    with pytest.raises(ValueError, match=message):
        gpt.Model(arrays, **shape)


def test_wrong_weights():
    arrays, shape = arguments()
    for name, array in list(arrays.items()):
        with pytest.raises(ValueError, match=f"weights: '{name}' is missing"):
            gpt.Model({k: v for k, v in arrays.items() if k != name}, **shape)
        with pytest.raises(TypeError, match=f"{name}: expected an array of float32, got one of float64"):
            gpt.Model(arrays | {name: array.astype(np.float64)}, **shape)
        with pytest.raises(ValueError, match=f"{name}: expected shape"):
            gpt.Model(arrays | {name: array[..., :-1]}, **shape)
    with pytest.raises(ValueError, match="up: expected an array in C order"):
        gpt.Model(arrays | {"up": np.asfortranarray(arrays["up"].repeat(2, 1)[:, ::2])}, **shape)
    with pytest.raises(ValueError, match="qkv: expected 1 layers, got 2"):
        gpt.Model(arrays | {"qkv": arrays["qkv"].repeat(2, 0)}, **shape)
    with pytest.raises(ValueError, match="lanes: expected 16, 8, 4 or None, got 3"):
        gpt.PackedWeights.pack(weights(SMALL), lanes=3)
    with pytest.raises(ValueError, match="dtype: expected 'float32', 'bfloat16', 'int8', got 'float16'"):
        gpt.load_gpt2_weights(dtype="float16")


def test_gpt2_arguments():
    with pytest.raises(TypeError, match="weights: expected what load_gpt2_weights returns, got str"):
        gpt.GPT2("models/shakespeare")
    for size in (0, 1.5):
        with pytest.raises(ValueError, match=f"max_chunk_size: expected 1 or more, got {size}"):
            gpt.GPT2(weights(SMALL), max_chunk_size=size)
    with pytest.raises(ValueError, match="shape: expected sizes of an array that fits into memory"):
        gpt.aligned_zeros([-1])
    with pytest.raises(ValueError, match="shape: expected sizes of an array that fits into memory"):
        gpt.aligned_zeros([2**40, 2**40])


def test_ch13_weights_are_packed_on_the_way():
    given = GPT2Weights.random(SMALL, seed=5)
    ids = random_ids(SMALL, 9)
    a = alone(gpt.GPT2(given), ids)
    b = alone(gpt.GPT2(gpt.PackedWeights.pack(given)), ids)
    assert_same_bits(a, b)


# --- what there is to read

SHAPE = {"vocabulary": 101, "positions": 40, "width": 36, "heads": 3, "inner": 50, "page_size": 5}


def test_ir_is_the_step_as_it_is_built():
    chapters.filecheck(
        gpt.ir(**SHAPE, lanes=16),
        """
        CHECK: func.func @step({{.*}}) attributes {llvm.emit_c_interface}
        CHECK: transformer.rows_embed
        CHECK: scf.for
        CHECK:   transformer.rows_norm
        CHECK:   transformer.rows_linear {{.*}} bias {{.*}} memref<4x36x32xf32
        CHECK:   transformer.paged_store
        CHECK:   transformer.paged_attention
        CHECK:   transformer.rows_linear {{.*}} {accumulate}
        CHECK:   transformer.rows_norm
        CHECK:   transformer.rows_linear {{.*}} {gelu}
        CHECK:   transformer.rows_linear {{.*}} {accumulate}
        CHECK: }
        CHECK: transformer.rows_gather
        CHECK: transformer.rows_norm
        CHECK: transformer.rows_linear
        CHECK-NOT: bias
        CHECK: return
        """,
    )


def test_the_ir_can_be_read_and_lowered_again():
    """What ir() prints is what the tool reads: text in, the last stage out."""
    tool = str(chapters.build_folder(chapters.ROOT / "ch.14.GPT-Optimized") / "ch14-opt")
    done = subprocess.run([tool, "--ch14-pipeline"], input=gpt.ir(**SHAPE), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == gpt.stages(**SHAPE)[-1][1].strip()


def test_stages_begin_with_the_input_and_end_in_llvm():
    stages = gpt.stages(**SHAPE)
    names = [name for name, _ in stages]
    assert stages[0] == ("input", gpt.ir(**SHAPE))
    assert names[1:3] == ["ch14-expand-kernels", "ch11-approximate-math"]
    assert names[-1] == "reconcile-unrealized-casts"
    expanded = dict(stages)["ch14-expand-kernels"]
    assert "transformer." not in expanded and "math.exp" in expanded and "math.tanh" in expanded
    assert not re.search(r"math\.(exp|tanh)\b", dict(stages)["ch11-approximate-math"])
    dialects = set(re.findall(r"^\s*(?:%[\w, :%]+ = )?([a-z]\w*)\.", stages[-1][1], re.M))
    assert dialects == {"llvm"}


@pytest.mark.parametrize("lanes", EVERY_TILE)
def test_the_accumulators_of_a_tile_are_carried_by_the_loop_over_k(lanes):
    """rows x panel numbers in vectors of `lanes`: for AVX-512 16 vectors, that the loop never stores."""
    rows, vectors = {16: 8, 8: 6, 4: 4}[lanes], 2
    expanded = dict(gpt.stages(**SHAPE, lanes=lanes))["ch14-expand-kernels"]
    accumulators = ", ".join([f"vector<{lanes}xf32>"] * (rows * vectors))
    loops = re.findall(
        rf"^( *)%\S+ = scf\.for [^\n]* iter_args\([^\n]*\) -> \({accumulators}\) {{\n(.*?)^\1}}",
        expanded,
        re.M | re.S,
    )
    loops = [loop for loop in loops if "memref.prefetch" in loop[1]]  # not those of one row or two
    assert len(loops) == 5  # qkv, out, up, down, head
    for _, body in loops:
        assert body.count("vector.fma") == 2 * rows * vectors  # two steps of k
        assert body.count("vector.load") == 2 * vectors  # one row of the panel for each
        assert "store" not in body


def test_nothing_calls_out_of_the_generated_code():
    """No libm, no allocation, no runtime library: only LLVM's own intrinsics."""
    llvm_ir = gpt.llvm_ir(**SHAPE)
    assert "define" in llvm_ir and "fmuladd" in llvm_ir
    called = set(re.findall(r"call[^@\n]*@([\w.$]+)", llvm_ir))
    assert {name for name in called if not name.startswith("llvm.")} <= {"step", "_mlir_ciface_step"}
    if gpt.host_tile()["lanes"] == 4:
        return  # an x86 without FMA instructions calls fmaf
    symbols = set(re.findall(r"movabsq\s+\$([A-Za-z_]\w*)", gpt.assembly(**SHAPE)))
    assert symbols <= {"step", "_mlir_ciface_step"}


def test_the_assembly_multiplies_and_adds_vectors_at_once():
    tile = gpt.host_tile()
    assembly = gpt.assembly(**SHAPE)
    if tile["lanes"] == 4:
        pytest.skip("this host has no AVX2")
    register = {16: "zmm", 8: "ymm"}[tile["lanes"]]
    assert len(re.findall(rf"vfmadd\d+ps.*%{register}", assembly)) > 100
    # The product's loop holds its accumulators in registers: FMAs of a broadcast number, one after the other.
    chains = re.findall(rf"(?:vfmadd231ps[^\n]*%{register}\d+\n\s*){{8,}}", assembly)
    assert chains, "no run of FMAs"


@pytest.mark.parametrize("first", ["ch14_weights", "ch14_cache", "ch14_model", "ch14_generate", "ch14"])
def test_any_file_of_the_chapter_may_be_imported_first(first):
    code = f"import {first}, ch14_gpt_optimized as gpt; print(gpt.GPT2.__name__, 'generate' in dir(gpt))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=chapters.environment(), capture_output=True, text=True
    )
    assert done.stdout == "GPT2 True\n", done.stderr


def test_inspection_refuses_what_a_model_would():
    for call in (gpt.ir, gpt.stages, gpt.llvm_ir, gpt.assembly):
        with pytest.raises(ValueError, match="heads: expected a divisor of the width 36, got 5"):
            call(**SHAPE | {"heads": 5})


def test_reference_is_what_it_says():
    """The oracle of these tests must see a change of any weight."""
    config = SMALL
    ids = random_ids(config, 8)
    before = reference_logits(config, ids)
    parameter = hugging_face(config).transformer.h[0].mlp.c_proj.weight
    kept = parameter.data.clone()
    parameter.data *= 1.01
    assert relative_error(reference_logits(config, ids), before) > RELATIVE_ERROR
    parameter.data.copy_(kept)
    k, _ = caches(config, 2, 4, np.nan)
    assert np.isnan(k).all() and whole(ids, 4).page_tables.shape == (1, 2)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
