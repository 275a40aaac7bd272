"""What ch.13 must do: its ops against NumPy in double, its GPT-2 against transformers."""

import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch
import transformers

import chapters

import ch13_gpt as gpt
from ch13_weights import GPT2Config, GPT2Weights

RELATIVE_ERROR = 2e-5  # float32 against float32 in another order of summation


def relative_error(ours, theirs):
    return np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0) / np.abs(theirs).max(initial=1e-30)


def assert_close(ours, theirs, limit=RELATIVE_ERROR):
    assert isinstance(ours, np.ndarray) and ours.dtype == np.float32 and ours.shape == theirs.shape
    assert relative_error(ours, theirs) <= limit


def draw(*shape, seed=0, size=1.0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * size).astype(np.float32)


# --- the reference, in double


def np_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def np_rope(x, base=10000.0, num_heads=1):
    length, d = x.shape
    width = d // num_heads
    angle = np.arange(length)[:, None] * base ** (-np.arange(0, width, 2) / width)  # [T, W/2]
    turn = np.exp(1j * angle)[:, None, :]
    pairs = x.astype(np.float64).reshape(length, num_heads, width // 2, 2)
    turned = (pairs[..., 0] + 1j * pairs[..., 1]) * turn
    return np.stack([turned.real, turned.imag], axis=-1).reshape(length, d)


def np_layer_norm(x, gamma, beta, epsilon=1e-5):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gamma + beta


def np_gpt_attention(x, wq, bq, wk, bk, wv, bv, wo, bo, num_heads=1):
    q = np_rope(x @ wq.T + bq, num_heads=num_heads)
    k = np_rope(x @ wk.T + bk, num_heads=num_heads)
    v = x @ wv.T + bv
    future = np.triu(np.full((len(x), len(x)), -np.inf), 1)
    width = x.shape[1] // num_heads
    out = np.empty_like(v)
    for h in range(num_heads):
        c = slice(h * width, (h + 1) * width)
        out[:, c] = np_softmax(q[:, c] @ k[:, c].T / np.sqrt(width) + future) @ v[:, c]
    return out @ wo.T + bo


def np_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def np_gpt_block(x, *weights, num_heads=1):
    attention, (w1, b1, w2, b2, gamma1, beta1, gamma2, beta2) = weights[:8], weights[8:]
    x = x + np_gpt_attention(np_layer_norm(x, gamma1, beta1), *attention, num_heads=num_heads)
    return x + np_gelu(np_layer_norm(x, gamma2, beta2) @ w1.T + b1) @ w2.T + b2


def block_weights(d, inner, seed=0):
    """wq bq wk bk wv bv wo bo, w1 b1 w2 b2, gamma1 beta1 gamma2 beta2"""
    weights = []
    for i in range(4):
        weights += [draw(d, d, seed=seed + i, size=d**-0.5), draw(d, seed=seed + i, size=0.1)]
    weights += [draw(inner, d, seed=seed, size=d**-0.5), draw(inner, seed=seed, size=0.1)]
    weights += [draw(d, inner, seed=seed, size=inner**-0.5), draw(d, seed=seed + 4, size=0.1)]
    for i in range(2):
        weights += [1 + draw(d, seed=seed + 5 + i, size=0.1), draw(d, seed=seed + 7 + i, size=0.1)]
    return weights


# --- embedding


@pytest.mark.parametrize(("v", "d", "t"), [(7, 5, 1), (101, 36, 9), (3, 1, 40), (5, 8, 0)])
def test_embedding_is_a_gather(v, d, t):
    table = draw(v, d)
    ids = np.random.default_rng(t).integers(0, v, t).astype(np.int32)
    np.testing.assert_array_equal(gpt.forward(gpt.embedding(ids, table)), table[ids])
    np.testing.assert_array_equal(gpt.embedding(ids[::-1], table[:, ::-1]).numpy(), table[ids[::-1], ::-1])


@pytest.mark.parametrize("bad", [-1, 7, 2**31 - 1, -(2**31)])
def test_an_id_outside_of_the_table_never_reaches_the_kernel(bad):
    ids = np.array([0, 6, bad], np.int32)
    with pytest.raises(
        ValueError, match=f"ids: expected ids from 0 to 6, the rows of table, got {bad} at pos.* 2"
    ):
        gpt.embedding(ids, draw(7, 5))
    with pytest.raises(ValueError, match=f"got {bad} at position 2"):
        gpt.gpt_forward(ids, draw(7, 8), [block_weights(8, 16)], draw(8), draw(8))


def test_ids_are_read_once():
    """What the check has seen is what the kernel reads, whatever happens to the caller's array."""
    ids, table = np.array([1, 2], np.int32), draw(7, 5)
    rows = gpt.embedding(ids, table)
    ids[0] = 1_000_000
    np.testing.assert_array_equal(rows.numpy(), table[[1, 2]])


def test_embedding_refuses_what_is_no_ids_or_table():
    with pytest.raises(TypeError, match="ids: expected an array of int32, got one of int64"):
        gpt.embedding(np.array([1, 2]), draw(7, 5))
    with pytest.raises(TypeError, match="ids: expected a NumPy array of int32, got list"):
        gpt.embedding([1, 2], draw(7, 5))
    with pytest.raises(ValueError, match=r"ids: expected shape \(any,\), got \(1, 2\)"):
        gpt.embedding(np.array([[1, 2]], np.int32), draw(7, 5))
    with pytest.raises(ValueError, match=r"table: expected shape \(any, any\), got \(7,\)"):
        gpt.embedding(np.array([1, 2], np.int32), draw(7))
    with pytest.raises(TypeError, match="table: expected an array of float32, got one of float64"):
        gpt.embedding(np.array([1, 2], np.int32), np.zeros((7, 5)))


# --- columns


def test_columns_are_a_slice():
    x = draw(5, 12)
    np.testing.assert_array_equal(gpt.forward(gpt.columns(x, 4, 3)), x[:, 4:7])
    assert gpt.forward(gpt.columns(x[:0], 4, 3)).shape == (0, 3)
    y = gpt.forward(gpt.add(gpt.columns(x, 0, 6), gpt.columns(x, 6, 6)))
    np.testing.assert_array_equal(y, x[:, :6] + x[:, 6:])
    with pytest.raises(ValueError, match="count: expected 1 to 2, got 3"):
        gpt.columns(x, 10, 3)
    with pytest.raises(ValueError, match="first: expected 0 to 12, got -1"):
        gpt.columns(x, -1, 3)


# --- mask and softmax


@pytest.mark.parametrize("t", [0, 1, 2, 17])
def test_causal_mask(t):
    expected = np.triu(np.full((t, t), -np.inf, np.float32), 1)
    np.testing.assert_array_equal(gpt.forward(gpt.create_causal_mask(t)), expected)


def test_causal_mask_refuses_a_size_that_is_none():
    with pytest.raises(ValueError, match="T: expected at least 0, got -1"):
        gpt.create_causal_mask(-1)
    with pytest.raises(TypeError):
        gpt.create_causal_mask(1.5)
    with pytest.raises(ValueError, match="more than 2147483648 elements"):
        gpt.create_causal_mask(10**6)


@pytest.mark.parametrize("shape", [(1, 1), (9, 9), (3, 7, 7), (2, 5, 8)])
def test_masked_softmax(shape):
    x = draw(*shape, size=5)
    mask = np.where(np.tri(*shape[-2:]) > 0, 0, -np.inf).astype(np.float32)
    ours = gpt.forward(gpt.masked_softmax(x, mask))
    assert_close(ours, np_softmax(x.astype(np.float64) + mask))
    assert (ours[..., mask < 0] == 0).all()  # exactly 0: what is hidden adds nothing at all
    theirs = torch.softmax(torch.from_numpy(x) + torch.from_numpy(mask), dim=-1).numpy()
    assert_close(ours, theirs)


def test_masked_softmax_takes_the_mask_of_this_chapter():
    x = draw(6, 6)
    ours = gpt.forward(gpt.masked_softmax(x, gpt.create_causal_mask(6)))
    assert_close(ours, np_softmax(x + np.triu(np.full((6, 6), -np.inf), 1)))
    with pytest.raises(ValueError, match=r"mask: expected shape \(6, 6\), got \(5, 6\)"):
        gpt.masked_softmax(x, draw(5, 6))
    with pytest.raises(ValueError, match=r"x: expected rank 2 or 3, got shape \(6,\)"):
        gpt.masked_softmax(draw(6), draw(6, 6))


def test_a_row_that_sees_nothing_is_nan_and_the_others_are_not():
    mask = np.zeros((3, 3), np.float32)
    mask[1] = -np.inf
    ours = gpt.forward(gpt.masked_softmax(draw(3, 3), mask))
    assert np.isnan(ours[1]).all() and np.isfinite(ours[[0, 2]]).all()


# --- rope


@pytest.mark.parametrize(
    ("t", "d", "heads"), [(1, 2, 1), (5, 6, 1), (9, 36, 3), (64, 64, 4), (3, 10, 5), (0, 4, 1)]
)
@pytest.mark.parametrize("base", [10000.0, 500000.0, 3.5])
def test_rope(t, d, heads, base):
    x = draw(t, d)
    assert_close(gpt.forward(gpt.rope(x, base=base, num_heads=heads)), np_rope(x, base, heads), 1e-6)


def test_rope_is_exact_far_from_the_start():
    """In float32 the angle of position 5,000 would be off by 1e-4."""
    x = draw(5000, 4)
    assert_close(gpt.forward(gpt.rope(x)), np_rope(x), 1e-6)


def test_rope_knows_distances_only():
    """q at m times k at n depends on m - n: the reason why rope is used."""
    q, k = np.tile(draw(1, 16, seed=1), (20, 1)), np.tile(draw(1, 16, seed=2), (20, 1))
    products = gpt.forward(gpt.matmul(gpt.rope(q), gpt.transpose(gpt.rope(k)))).astype(np.float64)
    for distance in range(-19, 20):
        diagonal = np.diagonal(products, distance)
        assert np.ptp(diagonal) <= 1e-5 * np.abs(products).max()
    assert np.ptp(products) > 0.1


def test_rope_refuses_an_odd_width():
    with pytest.raises(
        ValueError, match=r"x: expected an even number of columns for each of num_heads = 1 heads.*5, 7"
    ):
        gpt.rope(draw(5, 7))
    with pytest.raises(ValueError, match="num_heads = 4 heads"):
        gpt.rope(draw(5, 12), num_heads=4)
    with pytest.raises(ValueError, match="num_heads: expected at least 1, got 0"):
        gpt.rope(draw(5, 12), num_heads=0)
    for base in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="base: expected a positive number"):
            gpt.rope(draw(5, 12), base=base)
    with pytest.raises(ValueError, match=r"x: expected shape \(any, any\), got \(12,\)"):
        gpt.rope(draw(12))


