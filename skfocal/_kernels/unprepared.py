"""Results from labels and scores as callers have them, which the kernels in C check as they read them.

May import NumPy, ``arguments``, ``blocks`` and ``compiled``. The checks of ``arguments``, and the arrays that the
kernels take otherwise, are several passes over the rows. Together these take as long as the kernel.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from skfocal import _kernels
from skfocal._kernels.arguments import as_labels, as_raw_prediction, check_sample_weight
from skfocal._kernels.blocks import Array, empty_pair


def results(
    y_true: ArrayLike,
    raw_prediction: ArrayLike,
    sample_weight: ArrayLike | None,
    parameters: Callable[[int], tuple[float | Array, Array | None]],
    n_derivatives: int,
) -> tuple[Array, ...] | None:
    """The loss (``n_derivatives=0``), the gradient (1), or gradient and Hessian (2) of each row.

    ``parameters(n_classes)`` are gamma and alpha, each a number (None for no alpha) or float64 and (n_classes,).

    None where the kernels are not in C or do not read the labels' type, and where anything is wrong: then the checks of
    ``arguments``, one after the other, find what it is.
    """
    if _kernels.compiled is None:
        return None
    try:
        raw = as_raw_prediction(raw_prediction)
        labels = as_labels(y_true, raw.shape[0])
        weight = check_sample_weight(sample_weight, raw.shape[0], raw.dtype)
        gamma, alpha = parameters(2 if raw.ndim == 1 else raw.shape[1])
    except (TypeError, ValueError):
        return None
    if not labels.dtype.isnative or labels.dtype.char in "eg":  # float16 and long double
        return None
    loss, gradient, hessian = None, None, None
    if n_derivatives == 0:
        loss = np.empty(raw.shape[0], dtype=raw.dtype)
    elif n_derivatives == 1:
        gradient = np.empty_like(raw)
    else:
        gradient, hessian = empty_pair(raw.shape, raw.dtype)
    fill = _kernels.compiled.binary_of_labels if raw.ndim == 1 else _kernels.compiled.softmax_of_labels
    if not fill(raw, labels, weight, gamma, alpha, loss, gradient, hessian):
        return None
    if loss is not None and not loss.max() <= np.finfo(loss.dtype).max:  # `blocks.saturate` has to mend it
        return None
    return tuple(a for a in (loss, gradient, hessian) if a is not None)
