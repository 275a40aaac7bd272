"""What train.py must do, on a text and a model so small that a training takes a second."""

import os
import pathlib
import random
import signal
import sys

import numpy as np
import pytest
import tokenizers
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import train
import transformers

import ch13_text
import ch13_torch

MODEL = "--vocab-size 300 --n-positions 32 --n-embd 32 --n-layer 2 --n-head 4 --batch-tokens 64 --block 16"
LOOP = "--steps 10 --evaluate-every 5 --save-every 2 --threads 1"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghilmnorstué", k=rng.randint(1, 7))) for _ in range(200)]
    path = tmp_path_factory.mktemp("text") / "tiny.txt"
    path.write_text(" ".join(rng.choices(words, k=4000)) + "\n", encoding="utf-8")
    return path


def arguments(folder, text, *more):
    return [
        str(text),
        "--out",
        str(folder / "model"),
        "--checkpoint",
        str(folder / "train.pt"),
        *MODEL.split(),
        *LOOP.split(),
        *more,
    ]


def settings(folder, text):
    return train.parse_arguments(arguments(folder, text))


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert train.main(arguments(folder, text)) == 0
    return folder


def weights(folder):
    return torch.load(folder / "train.pt", weights_only=True)["model"]


def assert_same_training(a, b):
    for name, w in weights(a).items():
        assert torch.equal(w, weights(b)[name]), name
    assert (a / "model/model.safetensors").read_bytes() == (b / "model/model.safetensors").read_bytes()


def test_folder_is_complete(trained, text):
    assert {p.name for p in (trained / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
    }
    card = (trained / "model/README.md").read_text()
    assert "nats per character" in card and "10 steps" in card and f"python3 train.py {text}" in card


def test_transformers_computes_the_same_logits(trained, text, tmp_path):
    s = settings(trained, text)
    torch.manual_seed(0)
    model = ch13_torch.GPT(s)
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)  # far from where a training begins, so that every part counts
    tokenizer = tokenizers.Tokenizer.from_file(str(trained / "model/tokenizer.json"))
    ch13_torch.write_folder(tmp_path, model.state_dict(), tokenizer, s)

    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ours = ch13_torch.read_folder(tmp_path, s)
    ids = torch.randint(0, 300, (3, 32))
    with torch.no_grad():
        expected, got = theirs(ids).logits, ours(ids)
        unrounded = model.eval()(ids)
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()  # float32 sums in another order
    assert (got - unrounded).abs().max() <= 1e-2 * expected.abs().max()  # float16 on disk
    assert theirs.config.eos_token_id == 0
    assert theirs.lm_head.weight.data_ptr() == theirs.transformer.wte.weight.data_ptr()


def test_float16_on_disk(trained):
    tensors = ch13_torch.safetensors.torch.load_file(trained / "model/model.safetensors")
    assert {w.dtype for w in tensors.values()} == {torch.float16}
    assert transformers.GPT2LMHeadModel.from_pretrained(trained / "model").dtype == torch.float16


