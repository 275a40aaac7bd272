"""One engine on GPT-2 124M's shapes, in a process of its own: gpt2.py starts it and asks for turns.

    python bench/gpt2_peers.py ENGINE DTYPE THREADS LAYERS

Reads lines `start BATCH TOKENS` (forget all, read a prompt of TOKENS random tokens for each of BATCH sequences) and
`decode` (one more token for each, then forget it again where the engine can), and answers each with the seconds it
took. Weights are random and of the right shape; what is measured does not depend on them. An engine that cannot be
imported says so in its first line, in place of "ready". No network is used.
"""

import os
import pathlib
import sys
import tempfile
import time

import numpy as np

ENGINE, DTYPE, THREADS, LAYERS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before an engine is imported

VOCABULARY, HEADS, WIDTH, POSITIONS = 50257, 12, 768, 1024
RNG = np.random.default_rng(0)


def random_ids(batch: int, tokens: int) -> np.ndarray:
    return RNG.integers(0, VOCABULARY, (batch, tokens)).astype(np.int32)


class Ours:
    """ch.14's step. int8: weights in 8 bits, rows in 15."""

    def __init__(self):
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
        import chapters  # noqa: F401  finds the build tree

        import ch14_gpt_optimized as gpt
        from ch13_weights import GPT2Config, GPT2Weights

        config = GPT2Config(VOCABULARY, LAYERS, HEADS, WIDTH, POSITIONS)
        packed = gpt.PackedWeights.pack(GPT2Weights.random(config), dtype=DTYPE)
        self.model = gpt.GPT2(packed, num_threads=THREADS, cache_dir=False)
        self.about = (
            f"compiled in {self.model.compile_seconds:.2f} s, weights {packed.num_bytes / 1e6:.0f} MB"
        )

    def start(self, ids):
        self.model.prefill(list(ids))

    def decode(self, tokens):
        self.model.decode(tokens)
        for sequence in range(len(tokens)):  # back to the context, for the next turn
            self.model.cache.lengths[sequence] -= 1


def transformers_model():
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    config = transformers.GPT2Config(n_layer=LAYERS, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config).eval()


class PyTorch:
    """transformers' GPT2LMHeadModel, eager, with its own cache."""

    def __init__(self):
        import torch

        self.torch = torch
        self.model = transformers_model().to(getattr(torch, DTYPE))
        self.about = "transformers, eager"

    def start(self, ids):
        with self.torch.inference_mode():
            ids = self.torch.from_numpy(ids.astype(np.int64))
            self.past = self.model(ids, logits_to_keep=1, use_cache=True).past_key_values

    def decode(self, tokens):
        with self.torch.inference_mode():
            ids = self.torch.from_numpy(tokens.astype(np.int64))[:, None]
            self.model(ids, past_key_values=self.past, use_cache=True)
            self.past.crop(-1)


class CTranslate2:
    """generate_batch; the time of a decode is what a longer generation takes more, divided by its steps."""

    STEPS = 16

    def __init__(self):
        import ctranslate2
        import transformers

        self.folder = tempfile.TemporaryDirectory()
        source = pathlib.Path(self.folder.name) / "source"
        transformers_model().save_pretrained(source)
        vocabulary = {f"t{i}": i for i in range(VOCABULARY)}
        from tokenizers import Tokenizer, models

        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.WordLevel(vocabulary, "t0")),
            unk_token="t0",
            bos_token="t0",
            eos_token="t0",
        )
        fast.save_pretrained(source)
        target = str(pathlib.Path(self.folder.name) / "converted")
        converter = ctranslate2.converters.TransformersConverter(str(source))
        converter.convert(target, quantization={"float32": None, "int8": "int8"}[DTYPE])
        self.model = ctranslate2.Generator(
            target, device="cpu", inter_threads=1, intra_threads=THREADS, compute_type=DTYPE
        )
        self.about = f"{ctranslate2.__version__}, {self.model.compute_type}"

    def start(self, ids):
        self.prompts = [[f"t{i}" for i in row] for row in ids]
        self._generate(1)

    def _generate(self, count):
        self.model.generate_batch(
            self.prompts,
            max_length=count,
            min_length=count,
            beam_size=1,
            include_prompt_in_result=False,
            max_batch_size=0,
        )

    def decode(self, tokens):
        begin = time.perf_counter()
        self._generate(1)
        middle = time.perf_counter()
        self._generate(1 + self.STEPS)
        return (time.perf_counter() - middle - (middle - begin)) / self.STEPS


