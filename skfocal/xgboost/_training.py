"""What one ``FocalXGBClassifier.fit`` trains with. May import ``_common``, this folder and XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb

from skfocal._common.rows import Rows
from skfocal._kernels.blocks import Array
from skfocal.xgboost._evaluation import Metrics
from skfocal.xgboost._objective import FocalObjective
from skfocal.xgboost._start import LEAST_SHARE, base_score, default_min_child_weight


class Training:
    """Objective, weights and metrics, and the parameters of XGBoost that are ours to choose.

    ``is_continued``: whether training goes on from a model, which has its start already.
    """

    def __init__(self, model: Any, rows: Rows, *, is_continued: bool) -> None:
        loss, n_classes = model.focal_loss_, rows.classes.shape[0]
        scale = loss.scale_of_totals(rows.totals)
        # Class weights go in with the sample weights, for XGBoost also weighs its quantiles by them: "balanced" is
        # then the very model of the same weights given as sample_weight.
        self.objective = FocalObjective(loss.gamma, None, model.max_step, scale=scale)
        self.objective.one_training = True
        self.weight = _training_weight(rows, model.class_weights_)
        self.metrics = Metrics(model, n_classes)
        self.params: dict[str, Any] = dict(self.metrics.params)
        if model.base_score is None and not is_continued:
            self.params["base_score"] = base_score(
                loss.optimal_scores(np.maximum(rows.totals, LEAST_SHARE * rows.totals.sum()))
            )
        if model.min_child_weight is None:
            factor = scale * self.objective.hessian_factor(1 if n_classes == 2 else n_classes)
            totals = rows.totals * model.class_weights_
            self.params["min_child_weight"] = default_min_child_weight(loss, totals, factor)


def _training_weight(rows: Rows, class_weights: Array) -> Array | None:
    """Weights of the rows as XGBoost keeps them, (n,), float32, or None."""
    weight = None if rows.weight is None else rows.weight.astype(np.float32)
    if np.all(class_weights == 1.0):
        return weight
    with np.errstate(over="ignore", under="ignore"):
        of_classes = class_weights.astype(np.float32)
    if not (np.isfinite(of_classes).all() and (of_classes > 0).all()):
        raise ValueError(
            f"focal_alpha must have weights that fit float32 when their mean is 1, got {class_weights.tolist()}"
        )
    of_class: Array = of_classes[rows.indices]
    return of_class if weight is None else weight * of_class


def with_known_info(data: Any) -> Any:
    """The training data, with labels and weights looked up once: XGBoost asks for them each round, which takes longer
    than the derivatives of a thousand rows.
    """
    label, weight = data.get_label(), data.get_weight()
    data.get_label, data.get_weight = lambda: label, lambda: weight
    return data


def check_continuation(xgb_model: Any, classes: Array) -> None:
    """A model to continue from has to be of the same labels, if it knows its labels."""
    known = getattr(xgb_model, "classes_", None) if isinstance(xgb_model, xgb.XGBModel) else None
    if known is not None and known.tolist() != classes.tolist():
        raise ValueError(
            f"xgb_model must be of the labels of y, {classes.tolist()}, got a model of {known.tolist()}: give rows of "
            "all classes, if need be with a sample_weight of 0"
        )