# --- the GPT of this chapter


@pytest.mark.parametrize(("t", "d", "heads"), [(1, 4, 1), (7, 8, 2), (5, 36, 3), (33, 20, 5)])
def test_gpt_attention(t, d, heads):
    x, weights = draw(t, d), block_weights(d, 2 * d)[:8]
    ours = gpt.forward(gpt.gpt_attention(x, *weights, num_heads=heads))
    assert_close(ours, np_gpt_attention(x.astype(np.float64), *weights, num_heads=heads))


@pytest.mark.parametrize(("t", "d", "inner", "heads"), [(1, 4, 4, 1), (7, 8, 24, 2), (5, 36, 50, 3)])
def test_gpt_block(t, d, inner, heads):
    x, weights = draw(t, d), block_weights(d, inner)
    ours = gpt.forward(gpt.gpt_block(x, *weights, num_heads=heads))
    assert_close(ours, np_gpt_block(x.astype(np.float64), *weights, num_heads=heads))


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_gpt_forward(num_layers):
    ids, table = np.array([3, 0, 100, 3], np.int32), draw(101, 12)
    layers = [block_weights(12, 30, seed=10 * i) for i in range(num_layers)]
    gamma, beta = 1 + draw(12, size=0.1), draw(12, size=0.1)
    x = table[ids].astype(np.float64)
    for layer in layers:
        x = np_gpt_block(x, *layer, num_heads=2)
    expected = np_layer_norm(x, gamma, beta)
    assert_close(gpt.forward(gpt.gpt_forward(ids, table, layers, gamma, beta, num_heads=2)), expected)
    flat = [w for layer in layers for w in layer]
    assert_close(gpt.forward(gpt.gpt_forward(ids, table, flat, gamma, beta, num_heads=2)), expected)


