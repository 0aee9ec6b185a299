import numpy as np
from numpy.typing import NDArray


def choose_pairs(available: int, max_pairs: int | None, seed: int) -> NDArray[np.int64]:
    """Which pairs to train on: `max_pairs` drawn uniformly without replacement, sorted (paper, Training details).

    Parameters
    ----------
    available
        Number of pairs in the training sections.
    max_pairs
        How many to keep; None or more than there are = all.
    seed
        Same seed, same pairs.
    """
    if max_pairs is None or max_pairs >= available:
        return np.arange(available, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(available, size=max_pairs, replace=False)).astype(np.int64)
