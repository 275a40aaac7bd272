"""What a model folder says whose download was cut off."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters

import ch13_gpt as gpt

source = chapters.ROOT / "models" / "shakespeare"
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    (folder / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes()[:100_000])
    try:
        gpt.load_gpt2_weights(folder)
    except ValueError as error:
        print(str(error).replace(name, "MODEL"))
