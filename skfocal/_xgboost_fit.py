"""What one ``FocalXGBClassifier.fit`` needs beside the loss: start, bins, smallest leaf, metrics. Needs XGBoost.

May import ``_booster`` and ``_evaluation``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xgboost as xgb
from scipy.special import expit

from skfocal import _evaluation as evaluation
from skfocal._booster import FocalMetricBase
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

# Names that are computed on probabilities and decisions here -> (for two classes, for more), computation.
PROBABILITY_METRICS = {
    "logloss": ((True, False), evaluation.log_loss_of),
    "mlogloss": ((False, True), evaluation.log_loss_of),
    "error": ((True, False), evaluation.error_of),
    "merror": ((False, True), evaluation.error_of),
    "rmse": ((True, False), evaluation.rmse_of),
    "mae": ((True, False), evaluation.mae_of),
}
RANK_METRICS = ("auc", "aucpr")


def bin_weights(y: Array, weight: Array | None) -> Array:
    """Row weights whose quantiles have half of their total by rows and half by classes, (n,).

    Half and half, for then no column loses more than half of its bins, however many classes there are.
    """
    totals = np.bincount(y, weights=weight)
    per_class = 1.0 + np.divide(
        totals.sum() / totals.shape[0], totals, out=np.zeros_like(totals, float), where=totals > 0
    )
    of_class: Array = per_class[y]
    return of_class if weight is None else of_class * weight


def default_min_child_weight(loss: FocalLoss, totals: Array, scale: float) -> float:
    """XGBoost's default of 1, or less where a leaf of a quarter of the rarest class would not reach it.

    Its rows weigh what they do while they are in doubt, at a score of 0 and p = 1/2, see docs/theory.md. By this
    measure 1 is reached by 16 rows with log loss, by 30 at gamma 2 where one of two classes is rare.

    Parameters
    ----------
    loss : FocalLoss
    totals : ndarray of shape (n_classes,)
        Total weight of each class, class weights included.
    scale : float
        Factor of the second derivatives in training.

    Returns
    -------
    float
    """
    gamma = loss.gamma_per_class(totals.shape[0])
    if not gamma.any():
        return 1.0
    in_doubt = [FocalLoss(of_class).gradient_hessian([1], [0.0])[1][0] for of_class in gamma.tolist()]
    weight_of_class = scale * np.array(in_doubt) * totals
    return float(min(1.0, 0.25 * weight_of_class[totals > 0].min()))


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
        wanted = evaluation.split_metrics(estimator.eval_metric) or ["focal_loss"]
        # Computed here: metrics by name, of (labels, scores, probabilities, weights), and callables of the user's.
        self.own: list[tuple[str, Any]] = []
        self.by_name: set[int] = set()
        native: list[str] = []
        for metric in wanted:
            if callable(metric):
                self.own.append((metric.__name__, metric))
            elif (threshold := _error_threshold(metric)) is not None and n_classes == 2:
                self.by_name.add(len(self.own))
                self.own.append((metric, partial(evaluation.error_beyond, threshold)))
            elif metric == "focal_loss":
                self.own.append((metric, focal_metric))
            elif metric in PROBABILITY_METRICS and PROBABILITY_METRICS[metric][0][n_classes > 2]:
                self.by_name.add(len(self.own))
                self.own.append((metric, PROBABILITY_METRICS[metric][1]))
            elif metric in RANK_METRICS:
                native.append(metric)
            else:
                legal = [n for n, (fits, _) in PROBABILITY_METRICS.items() if fits[n_classes > 2]]
                raise evaluation.unknown_metric(metric, [*legal, *RANK_METRICS, "focal_loss"])
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
