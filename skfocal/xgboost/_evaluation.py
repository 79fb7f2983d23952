"""Metrics of one ``FocalXGBClassifier.fit``. May import ``_common``, this folder and XGBoost."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xgboost as xgb

from skfocal._common import named_metrics
from skfocal._common.evaluation_sets import EvaluationSets
from skfocal._common.objective import FocalMetricBase
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss
from skfocal.xgboost._objective import FocalMetric
from skfocal.xgboost._parameters import in_memory

# Metric names -> whether they are legal (for two classes, for more), and the function of probabilities and decisions.
PROBABILITY_METRICS = {
    "logloss": ((True, False), named_metrics.log_loss_of),
    "mlogloss": ((False, True), named_metrics.log_loss_of),
    "error": ((True, False), named_metrics.error_of),
    "merror": ((False, True), named_metrics.error_of),
    "rmse": ((True, False), named_metrics.rmse_of),
    "mae": ((True, False), named_metrics.mae_of),
}
RANK_METRICS = ("auc", "aucpr")


def as_pairs(sets: EvaluationSets, X: Any) -> list[tuple[Any, Array]] | None:
    """The sets in XGBoost's form. The training data are replaced by ``X``, their checked version."""
    tables = [X if known else in_memory(A) for A, known in zip(sets.tables, sets.is_training, strict=True)]
    return list(zip(tables, sets.labels, strict=True)) or None


class Metrics:
    """Metrics of one fit, in the requested order. XGBoost computes ranking metrics, this class computes the others.

    Attributes
    ----------
    params : dict
        Parameters of XGBoost for these metrics.
    """

    native_names: tuple[str, ...] = RANK_METRICS
    """Names of the metrics that XGBoost computes itself."""

    def __init__(self, estimator: Any, n_classes: int) -> None:
        self.calibration = estimator.calibration
        self._set_loss(estimator)
        wanted = named_metrics.split_metrics(estimator.eval_metric) or ["focal_loss"]
        # Metrics that are computed here: named functions of (labels, scores, probabilities, weights), and the user's
        # callables.
        self.own: list[tuple[str, Any]] = []
        self.by_name: set[int] = set()
        native: list[str] = []
        for metric in wanted:
            if callable(metric):
                self.own.append((_name_of(metric), metric))
            elif (threshold := _error_threshold(metric)) is not None and n_classes == 2:
                self.by_name.add(len(self.own))
                self.own.append((metric, partial(named_metrics.error_beyond, threshold)))
            elif metric == "focal_loss":
                self.own.append((metric, self.focal_metric))
            elif metric in PROBABILITY_METRICS and PROBABILITY_METRICS[metric][0][n_classes > 2]:
                self.by_name.add(len(self.own))
                self.own.append((metric, PROBABILITY_METRICS[metric][1]))
            elif metric in self.native_names:
                native.append(metric)
            else:
                legal = [n for n, (fits, _) in PROBABILITY_METRICS.items() if fits[n_classes > 2]]
                raise named_metrics.unknown_metric(metric, [*legal, *self.native_names, "focal_loss"])
        self.params = {"eval_metric": native} if native else {"disable_default_eval_metric": True}
        self.in_order = _InOrder([metric if isinstance(metric, str) else _name_of(metric) for metric in wanted])

    def _set_loss(self, estimator: Any) -> None:
        loss = estimator.focal_loss_
        self.loss = FocalLoss(loss.gamma, tuple(estimator.class_weights_.tolist()))
        self.focal_metric: FocalMetricBase = FocalMetric(loss.gamma, loss.alpha)

    def __call__(self, raw: Array, data: Any) -> list[tuple[str, float]]:
        """All metrics that XGBoost does not compute itself, as its ``custom_metric``."""
        y, weight = data.get_label(), data.get_weight()
        weight = weight if weight.size else None
        needs_proba = any(not isinstance(metric, FocalMetricBase) for _, metric in self.own)
        proba = self.loss.predict_proba(raw, self.calibration) if needs_proba else raw
        values = []
        for i, (name, metric) in enumerate(self.own):
            if i in self.by_name:
                values.append((name, metric(y.astype(np.intp), raw, proba, weight)))
                continue
            # As in the parent, a user's metric receives probabilities. Only FocalMetric receives scores.
            prediction = raw if isinstance(metric, FocalMetricBase) else proba[:, 1] if raw.ndim == 1 else proba
            keywords = {} if weight is None else {"sample_weight": weight}
            values.append((name, metric(y, prediction, **keywords)))
        return values


class _InOrder(xgb.callback.TrainingCallback):
    """Sorts the history of each evaluation set into the order in which the metrics were requested.

    XGBoost evaluates its own metrics before all others, and early stopping always watches the last metric. Therefore
    this callback precedes all other callbacks.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        for history in evals_log.values():
            for name in self.names:
                if name in history:
                    history[name] = history.pop(name)
        return False


def _name_of(metric: Any) -> str:
    return getattr(metric, "__name__", type(metric).__name__)


def _error_threshold(name: str) -> float | None:
    """Threshold ``t`` of the metric ``error@t``, or None for another metric."""
    try:
        return float(name.removeprefix("error@")) if name.startswith("error@") else None
    except ValueError:
        return None
