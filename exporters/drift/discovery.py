"""Many tests at once: which of them to believe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["discoveries"]


def discoveries(
    p_values: NDArray[np.float64], groups: NDArray[np.int64], rate: float
) -> NDArray[np.bool_]:
    """Which p-values are discoveries within their group, at a false discovery rate of `rate`.

    Of the k values of a group in ascending order, the first up to the last whose rank r has
    p <= rate * r / k. NaN is no test: never a discovery, and not among the k. Shapes [rows]. Where
    nothing in a group is true, any discovery at all has at most probability `rate`.

    Source: Benjamini and Hochberg, Controlling the False Discovery Rate (1995).
    """
    found = np.zeros(len(p_values), dtype=np.bool_)
    tested = np.flatnonzero(~np.isnan(p_values))
    if not len(tested):
        return found
    order = tested[np.lexsort((p_values[tested], groups[tested]))]
    own = groups[order]
    starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
    sizes = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, sizes) + 1
    passes = p_values[order] <= rate * rank / np.repeat(sizes, sizes)
    last = np.maximum.reduceat(np.where(passes, rank, 0), starts)
    found[order] = rank <= np.repeat(last, sizes)
    return found
