"""onnxruntime on the CPU: keys and values stay in place (GroupQueryAttention), arrays are bound and not copied.

int8: DynamicQuantizeMatMul, the fastest of what it has; MatMulNBits with 8 bits took 2.5 times as long for 32 rows.
"""

import numpy as np
import onnxruntime as ort


class Engine:
    compile_seconds = None

    def __init__(self, folder, dtype, threads):
        if dtype not in ("float32", "int8"):
            raise ValueError(f"no {dtype} here")
        path = folder / f"onnxruntime-{dtype}.onnx"
        if not path.is_file():
            from peers import graph  # and with it onnx, which the next start has no need of

            graph.write(folder, path, dtype, in_place=True)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.cache_names = [i.name for i in self.session.get_inputs() if i.name.startswith("past_")]
        self.about = f"{ort.__version__}"

    def _run(self, ids, past):
        sequences, new = ids.shape
        binding = self.session.io_binding()
        binding.bind_cpu_input("ids", ids.astype(np.int64))
        binding.bind_cpu_input("positions", np.arange(past, past + new))
        binding.bind_cpu_input("last_positions", np.full(sequences, past + new - 1, np.int32))
        binding.bind_cpu_input("length", np.array(past + new, np.int32))
        for name, array in self.cache.items():
            binding.bind_ortvalue_input(name, array)
            binding.bind_ortvalue_output(name.replace("past", "present"), array)
        binding.bind_output("logits")
        self.session.run_with_iobinding(binding)
        self._logits = binding.get_outputs()[-1]

    def start(self, ids):
        sequences, self.length = ids.shape
        _, heads, _, size = self.session.get_inputs()[-1].shape
        room = [sequences, heads, self.length + 16, size]
        self.cache = {
            name: ort.OrtValue.ortvalue_from_shape_and_type(room, np.float32) for name in self.cache_names
        }
        self._run(ids, 0)

    fill = start

    def decode(self, tokens):
        self._run(tokens[:, None], self.length)

    def rewind(self):
        pass  # it is told in each call how much of the cache counts

    def logits(self):
        return self._logits.numpy()
