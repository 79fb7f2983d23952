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

    Goes into ``lgb.train({{"objective": FocalObjective(), ...}})`` and ``LGBMClassifier(objective=FocalObjective())``
    alike. Uses the data set's weights; works for two classes and, with ``num_class``, for K.

    Parameters
    ----------{OBJECTIVE_PARAMETERS_DOC}{MAX_STEP_DOC}{SCALE_DOC}
    n_threads : int, default=1
        Threads that compute it. More than one rarely pays in training: the booster's own keep the cores busy while
        they wait for the next tree.

    Notes
    -----
    With a custom objective LightGBM starts at the score 0. Give the data set the optimal constant as
    ``init_score``, see `skfocal.FocalLoss.fit_intercept_only`, or use `FocalLGBMClassifier`, which does so. The
    multiclass Hessian is scaled by K/(K-1) as LightGBM scales its own.

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
        # LightGBM's own log loss has none: a row of weight 0 adds nothing to a leaf, and a tie of splits stays a tie.
        return super().floor if np.any(self.gamma) else 0.0

    def hessian_factor(self, n_scores: int) -> float:
        return 1.0 if n_scores == 1 else n_scores / (n_scores - 1.0)


class FocalMetric(FocalMetricBase):
    """Focal loss as a LightGBM evaluation function, for training with a `FocalObjective`.

    Goes into ``lgb.train(..., feval=FocalMetric())`` and ``LGBMClassifier.fit(..., eval_metric=FocalMetric())``.

    Parameters
    ----------
    gamma : float or sequence of K floats, default=2.0
    alpha : float, sequence of K floats or None, default=None

    Notes
    -----
    It is of raw scores. With one of LightGBM's own objectives a metric is handed probabilities instead.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> tuple[str, float, bool]:
        """Name, value and False: lower is better. Arguments as in `FocalObjective`."""
        return "focal_loss", self.value(y_true, y_pred, sample_weight), False
