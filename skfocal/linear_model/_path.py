"""Fits along a path of C, each started at its neighbor's solution, and their scores on other rows.

May import ``_common``, the other files of this folder and scikit-learn. What a worker process is handed lies here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import make_scorer

from skfocal._common.state import snapshot
from skfocal._kernels.blocks import Array
from skfocal.linear_model._design import Rows
from skfocal.linear_model._logistic import FocalLogisticRegression
from skfocal.linear_model._solve import minimize, point_at

Scorer = Callable[..., float]


class Path(NamedTuple):
    """What the fits of a path came to, for each C in the order of ``Cs``.

    ``coefs`` (n_cs, n_scores, n_features + 1) have the intercepts last, if there are any; ``optimality`` is the largest
    entry of the gradient at the end.
    """

    scores: Array
    coefs: Array
    n_iter: Array
    optimality: Array


def fit_and_score(
    model: FocalLogisticRegression,
    Cs: Sequence[float],
    rows: Rows,
    train: Array,
    test: Array,
    scorer: Scorer,
    score_params: dict[str, Any],
) -> Path:
    """Fit the model at each C on the rows ``train``, and score it on the rows ``test``."""
    held_out = rows[test]
    scorer = knowing_the_classes(scorer, rows.classes, held_out.indices)
    order = np.argsort(Cs, kind="stable")
    found: list[Any] = [None] * len(order)
    with np.errstate(under="ignore"):  # as in fit
        fits = fit_path(model, [Cs[i] for i in order], rows[train])
        for i, (fitted, n_iter, optimality) in zip(order, fits, strict=True):
            score = scorer(fitted, held_out.X, rows.classes[held_out.indices], **score_params)
            parts = [fitted.coef_, fitted.intercept_[:, np.newaxis]] if model.fit_intercept else [fitted.coef_]
            found[i] = np.concatenate(parts, axis=1), float(score), n_iter, optimality
    coefs, scores, n_iters, optimalities = zip(*found, strict=True)
    return Path(np.array(scores), np.array(coefs), np.array(n_iters, np.int32), np.array(optimalities))


def fit_path(
    model: FocalLogisticRegression, Cs: Sequence[float], rows: Rows
) -> Iterator[tuple[FocalLogisticRegression, int, float]]:
    """The model fitted at each C, which ascend, with its iterations and the largest entry of its gradient.

    The strongest penalty comes first: its solution is near the constant, where a fit without a neighbor starts.
    """
    model = snapshot(model)
    model.C = Cs[0]
    objective, constant = model._objective_on(rows)
    cold = np.zeros((constant.shape[0], rows.X.shape[1])), constant
    x = objective.pack(*cold)
    for C in Cs:
        objective, start = objective.with_C(C, x)
        # The unit of F is the loss of the constant: there F is 1.
        if not point_at(objective, start).value < 1.0:
            start = objective.pack(*cold)
        end, n_iter = minimize(objective, start, model.solver, model.max_iter, model.tol)
        x = end.x
        fitted = snapshot(model)
        fitted.C, fitted.n_features_in_ = C, rows.X.shape[1]
        fitted._set_solution(rows, *objective.unpack(x))
        yield fitted, n_iter, end.optimality


def knowing_the_classes(scorer: Scorer, classes: Array, indices: Array) -> Scorer:
    """The scorer, told of all classes where the rows with these indices lack one and it is of probabilities or scores.

    Their columns are of all classes, and a metric would not know which one is which. There is no public way to a
    scorer's metric: scikit-learn's ``LogisticRegressionCV`` uses the same private names. Where they are gone, the
    scorer is used as it is.
    """
    metric, method = getattr(scorer, "_score_func", None), getattr(scorer, "_response_method", "predict")
    given = getattr(scorer, "_kwargs", {})
    is_complete = np.unique(indices).shape[0] == classes.shape[0]
    if is_complete or metric is None or method == "predict" or "labels" in given:
        return scorer
    parameters = signature(metric).parameters
    told: dict[str, Any] = {"labels": classes} if "labels" in parameters else {}
    if classes.shape[0] == 2 and "pos_label" in parameters and parameters["pos_label"].default is None:
        told["pos_label"] = classes[1]  # None is for 0 and 1: of one text it can't be told which class that is
    if not told:
        return scorer
    sign: int = scorer._sign  # type: ignore[attr-defined]
    made: Scorer = make_scorer(metric, response_method=method, greater_is_better=sign > 0, **{**told, **given})
    return made
