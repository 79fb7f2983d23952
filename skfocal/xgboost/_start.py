"""Where training starts, and the smallest leaf it may make. May import ``loss``."""

from __future__ import annotations

import numpy as np

from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss


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
    return float(min(1.0, 0.25 * weight_of_class[totals > 0].min()))
