"""Class weights by the effective number of samples, for any estimator. May import ``labels``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.labels import EFFECTIVE_BETA, effective_weights, encode_labels
from skfocal._kernels.arguments import check_sample_weight, is_number


def effective_number_weights(
    y: ArrayLike, beta: float = EFFECTIVE_BETA, *, sample_weight: ArrayLike | None = None
) -> dict[Any, float]:
    r"""Class weights by the effective number of samples, as a dict for ``class_weight`` or ``focal_alpha``.

    .. math:: w_k \propto \frac{1 - \beta}{1 - \beta^{n_k}}

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of two classes or more.
    beta : float, default=0.999
        A number in [0, 1). 0 gives equal weights. As beta approaches 1, the weights approach "balanced", which is
        inversely proportional to the class frequencies. Classes with many more than ``1 / (1 - beta)`` rows have the
        same weight.
    sample_weight : array-like of shape (n_samples,), default=None
        A row of weight 2 counts as two rows.

    Returns
    -------
    dict
        Weight > 0 of each label. The sum of the weights is the number of classes. A class whose rows all have the
        weight 0 gets the weight of a class with one row.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here.

    Notes
    -----
    ``focal_alpha="effective"`` of the estimators uses ``effective_number_weights(y)``, rescaled like every
    ``focal_alpha``.

    References
    ----------
    Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equations 3 and
    4, https://arxiv.org/abs/1901.05555

    Examples
    --------
    >>> from skfocal import effective_number_weights
    >>> y = ["ok"] * 5000 + ["fraud"] * 50
    >>> {label: round(weight, 3) for label, weight in effective_number_weights(y).items()}
    {'fraud': 1.906, 'ok': 0.094}
    """
    legal = f"beta must be a number in [0, 1), got {beta!r}"
    if not is_number(beta):
        raise TypeError(legal)
    if not 0 <= beta < 1:
        raise ValueError(legal)
    classes, indices = encode_labels(y)
    weight = check_sample_weight(sample_weight, indices.shape[0], np.float64)
    totals = np.bincount(indices, weights=weight, minlength=classes.shape[0])
    weights = effective_weights(totals, float(beta))
    return dict(zip(classes.tolist(), (weights * classes.shape[0] / weights.sum()).tolist(), strict=True))
