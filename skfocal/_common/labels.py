"""Labels as indices, and the weights of the classes. May import ``loss``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from skfocal._kernels.arguments import check_alpha
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

EFFECTIVE_BETA = 0.999
"""Beta of ``focal_alpha="effective"``. Cui et al. (2019) chose among 0.9, 0.99, 0.999 and 0.9999 for each data set."""


def encode_labels(y: ArrayLike, name: str = "y") -> tuple[Array, Array]:
    """Classes in sorted order (K,), and each row's index into them (n,), intp."""
    if y is None:
        # scikit-learn's checks look for the first words of this message.
        raise ValueError(f"requires {name} to be passed, but the target {name} is None")
    with _named(name):
        labels = _numbers_of_objects(one_dimensional(y, name))
        if labels.shape[0] == 0:
            raise ValueError(f"{name} must have at least one label, got 0")
        assert_all_finite(labels, input_name=name)
        if labels.dtype.kind in "mM" and np.isnat(labels).any():
            raise ValueError(f"{name} must hold no missing label, got NaT")
        classes, indices = _count_integers(labels) or _sort_labels(labels)
    if classes.shape[0] < 2:
        raise ValueError(f"{name} must hold at least two classes, got one class: {classes.tolist()[0]!r}")
    return classes, indices


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Add the name of the argument to errors of scikit-learn and NumPy about the labels."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        raise ValueError(f"{name} must hold labels of one kind and none missing: {error}") from error


SEVERAL_LABELS = (
    ": for several labels per row use FocalXGBClassifier, or MultiOutputClassifier or ClassifierChain of "
    "sklearn.multioutput around a classifier of one"
)


def one_dimensional(y: ArrayLike, name: str, advice: str = SEVERAL_LABELS) -> Array:
    """Labels as an array (n,). A column (n, 1) is accepted with scikit-learn's warning."""
    if hasattr(y, "collect") and not hasattr(y, "__array__"):  # a polars LazyFrame
        y = y.collect()
    labels = np.asarray(y)
    if not (labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)):
        shape = getattr(y, "shape", labels.shape)  # NumPy makes an array of shape () from a sparse matrix
        raise ValueError(f"{name} should be a 1d array of labels, shape (n_samples,), got shape {shape}{advice}")
    return np.asarray(column_or_1d(labels, warn=True))


def _numbers_of_objects(labels: Array) -> Array:
    """Convert labels of dtype object to a numeric dtype if all are numbers or Booleans. Others stay as they are."""
    if labels.dtype.kind != "O" or labels.shape[0] == 0 or not isinstance(labels[0], (Number, np.bool_)):
        return labels
    numbers = np.array(labels.tolist())
    return numbers if numbers.dtype.kind in "biuf" else labels


def _sort_labels(labels: Array) -> tuple[Array, Array]:
    """`encode_labels` of labels of any kind."""
    check_classification_targets(labels)
    classes, indices = np.unique(labels, return_inverse=True)
    return classes, indices.astype(np.intp, copy=False)


def _count_integers(labels: Array) -> tuple[Array, Array] | None:
    """The result of `_sort_labels` in a tenth of its time, or None unless labels are whole numbers in a small range.

    The range must be less than half the number of rows, because scikit-learn's check warns if there are more classes
    than that.
    """
    whole = _as_integers(labels)
    if whole is None:
        return None
    low, high = int(whole.min()), int(whole.max())
    if high - low >= labels.shape[0] // 2:
        return None
    indices = np.subtract(whole, low, dtype=np.intp)
    present = np.bincount(indices) > 0
    if not present.all():
        indices = (np.cumsum(present) - 1)[indices]
    return (np.flatnonzero(present) + low).astype(labels.dtype), indices


def _as_integers(labels: Array) -> Array | None:
    """The labels as integers (n,), or None if they are not all whole numbers, or if there are none."""
    if labels.shape[0] == 0:
        return None
    if labels.dtype.kind in "iu":
        return labels if np.can_cast(labels.dtype, np.intp) else None
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    limit = 2.0**24  # float32 has all whole numbers up to here
    if labels.dtype.kind != "f" or not -limit <= float(labels.min()) <= float(labels.max()) <= limit:
        return None
    whole = labels.astype(np.intp)
    return whole if np.array_equal(whole, labels) else None


def distinct_labels(labels: Array) -> tuple[Array, Array]:
    """``np.unique`` with the inverse, for labels (n,) without a missing one, and quickly for whole numbers."""
    return _count_integers(labels) or np.unique(labels, return_inverse=True)


