"""Trains a small GPT-2 on one text file, and writes it as Hugging Face would.

    python3 train.py input.txt --out ../models/shakespeare

The folder it writes (config.json, model.safetensors, tokenizer.json, README.md) is what `load_gpt2_weights` of this
chapter and `GPT2LMHeadModel.from_pretrained` of transformers read. models/shakespeare was made by it.

    text --split--> first 90 % --BPE--> tokens --blocks--> GPT --Muon, AdamW--> weights --float16--> folder
               `--> last 10 % ------------------> nats per character, measured on the folder as written

Nothing here is compiled by MLIR: PyTorch finds the weights, the chapters run them. ch13_torch.py is the model,
ch13_text.py the text. Training can be stopped at any step (Ctrl-C, SIGTERM) and goes on when the same command is given
again. Every random number of a step is drawn from (seed, step), so a training that was interrupted ends with the same
weights as one that was not.
"""

import argparse
import contextlib
import hashlib
import math
import os
import pathlib
import shlex
import signal
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ch13_text import END_OF_TEXT, TrainingError, batch_of_step, encode, read_text, train_tokenizer
from ch13_torch import GPT, read_folder, write_folder

# What must be as it was when a training goes on from its checkpoint. `steps` is not among them: more may be asked for.
FIXED = "vocab_size n_positions n_embd n_layer n_head batch_tokens block lr weight_decay dropout seed float32"
COUNTS = "n_positions n_embd n_layer n_head steps batch_tokens block evaluate_every save_every threads"


def make_optimizers(model, s):
    """Muon for the matrices of the blocks, AdamW for embeddings, gains and biases; both take the same learning rate."""
    matrices = [p for p in model.h.parameters() if p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not name.startswith("h.") or p.ndim != 2]
    return [
        torch.optim.Muon(matrices, lr=s.lr, weight_decay=s.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=s.lr, weight_decay=0.0, betas=(0.9, 0.99)),
    ]


def learning_rate(s, step):
    """Up in 100 steps (fewer in a short training), level, then down to zero along a line over the second half."""
    warmup = min(100, max(1, s.steps // 10))
    return s.lr * min(1.0, (step + 1) / warmup, 2 * (s.steps - step) / s.steps)


def train_step(model, optimizers, ids, s, step):
    """Returns the loss, in nats per token."""
    torch.manual_seed(s.seed * 1_000_003 + step)  # dropout
    batch, start = batch_of_step(ids, s, step)
    model.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=not s.float32):
        logits = model(batch[:, :-1], start)
    loss = F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(s, step)
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


@torch.no_grad()
def validation_nats(model, ids, s, bfloat16=False):
    """Sum of -log p over ids[1:], in nats; each token counts once.

    The window moves by half its length: every token but those of the first window is predicted from at least
    n_positions/2 tokens before it.
    """
    model.eval()
    total, stride = 0.0, max(1, s.n_positions // 2)
    for begin in range(0, len(ids) - 1, stride):
        window = ids[begin : begin + s.n_positions + 1]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(window[None, :-1])[0].float()
        new = 0 if begin == 0 else s.n_positions - stride
        total += F.cross_entropy(logits[new:], window[1 + new :], reduction="sum").item()
        if begin + s.n_positions >= len(ids) - 1:
            break
    return total


@torch.no_grad()
def sample(model, tokenizer, s, prompt="\n", num_tokens=200, temperature=0.8, top_k=50):
    """The prompt and what the model writes after it. The window is read again for each token: plain and slow."""
    model.eval()
    torch.manual_seed(s.seed)
    ids = tokenizer.encode(prompt).ids or [tokenizer.token_to_id(END_OF_TEXT)]
    for _ in range(num_tokens):
        logits = model(torch.tensor([ids[-s.n_positions :]]))[0, -1] / temperature
        values, best = logits.topk(min(top_k, len(logits)))
        ids.append(best[torch.multinomial(values.softmax(0), 1)].item())
    return tokenizer.decode(ids)


class Training:
    """Where a training stands: all that a checkpoint holds."""

    def __init__(self, s, text_sha256):
        self.settings = {name: getattr(s, name) for name in FIXED.split()} | {"text_sha256": text_sha256}
        torch.manual_seed(s.seed)
        self.model = GPT(s)
        self.optimizers = make_optimizers(self.model, s)
        self.step = 0
        self.seconds = 0.0
        self.best = math.inf  # nats per character held out
        self.best_weights = None

    def evaluate(self, tokenizer, val_ids, num_val_characters, s):
        """Nats per character held out. The folder and best_weights keep the best so far."""
        now = validation_nats(self.model, val_ids, s, bfloat16=not s.float32) / num_val_characters
        if now < self.best:
            self.best = now
            self.best_weights = {name: w.clone() for name, w in self.model.state_dict().items()}
            write_folder(s.out, self.best_weights, tokenizer, s)
        return now

    def save(self, path):
        """Replaces the checkpoint in one go: a kill while writing leaves the old one."""
        names = ["settings", "step", "seconds", "best", "best_weights"]
        state = {name: getattr(self, name) for name in names}
        state["model"] = self.model.state_dict()
        state["optimizers"] = [o.state_dict() for o in self.optimizers]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, f"{path}.new")
        os.replace(f"{path}.new", path)

    def restore(self, path):
        try:
            state = torch.load(path, weights_only=True)
            made_with = state["settings"]
        except Exception as e:
            raise TrainingError(
                f"{path} is not a checkpoint of this script ({type(e).__name__}); "
                "give another --checkpoint or --restart"
            ) from e
        for name, value in self.settings.items():
            if made_with.get(name) != value:
                what = f"{flag(name)} {made_with.get(name)}, not {value}"
                what = "another text" if name == "text_sha256" else what
                raise TrainingError(
                    f"{path} was made with {what}; give that, another --checkpoint or --restart"
                )
        for name in ["step", "seconds", "best", "best_weights"]:
            setattr(self, name, state[name])
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)


