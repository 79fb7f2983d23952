"""The focal loss as LightGBM's objective and as its metric. May import ``_common``; LightGBM itself is not needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.objective import (
    MAX_STEP_DOC,
    OBJECTIVE_PARAMETERS_DOC,
    SCALE_DOC,
    FocalMetricBase,
    FocalObjectiveBase,
)


class FocalObjective(FocalObjectiveBase):
    __doc__ = f"""Focal loss as a LightGBM objective.

    Use it as ``lgb.train({{"objective": FocalObjective(), ...}})`` or ``LGBMClassifier(objective=FocalObjective())``.
    It uses the sample weights of the data set. It supports two classes and, with ``num_class``, K classes.

    Parameters
    ----------{OBJECTIVE_PARAMETERS_DOC}{MAX_STEP_DOC}{SCALE_DOC}
    n_threads : int, default=1
        Number of threads that compute the derivatives. More than one is rarely faster in training, because the threads
        of the booster occupy the cores while they wait for the next tree.

    Notes
    -----
    With a custom objective LightGBM starts at the score 0. Pass the optimal constant of
    `skfocal.FocalLoss.fit_intercept_only` as ``init_score`` of the data set, or use `FocalLGBMClassifier`, which starts
    at this constant. The multiclass Hessian is multiplied by K/(K-1), as in LightGBM's own loss.

    Examples
    --------
    >>> import lightgbm as lgb
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.lightgbm import FocalMetric, FocalObjective
    >>> data = lgb.Dataset(*load_breast_cancer(return_X_y=True))
    >>> booster = lgb.train({{"objective": FocalObjective(gamma=2.0), "verbosity": -1}}, data, 20)
    >>> booster.num_trees()
    20
    """

    @property
    def floor(self) -> float:
        # LightGBM's own log loss has no lower bound: a row with the weight 0 adds nothing to a leaf, and equal splits
        # remain equal.
        return super().floor if np.any(self.gamma) else 0.0

    def hessian_factor(self, n_scores: int) -> float:
        return 1.0 if n_scores == 1 else n_scores / (n_scores - 1.0)


class FocalMetric(FocalMetricBase):
    """Focal loss as a LightGBM evaluation function, for training with a `FocalObjective`.

    Use it as ``lgb.train(..., feval=FocalMetric())`` or ``LGBMClassifier.fit(..., eval_metric=FocalMetric())``.

    Parameters
    ----------
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, as in `FocalObjective`.
    alpha : float, sequence of K floats or None, default=None
        Class weights, as in `FocalObjective`.

    Notes
    -----
    The metric needs raw scores. With a built-in objective, LightGBM passes probabilities to a metric instead.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> tuple[str, float, bool]:
        """Name, value, and False because lower is better. The arguments are those of `FocalObjective`."""
        return "focal_loss", self.value(y_true, y_pred, sample_weight), False