def test_gpt_forward_refuses_a_layer_that_is_none():
    ids, table = np.array([3], np.int32), draw(101, 12)
    with pytest.raises(ValueError, match="weights: expected 16 arrays for each layer, got 15"):
        gpt.gpt_forward(ids, table, block_weights(12, 30)[:15], draw(12), draw(12))
    with pytest.raises(ValueError, match="num_heads"):
        gpt.gpt_forward(ids, table, block_weights(12, 30), draw(12), draw(12), num_heads=5)


def test_a_token_never_sees_what_follows_it():
    """Changing the last token changes no bit of the rows before it."""
    table, layers = draw(101, 12), [block_weights(12, 30)]
    ids = np.arange(10, dtype=np.int32)
    a = gpt.forward(gpt.gpt_forward(ids, table, layers, draw(12), draw(12)))
    ids[-1] = 77
    b = gpt.forward(gpt.gpt_forward(ids, table, layers, draw(12), draw(12)))
    np.testing.assert_array_equal(a[:-1], b[:-1])
    assert (a[-1] != b[-1]).any()


# --- GPT-2


def make_gpt2(seed=0, **shape):
    """The same random model twice: for transformers, and for us. The weights are larger than GPT-2's start
    values, so that attention is not close to a mean and biases matter."""
    torch.manual_seed(seed)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "ln_" in name and name.endswith("weight"):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif p.ndim == 2 and not name.startswith("transformer.w"):
                p.copy_(torch.randn_like(p) * p.shape[0] ** -0.5)
            else:
                p.copy_(0.2 * torch.randn_like(p))
    fields = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions", "n_inner", "layer_norm_epsilon")
    config = GPT2Config(**{f: getattr(model.config, f) for f in fields})
    state = {k.removeprefix("transformer."): v.numpy() for k, v in model.state_dict().items()}
    state.pop("lm_head.weight")
    return model, GPT2Weights(config, state)


