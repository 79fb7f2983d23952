"""Evaluation sets and metrics of ``FocalLGBMClassifier.fit``. May import ``_common``, LightGBM and this folder."""

from __future__ import annotations

from inspect import signature
from typing import Any

import lightgbm as lgb
import numpy as np

from skfocal._common import named_metrics
from skfocal._common.evaluation_sets import EvaluationSets, pairs_of, per_set
from skfocal._common.objective import FocalMetricBase
from skfocal._kernels.arguments import is_number
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._objective import FocalMetric
from skfocal.lightgbm._parameters import METRIC_ALIASES, is_true
from skfocal.lightgbm._start import constant_scores
from skfocal.loss import FocalLoss

# LightGBM's name of a metric -> the names that it reports (binary, multiclass), and the function that computes it.
PROBABILITY_METRICS = {
    **dict.fromkeys(
        ("binary_logloss", "multi_logloss", "logloss", "binary", "multiclass", "softmax", "multiclassova"),
        (("binary_logloss", "multi_logloss"), named_metrics.log_loss_of),
    ),
    **dict.fromkeys(("cross_entropy", "xentropy"), (("cross_entropy", None), named_metrics.log_loss_of)),
    # The entropy of labels 0 and 1 is 0, so the divergence equals the cross-entropy.
    **dict.fromkeys(("kullback_leibler", "kldiv"), (("kullback_leibler", None), named_metrics.log_loss_of)),
    **dict.fromkeys(
        ("binary_error", "multi_error", "error"), (("binary_error", "multi_error"), named_metrics.error_of)
    ),
    **dict.fromkeys(("l2", "mse", "mean_squared_error"), (("l2", None), named_metrics.brier_of)),
    **dict.fromkeys(("rmse", "root_mean_squared_error", "l2_root"), (("rmse", None), named_metrics.rmse_of)),
    **dict.fromkeys(("l1", "mae", "mean_absolute_error"), (("l1", None), named_metrics.mae_of)),
}
RANK_METRICS = (("auc", "average_precision"), ("auc_mu",))
"""Metrics that LightGBM computes itself, because they are the same for scores and probabilities: binary, multiclass."""
NO_METRIC = ("", "none", "None", "null", "custom", "na")


class _OnProbabilities:
    """Converts scores to the probabilities that ``predict_proba`` returns.

    It does not contain the estimator, because LightGBM deep-copies its metrics.
    """

    def __init__(self, estimator: Any):
        self.loss = FocalLoss(estimator.focal_loss_.gamma, tuple(estimator.class_weights_.tolist()))
        self.calibration = estimator.calibration

    def probabilities(self, raw: Array) -> Array:
        return self.loss.predict_proba(raw, self.calibration)


class _NamedMetric(_OnProbabilities):
    """A named metric as a LightGBM evaluation function. Lower is better."""

    def __init__(self, name: str, compute: Any, estimator: Any):
        super().__init__(estimator)
        self.name, self.compute = name, compute

    def __call__(self, y_true: Array, y_pred: Array, weight: Array | None) -> tuple[str, float, bool]:
        value = self.compute(y_true.astype(np.intp), y_pred, self.probabilities(y_pred), weight)
        return self.name, value, False


class _UsersMetric(_OnProbabilities):
    """A user's metric. It receives probabilities, as it does from LightGBM with a built-in objective."""

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
        group = None  # a classifier has no groups
        return self.metric(*(y_true, prediction, weight, group)[: self.n_arguments])


class InOrder:
    """Callback that sorts the results of a round into the order in which the metrics were requested.

    LightGBM evaluates its own metrics before all callables, and the named metrics of this file are callables. Early
    stopping on the first metric, and recorded histories, depend on the order. Therefore this callback precedes the
    others.
    """

    order = -1_000_000
    before_iteration = False

    def __init__(self, names: list[str]) -> None:
        self.rank = {name: i for i, name in reversed(list(enumerate(names)))}

    def __call__(self, env: Any) -> None:
        results = env.evaluation_result_list or []
        sets = list(dict.fromkeys(result[0] for result in results))
        results.sort(key=lambda result: (sets.index(result[0]), self.rank.get(result[1], len(self.rank))))


