"""GPT-2 with a cache of keys and values as an ONNX graph: what onnxruntime and OpenVINO are given.

    ids [B, T], positions [T], past_key.i and past_value.i [B, H, P, D]
        --> logits [B, V] after the last token of each sequence, present_key.i and present_value.i [B, H, P + T, D]

Everything is in ONNX's own ops, of which both runtimes make fused ones when they load it, but for onnxruntime's

    attention       GroupQueryAttention, which appends to the past where it lies (`in_place`); it is also told
                    last_positions [B] and length []. Attention, ONNX's own, copies the past in each step
    int8 products   DynamicQuantizeMatMul: rows get a scale when they come, all rows one. Weights have 7 bits, since
                    without VNNI sums of two products of 8 bits do not fit in 16. OpenVINO finds its own way to products
                    from weights that pass a DequantizeLinear

Weights lie in a file beside the graph. In int8 each column has a scale, as in ch.14; embeddings of tokens as well for
OpenVINO, while onnxruntime looks them up in float32.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Graph:
    """Nodes and constants, written down one after the other."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def op(self, kind: str, *inputs: str, outputs: tuple[str, ...] = (), **more) -> str:
        """Adds a node. Returns the name of its output, of the first where there are several."""
        outputs = outputs or (f"{kind}.{len(self.nodes)}",)
        self.nodes.append(helper.make_node(kind, inputs, outputs, **more))
        return outputs[0]

    def constant(self, name: str, array) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name


