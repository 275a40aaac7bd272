"""Exercise 2: how likely does the model find a text?

score() adds up log softmax(logits of row t)[ids[t + 1]] over the text. GPT2.prefill gives the logits after the last
token only: call model.step yourself, with a cache of your own, and ask for the rows you need. A text can be long:
a step may have `chunk` tokens at most, and no step may return logits that nobody uses.
"""

import numpy as np


def score(model, ids, chunk: int = 64) -> float:
    """The sum over t of log p(ids[t + 1] | ids[0 .. t]), in double, from the logits of `model` (a GPT2)."""
    logits = model.prefill([ids])  # [1, V]: only the last row
    row = logits[0].astype(np.float64)
    return float(row[ids[-1]] - np.log(np.exp(row - row.max()).sum()) - row.max())