ODD = {"vocab_size": 101, "n_layer": 2, "n_head": 3, "n_embd": 36, "n_positions": 17}


def their_logits(model, ids):
    with torch.no_grad():
        return model(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].numpy()


@pytest.mark.parametrize(
    "shape",
    [
        ODD,
        ODD | {"n_head": 1, "n_layer": 1, "n_embd": 7, "vocab_size": 2},
        ODD | {"n_head": 9, "n_inner": 50, "layer_norm_epsilon": 1e-3},
        ODD | {"n_positions": 100, "n_embd": 64, "n_head": 4, "vocab_size": 257},
    ],
    ids=["odd", "small", "inner", "two-buckets"],
)
def test_gpt2_logits_equal_transformers_at_every_length(shape):
    model, weights = make_gpt2(**shape)
    ids = np.random.default_rng(0).integers(0, shape["vocab_size"], shape["n_positions"]).astype(np.int32)
    for length in range(1, shape["n_positions"] + 1):
        assert_close(gpt.gpt2_logits(weights, ids[:length]), their_logits(model, ids[:length]))


def test_gpt2_logits_are_the_same_bits_whatever_follows_and_however_far_it_is_padded():
    _, weights = make_gpt2(**ODD | {"n_positions": 150})
    ids = np.random.default_rng(1).integers(0, 101, 150).astype(np.int32)
    whole = gpt.gpt2_logits(weights, ids)  # computed at 150 positions
    for length in (1, 63, 64, 65, 128, 129, 149):  # computed at 64, 128 and 150
        np.testing.assert_array_equal(gpt.gpt2_logits(weights, ids[:length]), whole[:length])
        np.testing.assert_array_equal(gpt.next_logits(weights, ids[:length]), whole[length - 1])


def test_a_text_that_grows_is_compiled_once_for_64_positions_and_never_for_a_layer():
    _, weights = make_gpt2(**ODD | {"n_positions": 150})
    gpt.clear_cache()
    for length in range(1, 151):
        gpt.next_logits(weights, [length % 101] * length)
    info = gpt.cache_info()
    # Embedding and block at 64, 128 and 150 positions, and one head; two layers are two calls of one block.
    assert (info.misses, info.misses + info.hits) == (3 + 3 + 1, 150 * 4)


def test_another_model_of_the_same_shape_is_not_compiled_again():
    model, weights = make_gpt2(**ODD)
    gpt.gpt2_logits(weights, [1, 2, 3])
    before = gpt.cache_info().misses
    model, weights = make_gpt2(seed=1, **ODD)
    ids = np.array([4, 5], np.int32)
    assert_close(gpt.gpt2_logits(weights, ids), their_logits(model, ids))
    assert gpt.cache_info().misses == before