def quantize(matrix: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """matrix [K, N] = integers [K, N] * scales [N]"""
    scales = (np.abs(matrix).max(axis=0) / largest).astype(np.float32)
    return np.rint(matrix / scales).astype(np.int8), scales


def build(config: dict, tensors: dict[str, np.ndarray], dtype: str, in_place: bool) -> onnx.ModelProto:
    """config and tensors: of a GPT-2 in Hugging Face's format. dtype: float32 or int8. in_place: for onnxruntime."""
    width, heads, layers = config["n_embd"], config["n_head"], config["n_layer"]
    g = Graph()

    def tensor(name: str) -> str:
        return name if name in g.constants else g.constant(name, tensors[name])

    def number(name: str, value) -> str:
        return g.constant(name, np.array(value, np.int64))

    def norm(name: str, x: str) -> str:
        parts = tensor(f"{name}.weight"), tensor(f"{name}.bias")
        return g.op("LayerNormalization", x, *parts, axis=-1, epsilon=config["layer_norm_epsilon"])

    def product(name: str, x: str, matrix: np.ndarray, bias: str = "", **more) -> str:
        """x [.., K] times matrix [K, N]"""
        if dtype == "float32":
            y = g.op("MatMul", x, g.constant(name, matrix), **({} if bias else more))
            return g.op("Add", y, bias, **more) if bias else y
        integers, scales = quantize(matrix, 63 if in_place else 127)
        parts = g.constant(name, integers), g.constant(f"{name}.scales", scales)
        if in_place:
            return g.op("DynamicQuantizeMatMul", x, *parts, "", bias, domain="com.microsoft", **more)
        y = g.op("MatMul", x, g.op("DequantizeLinear", *parts, axis=1), **({} if bias else more))
        return g.op("Add", y, bias, **more) if bias else y

    def linear(name: str, x: str) -> str:
        return product(f"{name}.weight", x, tensors[f"{name}.weight"], tensor(f"{name}.bias"))

    def attention(layer: int, qkv: str) -> str:
        past = f"past_key.{layer}", f"past_value.{layer}"
        outputs = f"attention.{layer}", f"present_key.{layer}", f"present_value.{layer}"
        if in_place:
            inputs = (qkv, "", "", *past, "last_positions", "length")
            sizes = {"num_heads": heads, "kv_num_heads": heads}
            return g.op("GroupQueryAttention", *inputs, outputs=outputs, domain="com.microsoft", **sizes)
        parts = tuple(f"{name}.{layer}" for name in "qkv")
        g.op("Split", qkv, outputs=parts, axis=-1, num_outputs=3)
        q, k, v = (g.op("Transpose", g.op("Reshape", x, "split"), perm=[0, 2, 1, 3]) for x in parts)
        y = g.op("Attention", q, k, v, "mask", *past, outputs=outputs)
        return g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), "join")

    number("last", -1)
    if not in_place:
        number("split", [0, 0, heads, width // heads])
        number("join", [0, 0, width])
        add_mask(g, number)
    embedding = tensor("wte.weight")
    if dtype == "int8" and not in_place:
        integers, scales = quantize(tensors["wte.weight"].T, 127)
        del g.constants["wte.weight"]
        parts = g.constant("wte.weight", integers.T), g.constant("wte.scales", scales)
        embedding = g.op("DequantizeLinear", *parts, axis=0)
    places = g.op("Gather", tensor("wpe.weight"), "positions")
    x = g.op("Add", g.op("Gather", embedding, "ids"), places)
    for i in range(layers):
        h = f"h.{i}"
        y = attention(i, linear(f"{h}.attn.c_attn", norm(f"{h}.ln_1", x)))
        x = g.op("Add", x, linear(f"{h}.attn.c_proj", y))
        y = g.op("Gelu", linear(f"{h}.mlp.c_fc", norm(f"{h}.ln_2", x)), approximate="tanh")
        x = g.op("Add", x, linear(f"{h}.mlp.c_proj", y))
    y = norm("ln_f", g.op("Gather", x, "last", axis=1))
    if dtype == "int8" and in_place:
        product("head", y, tensors["wte.weight"].T, outputs=("logits",))
    else:
        g.op("Gemm", y, embedding, outputs=("logits",), transB=1)
    return model(g, config, in_place)


def add_mask(g: Graph, number) -> None:
    """mask [1, 1, T, P + T]: a token sees the keys of its own position and of those before."""
    end = g.op("Add", g.op("Gather", "positions", "last"), number("one", 1))
    keys = g.op("Range", number("zero", 0), end, "one")
    rows = g.op("Unsqueeze", "positions", number("around", [0, 1, 3]))
    nothing, never = g.constant("nothing", np.float32(0)), g.constant("never", np.float32(-np.inf))
    g.op("Where", g.op("LessOrEqual", keys, rows), nothing, never, outputs=("mask",))


def model(g: Graph, config: dict, in_place: bool) -> onnx.ModelProto:
    heads, size = config["n_head"], config["n_embd"] // config["n_head"]

    def cache(kind: str):
        names = [f"{kind}_{part}.{i}" for i in range(config["n_layer"]) for part in ("key", "value")]
        shape = ["batch", heads, kind, size]
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]

    inputs = [("ids", TensorProto.INT64, ["batch", "tokens"]), ("positions", TensorProto.INT64, ["tokens"])]
    opsets = [helper.make_opsetid("", 23)]
    if in_place:
        inputs += [("last_positions", TensorProto.INT32, ["batch"]), ("length", TensorProto.INT32, [])]
        opsets.append(helper.make_opsetid("com.microsoft", 1))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", config["vocab_size"]])
    graph = helper.make_graph(
        g.nodes,
        "gpt2",
        [helper.make_tensor_value_info(*i) for i in inputs] + cache("past"),
        [*cache("present"), logits],
        g.constants.values(),
    )
    return helper.make_model(graph, opset_imports=opsets, ir_version=11)


def write(folder: pathlib.Path, path: pathlib.Path, dtype: str, in_place: bool) -> None:
    """The graph of the model in `folder` as the file `path`, its weights beside it as path.bin."""
    config = json.loads((folder / "config.json").read_text())
    tensors = {n.removeprefix("transformer."): t for n, t in load_file(folder / "model.safetensors").items()}
    made = build(config, tensors, dtype, in_place)
    onnx.save(made, path, save_as_external_data=True, location=f"{path.name}.bin")
