"""p_i >= p * p_max  <=>  exp(x_i - x_max) >= p  <=>  x_i >= x_max + log(p)"""

import numpy as np


def min_p(logits: np.ndarray, p: float) -> np.ndarray:
    return np.flatnonzero(logits >= logits.max() + np.log(p))