def index_labels(y: ArrayLike, classes: Array, name: str) -> Array:
    """Index of each label into ``classes``, which need not be sorted."""
    if y is None:
        raise ValueError(f"{name} must hold labels among {classes.tolist()}, got None")
    labels = one_dimensional(y, name)
    are_text = [array.dtype.kind in "UT" for array in (classes, labels)]
    if labels.dtype.kind != "O" and classes.dtype.kind != "O" and are_text[0] != are_text[1]:
        # NumPy would compare numbers with strings after converting the numbers to strings.
        raise ValueError(f"{name} must hold labels among {classes.tolist()}, got {labels[:1].tolist()[0]!r}")
    if (found := _look_up_integers(labels, classes)) is not None:
        return found
    order = np.argsort(classes)
    try:
        position = np.searchsorted(classes, labels, sorter=order)
    except TypeError as error:
        known = set(classes.tolist())
        strange = [label for label in labels.tolist() if label not in known]
        raise ValueError(f"{name} must hold labels among {classes.tolist()}, got {strange[:1]!r}") from error
    indices = order[np.minimum(position, classes.shape[0] - 1)]
    unknown = np.asarray(classes[indices] != labels)
    if np.any(unknown):
        raise ValueError(f"{name} must hold labels among {classes.tolist()}, got {labels[unknown].tolist()[0]!r}")
    return np.asarray(indices)


def _look_up_integers(labels: Array, classes: Array) -> Array | None:
    """The result of `index_labels`, quickly, or None unless all labels are whole numbers in a small range and known."""
    whole, whole_classes = _as_integers(labels), _as_integers(classes)
    if whole is None or whole_classes is None:
        return None
    low, high = int(whole_classes.min()), int(whole_classes.max())
    if high - low >= max(labels.shape[0], 256) or whole.min() < low or whole.max() > high:
        return None
    index = np.full(high - low + 1, -1, np.intp)
    index[whole_classes.astype(np.intp) - low] = np.arange(classes.shape[0])
    indices: Array = index[whole.astype(np.intp) - low]
    return None if indices.min() < 0 else indices


def resolve_alpha(alpha: Any, classes: Array, totals: Array) -> Array | None:
    """One weight per class whose mean over the rows is 1, or None if all weights are 1.

    ``totals`` (K,) is each class's sum of sample weights.
    """
    if alpha is None:
        return None
    n_classes = classes.shape[0]
    if isinstance(alpha, str) and alpha == "effective":
        weights = effective_weights(totals)
    elif isinstance(alpha, str):
        weights = np.divide(1.0, totals, out=np.ones(n_classes), where=totals > 0)
    elif isinstance(alpha, Mapping):
        weights = _weights_by_label(alpha, classes)
    else:
        checked = check_alpha(alpha, "focal_alpha")
        if isinstance(checked, float) and n_classes != 2:
            raise ValueError(
                f"focal_alpha must be None, 'balanced', 'effective', a dict or one number > 0 per class for "
                f"{n_classes} classes, got {alpha!r}: a single number is for two classes"
            )
        if isinstance(checked, tuple) and len(checked) != n_classes:
            raise ValueError(
                f"focal_alpha must have one entry per class: got {len(checked)} entries for {n_classes} classes"
            )
        weights = FocalLoss(0.0, checked).alpha_per_class(n_classes)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result: Array = weights * (totals.sum() / (totals * weights).sum())
    if not (np.isfinite(result).all() and (result > 0).all()):
        raise ValueError(f"focal_alpha must have weights whose ratios fit float64, got {alpha!r}")
    return result


def effective_weights(totals: Array, beta: float = EFFECTIVE_BETA) -> Array:
    """``(1 - beta) / (1 - beta**n)`` for the total weight n of each class, (K,). It is 1 for a class without weight."""
    if beta == 0.0:
        return np.ones(totals.shape[0])
    # 1 - beta**n, computed without subtracting nearly equal numbers.
    effective = np.expm1(totals * np.log(beta)) / (beta - 1.0)
    weights: Array = np.divide(1.0, effective, out=np.ones(totals.shape[0]), where=totals > 0)
    return weights


def resolve_class_weight(
    class_weight: Any, classes: Array, indices: Array, sample_weight: Array | None = None
) -> Array:
    """scikit-learn's ``class_weight`` as one weight per class, (K,).

    With ``sample_weight``, "balanced" uses weighted frequencies, so that a weight of 2 equals two copies of the row. A
    class without rows is treated as a class whose rows have the weight 0.
    """
    if class_weight is None:
        return np.ones(classes.shape[0])
    totals = np.bincount(indices, weights=sample_weight, minlength=classes.shape[0]).astype(np.float64)
    if isinstance(class_weight, str) and class_weight == "balanced" and (sample_weight is not None or not totals.all()):
        mean = totals.sum() / classes.shape[0]
        balanced: Array = np.divide(mean, totals, out=np.ones_like(totals), where=totals > 0)
        return balanced
    try:
        weights: Array = compute_class_weight(class_weight, classes=classes, y=classes[indices])
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"class_weight must be None, 'balanced' or a dict of labels of y, got {class_weight!r}"
        ) from error
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(f"class_weight must have numbers >= 0 as values, not all of them 0, got {class_weight!r}")
    return weights


def _weights_by_label(alpha: Mapping[Any, Any], classes: Array) -> Array:
    index = {label: k for k, label in enumerate(classes.tolist())}
    weights = np.ones(classes.shape[0])
    for label, weight in alpha.items():
        if label not in index:
            raise ValueError(f"focal_alpha must have labels of y as keys, one of {classes.tolist()}, got {label!r}")
        try:
            check_alpha([weight, 1.0])
        except (TypeError, ValueError) as error:
            raise type(error)(f"focal_alpha must have numbers > 0 as values, got {label!r}: {weight!r}") from error
        weights[index[label]] = weight
    return weights
