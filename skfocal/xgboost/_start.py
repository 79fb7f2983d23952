"""The start of training, and the default of ``min_child_weight``. May import ``_common``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import expit

from skfocal._common.objective import TINY_HESSIAN
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss


def base_score(start: Any) -> float | list[float]:
    """The start as XGBoost's ``base_score``: a probability under the sigmoid, scores under the softmax.

    XGBoost stores a float32, which it reads from text by the locale. If the decimal point is a comma, it accepts
    numbers of at most 9 digits. These are enough for any float32. The probability is clipped, so that it remains
    between 0 and 1 in float32.
    """
    if np.ndim(start) == 0:
        return _probability(start)
    return [_nine_digits(score) for score in start - start.mean()]  # XGBoost centers its own start as well


def base_scores(starts: Iterable[Any]) -> list[float]:
    """XGBoost's ``base_score`` of several labels: the sigmoid of each start."""
    return [_probability(start) for start in starts]


def _probability(start: Any) -> float:
    limits = np.finfo(np.float32)
    return _nine_digits(np.clip(expit(start), limits.tiny, 1.0 - limits.epsneg))


LEAST_SHARE = 1e-6
"""Share of a class without weight in the start of XGBoost's own losses."""


def _nine_digits(value: float) -> float:
    return float(f"{value:.9g}")


def default_min_child_weight(loss: FocalLoss, totals: Array, scale: float) -> float:
    """XGBoost's default of 1, or the weight of a leaf with a quarter of the rarest class if that is smaller.

    The weight of a row is its second derivative at the score 0, where p = 1/2; see docs/theory.md. With log loss the
    rarest class needs 16 rows to reach 1. At gamma 2 it needs 30 rows if one of two classes is rare.

    Parameters
    ----------
    loss : FocalLoss
    totals : ndarray of shape (n_classes,)
        Total weight of each class, class weights included.
    scale : float
        Factor of the second derivatives in training.

    Returns
    -------
    float
    """
    gamma = loss.gamma_per_class(totals.shape[0])
    if not gamma.any():
        return 1.0
    distinct, of_class = np.unique(gamma, return_inverse=True)
    in_doubt = np.array([FocalLoss(g).gradient_hessian([1], [0.0])[1][0] for g in distinct.tolist()])
    weight_of_class = scale * in_doubt[of_class] * totals
    # Not below the lower bound of a Hessian, because XGBoost accepts no number that is 0 in float32.
    return _nine_digits(np.clip(0.25 * weight_of_class[totals > 0].min(), TINY_HESSIAN, 1.0))
