"""Objective, start and bins of one ``FocalLGBMClassifier.fit``. May import ``_common``, this folder and LightGBM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightgbm as lgb

from skfocal._common.rows import Rows
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._bins import bins_file
from skfocal.lightgbm._objective import FocalObjective


class Training:
    """Objective, start and column names, and the file of bins while it exists."""

    def __init__(self, model: Any, rows: Rows) -> None:
        loss = model.focal_loss_
        scale = loss.scale_of_totals(rows.totals)
        self.objective = FocalObjective(loss.gamma, loss.alpha, max_step=model.max_step, scale=scale)
        self.objective.one_training = True
        self.start: Any = loss.optimal_scores(rows.totals)
        self.starts_here = False
        """Whether training starts at ``start``, which then becomes part of the model."""
        self.names_in: list[str] | None = None
        self.balanced_bins = model.balanced_bins
        self.bins_file: str | None = None

    @contextmanager
    def bins(self, X: Any, rows: Rows, *arguments: Any) -> Iterator[None]:
        """Context in which ``bins_file`` exists if the bins are balanced. ``arguments`` are those of `bins_file`."""
        if not self.balanced_bins:
            yield
            return
        with bins_file(X, rows.indices, rows.weight, *arguments) as self.bins_file:
            yield


def check_continuation(init_model: Any, classes: Array) -> Any:
    """The model from which training continues; a file is read. It must have the same labels, or the same number of
    classes if it does not know its labels.
    """
    if init_model is None:
        return None
    if isinstance(init_model, lgb.LGBMModel) and (known := getattr(init_model, "classes_", None)) is not None:
        if known.tolist() != classes.tolist():
            raise ValueError(
                f"init_model must be of the labels of y, {classes.tolist()}, got a model of {known.tolist()}: give "
                "rows of all classes, if need be with a sample_weight of 0"
            )
        return init_model
    if isinstance(init_model, (str, os.PathLike)):
        init_model = lgb.Booster(model_file=init_model)
    booster = init_model.booster_ if isinstance(init_model, lgb.LGBMModel) else init_model
    if not isinstance(booster, lgb.Booster):
        raise TypeError(f"init_model must be a model, a booster or the path of a model file, got {init_model!r}")
    n_scores = 1 if classes.shape[0] == 2 else classes.shape[0]
    if booster.num_model_per_iteration() != n_scores:
        raise ValueError(
            f"init_model must have {n_scores} trees an iteration for the labels of y, {classes.tolist()}, got "
            f"{booster.num_model_per_iteration()}"
        )
    return init_model
