"""Objective, weights, metrics and parameters of one ``FocalXGBClassifier.fit``. May import ``_common``, this folder and
XGBoost.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost as xgb

from skfocal._common.rows import Rows
from skfocal._kernels.blocks import Array
from skfocal.xgboost._bins import bin_weights
from skfocal.xgboost._evaluation import Metrics
from skfocal.xgboost._objective import FocalObjective
from skfocal.xgboost._start import LEAST_SHARE, base_score, default_min_child_weight


class Training:
    """Objective, weights and metrics, and the parameters of XGBoost that skfocal sets.

    ``is_continued`` says whether training continues from a model, which has its own start.
    """

    def __init__(self, model: Any, rows: Rows, *, is_continued: bool) -> None:
        loss, n_classes = model.focal_loss_, rows.classes.shape[0]
        scale = loss.scale_of_totals(rows.totals)
        # Class weights are multiplied with the sample weights, because XGBoost also uses these for its quantiles. With
        # "balanced" the model is then identical to one with the same weights given as sample_weight.
        self.objective: Any = FocalObjective(loss.gamma, None, model.max_step, scale=scale)
        self.objective.one_training = True
        self.indices, self.weight = rows.indices, training_weight(rows.weight, rows.indices, model.class_weights_)
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

    def bin_weight(self, *, is_balanced: bool) -> Array | None:
        """Weights by which the columns are binned, (n,), or None."""
        return bin_weights(self.indices, self.weight) if is_balanced else self.weight


def training_weight(sample_weight: Array | None, indices: Array, class_weights: Array) -> Array | None:
    """Row weights as XGBoost stores them, (n,), float32, or None."""
    weight = None if sample_weight is None else sample_weight.astype(np.float32)
    if np.all(class_weights == 1.0):
        return weight
    with np.errstate(over="ignore", under="ignore"):
        of_classes = class_weights.astype(np.float32)
    if not (np.isfinite(of_classes).all() and (of_classes > 0).all()):
        raise ValueError(
            f"focal_alpha must have weights that fit float32 when their mean is 1, got {class_weights.tolist()}"
        )
    of_class: Array = of_classes[indices]
    return of_class if weight is None else weight * of_class


def n_labels_of(booster: xgb.Booster) -> int:
    """Number of labels per row of the booster."""
    known = json.loads(booster.save_config())["learner"]["learner_model_param"]
    return max(1, int(known.get("num_target", 1)))


def check_continuation(xgb_model: Any, classes: Array, n_labels: int = 1) -> None:
    """Raise an error if the model from which training continues has other labels."""
    booster = getattr(xgb_model, "_Booster", xgb_model)
    if isinstance(booster, xgb.Booster) and (n_known := n_labels_of(booster)) != n_labels:
        raise ValueError(f"xgb_model must be of as many labels per row as y, {n_labels}, got a model of {n_known}")
    known = getattr(xgb_model, "classes_", None) if isinstance(xgb_model, xgb.XGBModel) else None
    if known is not None and known.tolist() != classes.tolist():
        raise ValueError(
            f"xgb_model must be of the labels of y, {classes.tolist()}, got a model of {known.tolist()}: give rows of "
            "all classes, if need be with a sample_weight of 0"
        )
