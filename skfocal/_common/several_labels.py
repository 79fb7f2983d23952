"""Several labels a row: a matrix of zeros and ones, each column a problem of two classes of its own. May import
``loss``, ``labels``, ``rows``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length

from skfocal._common.labels import one_dimensional, resolve_alpha
from skfocal._common.rows import check_float32_weight
from skfocal._kernels.arguments import Calibration, check_gamma, check_raw_prediction, is_number
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

CLASSES = np.arange(2)
"""Of each label, and ``classes_`` of a model of several, as XGBoost's own class has it."""


def has_several_labels(y: Any) -> bool:
    """Whether y has two columns or more. Looks at its shape alone."""
    if hasattr(y, "collect_schema") and not hasattr(y, "__array__"):  # a polars LazyFrame
        return len(y.collect_schema()) > 1
    shape = getattr(y, "shape", None)
    if shape is None:
        if isinstance(y, (list, tuple)) and (not y or np.ndim(y[0]) == 0):
            return False
        try:
            shape = np.asarray(y).shape
        except ValueError:  # rows of different lengths, which is for another check to say
            return False
    return len(shape) == 2 and shape[1] > 1


def refuse_several_labels(y: Any) -> None:
    """The error of `one_dimensional`, before a library's own words for it."""
    if has_several_labels(y):
        one_dimensional(y, "y")


def label_matrix(y: Any, name: str = "y", n_labels: int | None = None) -> Array:
    """Zeros and ones, (n, n_labels), int8, from an array, a list of rows, a data frame or a sparse matrix."""
    if hasattr(y, "collect") and not hasattr(y, "__array__"):
        y = y.collect()
    # XGBoost keeps labels dense, whatever they come as.
    labels = y.toarray() if issparse(y) else np.asarray(y)
    if labels.ndim != 2 or n_labels not in (None, labels.shape[1]):
        legal = "n_labels" if n_labels is None else n_labels
        raise ValueError(f"{name} must have shape (n_samples, {legal}), one column per label, got shape {labels.shape}")
    if labels.shape[0] == 0:
        raise ValueError(f"{name} must have at least one row, got 0")
    if labels.dtype.kind not in "biuf":
        strange = [value for value in labels.ravel().tolist() if not isinstance(value, (Real, np.bool_))]
        if strange:
            raise ValueError(_not_zeros_and_ones(name, strange[:1]))
        labels = labels.astype(np.float64)
    is_legal = (labels == 0) | (labels == 1)
    if not is_legal.all():
        raise ValueError(_not_zeros_and_ones(name, np.unique(labels[~is_legal])[:5].tolist()))
    return labels.astype(np.int8)


def _not_zeros_and_ones(name: str, strange: list[Any]) -> str:
    return (
        f"{name} must hold zeros and ones where it has several columns, one per label, got {strange}: for columns of "
        "other classes use MultiOutputClassifier of sklearn.multioutput"
    )


