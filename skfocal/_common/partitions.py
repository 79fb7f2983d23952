"""What a Dask estimator needs to know about all rows before its workers train on parts of them. Does not import Dask.

Labels, class totals and weights are those of the whole collection. `summarize` reads one partition on a worker, and
`GlobalRows` adds up the partitions on the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfocal._common.labels import distinct_labels, index_labels, one_dimensional, resolve_class_weight
from skfocal._common.rows import check_float32_weight
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array


@dataclass(frozen=True)
class Summary:
    """One partition: its labels (k,), and the number of rows and the float32 total weight of each label."""

    n_rows: int
    labels: Array
    counts: Array
    totals: Array
    sample: Any = None


def summarize(y: Any, sample_weight: Any, X_rows: int | None = None) -> Summary:
    """The summary of a partition's labels and weights.

    Parameters
    ----------
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,) or None
    X_rows : int or None
        Number of rows of the partition of X.
    """
    labels = one_dimensional(y, "y")
    n_rows = labels.shape[0]
    if X_rows is not None and X_rows != n_rows:
        raise ValueError(f"y must have a label for each row of each partition of X, got {n_rows} for {X_rows}")
    if n_rows == 0:
        return Summary(0, labels, np.zeros(0, np.intp), np.zeros(0))
    weight = weights_of_part(sample_weight, n_rows)
    missing = np.isnat(labels) if labels.dtype.kind in "mM" else np.asarray(labels != labels, dtype=bool)
    if missing.any() or (labels.dtype.kind == "O" and any(label is None for label in labels)):
        raise ValueError("y must hold no missing label, got one")
    try:
        known, indices = distinct_labels(labels)
    except TypeError as error:
        raise ValueError(f"y must hold labels of one kind, got {labels[:5]!r}") from error
    counts = np.bincount(indices)
    totals = counts.astype(float)
    if weight is not None:
        totals = np.bincount(indices, weights=weight.astype(np.float32))
    return Summary(n_rows, known, counts, totals)


def weights_of_part(sample_weight: Any, n_rows: int) -> Array | None:
    """Checked weights of a partition: (n,) float64 or None. All weights of a partition may be 0."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight)
    if weight.shape == (n_rows, 1):
        weight = weight[:, 0]
    if weight.shape == (n_rows,) and weight.dtype.kind in "biuf" and not weight.any():
        return np.zeros(n_rows)
    return check_sample_weight(weight, n_rows, np.float64)


class GlobalRows:
    """Labels and weights of all partitions, with the attributes of `skfocal._common.rows.Rows` that a fit reads.

    Parameters
    ----------
    summaries : list of Summary
    class_weight : dict, "balanced" or None

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Labels in sorted order.
    own_totals : ndarray of shape (n_classes,)
        Total of the user's sample weights in each class.
    outer_weights : ndarray of shape (n_classes,)
        The weights of ``class_weight``.
    totals : ndarray of shape (n_classes,)
        Total weight of each class in training, without ``focal_alpha``.
    n_rows : int
    indices, weight
        Empty, because the rows stay on the workers.
    """

    def __init__(self, summaries: Sequence[Summary], class_weight: Any = None) -> None:
        filled = [summary for summary in summaries if summary.n_rows]
        if not filled:
            raise ValueError("X must have at least one row, got 0")
        self.classes = np.unique(np.concatenate([summary.labels for summary in filled]))
        n_classes = self.classes.shape[0]
        if n_classes < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {self.classes.tolist()[0]!r}")
        counts, totals = np.zeros(n_classes, np.intp), np.zeros(n_classes)
        for summary in filled:
            at = index_labels(summary.labels, self.classes, "y")
            counts[at] += summary.counts
            totals[at] += summary.totals
        self.n_rows = int(counts.sum())
        check_float32_weight(totals, n_classes)  # raises if all weights are 0 or if their sum exceeds float32
        self.own_totals = totals
        if isinstance(class_weight, str) and class_weight == "balanced":
            self.outer_weights = self.n_rows / (n_classes * counts)
        else:
            self.outer_weights = resolve_class_weight(class_weight, self.classes, np.arange(n_classes))
        self.totals = totals * self.outer_weights
        self.indices, self.weight = np.empty(0, np.intp), None


def index_part(y: Any, classes: Array, name: str = "y") -> Any:
    """Labels of a partition as indices into ``classes``, in the container that they came in."""
    indices = index_labels(y, classes, name) if len(y) else np.empty(0, np.intp)
    return like_part(y, indices)


def like_part(y: Any, values: Array) -> Any:
    """One value per row of the partition y. It is a series with the index of y if y belongs to a data frame."""
    if not hasattr(y, "iloc"):
        return values
    series = y.iloc[:, 0] if y.ndim == 2 else y
    return type(series)(values, index=series.index, name="y")


# Collections. They are recognized by the names of their classes, because this file is also imported without Dask.


def kind_of(collection: Any) -> str | None:
    """Name of the Dask class, which is Array, DataFrame or Series, or None for other objects."""
    module, name = type(collection).__module__.split(".")[0], type(collection).__name__
    return name if module in ("dask", "dask_expr") and name in ("Array", "DataFrame", "Series") else None


def check_collections(X: Any, y: Any, **others: Any) -> None:
    """Check that each partition of X has all columns, and that y and the other collections have the same partitions as
    X.
    """
    for name, given in {"X": X, "y": y, **others}.items():
        legal = ("Array", "DataFrame") if name == "X" else ("Array", "DataFrame", "Series")
        if given is None and name not in ("X", "y"):
            continue
        if kind_of(given) not in legal:
            raise TypeError(f"{name} must be a Dask {' or '.join(legal)}, got {type(given).__name__}")
        if name == "X" and kind_of(X) == "Array" and (X.ndim != 2 or X.numblocks[1] != 1):
            raise ValueError(f"X must have two dimensions and all columns in each chunk, got the chunks {X.chunks}")
        if name == "y" and given.ndim == 2 and given.shape[1] != 1:
            raise ValueError(
                f"y must be one label per row for a Dask classifier, got {given.shape[1]} columns: fit a model to "
                "each, or FocalXGBClassifier to all of them on one machine"
            )
        if given.npartitions != X.npartitions:
            raise ValueError(f"{name} must be in as many partitions as X, {X.npartitions}, got {given.npartitions}")


def parts_of(collection: Any, n_parts: int) -> list[Any]:
    """The partitions as delayed objects, or a list of ``n_parts`` times None for None."""
    if collection is None:
        return [None] * n_parts
    parts: list[Any] = np.asarray(collection.to_delayed(), dtype=object).ravel().tolist()
    return parts


def take_partitions(collection: Any, at: list[int]) -> Any:
    """The given partitions of a collection. The collection may be None."""
    if collection is None or len(at) == collection.npartitions:
        return collection
    return collection.blocks[at] if kind_of(collection) == "Array" else collection.partitions[at]


def index_collection(y: Any, classes: Array, name: str = "y") -> Any:
    """Labels as indices into ``classes``, as a collection with the same partitions as y."""
    if kind_of(y) is None:
        raise TypeError(f"{name} must be a Dask Array or Series, got {type(y).__name__}")
    if kind_of(y) == "Array":
        drop = {"drop_axis": 1} if y.ndim == 2 else {}
        return y.map_blocks(index_part, classes, name, dtype=np.intp, meta=np.empty(0, np.intp), **drop)
    return y.map_partitions(index_part, classes, name, meta=("y", np.intp))
