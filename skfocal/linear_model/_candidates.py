"""Candidates, folds, scorer and choice of ``FocalLogisticRegressionCV``. May import ``_kernels`` and scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Set
from inspect import Parameter, signature
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv

from skfocal._kernels.arguments import check_gamma, is_number
from skfocal._kernels.blocks import Array
from skfocal.linear_model._design import Rows
from skfocal.linear_model._path import Scorer

Gamma = float | tuple[float, ...]


class Grid(NamedTuple):
    """Values of the three parameters. Every combination of them is a candidate."""

    gammas: list[Gamma]
    l1_ratios: list[float]
    Cs: list[float]


def check_grid(gammas: Any, l1_ratios: Any, Cs: Any) -> Grid:
    """Check the parameters ``focal_gammas``, ``l1_ratios`` and ``Cs``, and return them as lists."""
    legal = "a sequence of candidates, each a number >= 0 or one number per class"
    checked = [check_gamma(gamma, "each of focal_gammas") for gamma in _sequence(gammas, "focal_gammas", legal)]
    legal = "a sequence of candidates, each a number in [0, 1]"
    ratios = _sequence(l1_ratios, "l1_ratios", legal)
    if not all(is_number(ratio) and 0 <= ratio <= 1 for ratio in ratios):
        raise ValueError(f"l1_ratios must be {legal}, got {l1_ratios!r}")
    legal = "an integer >= 1, the number of candidates, or a sequence of candidates, each a number > 0"
    is_count = isinstance(Cs, Integral) and is_number(Cs) and int(Cs) >= 1
    sizes = np.logspace(-4, 4, int(Cs)).tolist() if is_count else _sequence(Cs, "Cs", legal)
    if not all(is_number(C) and C > 0 for C in sizes):
        raise ValueError(f"Cs must be {legal}, got {Cs!r}")
    return Grid(checked, [float(ratio) for ratio in ratios], [float(C) for C in sizes])


def _sequence(value: Any, name: str, legal: str) -> list[Any]:
    # A set has no order. An array without axes has `__len__`, but `len` of it raises an error.
    if isinstance(value, (str, bytes, Mapping, Set)) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0:
        raise ValueError(f"{name} must be {legal}, got {value!r}")
    if len(value) == 0:
        raise ValueError(f"{name} must be {legal}, got none")
    return list(value)


def check_scorer(scoring: Any, estimator: Any) -> Scorer:
    """Check the parameter ``scoring``, and return it as a scorer."""
    legal = "scoring must be a name of sklearn.metrics.get_scorer_names(), a scorer(estimator, X, y) or None"
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise ValueError(f"{legal}, got {scoring!r}")
    try:
        scorer: Scorer = check_scoring(estimator, "accuracy" if scoring is None else scoring)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{legal}, got {scoring!r}") from error
    return scorer


def check_takes_weights(scorer: Scorer, scoring: Any) -> None:
    """Raise an error before the first fit if the metric has no parameter ``sample_weight``."""
    for function in (scorer, getattr(scorer, "_score_func", None)):
        if function is None:
            continue
        try:
            parameters = signature(function).parameters
        except (TypeError, ValueError):
            return  # functions in C have no signature
        if "sample_weight" not in parameters and not any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
            raise ValueError(
                f"scoring must take sample_weight if fit is given one, got {scoring!r}: add the parameter, or leave "
                "the scores unweighted by metadata routing, sklearn.set_config(enable_metadata_routing=True)"
            )


def folds_of(cv: Any, rows: Rows, params: Mapping[str, Any]) -> list[tuple[Array, Array]]:
    """Check the parameter ``cv``, and return the indices of the training rows and of the held-out rows of each fold."""
    legal = "cv must be None, an integer >= 2, a splitter or an iterable of (train, test)"
    if isinstance(cv, (str, bool)) or (isinstance(cv, Integral) and int(cv) < 2):
        raise ValueError(f"{legal}, got {cv!r}")
    y = rows.classes[rows.indices]
    if cv is None:
        # scikit-learn raises an error if each class has fewer rows than there are folds. The user did not ask for 5.
        cv = max(2, min(5, int(np.bincount(rows.indices).max())))
    try:
        splitter = check_cv(cv, y, classifier=True)
    except ValueError as error:
        raise ValueError(f"{legal}, got {cv!r}") from error
    n_rows = rows.X.shape[0]
    folds = [(_indices(train), _indices(test)) for train, test in splitter.split(rows.X, y, **params)]
    if not folds:
        raise ValueError(f"{legal}, got {cv!r}, which has no folds")
    for number, fold in enumerate(folds):
        for name, part in zip(("train on", "score on"), fold, strict=True):
            if part.shape[0] == 0 or part.min() < -n_rows or part.max() >= n_rows:
                raise ValueError(f"cv must give rows of X to {name}, fold {number} has {part!r} of {n_rows} rows")
            if rows.weight is not None and not rows.weight[part].any():
                raise ValueError(
                    f"sample_weight must hold at least one number > 0 among the rows to {name}, fold {number} has "
                    "zeros only"
                )
    return folds


def _indices(part: Any) -> Array:
    part = np.asarray(part)
    return np.flatnonzero(part) if part.dtype == bool else part


def choose(scores: Array) -> tuple[int, ...]:
    """Index (gamma, l1_ratio, C) of the best mean score. The first axis of ``scores`` is the fold.

    If several candidates have the same mean, the first is chosen, in the order of C, then gamma, then ``l1_ratio``.
    ``GridSearchCV`` has the same order.
    """
    mean = scores.mean(axis=0)
    if np.isnan(mean).all():
        raise ValueError("scoring must give a number for one candidate at least, got NaN in some fold for each")
    return _argmax(mean)


def choose_by_fold(scores: Array) -> tuple[int, list[tuple[int, ...]]]:
    """Index of the gamma with the best mean score, and for this gamma the indices (l1_ratio, C) of each fold's best.

    All folds share one gamma, because raw scores of different gammas differ in size, so that a mean of their
    coefficients would have no meaning.
    """
    gamma = choose(scores)[0]
    return gamma, [_argmax(of_fold)[1:] for of_fold in scores[:, gamma : gamma + 1]]


def _argmax(scores: Array) -> tuple[int, ...]:
    """Index (gamma, l1_ratio, C) of the largest score."""
    by_C = np.moveaxis(np.where(np.isnan(scores), -np.inf, scores), -1, 0)
    C, gamma, l1_ratio = np.unravel_index(int(np.argmax(by_C)), by_C.shape)
    return int(gamma), int(l1_ratio), int(C)
