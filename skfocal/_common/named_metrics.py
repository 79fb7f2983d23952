"""Evaluation metrics by name, on probabilities and decisions. May import scikit-learn.

With a custom objective, a booster passes raw scores to its named metrics, and ``logloss`` of a raw score is
meaningless. The estimators therefore compute the metrics below themselves. Ranking metrics such as ``auc`` are the same
for scores and probabilities and are left to the library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array

NamedMetric = Callable[[Array, Array, Array, Array | None], float]
"""``metric(y_true, raw_prediction, probabilities, sample_weight)``."""


def log_loss_of(y: Array, raw: Array, proba: Array, weight: Array | None) -> float:
    """Log loss of the probabilities."""
    # A probability that is rounded to 0 would have an infinite loss. The bound is the eps of the dtype, as in
    # scikit-learn.
    of_true = np.clip(proba[np.arange(y.shape[0]), y], np.finfo(proba.dtype).eps, 1.0).astype(np.float64)
    return float(np.average(-np.log(of_true), weights=weight))


def error_of(y: Array, raw: Array, proba: Array, weight: Array | None) -> float:
    """Share of rows for which ``predict`` is wrong."""
    decision = raw > 0 if raw.ndim == 1 else raw.argmax(axis=1)
    return float(np.average(decision != y, weights=weight))


def error_beyond(threshold: float, y: Array, raw: Array, proba: Array, weight: Array | None) -> float:
    """Share of rows on the wrong side of a threshold of the probability of class 1."""
    return float(np.average((proba[:, 1] > threshold) != y, weights=weight))


def brier_of(y: Array, raw: Array, proba: Array, weight: Array | None) -> float:
    """Mean squared error of the probability of class 1."""
    return float(np.average((proba[:, 1] - y) ** 2, weights=weight))


def rmse_of(y: Array, raw: Array, proba: Array, weight: Array | None) -> float:
    """Root mean squared error of the probability of class 1."""
    return float(np.sqrt(brier_of(y, raw, proba, weight)))


def mae_of(y: Array, raw: Array, proba: Array, weight: Array | None) -> float:
    """Mean absolute error of the probability of class 1."""
    return float(np.average(np.abs(proba[:, 1] - y), weights=weight))


def split_metrics(eval_metric: Any, name: str = "eval_metric") -> list[Any]:
    """Metrics as a list, from one metric or a list of metrics. Each is a callable, a name, or several names with
    commas.

    None stands for no metric, as in both boosters.
    """
    metrics: list[Any] = []
    for metric in eval_metric if isinstance(eval_metric, (list, tuple, set)) else [eval_metric]:
        if isinstance(metric, str):
            metrics += [part.strip() for part in metric.split(",")]
        elif callable(metric):
            metrics.append(metric)
        elif metric is not None:
            raise TypeError(f"{name} must be a name, a callable or a list of them, got {metric!r}")
    return metrics


def unknown_metric(name: str, legal: Any) -> ValueError:
    """The error for a metric name that cannot be computed from focal scores."""
    return ValueError(f"eval_metric must be a callable or one of {sorted(legal)}, got {name!r}")
