"""The engines that gpt2.py compares, a file for each; gpt2_peers.py runs one of them in a process of its own.

A module imports its library when it is imported, and has a class Engine:

    Engine(folder, dtype, threads)   from a model folder in Hugging Face's format. What is written or compiled for it
                                     lies beside it afterwards, for the next process. ValueError where there is no such
                                     dtype
    start(ids [B, T])                forgets all and reads a prompt for each sequence
    fill(ids [B, T])                 makes room for a decode after such prompts, by a short cut where there is one
    decode(tokens [B])               one more token for each sequence. Returns None, or the seconds it took where they
                                     are not to be taken from outside
    rewind()                         back to the end of the prompts, as far as it can; not timed
    logits()                         [B, V] float32 after the last start or decode; not timed
    about                            a line for the table
    compile_seconds                  what it took to compile the model, None where it was not compiled
"""

import importlib

MODULES = {
    "ours": "ours",
    "PyTorch": "pytorch",
    "CTranslate2": "ctranslate",
    "llama.cpp": "llama",
    "OpenVINO": "open_vino",
    "onnxruntime": "onnx_runtime",
}


def load(name: str):
    """The module of an engine; ImportError where its library is not installed."""
    return importlib.import_module(f"peers.{MODULES[name]}")
