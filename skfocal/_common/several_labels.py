"""Several labels per row: y is a matrix of zeros and ones, and each column is a separate binary problem. May import
``loss``, ``labels``, ``rows``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from skfocal._common.labels import one_dimensional, resolve_alpha
from skfocal._common.rows import check_float32_weight, check_same_rows
from skfocal._kernels.arguments import Calibration, check_gamma, check_raw_prediction, is_number
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

CLASSES = np.arange(2)
"""The classes of each label. They are ``classes_`` of a model of several labels, as in ``XGBClassifier``."""


def has_several_labels(y: Any) -> bool:
    """Whether y has at least two columns. Reads only the shape of y."""
    if hasattr(y, "collect_schema") and not hasattr(y, "__array__"):  # a polars LazyFrame
        return len(y.collect_schema()) > 1
    shape = getattr(y, "shape", None)
    if shape is None:
        if isinstance(y, (list, tuple)) and (not y or np.ndim(y[0]) == 0):
            return False
        try:
            shape = np.asarray(y).shape
        except ValueError:  # rows of different lengths, for which another check raises the error
            return False
    return len(shape) == 2 and shape[1] > 1


def refuse_several_labels(y: Any) -> None:
    """Raise the error of `one_dimensional` before a library raises its own."""
    if has_several_labels(y):
        one_dimensional(y, "y")


def label_matrix(y: Any, name: str = "y", n_labels: int | None = None) -> Array:
    """Check y and convert it to zeros and ones, (n, n_labels), int8.

    y can be an array, a list of rows, a data frame or a sparse matrix.
    """
    if hasattr(y, "collect") and not hasattr(y, "__array__"):
        y = y.collect()
    # XGBoost stores labels as a dense array, also if y is sparse.
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
    """Checked labels and weights of one fit with several labels per row, like `skfocal._common.rows.Rows` for one.

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
        Sum of ``weight`` for each class of each label.
    totals : ndarray of shape (n_labels, 2)
        Sum of ``weight``, rounded to float32 as in boosters, for each class of each label.
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any) -> None:
        self.classes, self.indices = CLASSES, label_matrix(y)
        check_same_rows(X, self.indices)
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
        """Check labels of other rows, and return them as (n, n_labels)."""
        return label_matrix(y, name, self.n_labels)


# Losses: one per label


def losses_of_labels(loss: FocalLoss, n_labels: int) -> tuple[FocalLoss, ...]:
    """The loss of each label. gamma and alpha of ``loss`` are one number for all labels, or one number per label."""
    gamma = _per_label(loss.gamma, n_labels, "gamma")
    alpha = _per_label(loss.alpha, n_labels, "alpha")
    return tuple(FocalLoss(*pair) for pair in zip(gamma, map(_in_0_1, alpha), strict=True))


def resolve_losses(gamma: Any, alpha: Any, rows: RowsOfLabels) -> tuple[tuple[FocalLoss, ...], Array]:
    """Losses from ``focal_gamma`` and ``focal_alpha`` of an estimator, and the class weights, (n_labels, 2)."""
    gammas = _per_label(check_gamma(gamma, "focal_gamma"), rows.n_labels, "focal_gamma")
    alphas = _per_label(alpha, rows.n_labels, "focal_alpha")
    weights = np.ones((rows.n_labels, 2))
    losses = []
    for j, (of_label, totals) in enumerate(zip(alphas, rows.own_totals, strict=True)):
        # A label with one class in y has no weights.
        is_constant = rows.indices[:, j].min() == rows.indices[:, j].max()
        resolved = None if is_constant else resolve_alpha(_in_0_1(of_label, "focal_alpha"), CLASSES, totals)
        if resolved is not None:
            weights[j] = resolved
        losses.append(FocalLoss(gammas[j], None if resolved is None else tuple(resolved.tolist())))
    return tuple(losses), weights


def is_alpha_of_labels(alpha: Any) -> bool:
    """Whether ``focal_alpha`` is a sequence with an entry that is not a number. Only several labels allow this."""
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
    """P(label=0) and P(label=1), (n, n_labels, 2), of the raw scores (n, n_labels).

    ``calibration="full"`` corrects for ``weights`` (n_labels, 2).
    """
    pairs = np.empty((*raw.shape, 2), dtype=raw.dtype)
    for j, loss in enumerate(losses):
        undone = FocalLoss(loss.gamma, tuple(weights[j].tolist()))
        pairs[:, j] = undone.predict_proba(np.ascontiguousarray(raw[:, j]), calibration)
    return pairs


def mean_loss_of_labels(
    losses: Sequence[FocalLoss], y: Array, raw: Array, sample_weight: ArrayLike | None = None
) -> float:
    """Mean over the labels of the weighted mean loss over the rows."""
    return float(np.mean([loss(y[:, j], raw[:, j], sample_weight) for j, loss in enumerate(losses)]))


def check_label_scores(y: Any, raw_prediction: Any, name: str = "y_true") -> tuple[Array, Array]:
    """Check labels and raw scores, and return both as (n, n_labels). Scores must be finite."""
    labels, raw = label_matrix(y, name), check_raw_prediction(raw_prediction)
    if raw.shape != labels.shape:
        raise ValueError(f"raw_prediction must have the shape of {name}, {labels.shape}, got {raw.shape}")
    return labels, raw