def metrics_of(estimator: Any, eval_metric: Any, params: dict[str, Any]) -> tuple[list[Any], InOrder]:
    """All metrics: callables of skfocal and of the user, and names that LightGBM computes; and the callback that orders
    them.

    The loss of the training is the default. Its name is "focal_loss".
    """
    focal_metric = FocalMetric(estimator.focal_loss_.gamma, estimator.focal_loss_.alpha)
    is_multiclass = estimator.class_weights_.shape[0] > 2
    given = [params[name] for name in METRIC_ALIASES if params.get(name) is not None]
    in_params = [metric for value in given for metric in named_metrics.split_metrics(value, "metric") if metric != ""]
    in_fit = [metric for metric in named_metrics.split_metrics(eval_metric) if metric != ""]
    # As in LightGBM, a missing parameter means the default, "" and [] mean the default unless fit names a metric, and
    # "none" means no metric.
    if not in_params and not (given and any(isinstance(metric, str) for metric in in_fit)):
        in_params = ["focal_loss"]
    # The parent's order: names before callables, and metrics that occur both in fit and in the parameters at the end.
    wanted = [metric for metric in in_fit if metric not in in_params] + in_params
    wanted.sort(key=callable)
    metrics: list[Any] = []
    names: list[str] = []
    for metric in wanted:
        if callable(metric):
            metrics.append(metric if isinstance(metric, FocalMetricBase) else _UsersMetric(metric, estimator))
            continue
        if metric in NO_METRIC:
            continue
        if metric == "focal_loss":
            metrics.append(focal_metric)
            names.append(metric)
        elif metric in PROBABILITY_METRICS and (name := PROBABILITY_METRICS[metric][0][is_multiclass]) is not None:
            metrics.append(_NamedMetric(name, PROBABILITY_METRICS[metric][1], estimator))
            names.append(name)
        elif metric in RANK_METRICS[is_multiclass]:
            metrics.append(metric)
            names.append(metric)
        else:
            legal = [n for n, (reported, _) in PROBABILITY_METRICS.items() if reported[is_multiclass]]
            raise named_metrics.unknown_metric(metric, [*legal, *RANK_METRICS[is_multiclass], "focal_loss"])
    return metrics, InOrder(names)


def as_arguments(sets: EvaluationSets, params: dict[str, Any]) -> dict[str, Any]:
    """The sets as arguments of ``LGBMModel.fit``. LightGBM 4.7 names them eval_X and eval_y."""
    if not sets.tables:
        return {}
    tables = sets.tables
    if any(is_true(params.get(name)) for name in ("linear_tree", "linear_trees")):
        # LightGBM crashes if it makes an evaluation set for linear trees from columns.
        tables = [
            A.tocsr() if getattr(A, "format", None) == "csc" and not known else A
            for A, known in zip(tables, sets.is_training, strict=True)
        ]
    if "eval_X" in signature(lgb.LGBMModel.fit).parameters:
        return {"eval_X": tuple(tables), "eval_y": tuple(sets.labels)}
    return {"eval_set": list(zip(tables, sets.labels, strict=True))}


def starts_of(sets: EvaluationSets, start: Any, eval_init_score: Any) -> list[Array] | None:
    """Initial scores of each set: the start plus the scores that were given."""
    given = per_set(eval_init_score, len(sets.labels), "eval_init_score")
    starts = [constant_scores(start, labels.shape[0]) for labels in sets.labels]
    return [
        scores if of_set is None else scores + _like(scores, of_set, f"eval_init_score[{i}]")
        for i, (scores, of_set) in enumerate(zip(starts, given, strict=True))
    ] or None


def _like(scores: Array, given: Any, name: str) -> Array:
    """Given scores in the shape of ``scores``. LightGBM also accepts one row with the scores class by class."""
    array = np.asarray(given)
    if array.dtype.kind not in "biufO" or array.ndim not in (1, 2) or array.size != scores.size:
        raise ValueError(
            f"{name} must be numbers of shape {scores.shape}, one per row and class, got dtype {array.dtype} and "
            f"shape {array.shape}"
        )
    return array.astype(np.float64).reshape(scores.shape, order="F" if array.ndim == 1 else "C")


def check_class_weights(eval_class_weight: Any, n_sets: int, classes: Array) -> None:
    """Check that the weights are None, "balanced" or a dict by label for each set."""
    known = classes.tolist()
    for i, weights in enumerate(per_set(eval_class_weight, n_sets, "eval_class_weight")):
        name = f"eval_class_weight[{i}]"
        if weights is None or (isinstance(weights, str) and weights == "balanced"):
            continue
        if not isinstance(weights, dict):
            raise ValueError(f"{name} must be None, 'balanced' or a dict of labels, got {weights!r}")
        for label, weight in weights.items():
            if label not in known:
                raise ValueError(f"{name} must have labels of y as keys, one of {known}, got {label!r}")
            if not (is_number(weight) and 0 <= weight < np.inf):
                raise ValueError(f"{name} must have finite numbers >= 0 as values, got {label!r}: {weight!r}")


def eval_pairs(eval_set: Any, eval_X: Any, eval_y: Any) -> list[tuple[Any, Any]]:
    """The evaluation sets as pairs (X, y), from either form of the arguments of ``fit``."""
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