def test_tokenizer_is_lossless_and_saw_only_the_training_part(trained, text):
    tokenizer = tokenizers.Tokenizer.from_file(str(trained / "model/tokenizer.json"))
    for anything in [text.read_text(encoding="utf-8"), "Ünïcode 東京 \U0001f600\n\n  two", ""]:
        assert tokenizer.decode(tokenizer.encode(anything).ids) == anything
    assert tokenizer.get_vocab_size() == 300 and tokenizer.token_to_id("<|endoftext|>") == 0
    whole = text.read_text(encoding="utf-8")
    assert tokenizer.to_str() == ch13_text.train_tokenizer(whole[: len(whole) * 9 // 10], 300).to_str()


def test_training_lowers_the_loss_and_the_card_measures_the_folder(trained, text):
    s = settings(trained, text)
    whole = text.read_text(encoding="utf-8")
    held_out = whole[len(whole) * 9 // 10 :]
    tokenizer = tokenizers.Tokenizer.from_file(str(trained / "model/tokenizer.json"))
    ids = ch13_text.encode(tokenizer, held_out)
    measured = train.validation_nats(ch13_torch.read_folder(trained / "model", s), ids, s) / len(held_out)
    torch.manual_seed(s.seed)
    assert measured < 0.9 * train.validation_nats(ch13_torch.GPT(s), ids, s) / len(held_out)
    assert f"**{measured:.3f} nats per character**" in (trained / "model/README.md").read_text()


@pytest.mark.parametrize("num_ids", [2, 17, 32, 33, 34, 48, 49, 50, 100])
def test_validation_counts_each_token_once(trained, text, num_ids):
    s = settings(trained, text)
    model = ch13_torch.GPT(s)
    with torch.no_grad():
        model.wte.weight.zero_()  # every token is as likely as any other
    nats = train.validation_nats(model, torch.randint(0, 300, (num_ids,)), s)
    assert nats == pytest.approx((num_ids - 1) * np.log(300), rel=1e-5)


def test_short_blocks_of_an_epoch_tile_the_text(trained, text):
    s = settings(trained, text)
    ids = torch.arange(30 * 16 + 1)
    short_steps = [step for step in range(100) if step % 4 != 3][
        :7
    ]  # 7 steps of 4 blocks: 28 of the 30 in an epoch
    blocks = torch.cat([ch13_text.batch_of_step(ids, s, step)[0] for step in short_steps])
    assert blocks.shape == (28, 17) and (blocks.diff(dim=1) == 1).all()
    seen = blocks[:, :-1].flatten()
    assert len(seen.unique()) >= len(seen) - 2 * 16  # but for the block that goes over the end
    batch, start = ch13_text.batch_of_step(ids, s, 3)
    assert batch.shape == (2, 33) and not start.any()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_ends_with_the_same_weights(trained, text, tmp_path, monkeypatch, capsys, sig):
    whole_step = train.train_step

    def step_with_signal(model, optimizers, ids, s, step):
        if step == 6:
            os.kill(os.getpid(), sig)
        return whole_step(model, optimizers, ids, s, step)

    monkeypatch.setattr(train, "train_step", step_with_signal)
    assert train.main(arguments(tmp_path, text)) == 128 + sig
    assert "Stopped after step 7 of 10" in capsys.readouterr().out
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train.main(arguments(tmp_path, text)) == 0
    assert_same_training(trained, tmp_path)


def test_a_killed_training_ends_with_the_same_weights(trained, text, tmp_path, monkeypatch):
    whole_step = train.train_step

    def step_with_death(model, optimizers, ids, s, step):
        if step == 7:
            raise RuntimeError("killed")
        return whole_step(model, optimizers, ids, s, step)

    monkeypatch.setattr(train, "train_step", step_with_death)
    with pytest.raises(RuntimeError, match="killed"):
        train.main(arguments(tmp_path, text))
    monkeypatch.undo()
    assert torch.load(tmp_path / "train.pt", weights_only=True)["step"] == 6
    assert train.main(arguments(tmp_path, text)) == 0
    assert_same_training(trained, tmp_path)


def refusal(capsys, arguments):
    assert train.main(arguments) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "there is no file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"abc\xff\xfe", "is not UTF-8: byte 0xff at offset 3"),
        (b"to be or not to be\n" * 9, "too short for a vocabulary of 300"),
    ],
)
def test_wrong_text(tmp_path, capsys, content, sentence):
    path = tmp_path / "wrong.txt"
    if content is not None:
        path.write_bytes(content)
    assert sentence in refusal(capsys, arguments(tmp_path, path))
    assert not (tmp_path / "model").exists()


def test_text_shorter_than_the_model(text, tmp_path, capsys):
    err = refusal(capsys, arguments(tmp_path, text, "--n-positions", "100000"))
    assert "the text is too short" in err and "200000" in err


def test_checkpoint_of_other_settings(trained, text, tmp_path, capsys):
    checkpoint = ["--checkpoint", str(trained / "train.pt")]
    assert "was made with --n-layer 2, not 3" in refusal(
        capsys, arguments(tmp_path, text, *checkpoint, "--n-layer", "3")
    )
    other = tmp_path / "other.txt"
    other.write_text(text.read_text(encoding="utf-8") + "more", encoding="utf-8")
    assert "was made with another text" in refusal(capsys, arguments(tmp_path, other, *checkpoint))


def test_damaged_checkpoint(text, tmp_path, capsys):
    (tmp_path / "train.pt").write_bytes(b"not a checkpoint")
    assert "is not a checkpoint of this script" in refusal(capsys, arguments(tmp_path, text))
    assert train.main(arguments(tmp_path, text, "--restart", "--steps", "1")) == 0


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--n-embd", "30"], "--n-embd 30 is not a multiple of --n-head 4"),
        (["--vocab-size", "256"], "--vocab-size must be at least 257"),
        (["--steps", "0"], "--steps must be at least 1, not 0"),
        (["--dropout", "1"], "--dropout must be at least 0 and less than 1"),
        (["--seed", "-1"], "--seed not negative: 0.005, 0.1, -1"),
        (["--threads", "0"], "--threads must be at least 1, not 0"),
        (["--block", "64"], "--block 64 is longer than --n-positions 32"),
    ],
)
def test_wrong_settings(text, tmp_path, capsys, more, sentence):
    assert sentence in refusal(capsys, arguments(tmp_path, text, *more))


def test_more_steps_than_the_checkpoint_has(text, tmp_path, capsys):
    assert train.main(arguments(tmp_path, text, "--steps", "2")) == 0
    assert train.main(arguments(tmp_path, text, "--steps", "4")) == 0
    assert torch.load(tmp_path / "train.pt", weights_only=True)["step"] == 4


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q"]))
