"""Evaluation sets, checked before training starts. May import ``rows``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skfocal._common.rows import Rows
from skfocal._common.several_labels import RowsOfLabels
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array


def pairs_of(eval_set: Any) -> list[tuple[Any, Any]]:
    """``eval_set`` as a list of (X, y): from one pair, or a list or tuple of pairs."""
    legal = "eval_set must be a list of pairs (X, y)"
    if not isinstance(eval_set, (list, tuple)):
        raise TypeError(f"{legal}, got {type(eval_set).__name__}")
    is_one_pair = isinstance(eval_set, tuple) and not all(isinstance(pair, (list, tuple)) for pair in eval_set)
    pairs = [eval_set] if is_one_pair else list(eval_set)
    for pair in pairs:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2):
            raise ValueError(f"{legal}, got an entry that is no pair, of type {type(pair).__name__}")
    return [(X, y) for X, y in pairs]


class EvaluationSets:
    """The checked evaluation sets of one fit: their ``tables``, and their ``labels`` as indices.

    Parameters
    ----------
    pairs : list of (X, y)
    X, y : array-like
        The training data. If one of the evaluation sets is the same object, it is not checked again, and the libraries
        recognize it by identity. With y=None no set counts as the training data.
    rows : Rows or RowsOfLabels
    """

    def __init__(self, pairs: Sequence[tuple[Any, Any]], X: Any, y: Any, rows: Rows | RowsOfLabels) -> None:
        self.is_training = [y is not None and A is X and b is y for A, b in pairs]
        self.tables = [A for A, _ in pairs]
        self.labels = [
            rows.indices
            if known
            else _check_eval_set(*pair, X, rows.index, "eval_set" if len(pairs) == 1 else f"eval_set[{i}]")
            for i, (pair, known) in enumerate(zip(pairs, self.is_training, strict=True))
        ]

    def weights(self, collection: Any, name: str, *, of_each: bool = False) -> list[Array | None] | None:
        """Sample weights of each set, (n,) or None. ``collection`` is what `per_set` accepts; with ``of_each`` every
        set needs an entry.
        """
        if collection is None:
            return None
        given = per_set(collection, len(self.labels), name)
        if of_each and len(collection) != len(given):
            raise ValueError(f"{name} must have an entry per evaluation set, got {len(collection)} for {len(given)}")
        return [
            check_sample_weight(weight, of_set.shape[0], np.float64, f"{name}[{i}]")
            for i, (weight, of_set) in enumerate(zip(given, self.labels, strict=True))
        ]


def per_set(collection: Any, n_sets: int, name: str) -> list[Any]:
    """The i-th entry for the i-th evaluation set, None where there is none, from a list or a dict."""
    if collection is None:
        return [None] * n_sets
    if isinstance(collection, dict):
        if strange := [key for key in collection if key not in range(n_sets)]:
            raise ValueError(
                f"{name} must have numbers of evaluation sets as keys, from 0 to {n_sets - 1}, got {strange[0]!r}"
            )
        return [collection.get(i) for i in range(n_sets)]
    if not isinstance(collection, (list, tuple)):
        raise TypeError(
            f"{name} must be a list or a dict with an entry per evaluation set, got {type(collection).__name__}"
        )
    if len(collection) > n_sets:
        raise ValueError(f"{name} must have an entry per evaluation set, got {len(collection)} for {n_sets}")
    return [*collection, *[None] * (n_sets - len(collection))]


def _check_eval_set(eval_X: Any, eval_y: Any, X: Any, index: Callable[[Any, str], Array], name: str) -> Array:
    """Labels of an evaluation set, as ``index`` converts them. The set must have as many columns as ``X``."""
    if eval_X is None:
        raise ValueError(f"{name} must have data X and labels y, got None for X")
    indices = index(eval_y, f"y of {name}")
    (n_rows, n_columns), (_, expected) = _shape(eval_X), _shape(X)
    if indices.shape[0] == 0:
        raise ValueError(f"{name} must have at least one row, got 0")
    if n_rows is not None and n_rows != indices.shape[0]:
        raise ValueError(f"{name} must have one label per row of its X, got {indices.shape[0]} for {n_rows}")
    if None not in (n_columns, expected) and n_columns != expected:
        raise ValueError(f"{name} must have the {expected} columns of X, got {n_columns}")
    return indices


def _shape(X: Any) -> tuple[int | None, int | None]:
    """Numbers of rows and columns; None if they are unknown without reading the data."""
    shape = getattr(X, "shape", None)
    if shape is None and isinstance(X, (list, tuple)):
        try:
            shape = np.shape(X)
        except ValueError:  # ragged, which is for the library to say
            return None, None
    if shape is None or len(shape) != 2 or not all(isinstance(n, (int, np.integer)) for n in shape):
        return None, None
    return int(shape[0]), int(shape[1])
