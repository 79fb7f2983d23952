"""The rows that a booster's classifier is fitted to: labels as indices, and weights. May import ``labels``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from skfocal._common.labels import encode_labels, index_labels, resolve_class_weight
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array


class Rows:
    """Checked labels and weights of one fit.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Only its number of rows is used.
    y : array-like of shape (n_samples,)
    sample_weight : array-like of shape (n_samples,) or None
    class_weight : dict, "balanced" or None

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Labels in sorted order.
    indices : ndarray of shape (n_samples,)
        Index of each row's label in ``classes``.
    weight : ndarray of shape (n_samples,), float64, or None
        The sample weights that the user gave.
    outer_weights : ndarray of shape (n_classes,)
        The weights of ``class_weight``.
    totals : ndarray of shape (n_classes,)
        Total weight of each class in training, without ``focal_alpha``. The weights are rounded to float32, as in the
        boosters.
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> None:
        self.classes, self.indices = encode_labels(y)
        check_same_rows(X, self.indices)
        self.weight = check_float32_weight(sample_weight, self.indices.shape[0])
        self.outer_weights = resolve_class_weight(class_weight, self.classes, self.indices)
        weight = self.outer_weights[self.indices] if class_weight is not None or self.weight is None else 1.0
        if self.weight is not None:
            weight = weight * self.weight
        self.totals = np.bincount(
            self.indices, weights=np.asarray(weight).astype(np.float32), minlength=self.classes.shape[0]
        )

    def index(self, y: Any, name: str) -> Array:
        """Check labels of other rows, and return them as class indices, (n,)."""
        return index_labels(y, self.classes, name)


def check_same_rows(X: Any, y: Any) -> None:
    """Check that X and y have the same number of rows."""
    try:
        check_consistent_length(X, y)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X and y must have the same rows: {error}") from error


def in_native_order(X: Any) -> Any:
    """X with its numbers in the byte order of this machine. X is an array, a sparse matrix or a data frame."""
    is_frame = hasattr(X, "columns") and hasattr(X, "dtypes")
    dtypes = X.dtypes if is_frame else [getattr(X, "dtype", None)]
    foreign = [isinstance(dtype, np.dtype) and not dtype.isnative for dtype in dtypes]
    if not any(foreign):
        return X
    native = [
        dtype.newbyteorder("=") if is_foreign else dtype for dtype, is_foreign in zip(dtypes, foreign, strict=True)
    ]
    return X.astype(dict(zip(X.columns, native, strict=True)) if is_frame else native[0])


def check_float32_weight(sample_weight: Any, n_rows: int) -> Array | None:
    """`check_sample_weight` for libraries that store weights and their sums as float32. Returns (n,), float64, or
    None.
    """
    weight = check_sample_weight(sample_weight, n_rows, np.float64)
    if weight is None:
        return None
    for bound, is_legal, legal in (
        (float(np.finfo(np.float32).max) / n_rows, np.less_equal, "at most"),
        (float(np.finfo(np.float32).tiny), np.greater_equal, "some of them at least"),
    ):
        if not is_legal(largest := float(weight.max()), bound):
            raise ValueError(f"sample_weight must be numbers that fit float32, {legal} {bound:.1e}, got {largest:.1e}")
    return weight
