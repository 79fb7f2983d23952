"""Evaluation sets and metrics of ``FocalLGBMClassifier.fit``. May import ``_common``, LightGBM and this folder."""

from __future__ import annotations

from inspect import signature
from typing import Any

import lightgbm as lgb
import numpy as np

from skfocal._common import named_metrics
from skfocal._common.evaluation_sets import EvaluationSets, pairs_of, per_set
from skfocal._common.objective import FocalMetricBase
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._objective import FocalMetric
from skfocal.lightgbm._parameters import METRIC_ALIASES, is_true
from skfocal.lightgbm._start import constant_scores
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


class _OnProbabilities:
    """What turns scores into the probabilities that ``predict_proba`` gives.

    It holds what they need, not the estimator: LightGBM deep-copies its metrics.
    """

    def __init__(self, estimator: Any):
        self.loss = FocalLoss(estimator.focal_loss_.gamma, tuple(estimator.class_weights_.tolist()))
        self.calibration = estimator.calibration

    def probabilities(self, raw: Array) -> Array:
        return self.loss.predict_proba(raw, self.calibration)


class _NamedMetric(_OnProbabilities):
    """A metric by name, as a LightGBM evaluation function."""

    def __init__(self, name: str, compute: Any, higher_is_better: bool, estimator: Any):
        super().__init__(estimator)
        self.name, self.compute, self.higher_is_better = name, compute, higher_is_better

    def __call__(self, y_true: Array, y_pred: Array, weight: Array | None) -> tuple[str, float, bool]:
        value = self.compute(y_true.astype(np.intp), y_pred, self.probabilities(y_pred), weight)
        return self.name, value, self.higher_is_better


class _UsersMetric(_OnProbabilities):
    """A user's metric, handed probabilities as it is by a parent with its own objective."""

    def __init__(self, metric: Any, estimator: Any):
        super().__init__(estimator)
        self.metric, self.n_arguments = metric, len(signature(metric).parameters)
        if not 2 <= self.n_arguments <= 4:
            raise TypeError(
                "eval_metric must be callable with (y_true, y_pred), and weight and group if it wants them, got "
                f"{metric!r} of {self.n_arguments} arguments"
            )

    def __call__(self, y_true: Array, y_pred: Array, weight: Array | None) -> Any:
        proba = self.probabilities(y_pred)
        prediction = proba[:, 1] if y_pred.ndim == 1 else proba
        group = None  # a classifier's rows have none
        return self.metric(*(y_true, prediction, weight, group)[: self.n_arguments])


def metrics_of(estimator: Any, eval_metric: Any, params: dict[str, Any]) -> list[Any]:
    """Everything to evaluate: callables of ours and of the user, and names left to LightGBM.

    The loss in training is the default, and what the name "focal_loss" stands for.
    """
    focal_metric = FocalMetric(estimator.focal_loss_.gamma, estimator.focal_loss_.alpha)
    n_classes = estimator.class_weights_.shape[0]
    given = [params[name] for name in METRIC_ALIASES if params.get(name) is not None]
    in_params = [metric for value in given for metric in named_metrics.split_metrics(value, "metric")]
    wanted = named_metrics.split_metrics(eval_metric)
    wanted += [m for m in (in_params if given else ["focal_loss"]) if m not in wanted]
    # LightGBM evaluates the names it is left with before any callable, which changes what "first" means.
    in_order = is_true(params.get("first_metric_only"))
    known = PROBABILITY_METRICS | (RANK_METRICS if in_order else {})
    metrics: list[Any] = []
    for metric in wanted:
        if callable(metric):
            metrics.append(metric if isinstance(metric, FocalMetricBase) else _UsersMetric(metric, estimator))
            continue
        if metric in NO_METRIC:
            continue
        if (name := metric) == "focal_loss":
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


def as_arguments(sets: EvaluationSets) -> dict[str, Any]:
    """The sets as arguments of ``LGBMModel.fit``. LightGBM 4.7 has them as eval_X and eval_y."""
    if not sets.tables:
        return {}
    if "eval_X" in signature(lgb.LGBMModel.fit).parameters:
        return {"eval_X": tuple(sets.tables), "eval_y": tuple(sets.labels)}
    return {"eval_set": list(zip(sets.tables, sets.labels, strict=True))}


def starts_of(sets: EvaluationSets, start: Any, eval_init_score: Any) -> list[Array] | None:
    """The start as scores of each set's rows, on top of scores that were given."""
    given = per_set(eval_init_score, len(sets.labels), "eval_init_score")
    return [
        constant_scores(start, labels.shape[0]) + (0.0 if scores is None else np.asarray(scores))
        for labels, scores in zip(sets.labels, given, strict=True)
    ] or None


def eval_pairs(eval_set: Any, eval_X: Any, eval_y: Any) -> list[tuple[Any, Any]]:
    """The sets as pairs (X, y), from whichever of the arguments of ``fit`` they came in."""
    if (eval_X is None) != (eval_y is None):
        raise ValueError("eval_X and eval_y must be given together, got only one of them")
    if eval_X is None:
        return [] if eval_set is None else pairs_of(eval_set)
    if eval_set is not None:
        raise ValueError("eval_set must not be given beside eval_X and eval_y: give one or the other")
    if not isinstance(eval_X, tuple):
        eval_X, eval_y = (eval_X,), (eval_y,)
    if not isinstance(eval_y, tuple) or len(eval_X) != len(eval_y):
        raise ValueError("eval_y must be a tuple as long as eval_X, one entry per evaluation set")
    return list(zip(eval_X, eval_y, strict=True))
