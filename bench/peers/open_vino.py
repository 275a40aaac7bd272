"""OpenVINO on the CPU: a model that keeps its keys and values, whose attention the plugin fuses with them.

float32 computes and keeps K and V in float32; for int8, K and V are 8 bits as well, which is its standard.
"""

import time

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino._offline_transformations import apply_make_stateful_transformation

GROWTH = 16  # tokens by which the context may grow in decodes that are timed


class Engine:
    def __init__(self, folder, dtype, threads):
        core = ov.Core()
        if dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError("no bfloat16 on this processor: it would compute in float32")
        path = folder / f"openvino-{'int8' if dtype == 'int8' else 'float32'}.onnx"
        if not path.is_file():
            from peers import graph  # and with it onnx, which the next start has no need of

            graph.write(folder, path, "int8" if dtype == "int8" else "float32", in_place=False)
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
        }
        if dtype == "float32":
            options["KV_CACHE_PRECISION"] = "f32"
        model = keep_states(core.read_model(path))
        begin = time.perf_counter()
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self.compile_seconds = time.perf_counter() - begin
        self.about = ov.__version__

    def _run(self, ids):
        inputs = {
            "ids": ids.astype(np.int64),
            "positions": np.arange(self.length, self.length + ids.shape[1]),
            "order": np.arange(len(ids), dtype=np.int32),
        }
        self.length += ids.shape[1]
        self._logits = self.request.infer(inputs, share_inputs=True, share_outputs=True)["logits"]

    def start(self, ids):
        self.request.reset_state()
        self.length, self.filled = 0, None
        self._run(ids)

    def fill(self, ids):
        self.start(ids)
        self.filled = ids.shape[1], [np.array(s.state.data) for s in self.request.query_state()]

    def decode(self, tokens):
        self._run(tokens[:, None])

    def rewind(self):
        """Now and then only: the decode after it has to find new room for the states."""
        if not self.filled or self.length < self.filled[0] + GROWTH:
            return
        self.length, states = self.filled
        for state, data in zip(self.request.query_state(), states):
            state.state = ov.Tensor(data)

    def logits(self):
        return np.array(self._logits)


def keep_states(model: ov.Model) -> ov.Model:
    """Makes states of each past and present; `order` says which sequence continues which, as the fused op wants it."""
    order = ops.parameter([-1], np.int32, name="order")
    order.output(0).tensor.set_names({"order"})
    pairs = {}
    for past in model.inputs:
        name = past.any_name
        if not name.startswith("past"):
            continue
        pairs[name] = name.replace("past", "present")
        readers = past.get_target_inputs()
        reordered = ops.gather(past, order, ops.constant(0))
        for reader in readers:
            reader.replace_source_output(reordered.output(0))
        _, heads, _, size = past.partial_shape
    model.add_parameters([order])
    apply_make_stateful_transformation(model, pairs)

    # Where nothing was read yet: [B, H, 0, D]
    batch = ops.gather(ops.shape_of(model.input("ids")), ops.constant(np.array([0])), ops.constant(0))
    rest = ops.constant(np.array([heads.get_length(), 0, size.get_length()]))
    empty = ops.broadcast(ops.constant(np.float32(0)), ops.concat([batch, rest], 0))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            node.set_arguments([empty.output(0)])
    model.validate_nodes_and_infer_types()
    return model
