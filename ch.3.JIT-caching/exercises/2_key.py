"""Exercise 2: a key for IR that does not depend on how it is written.

`ch3.run` takes the text itself as the key. So the same program with a comment in it, or with other names for
its values, is compiled again. Write a key that is equal for texts that MLIR reads as the same program, and
different for all others. `ch3` is this chapter's module; what it has to look at IR may help.

    python3 exercises/check.py 2
"""


def key(ch3, ir: str) -> str:
    return ir
