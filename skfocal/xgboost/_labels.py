"""Several labels per row in ``FocalXGBClassifier``. Each label has an objective, weights and a start of its own. May
import ``_common``, this folder and XGBoost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skfocal._common import several_labels
from skfocal._common.classifier import check_focal_alpha
from skfocal._common.objective import FocalMetricBase
from skfocal._common.rows import Rows
from skfocal._common.several_labels import RowsOfLabels
from skfocal._kernels.arguments import check_calibration
from skfocal._kernels.blocks import Array
from skfocal.xgboost._attributes import SettableAttributes
from skfocal.xgboost._bins import bin_weights
from skfocal.xgboost._evaluation import Metrics
from skfocal.xgboost._objective import FocalObjective, by_column
from skfocal.xgboost._start import LEAST_SHARE, base_scores, default_min_child_weight
from skfocal.xgboost._training import Training, training_weight


class SeveralLabelsMixin(SettableAttributes):
    """Loss, predictions and probabilities of one label or several labels per row.

    With several labels, ``focal_loss_`` is a tuple with one loss per label.
    """

    focal_loss_: Any

    def _check_focal_alpha(self) -> None:
        if several_labels.is_alpha_of_labels(self.focal_alpha):
            for entry in self.focal_alpha:
                check_focal_alpha(entry)
        else:
            super()._check_focal_alpha()

    def _learn_loss(self, rows: Rows | RowsOfLabels) -> None:
        if isinstance(rows, RowsOfLabels):
            self.focal_loss_, self.class_weights_ = several_labels.resolve_losses(
                self.focal_gamma, self.focal_alpha, rows
            )
        else:
            self.focal_loss_ = self._build_loss(rows.classes, rows.indices, rows.weight, rows.outer_weights)

    def _labels(self, raw: Array) -> Array:
        if not isinstance(self.focal_loss_, tuple):
            return super()._labels(raw)
        labels: Array = self.classes_[(raw > 0).astype(np.intp)]
        return labels

    def _probabilities(self, raw: Array) -> Array:
        if not isinstance(self.focal_loss_, tuple):
            return super()._probabilities(raw)
        calibration = check_calibration(self.calibration)
        pairs = several_labels.probability_pairs(self.focal_loss_, self.class_weights_, raw, calibration)
        return np.ascontiguousarray(pairs[:, :, 1])


class _ObjectiveOfLabels:
    """Objective of all labels: one objective per label, each with its own row weights."""

    def __init__(self, objectives: list[FocalObjective], weights: list[Array | None]) -> None:
        self.objectives, self.weights = objectives, weights

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        return by_column(self.objectives, y_true, y_pred, self.weights)


class TrainingOfLabels(Training):
    """`Training` of several labels. Weights, scales and starts exist for each label."""

    def __init__(self, model: Any, rows: RowsOfLabels, *, is_continued: bool) -> None:
        losses, class_weights = model.focal_loss_, model.class_weights_
        self.indices, self.has_class_weights = rows.indices, bool(np.any(class_weights != 1.0))
        # XGBoost has one weight per row, but class weights differ between labels. It therefore gets sample_weight only.
        self.weight = training_weight(rows.weight, rows.indices[:, 0], np.ones(2))
        self.weights = [training_weight(rows.weight, *pair) for pair in zip(rows.indices.T, class_weights, strict=True)]
        scales = [loss.scale_of_totals(totals) for loss, totals in zip(losses, rows.totals, strict=True)]
        objectives = [
            FocalObjective(loss.gamma, None, model.max_step, scale=scale)
            for loss, scale in zip(losses, scales, strict=True)
        ]
        for objective in objectives:
            objective.one_training = True
        self.objective = _ObjectiveOfLabels(objectives, self.weights)
        self.metrics = MetricsOfLabels(model, 2)
        self.params = dict(self.metrics.params)
        if model.base_score is None and not is_continued:
            self.params["base_score"] = base_scores(
                loss.optimal_scores(np.maximum(totals, LEAST_SHARE * totals.sum()))
                for loss, totals in zip(losses, rows.totals, strict=True)
            )
        if model.min_child_weight is None:
            # XGBoost has one number for the trees of all labels, so it is the smallest of the labels' defaults.
            self.params["min_child_weight"] = min(
                default_min_child_weight(loss, totals * weights, scale)
                for loss, totals, weights, scale in zip(losses, rows.totals, class_weights, scales, strict=True)
            )

    def bin_weight(self, *, is_balanced: bool) -> Array | None:
        """Weights by which the columns are binned, (n,), or None.

        The weight of a row is the mean, over the labels, of its weight in a model of this label alone. Each label
        therefore has an equal share of the bins. If all labels are identical, the bins are those of one label. Other
        rules were no better, see docs/evidence.md.
        """
        if not is_balanced and not self.has_class_weights:
            return self.weight
        total = np.zeros(len(self.indices))
        for column, weight in zip(self.indices.T, self.weights, strict=True):
            total += bin_weights(column, weight) if is_balanced else 1.0 if weight is None else weight
        total /= len(self.weights)
        return total


class MetricsOfLabels(Metrics):
    """`Metrics` of several labels. Named metrics are means over rows and labels, as in XGBoost."""

    native_names: tuple[str, ...] = ()  # XGBoost computes its rank metrics for one label only

    def _set_loss(self, estimator: Any) -> None:
        self.losses, self.class_weights = estimator.focal_loss_, estimator.class_weights_
        self.focal_metric = _FocalMetricOfLabels(self.losses)

    def __call__(self, raw: Array, data: Any) -> list[tuple[str, float]]:
        y, weight = data.get_label(), data.get_weight()
        keywords = {"sample_weight": weight} if weight.size else {}
        pairs = several_labels.probability_pairs(self.losses, self.class_weights, raw, self.calibration)
        # For a named metric, each label of each row counts as a row.
        flat = y.ravel().astype(np.intp), raw.ravel(), pairs.reshape(-1, 2)
        flat_weight = np.repeat(weight, raw.shape[1]) if weight.size else None
        values = []
        for i, (name, metric) in enumerate(self.own):
            if i in self.by_name:
                values.append((name, metric(*flat, flat_weight)))
                continue
            prediction = raw if isinstance(metric, FocalMetricBase) else pairs[:, :, 1]
            values.append((name, metric(y, prediction, **keywords)))
        return values


class _FocalMetricOfLabels(FocalMetricBase):
    """The mean over the labels of their focal losses."""

    def __init__(self, losses: tuple[Any, ...]) -> None:
        self.losses = losses

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        return several_labels.mean_loss_of_labels(self.losses, y_true, y_pred, sample_weight)


def rows_of(X: Any, y: Any, sample_weight: Any) -> Rows | RowsOfLabels:
    """The checked rows of one fit, with one label or several labels per row."""
    return RowsOfLabels(X, y, sample_weight) if several_labels.has_several_labels(y) else Rows(X, y, sample_weight)


def training_of(model: Any, rows: Rows | RowsOfLabels, *, is_continued: bool) -> Training:
    """The `Training` of the model for these rows."""
    if isinstance(rows, RowsOfLabels):
        return TrainingOfLabels(model, rows, is_continued=is_continued)
    return Training(model, rows, is_continued=is_continued)