class LlamaCpp:
    """llama_decode on a GGUF of random weights."""

    def __init__(self):
        import gguf
        import llama_cpp

        self.folder = tempfile.TemporaryDirectory()
        path = str(pathlib.Path(self.folder.name) / "model.gguf")
        w = gguf.GGUFWriter(path, "gpt2")
        w.add_block_count(LAYERS)
        w.add_context_length(POSITIONS)
        w.add_embedding_length(WIDTH)
        w.add_feed_forward_length(4 * WIDTH)
        w.add_head_count(HEADS)
        w.add_layer_norm_eps(1e-5)
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("gpt-2")
        w.add_token_list([f"t{i}".encode() for i in range(VOCABULARY)])
        w.add_token_types([1] * VOCABULARY)
        w.add_token_merges(["t 0"])
        w.add_bos_token_id(0)
        w.add_eos_token_id(0)
        kind = {
            "float32": gguf.GGMLQuantizationType.F32,
            "bfloat16": gguf.GGMLQuantizationType.BF16,
            "float16": gguf.GGMLQuantizationType.F16,
            "int8": gguf.GGMLQuantizationType.Q8_0,
        }[DTYPE]

        def matrix(name, rows, columns):
            data = (RNG.standard_normal((rows, columns)) * 0.02).astype(np.float32)
            w.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)

        def vector(name, size, value=0.0):
            w.add_tensor(name, np.full(size, value, np.float32))

        matrix("token_embd.weight", VOCABULARY, WIDTH)
        w.add_tensor(
            "position_embd.weight", (RNG.standard_normal((POSITIONS, WIDTH)) * 0.02).astype(np.float32)
        )
        for i in range(LAYERS):
            b = f"blk.{i}."
            for name in ("attn_norm", "ffn_norm"):
                vector(f"{b}{name}.weight", WIDTH, 1)
                vector(f"{b}{name}.bias", WIDTH)
            for name, n, k in (
                ("attn_qkv", 3 * WIDTH, WIDTH),
                ("attn_output", WIDTH, WIDTH),
                ("ffn_up", 4 * WIDTH, WIDTH),
                ("ffn_down", WIDTH, 4 * WIDTH),
            ):
                matrix(f"{b}{name}.weight", n, k)
                vector(f"{b}{name}.bias", n)
        vector("output_norm.weight", WIDTH, 1)
        vector("output_norm.bias", WIDTH)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()

        self.c = c = llama_cpp
        c.llama_backend_init()
        self.weights = c.llama_model_load_from_file(path.encode(), c.llama_model_default_params())
        p = c.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = 32 * 256, 4096, 512, 32
        p.n_threads = p.n_threads_batch = THREADS
        p.kv_unified = True
        self.context = c.llama_init_from_model(self.weights, p)
        self.batch = c.llama_batch_init(4096, 0, 1)
        self.about = f"llama-cpp-python {llama_cpp.__version__}"

    def _decode(self, rows):
        """rows: [(token, position, sequence, logits wanted)], all in one batch."""
        b = self.batch
        b.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = int(token), position, 1, wanted
            b.seq_id[i][0] = sequence
        if self.c.llama_decode(self.context, b) != 0:
            raise RuntimeError("llama_decode failed")

    def start(self, ids):
        memory = self.c.llama_get_memory(self.context)
        self.c.llama_memory_clear(memory, True)
        self.length = ids.shape[1]
        self._decode(
            [(t, p, s, p == self.length - 1) for s, row in enumerate(ids) for p, t in enumerate(row)]
        )

    def decode(self, tokens):
        self._decode([(t, self.length, s, True) for s, t in enumerate(tokens)])
        memory = self.c.llama_get_memory(self.context)
        for sequence in range(len(tokens)):
            self.c.llama_memory_seq_rm(memory, sequence, self.length, -1)


ENGINES = {"ours": Ours, "PyTorch": PyTorch, "CTranslate2": CTranslate2, "llama.cpp": LlamaCpp}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is no answer
    try:
        engine = ENGINES[ENGINE]()
    except Exception as error:
        print(f"failed {type(error).__name__}: {str(error).splitlines()[0]}", file=answers, flush=True)
        return
    print(f"ready {engine.about}", file=answers, flush=True)
    for line in sys.stdin:
        what, *sizes = line.split()
        if what == "start":
            ids = random_ids(*map(int, sizes))
            begin = time.perf_counter()
            engine.start(ids)
        else:
            tokens = ids[:, -1].copy()
            begin = time.perf_counter()
            seconds = engine.decode(tokens)
        taken = time.perf_counter() - begin
        if what == "decode" and seconds is not None:
            taken = seconds
        print(taken, file=answers, flush=True)


if __name__ == "__main__":
    main()