@contextlib.contextmanager
def stop_signals():
    """A list that Ctrl-C (SIGINT) and SIGTERM are put into, so that the step under way is finished and saved."""
    came = []
    old = {
        sig: signal.signal(sig, lambda sig, _: came.append(sig)) for sig in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for sig, handler in old.items():
            signal.signal(sig, handler)


def train(training, tokenizer, train_ids, val_ids, num_val_characters, s):
    """Trains to the last step, or until a signal comes, which it returns."""
    bar = tqdm(total=s.steps, initial=training.step, unit="step", mininterval=1)
    with bar, stop_signals() as stop:
        while training.step < s.steps and not stop:
            began = time.monotonic()
            loss = train_step(training.model, training.optimizers, train_ids, s, training.step)
            training.step += 1
            bar.set_postfix(loss=f"{loss:.3f}", held_out=f"{training.best:.4f}/char", refresh=False)
            bar.update()
            if training.step % s.evaluate_every == 0 or training.step == s.steps:
                now = training.evaluate(tokenizer, val_ids, num_val_characters, s)
                bar.write(
                    f"step {training.step}: {loss:.3f} nats per token, {now:.4f} per character held out"
                )
            training.seconds += time.monotonic() - began
            if stop or training.step % s.save_every == 0 or training.step == s.steps:
                training.save(s.checkpoint)
    return stop[0] if training.step < s.steps else None


def flag(name):
    return "--" + name.replace("_", "-")


def write_card(out, s, facts):
    (out / "README.md").write_text(CARD.format(**vars(s), **facts))


CARD = """\
# {title}

A GPT-2 of {num_parameters:,} parameters trained on `{text_name}`, in Hugging Face's format: {n_layer} layers,
{n_head} heads, width {n_embd}, {n_positions} positions, {vocab_size} tokens (byte-level BPE), weights in float16.

| | |
|---|---|
| data | `{text_name}`, {num_characters:,} characters (sha256 `{text_sha256:.16}`) |
| trained on | the first {num_train_characters:,} characters ({num_train_tokens:,} tokens); the BPE too |
| held out | the last {num_val_characters:,} characters ({num_val_tokens:,} tokens) |
| validation loss | **{val_per_character:.3f} nats per character** ({val_per_token:.3f} per token) |
| training | {steps:,} steps of {batch_tokens} tokens: {num_epochs:.1f} times through the text |
| time | {minutes:.0f} minutes, CPU threads: {num_threads} |

The validation loss is that of the float16 weights in this folder, computed in float32: the sum over all held-out
tokens divided by the number of characters. A window of {n_positions} tokens moves by half its length, so each token but
those of the first window is predicted from at least {half_window} tokens before it. The weights are those of the
evaluation with the lowest validation loss; training used the held-out text for nothing else.

Made by, in `ch.13.GPT`:

```sh
{command}
```

Load it with `load_gpt2_weights()` in chapters 13, 14 and 16, or with `GPT2LMHeadModel.from_pretrained`.

200 tokens at temperature 0.8, top-k 50, seed {seed}, after the prompt {prompt!r}:

<!-- sketch: written when the model was trained -->
```text
{sample}
```
"""


def parse_arguments(arguments):
    p = argparse.ArgumentParser(
        description="Train a small GPT-2 on a text file and write it in Hugging Face's format.",
        epilog="The text is not part of this project. models/shakespeare was trained on Tiny Shakespeare, input.txt "
        "of Andrej Karpathy's char-rnn (1.1 MB). Any UTF-8 text of a few hundred kilobytes or more will do.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    build = os.path.relpath(pathlib.Path(__file__).resolve().parents[1] / "build")
    add, path = p.add_argument, pathlib.Path
    add("text", help="the text file, UTF-8, e.g. Tiny Shakespeare's input.txt")
    add("--out", type=path, default=f"{build}/model", help="folder to write the model to")
    add(
        "--checkpoint",
        type=path,
        default=f"{build}/train.pt",
        help="where training stands; it goes on from it",
    )
    add("--restart", action="store_true", help="begin anew though there is a checkpoint")
    add("--title", default="A small GPT-2", help="first line of the model's README.md")
    add("--prompt", default="\n", help="what the sample in README.md goes on from (default: %(default)r)")
    add("--vocab-size", type=int, default=1024, help="tokens of the BPE, at least 257")
    add("--n-positions", type=int, default=1024, help="longest text the model reads, in tokens")
    add("--n-embd", type=int, default=256, help="width")
    add("--n-layer", type=int, default=4, help="transformer blocks")
    add("--n-head", type=int, default=4, help="attention heads")
    add("--steps", type=int, default=1400, help="optimizer steps; may be changed when a training goes on")
    add("--batch-tokens", type=int, default=4096, help="tokens of a step")
    add("--block", type=int, default=256, help="tokens of a short block (three steps of four)")
    add("--lr", type=float, default=5e-3, help="highest learning rate")
    add("--weight-decay", type=float, default=0.1, help="of the matrices")
    add("--dropout", type=float, default=0.1, help="of embeddings and of what each block adds")
    add("--seed", type=int, default=1, help="of weights, batches, dropout and the sample")
    add("--float32", action="store_true", help="multiply in float32 (otherwise bfloat16, faster on new CPUs)")
    add("--evaluate-every", type=int, default=200, help="steps between looks at the validation loss")
    add("--save-every", type=int, default=50, help="steps between checkpoints")
    add("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    return p.parse_args(arguments)


def check_settings(s):
    for name in COUNTS.split():
        if getattr(s, name) < 1:
            raise TrainingError(f"{flag(name)} must be at least 1, not {getattr(s, name)}")
    if s.vocab_size < 257:
        raise TrainingError(
            f"--vocab-size must be at least 257 (256 bytes and {END_OF_TEXT}), not {s.vocab_size}"
        )
    if s.n_embd % s.n_head:
        raise TrainingError(f"--n-embd {s.n_embd} is not a multiple of --n-head {s.n_head}")
    if not 0 <= s.dropout < 1:
        raise TrainingError(f"--dropout must be at least 0 and less than 1, not {s.dropout}")
    if s.lr <= 0 or s.weight_decay < 0 or s.seed < 0:
        raise TrainingError(
            f"--lr must be positive, --weight-decay and --seed not negative: {s.lr}, {s.weight_decay}, {s.seed}"
        )
    if s.block > s.n_positions:
        raise TrainingError(f"--block {s.block} is longer than --n-positions {s.n_positions}")


def run(s, command):
    check_settings(s)
    torch.set_num_threads(s.threads)
    text = read_text(s.text)
    split = len(text) * 9 // 10
    tokenizer = train_tokenizer(text[:split], s.vocab_size)
    train_ids, val_ids = encode(tokenizer, text[:split]), encode(tokenizer, text[split:])
    if len(train_ids) < 2 * s.n_positions:
        raise TrainingError(
            f"the text is too short: {len(train_ids)} tokens to train on are fewer than "
            f"2 * --n-positions ({2 * s.n_positions})"
        )
    text_sha256 = hashlib.sha256(text.encode()).hexdigest()
    num_val_characters = len(text) - split

    training = Training(s, text_sha256)
    if s.checkpoint.exists() and not s.restart:
        training.restore(s.checkpoint)
    stopped_by = train(training, tokenizer, train_ids, val_ids, num_val_characters, s)
    if stopped_by:
        print(
            f"Stopped after step {training.step} of {s.steps}. The same command goes on from {s.checkpoint}."
        )
        return 128 + stopped_by

    write_folder(s.out, training.best_weights or training.model.state_dict(), tokenizer, s)
    model = read_folder(s.out, s)
    nats = validation_nats(model, val_ids, s)
    facts = {
        "num_parameters": sum(p.numel() for p in model.parameters()),
        "text_name": pathlib.Path(s.text).name,
        "text_sha256": text_sha256,
        "num_characters": len(text),
        "num_train_characters": split,
        "num_val_characters": num_val_characters,
        "num_train_tokens": len(train_ids) - 1,
        "num_val_tokens": len(val_ids) - 1,
        "val_per_character": nats / num_val_characters,
        "val_per_token": nats / (len(val_ids) - 1),
        "num_epochs": s.steps * s.batch_tokens / len(train_ids),
        "minutes": training.seconds / 60,
        "num_threads": torch.get_num_threads(),
        "half_window": s.n_positions // 2,
        "command": command,
        "sample": sample(model, tokenizer, s, s.prompt).strip("\n"),
    }
    write_card(s.out, s, facts)
    print(
        f"{s.out}: {facts['val_per_character']:.4f} nats per character on the held-out text ({s.steps} steps)."
    )
    return 0


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    s = parse_arguments(arguments)
    try:
        return run(s, shlex.join(["python3", "train.py", *arguments]))
    except (TrainingError, OSError) as e:
        print(f"train.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
