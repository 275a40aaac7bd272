"""From a text file to the blocks of tokens a training step reads. Nothing here knows the model."""

import pathlib

import numpy as np
import tokenizers
import torch

END_OF_TEXT = "<|endoftext|>"


class TrainingError(Exception):
    """A mistake of the caller's, as a sentence."""


def read_text(path):
    try:
        text = pathlib.Path(path).read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise TrainingError(f"there is no file {path}; give any UTF-8 text file") from None
    except IsADirectoryError:
        raise TrainingError(f"{path} is a folder; give a UTF-8 text file") from None
    except UnicodeDecodeError as e:
        raise TrainingError(
            f"{path} is not UTF-8: byte {e.object[e.start]:#04x} at offset {e.start}"
        ) from None
    if not text.strip():
        raise TrainingError(f"{path} is empty; give a UTF-8 text file of a few hundred kilobytes or more")
    return text


def train_tokenizer(text, vocab_size):
    """A byte-level BPE: every UTF-8 text has tokens, and decode(encode(text)) == text."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise TrainingError(
            f"the text is too short for a vocabulary of {vocab_size}: it gives {tokenizer.get_vocab_size()} tokens; "
            f"give more text or --vocab-size {tokenizer.get_vocab_size()}"
        )
    return tokenizer


def encode(tokenizer, text):
    """Token ids of a text that stands for itself: it begins with the end of the text before it."""
    return torch.tensor([tokenizer.token_to_id(END_OF_TEXT)] + tokenizer.encode(text).ids)


def batch_of_step(ids, s, step):
    """Tokens [B, T+1] and first positions [B, 1] of a step.

    Three steps of four read short blocks, put at random positions so that every position learns; the fourth reads
    blocks as long as the model, so that it learns to look that far back. The short blocks of an epoch tile the text
    from a random place, in random order: each token is read once.
    """
    T = s.n_positions if step % 4 == 3 else s.block
    B = max(1, s.batch_tokens // T)
    rng = np.random.default_rng((s.seed, step))
    if s.n_positions == T:
        begins = rng.integers(0, len(ids) - T, B)
    else:
        num_blocks = (len(ids) - 1) // T
        index = (step - step // 4) * B + np.arange(B)  # of the blocks read so far
        begins = np.empty(B, dtype=np.int64)
        for epoch in np.unique(index // num_blocks):
            epoch_rng = np.random.default_rng((s.seed, 1 << 32, epoch))
            shift, order = epoch_rng.integers(len(ids)), epoch_rng.permutation(num_blocks)
            here = index // num_blocks == epoch
            begins[here] = (shift + order[index[here] % num_blocks] * T) % (len(ids) - T)
    rows = torch.from_numpy(begins)[:, None] + torch.arange(T + 1)
    return ids[rows], torch.from_numpy(rng.integers(0, s.n_positions - T + 1, (B, 1)))
