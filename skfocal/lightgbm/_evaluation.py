"""Evaluation sets and metrics of ``FocalLGBMClassifier.fit``. May import ``_common``."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np

from skfocal._common import named_metrics
from skfocal._common.objective import FocalMetricBase
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

# Names LightGBM knows -> the name it reports (binary, multiclass), and what computes it.
PROBABILITY_METRICS = {
    **dict.fromkeys(
        ("binary_logloss", "multi_logloss", "logloss", "binary", "multiclass", "softmax", "multiclassova"),
        (("binary_logloss", "multi_logloss"), named_metrics.log_loss_of),
    ),
    **dict.fromkeys(("cross_entropy", "xentropy"), (("cross_entropy", None), named_metrics.log_loss_of)),
    # Labels of 0 and 1 have no entropy: the divergence is the cross-entropy.
    **dict.fromkeys(("kullback_leibler", "kldiv"), (("kullback_leibler", None), named_metrics.log_loss_of)),
    **dict.fromkeys(
        ("binary_error", "multi_error", "error"), (("binary_error", "multi_error"), named_metrics.error_of)
    ),
    **dict.fromkeys(("l2", "mse", "mean_squared_error"), (("l2", None), named_metrics.brier_of)),
    **dict.fromkeys(("rmse", "root_mean_squared_error", "l2_root"), (("rmse", None), named_metrics.rmse_of)),
    **dict.fromkeys(("l1", "mae", "mean_absolute_error"), (("l1", None), named_metrics.mae_of)),
}
RANK_METRICS = {
    "auc": (("auc", None), named_metrics.auc_of),
    "average_precision": (("average_precision", None), named_metrics.average_precision_of),
}
NO_METRIC = ("", "none", "None", "null", "custom", "na")

METRIC_ALIASES = ("metric", "metrics", "metric_types")


class _NamedMetric:
    """A metric by name on an estimator's probabilities, as a LightGBM evaluation function."""

    def __init__(self, name: str, compute: Any, higher_is_better: bool, estimator: Any):
        self.name, self.compute, self.higher_is_better = name, compute, higher_is_better
        # What the probabilities need, not the estimator itself: LightGBM deep-copies its metrics.
        self.loss, self.class_weights = estimator.focal_loss_, estimator.class_weights_
        self.calibration = estimator.calibration

    def __call__(self, y_true: Array, y_pred: Array, weight: Array | None) -> tuple[str, float, bool]:
        loss = FocalLoss(self.loss.gamma, tuple(self.class_weights.tolist()))
        proba = loss.predict_proba(y_pred, self.calibration)
        return self.name, self.compute(y_true.astype(np.intp), y_pred, proba, weight), self.higher_is_better


class _OnProbabilities:
    """A user's metric, handed probabilities as it is by a parent with its own objective."""

    def __init__(self, metric: Any, estimator: Any):
        self.metric, self.n_arguments = metric, min(3, len(signature(metric).parameters))
        self.loss, self.class_weights = estimator.focal_loss_, estimator.class_weights_
        self.calibration = estimator.calibration

    def __call__(self, y_true: Array, y_pred: Array, weight: Array | None) -> Any:
        proba = FocalLoss(self.loss.gamma, tuple(self.class_weights.tolist())).predict_proba(y_pred, self.calibration)
        prediction = proba[:, 1] if y_pred.ndim == 1 else proba
        return self.metric(*(y_true, prediction, weight)[: self.n_arguments])


def metrics_of(estimator: Any, eval_metric: Any, params: dict[str, Any], focal_metric: FocalMetricBase) -> list[Any]:
    """Everything to evaluate: callables of ours and of the user, and names left to LightGBM.

    ``focal_metric`` is the loss in training: the default, and what the name "focal_loss" stands for.
    """
    n_classes = estimator.class_weights_.shape[0]
    given = [params[name] for name in METRIC_ALIASES if params.get(name) is not None]
    in_params = [m for value in given for m in (value.split(",") if isinstance(value, str) else value)]
    wanted = named_metrics.split_metrics(eval_metric)
    wanted += [m for m in (in_params if given else ["focal_loss"]) if m not in wanted]
    # LightGBM evaluates the names it is left with before any callable, which changes what "first" means.
    in_order = bool(params.get("first_metric_only"))
    known = PROBABILITY_METRICS | (RANK_METRICS if in_order else {})
    metrics: list[Any] = []
    for metric in wanted:
        if callable(metric):
            metrics.append(metric if isinstance(metric, FocalMetricBase) else _OnProbabilities(metric, estimator))
            continue
        name = metric.strip()
        if name in NO_METRIC:
            continue
        if name == "focal_loss":
            metrics.append(focal_metric)
        elif name in known and (reported := known[name][0][n_classes > 2]) is not None:
            metrics.append(_NamedMetric(reported, known[name][1], name in RANK_METRICS, estimator))
        elif name in (("auc_mu",) if n_classes > 2 else tuple(RANK_METRICS)):
            metrics.append(name)
        else:
            legal = [n for n, (reported, _) in PROBABILITY_METRICS.items() if reported[n_classes > 2]]
            rank = ["auc_mu"] if n_classes > 2 else list(RANK_METRICS)
            raise named_metrics.unknown_metric(name, [*legal, *rank, "focal_loss"])
    return metrics


def eval_sets_of(eval_set: Any, eval_X: Any, eval_y: Any) -> list[tuple[Any, Any]] | None:
    """Evaluation sets as a list of (X, y), from whichever of the arguments of ``fit`` they came in."""
    if (eval_X is None) != (eval_y is None):
        raise ValueError("eval_X and eval_y must be given together, got only one of them")
    if eval_X is not None:
        if eval_set is not None:
            raise ValueError("eval_set must not be given beside eval_X and eval_y: give one or the other")
        if not isinstance(eval_X, tuple):
            eval_X, eval_y = (eval_X,), (eval_y,)
        if not isinstance(eval_y, tuple) or len(eval_X) != len(eval_y):
            raise ValueError("eval_y must be a tuple as long as eval_X, one entry per evaluation set")
        return list(zip(eval_X, eval_y, strict=True))
    if eval_set is None:
        return None
    return [eval_set] if isinstance(eval_set, tuple) else list(eval_set)


def per_set(collection: Any, n_sets: int) -> list[Any]:
    """The i-th entry for the i-th evaluation set from what LightGBM accepts: None, a list or a dict."""
    if collection is None:
        return [None] * n_sets
    if isinstance(collection, dict):
        return [collection.get(i) for i in range(n_sets)]
    return [collection[i] if i < len(collection) else None for i in range(n_sets)]
