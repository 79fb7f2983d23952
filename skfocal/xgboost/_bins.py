"""Row weights from which XGBoost's bins are made. May import NumPy."""

from __future__ import annotations

import numpy as np

from skfocal._kernels.blocks import Array


def bin_weights(y: Array, weight: Array | None) -> Array:
    """Row weights for the bins, (n,). Half of their total is shared equally by the rows, the other half by the classes.

    With equal halves no column loses more than half of its bins, for any number of classes.
    """
    totals = np.bincount(y, weights=weight)
    per_class = 1.0 + np.divide(
        totals.sum() / totals.shape[0], totals, out=np.zeros_like(totals, float), where=totals > 0
    )
    of_class: Array = per_class[y]
    return of_class if weight is None else of_class * weight