def test_gpt2_logits_refuse_bad_ids():
    _, weights = make_gpt2(**ODD)
    for ids, error, message in [
        ([], ValueError, "ids: expected 1 to n_positions = 17 tokens, got 0"),
        ([1] * 18, ValueError, "ids: expected 1 to n_positions = 17 tokens, got 18"),
        ([1, 101], ValueError, "ids: expected token ids from 0 to 100, got 101 at position 1"),
        ([-1], ValueError, "ids: expected token ids from 0 to 100, got -1 at position 0"),
        ([2**40], ValueError, f"ids: expected token ids from 0 to 100, got {2**40} at position 0"),
        ([1.5], TypeError, "ids: expected integers"),
        (np.array([1, 2]), TypeError, "ids: expected an array of int32, got one of int64"),
        (np.array([[1]], np.int32), ValueError, r"ids: expected shape \(any,\), got \(1, 1\)"),
        ("text", TypeError, "ids: expected a NumPy array of int32, got str"),
    ]:
        with pytest.raises(error, match=message):
            gpt.gpt2_logits(weights, ids)


# --- what every chapter owes


@pytest.mark.parametrize("first", ["ch13_gpt", "ch13_gpt2", "ch13_generate", "ch13_weights", "ch13"])
def test_any_file_of_the_chapter_may_be_imported_first(first):
    program = (
        f"import chapters, {first}, ch13_gpt; ch13_gpt.generate, ch13_gpt.gpt2_logits, ch13_gpt.GPT2Config"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=chapters.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_names_are_listed_and_others_refused():
    assert {"generate", "load_gpt2_weights", "rope", "Tensor"} <= set(dir(gpt))
    with pytest.raises(AttributeError, match="module 'ch13_gpt' has no attribute 'gpt3'"):
        _ = gpt.gpt3


def test_both_names_are_one_module():
    import ch13

    assert ch13 is gpt or ch13.gpt_forward is gpt.gpt_forward


def test_earlier_chapters_are_here():
    for name in ["Tensor", "add", "mul", "matmul", "transpose", "softmax", "scale", "attention", "forward"]:
        assert callable(getattr(gpt, name))
    for name in ["layer_norm", "linear", "gelu", "ffn", "transformer_block", "multi_layer_transformer"]:
        assert callable(getattr(gpt, name))


def test_the_ir_is_this_chapters_and_every_stage_is_shown():
    tensor = gpt.gpt_attention(draw(5, 8), *block_weights(8, 16)[:8], num_heads=2)
    ir = gpt.ir(tensor)
    assert ir.count("transformer.rope") == 2 and "causal" in ir
    stages = gpt.stages(tensor)
    assert stages[0] == ("input", ir)
    assert stages[1][0] == "ch13-lower" and "transformer.rope" not in stages[1][1]
    assert "llvm.func @forward" in stages[-1][1]
    assert "define" in gpt.llvm_ir(tensor) and "forward" in gpt.assembly(tensor)


def test_q_and_k_share_their_tables_of_angles():
    tensor = gpt.gpt_attention(draw(5, 8), *block_weights(8, 16)[:8])
    after_cse = next(text for name, text in gpt.stages(tensor) if name == "cse")
    assert after_cse.count("math.cos") == after_cse.count("math.sin") == 1


def test_inputs_are_never_written():
    ids, x = np.array([1, 0], np.int32), draw(2, 8)
    weights = block_weights(8, 16)
    arrays = [ids, x, *weights]
    copies = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    gpt.forward(gpt.add(gpt.gpt_block(x, *weights), gpt.embedding(ids, x)))
    for a, b in zip(arrays, copies):
        np.testing.assert_array_equal(a, b)


def test_threads_get_the_same_bits():
    _, weights = make_gpt2(**ODD)
    texts = [[i, 2 * i, 3 * i] for i in range(8)]
    expected = [gpt.gpt2_logits(weights, ids) for ids in texts]
    gpt.clear_cache()
    results = [None] * 8

    def work(i):
        for _ in range(5):
            results[i] = gpt.gpt2_logits(weights, texts[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, wanted in zip(results, expected):
        np.testing.assert_array_equal(ours, wanted)
    assert gpt.cache_info().misses == 3  # embedding, block, head


def test_calls_leave_no_memory_behind():
    _, weights = make_gpt2(**ODD)

    def run(n):
        for _ in range(n):
            gpt.next_logits(weights, [1, 2, 3])

    run(500)
    before = chapters.resident_kb()
    run(10_000)
    assert chapters.resident_kb() - before < 4 << 10


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
