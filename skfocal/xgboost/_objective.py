"""The focal loss as XGBoost's objective and as its metric. May import ``_common``; XGBoost itself is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.objective import (
    MAX_STEP_DOC,
    OBJECTIVE_PARAMETERS_DOC,
    SCALE_DOC,
    Derivatives,
    FocalMetricBase,
    FocalObjectiveBase,
    from_either_call,
)
from skfocal._common.several_labels import (
    check_label_scores,
    has_several_labels,
    label_matrix,
    losses_of_labels,
    mean_loss_of_labels,
)
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array
from skfocal.xgboost._start import base_score, base_scores


class FocalObjective(FocalObjectiveBase):
    __doc__ = f"""Focal loss as an XGBoost objective.

    Use it as ``xgb.train(params, data, obj=FocalObjective())`` or ``XGBClassifier(objective=FocalObjective())``. It
    uses the sample weights of the data. It supports two classes, with ``num_class`` K classes, and several labels per
    row. With several labels, gamma and alpha are one number for all labels or a sequence with one number per label.

    Parameters
    ----------{OBJECTIVE_PARAMETERS_DOC}{MAX_STEP_DOC}{SCALE_DOC}
    n_threads : int, default=1
        Number of threads that compute the derivatives. More than one is rarely faster in training, because the threads
        of the booster occupy the cores while they wait for the next tree.

    Notes
    -----
    With a custom objective XGBoost starts at its parameter ``base_score``. Pass the optimal constant, which the method
    `base_score` returns, or use `FocalXGBClassifier`, which starts at this constant. The multiclass Hessian is
    multiplied by 2, as in XGBoost's own loss.

    Examples
    --------
    >>> import xgboost as xgb
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.xgboost import FocalObjective
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> objective = FocalObjective(gamma=2.0)
    >>> params = {{"objective": "binary:logistic", "base_score": objective.base_score(y)}}
    >>> booster = xgb.train(params, xgb.DMatrix(X, y), 20, obj=objective)
    >>> booster.num_boosted_rounds()
    20
    """

    # A derivative with 21 of the 24 bits can be multiplied exactly by an integer weight up to 8. A row with the weight
    # 2 is then identical to two copies of the row. Rounding the product instead would change leaves in the last digit,
    # and with them the ties. The relative error is 2.4e-7, compared with 6e-8 of float32.
    drop_bits = 3
    _dtype = np.float32

    def base_score(self, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float | list[float]:
        """The optimal constant, in the form of XGBoost's parameter ``base_score``.

        The value is for a model whose parameter ``objective`` is ``"binary:logistic"`` for two classes or
        ``"multi:softprob"`` for more. ``xgboost.XGBClassifier`` sets this parameter itself; with ``xgboost.train`` you
        have to pass it. XGBoost interprets ``base_score`` by this name, even if a custom objective computes the
        derivatives.

        Parameters
        ----------
        y : array-like of shape (n,) or (n, n_labels)
            Class indices 0 .. K-1, or zeros and ones of several labels.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float, list of K floats or list of n_labels floats
            A probability for two classes, K scores for K classes, and one probability per label for several labels.

        Examples
        --------
        >>> import xgboost as xgb
        >>> from sklearn.datasets import load_breast_cancer
        >>> from skfocal.xgboost import FocalObjective
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> objective = FocalObjective(gamma=2.0)
        >>> start = objective.base_score(y)
        >>> params = {"objective": "binary:logistic", "base_score": start}
        >>> booster = xgb.train(params, xgb.DMatrix(X, y), 20, obj=objective)
        >>> clf = xgb.XGBClassifier(objective=objective, base_score=start, n_estimators=20).fit(X, y)
        >>> bool(abs(booster.inplace_predict(X) - clf.predict_proba(X)[:, 1]).max() < 1e-6)
        True
        """
        if has_several_labels(y):
            labels = label_matrix(y)
            losses = losses_of_labels(self.focal_loss, labels.shape[1])
            return base_scores(
                loss.fit_intercept_only(column, sample_weight) for loss, column in zip(losses, labels.T, strict=True)
            )
        return base_score(self.focal_loss.fit_intercept_only(y, sample_weight))

    def hessian_factor(self, n_scores: int) -> float:
        return 1.0 if n_scores == 1 else 2.0

    def forget(self) -> None:
        super().forget()
        self._of_labels: tuple[FocalObjective, ...] = ()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> tuple[Array, Array]:
        if self._again is not None and self._again.are_like(y_pred):
            return self._again.derivatives(y_pred)
        y_true, y_pred, sample_weight = from_either_call(y_true, y_pred, sample_weight)
        if has_several_labels(y_true):
            n_labels = np.asarray(y_true).shape[1]
            return by_column(self._objectives(n_labels), y_true, y_pred, [sample_weight] * n_labels)
        return super().__call__(y_true, y_pred, sample_weight)

    __call__.__doc__ = (FocalObjectiveBase.__call__.__doc__ or "").replace("(n, K)", "(n, K) or (n, n_labels)")

    def _derivatives(self, labels: Array, weight: Array | None, n_scores: int, dtype: Any, out: Any) -> Derivatives:
        derivatives = super()._derivatives(labels, None, n_scores, dtype, out)
        weight = check_sample_weight(weight, labels.shape[0], np.float32)
        return derivatives if weight is None else partial(_weighted, derivatives, weight)

    def _objectives(self, n_labels: int) -> tuple[FocalObjective, ...]:
        """One objective per label. They are reused, because each objective stores data about its label."""
        objectives = self._of_labels
        if len(objectives) != n_labels:
            keywords: dict[str, Any] = {"scale": self.scale, "n_threads": self.n_threads}
            losses = losses_of_labels(self.focal_loss, n_labels)
            objectives = tuple(FocalObjective(loss.gamma, loss.alpha, self.max_step, **keywords) for loss in losses)
            self._of_labels = objectives
        return objectives


def _weighted(derivatives: Derivatives, weight: Array, raw: Array) -> tuple[Array, Array]:
    results = derivatives(raw)
    for result in results:
        np.multiply(result, weight if raw.ndim == 1 else weight[:, np.newaxis], out=result)
    return results


def by_column(
    objectives: Sequence[FocalObjective], y_true: Any, y_pred: Any, weights: Sequence[Any]
) -> tuple[Array, Array]:
    """First and second derivatives, both (n, n_labels). Column j comes from objective j with the weights j."""
    labels, raw = np.asarray(y_true), np.asarray(y_pred)
    if raw.shape != labels.shape:
        raise ValueError(
            f"labels and scores must have the same shape, (n, n_labels), got shapes {labels.shape} and {raw.shape}"
        )
    gradient, hessian = (np.empty(raw.shape, np.float32, order="F") for _ in range(2))
    for j, (objective, weight) in enumerate(zip(objectives, weights, strict=True)):
        gradient[:, j], hessian[:, j] = objective(labels[:, j], np.ascontiguousarray(raw[:, j]), weight)
    return gradient, hessian


class FocalMetric(FocalMetricBase):
    """Focal loss as an XGBoost evaluation function, for training with a `FocalObjective`.

    Use it as ``xgb.train(..., custom_metric=FocalMetric())`` or ``XGBClassifier(eval_metric=FocalMetric())``.

    Parameters
    ----------
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, as in `FocalObjective`.
    alpha : float, sequence of K floats or None, default=None
        Class weights, as in `FocalObjective`.

    Notes
    -----
    With several labels per row, the metric is the mean over the labels.

    The metric needs raw scores. With a built-in objective, XGBoost passes probabilities to a metric instead.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> Any:
        """The value, or name and value if ``y_pred`` is a data set. The arguments are those of `FocalObjective`."""
        value = self.value(*from_either_call(y_true, y_pred, sample_weight))
        return ("focal_loss", value) if hasattr(y_pred, "get_label") else value

    def value(self, y_true: Any, y_pred: Any, sample_weight: Any) -> float:
        if not has_several_labels(y_true):
            return super().value(y_true, y_pred, sample_weight)
        labels, raw = check_label_scores(y_true, y_pred)
        weight = None if sample_weight is None or np.size(sample_weight) == 0 else sample_weight
        return mean_loss_of_labels(losses_of_labels(self.focal_loss, labels.shape[1]), labels, raw, weight)
