"""Loss and derivatives from labels and scores that are not yet checked or converted.

The kernels in C check labels and scores while they read them. The checks of ``arguments``, and the conversion to the
arrays of the other kernels, would need several passes over the rows, which take as long as the kernel. May import
NumPy, ``arguments``, ``blocks`` and ``compiled``.
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

    ``parameters(n_classes)`` returns gamma, a number or (n_classes,), and alpha, (n_classes,) or None. Arrays are
    float64.

    The result is None if there are no kernels in C, if they do not support the type of the labels, or if an argument is
    wrong. The caller then runs the checks of ``arguments``, which raise the error.
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
    if loss is not None and not loss.max() <= np.finfo(loss.dtype).max:  # the caller then uses `blocks.saturate`
        return None
    return tuple(a for a in (loss, gradient, hessian) if a is not None)
