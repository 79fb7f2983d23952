"""Parameters and metrics of one ``FocalXGBClassifier.fit``. May import ``_common`` and XGBoost."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xgboost as xgb
from scipy.special import expit

from skfocal._common import named_metrics
from skfocal._common.objective import FocalMetricBase
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

# Names that are computed on probabilities and decisions here -> (for two classes, for more), computation.
PROBABILITY_METRICS = {
    "logloss": ((True, False), named_metrics.log_loss_of),
    "mlogloss": ((False, True), named_metrics.log_loss_of),
    "error": ((True, False), named_metrics.error_of),
    "merror": ((False, True), named_metrics.error_of),
    "rmse": ((True, False), named_metrics.rmse_of),
    "mae": ((True, False), named_metrics.mae_of),
}
RANK_METRICS = ("auc", "aucpr")


class Training:
    """What one ``fit`` needs beside the parent's parameters, or in place of them.

    ``start``, the constant score, and ``min_child_weight`` are None where the parent's parameters hold.
    """

    def __init__(
        self,
        estimator: Any,
        n_classes: int,
        start: Any,
        min_child_weight: float | None,
        focal_metric: FocalMetricBase,
    ):
        self.loss, self.class_weights = estimator.focal_loss_, estimator.class_weights_
        self.calibration, self.n_classes = estimator.calibration, n_classes
        self.params: dict[str, Any] = {}
        self.replaces: dict[str, Any] = {}
        if start is not None:
            # base_score is a probability under the sigmoid, scores under the softmax; XGBoost centres its own.
            self.params["base_score"] = float(expit(start)) if n_classes == 2 else (start - start.mean()).tolist()
        if min_child_weight is not None:
            self.params["min_child_weight"] = min_child_weight
        wanted = named_metrics.split_metrics(estimator.eval_metric) or ["focal_loss"]
        # Computed here: metrics by name, of (labels, scores, probabilities, weights), and callables of the user's.
        self.own: list[tuple[str, Any]] = []
        self.by_name: set[int] = set()
        native: list[str] = []
        for metric in wanted:
            if callable(metric):
                self.own.append((metric.__name__, metric))
            elif (threshold := _error_threshold(metric)) is not None and n_classes == 2:
                self.by_name.add(len(self.own))
                self.own.append((metric, partial(named_metrics.error_beyond, threshold)))
            elif metric == "focal_loss":
                self.own.append((metric, focal_metric))
            elif metric in PROBABILITY_METRICS and PROBABILITY_METRICS[metric][0][n_classes > 2]:
                self.by_name.add(len(self.own))
                self.own.append((metric, PROBABILITY_METRICS[metric][1]))
            elif metric in RANK_METRICS:
                native.append(metric)
            else:
                legal = [n for n, (fits, _) in PROBABILITY_METRICS.items() if fits[n_classes > 2]]
                raise named_metrics.unknown_metric(metric, [*legal, *RANK_METRICS, "focal_loss"])
        self.params |= {"eval_metric": native} if native else {"disable_default_eval_metric": True}
        rounds = estimator.early_stopping_rounds
        if rounds and native and self.own and wanted[-1] == native[-1]:
            # Early stopping watches the last metric, and XGBoost evaluates its own before any other.
            stop = xgb.callback.EarlyStopping(rounds=rounds, metric_name=native[-1])
            self.replaces = {"early_stopping_rounds": None, "callbacks": [*(estimator.callbacks or []), stop]}

    def metric(self, raw: Array, data: Any) -> list[tuple[str, float]]:
        """All metrics that are not left to XGBoost, in the order asked for."""
        y, weight = data.get_label(), data.get_weight()
        weight = weight if weight.size else None
        loss = FocalLoss(self.loss.gamma, tuple(self.class_weights.tolist()))
        needs_proba = any(not isinstance(metric, FocalMetricBase) for _, metric in self.own)
        proba = loss.predict_proba(raw, self.calibration) if needs_proba else raw
        values = []
        for i, (name, metric) in enumerate(self.own):
            if i in self.by_name:
                values.append((name, metric(y.astype(np.intp), raw, proba, weight)))
                continue
            # As from the parent, a metric of the user's gets probabilities; ours alone is of scores.
            prediction = raw if isinstance(metric, FocalMetricBase) else proba[:, 1] if raw.ndim == 1 else proba
            keywords = {} if weight is None else {"sample_weight": weight}
            values.append((name, metric(y, prediction, **keywords)))
        return values


def _error_threshold(name: str) -> float | None:
    """``t`` of the metric ``error@t``, or None for another metric."""
    try:
        return float(name.removeprefix("error@")) if name.startswith("error@") else None
    except ValueError:
        return None
