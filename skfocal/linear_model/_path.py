"""Fits for ascending values of C, each started at the solution for the previous C, and their scores on other rows.

May import ``_common``, the other files of this folder and scikit-learn. joblib calls the functions of this file in
worker processes.
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
    """Results of the fits along a path. The first axis of each array is C, in the order of ``Cs``.

    ``coefs`` (n_cs, n_scores, n_features + 1) has the intercepts in the last column. Without intercepts this column is
    missing. ``optimality`` (n_cs,) is the largest entry of the gradient at the end of each fit.
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
    """Fit the model for each C to the rows ``train``, and score it on the rows ``test``."""
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
    """Fit the model for each C. Yields the model, its number of iterations and the largest entry of its gradient.

    ``Cs`` is ascending, so that the strongest penalty comes first. Its solution is near the best constant scores, where
    the first fit starts.
    """
    model = snapshot(model)
    model.C = Cs[0]
    objective, constant = model._objective_on(rows)
    cold = np.zeros((constant.shape[0], rows.X.shape[1])), constant
    x = objective.pack(*cold)
    for C in Cs:
        objective, start = objective.with_C(C, x)
        # F is divided by the loss of the best constant scores, so F is 1 at these scores.
        if not point_at(objective, start).value < 1.0:
            start = objective.pack(*cold)
        end, n_iter = minimize(objective, start, model.solver, model.max_iter, model.tol)
        x = end.x
        fitted = snapshot(model)
        fitted.C, fitted.n_features_in_ = C, rows.X.shape[1]
        fitted._set_solution(rows, *objective.unpack(x))
        yield fitted, n_iter, end.optimality


def knowing_the_classes(scorer: Scorer, classes: Array, indices: Array) -> Scorer:
    """The scorer, with all classes as the argument ``labels`` of its metric if the rows lack a class.

    Probabilities and raw scores have a column for each class. If the rows lack a class, the metric can't know which
    column belongs to which label. Metrics of predicted labels don't need this.

    There is no public way to get the metric of a scorer. scikit-learn's ``LogisticRegressionCV`` reads the same private
    attributes. If a release of scikit-learn no longer has them, the scorer is returned unchanged.
    """
    metric, method = getattr(scorer, "_score_func", None), getattr(scorer, "_response_method", "predict")
    given = getattr(scorer, "_kwargs", {})
    is_complete = np.unique(indices).shape[0] == classes.shape[0]
    if is_complete or metric is None or method == "predict" or "labels" in given:
        return scorer
    parameters = signature(metric).parameters
    told: dict[str, Any] = {"labels": classes} if "labels" in parameters else {}
    if classes.shape[0] == 2 and "pos_label" in parameters and parameters["pos_label"].default is None:
        told["pos_label"] = classes[1]  # a metric knows the positive class by itself only if the labels are 0 and 1
    if not told:
        return scorer
    sign: int = scorer._sign  # type: ignore[attr-defined]
    made: Scorer = make_scorer(metric, response_method=method, greater_is_better=sign > 0, **{**told, **given})
    return made
