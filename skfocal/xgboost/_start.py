"""Where training starts, and the smallest leaf it may make. May import ``_common``."""

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

    XGBoost keeps a float32, and reads it as text by the locale: with a comma for the decimal point it takes numbers of
    up to 9 digits only, which say any float32. A probability stays between 0 and 1 in float32.
    """
    if np.ndim(start) == 0:
        return _probability(start)
    return [_nine_digits(score) for score in start - start.mean()]  # XGBoost centers its own


def base_scores(starts: Iterable[Any]) -> list[float]:
    """The starts of several labels, each under the sigmoid, as XGBoost's ``base_score``."""
    return [_probability(start) for start in starts]


def _probability(start: Any) -> float:
    limits = np.finfo(np.float32)
    return _nine_digits(np.clip(expit(start), limits.tiny, 1.0 - limits.epsneg))


LEAST_SHARE = 1e-6
"""Share that XGBoost gives a class without weight in the start of its own losses."""


def _nine_digits(value: float) -> float:
    return float(f"{value:.9g}")


def default_min_child_weight(loss: FocalLoss, totals: Array, scale: float) -> float:
    """XGBoost's default of 1, or less where a leaf of a quarter of the rarest class would not reach it.

    Its rows weigh what they do while they are in doubt, at a score of 0 and p = 1/2, see docs/theory.md. By this
    measure 1 is reached by 16 rows with log loss, by 30 at gamma 2 where one of two classes is rare.

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
    in_doubt = [FocalLoss(of_class).gradient_hessian([1], [0.0])[1][0] for of_class in gamma.tolist()]
    weight_of_class = scale * np.array(in_doubt) * totals
    # Not below what a Hessian is at least: XGBoost takes no number that is 0 in float32.
    return _nine_digits(np.clip(0.25 * weight_of_class[totals > 0].min(), TINY_HESSIAN, 1.0))