class RowsOfLabels:
    """Labels and weights of one fit, checked: `skfocal._common.rows.Rows` of several labels.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Only its length matters here.
    y : array-like of shape (n_samples, n_labels)
    sample_weight : array-like of shape (n_samples,) or None

    Attributes
    ----------
    classes : ndarray of shape (2,)
    indices : ndarray of shape (n_samples, n_labels), int8
    weight : ndarray of shape (n_samples,), float64, or None
    own_totals : ndarray of shape (n_labels, 2)
        Total weight of each class of each label.
    totals : ndarray of shape (n_labels, 2)
        The same of weights rounded to float32 as boosters do.
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any) -> None:
        self.classes, self.indices = CLASSES, label_matrix(y)
        check_consistent_length(X, self.indices)
        if not (self.indices.min(axis=0) < self.indices.max(axis=0)).any():
            raise ValueError(f"y must hold two classes in one of its {self.n_labels} columns at least, got one in each")
        self.weight = check_float32_weight(sample_weight, self.indices.shape[0])
        self.own_totals = self._totals(self.weight)
        self.totals = self._totals(None if self.weight is None else self.weight.astype(np.float32))

    @property
    def n_labels(self) -> int:
        return int(self.indices.shape[1])

    def _totals(self, weight: Array | None) -> Array:
        return np.array([np.bincount(column, weight, minlength=2) for column in self.indices.T], dtype=np.float64)

    def index(self, y: Any, name: str) -> Array:
        """Labels of other rows, (n, n_labels)."""
        return label_matrix(y, name, self.n_labels)


# Losses: one per label


def losses_of_labels(loss: FocalLoss, n_labels: int) -> tuple[FocalLoss, ...]:
    """The loss of each label, from one whose gamma and alpha are numbers for all labels or one number per label."""
    gamma = _per_label(loss.gamma, n_labels, "gamma")
    alpha = _per_label(loss.alpha, n_labels, "alpha")
    return tuple(FocalLoss(*pair) for pair in zip(gamma, map(_in_0_1, alpha), strict=True))


def resolve_losses(gamma: Any, alpha: Any, rows: RowsOfLabels) -> tuple[tuple[FocalLoss, ...], Array]:
    """Losses of an estimator's ``focal_gamma`` and ``focal_alpha``, and the class weights, (n_labels, 2)."""
    gammas = _per_label(check_gamma(gamma, "focal_gamma"), rows.n_labels, "focal_gamma")
    alphas = _per_label(alpha, rows.n_labels, "focal_alpha")
    weights = np.ones((rows.n_labels, 2))
    losses = []
    for j, (of_label, totals) in enumerate(zip(alphas, rows.own_totals, strict=True)):
        # In a label of one class there is nothing to balance.
        is_constant = rows.indices[:, j].min() == rows.indices[:, j].max()
        resolved = None if is_constant else resolve_alpha(_in_0_1(of_label, "focal_alpha"), CLASSES, totals)
        if resolved is not None:
            weights[j] = resolved
        losses.append(FocalLoss(gammas[j], None if resolved is None else tuple(resolved.tolist())))
    return tuple(losses), weights


def is_alpha_of_labels(alpha: Any) -> bool:
    """Whether ``focal_alpha`` is a sequence whose entries are not just numbers: only several labels have such."""
    return isinstance(alpha, (list, tuple)) and any(not is_number(entry) for entry in alpha)


def _per_label(value: Any, n_labels: int, name: str) -> list[Any]:
    if value is None or isinstance(value, (str, Mapping)) or np.ndim(value) == 0 or not isinstance(value, Iterable):
        return [value] * n_labels
    values = list(value)
    if len(values) != n_labels:
        raise ValueError(
            f"{name} must be one for all labels or have one entry per label: got {len(values)} entries for {n_labels} "
            "labels"
        )
    return values


def _in_0_1(alpha: Any, name: str = "alpha") -> Any:
    if is_number(alpha) and not 0 < alpha < 1:
        raise ValueError(
            f"{name} must have numbers in (0, 1) for several labels, each the weight of class 1 of its label, got "
            f"{alpha!r}"
        )
    return alpha


def probability_pairs(losses: Sequence[FocalLoss], weights: Array, raw: Array, calibration: Calibration) -> Array:
    """P(label=0) and P(label=1) of scores (n, n_labels), (n, n_labels, 2), ``weights`` (n_labels, 2) being undone."""
    pairs = np.empty((*raw.shape, 2), dtype=raw.dtype)
    for j, loss in enumerate(losses):
        undone = FocalLoss(loss.gamma, tuple(weights[j].tolist()))
        pairs[:, j] = undone.predict_proba(np.ascontiguousarray(raw[:, j]), calibration)
    return pairs


def mean_loss_of_labels(
    losses: Sequence[FocalLoss], y: Array, raw: Array, sample_weight: ArrayLike | None = None
) -> float:
    """Mean over labels of the weighted mean loss of the rows."""
    return float(np.mean([loss(y[:, j], raw[:, j], sample_weight) for j, loss in enumerate(losses)]))


def check_label_scores(y: Any, raw_prediction: Any, name: str = "y_true") -> tuple[Array, Array]:
    """Labels and finite scores, both (n, n_labels)."""
    labels, raw = label_matrix(y, name), check_raw_prediction(raw_prediction)
    if raw.shape != labels.shape:
        raise ValueError(f"raw_prediction must have the shape of {name}, {labels.shape}, got {raw.shape}")
    return labels, raw
