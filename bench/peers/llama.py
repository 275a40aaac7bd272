"""llama.cpp's llama_decode, through llama-cpp-python. int8 is its Q8_0; K and V are float16, which is its standard."""

import llama_cpp as c
import numpy as np

BATCH = 4096  # tokens of a call of llama_decode at most


class Engine:
    compile_seconds = None

    def __init__(self, folder, dtype, threads):
        path = folder / f"{dtype}.gguf"
        if not path.is_file():
            import gguf_file

            gguf_file.write(folder, path, dtype)
        c.llama_backend_init()
        self.weights = c.llama_model_load_from_file(str(path).encode(), c.llama_model_default_params())
        self.positions = c.llama_model_n_ctx_train(self.weights)
        self.threads, self.context, self.room = threads, None, (0, 0)
        self.batch = c.llama_batch_init(BATCH, 0, 1)
        self.about = f"llama-cpp-python {c.__version__}"

    def _make_room(self, sequences, tokens):
        """A context for so many: as it is where there is room, since a larger one takes more memory."""
        if sequences == self.room[0] and tokens <= self.room[1]:
            c.llama_memory_clear(c.llama_get_memory(self.context), True)
            return
        if self.context:
            c.llama_free(self.context)
        self.room = sequences, self.positions if sequences == 1 else tokens
        p = c.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = sequences * self.room[1], BATCH, 512, sequences
        p.n_threads = p.n_threads_batch = self.threads
        p.kv_unified = True
        self.context = c.llama_init_from_model(self.weights, p)

    def _decode(self, rows):
        """rows: [(token, position, sequence, are its logits wanted)]"""
        b = self.batch
        for begin in range(0, len(rows), BATCH):
            part = rows[begin : begin + BATCH]
            b.n_tokens = len(part)
            for i, (token, position, sequence, wanted) in enumerate(part):
                b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = int(token), position, 1, wanted
                b.seq_id[i][0] = sequence
            if c.llama_decode(self.context, b) != 0:
                raise RuntimeError("llama_decode failed")

    def start(self, ids):
        sequences, self.length = ids.shape
        self._make_room(sequences, self.length + 16)
        end = self.length - 1
        self._decode([(t, p, s, p == end) for s, row in enumerate(ids) for p, t in enumerate(row)])
        self.sequences = sequences

    fill = start

    def decode(self, tokens):
        self._decode([(t, self.length, s, True) for s, t in enumerate(tokens)])

    def rewind(self):
        for sequence in range(self.sequences):
            c.llama_memory_seq_rm(c.llama_get_memory(self.context), sequence, self.length, -1)

    def logits(self):
        size = c.llama_vocab_n_tokens(c.llama_model_get_vocab(self.weights))
        return np.ctypeslib.as_array(c.llama_get_logits(self.context), (self.sequences, size)).copy()
