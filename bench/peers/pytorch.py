"""transformers' GPT2LMHeadModel in PyTorch, eager, with its own cache."""

import copy

import torch
import transformers


class Engine:
    compile_seconds = None

    def __init__(self, folder, dtype, threads):
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"no {dtype} here")
        torch.set_num_threads(threads)
        self.model = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        self.about = f"PyTorch {torch.__version__}, transformers {transformers.__version__}, eager"
        self.row = None  # what the cache has of one sequence

    def _run(self, ids, past=None):
        with torch.inference_mode():
            ids = torch.from_numpy(ids).long()
            out = self.model(ids, past_key_values=past, logits_to_keep=1, use_cache=True)
        self.past, self._logits = out.past_key_values, out.logits

    def start(self, ids):
        self._run(ids)

    def fill(self, ids):
        """Reads the first sequence only, and that once; the cache has it for all."""
        if self.row is None or self.row.get_seq_length() != ids.shape[1]:
            self._run(ids[:1])
            self.row = self.past
        self.past = copy.deepcopy(self.row)
        self.past.batch_repeat_interleave(len(ids))

    def decode(self, tokens):
        self._run(tokens[:, None], self.past)

    def rewind(self):
        self.past.crop(-1)

    def logits(self):
        return self._logits[:, -1].float().numpy()
