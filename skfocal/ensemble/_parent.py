"""The one place where private names of scikit-learn's booster are reached. May import ``_loss`` and scikit-learn.

``HistGradientBoostingClassifier`` documents one loss. Another comes in by four private names, for which there is no
public way:

* ``_finalize_sample_weight(sample_weight, y)``, which ``fit`` calls for the weights to train with, once labels are
  indices and before it asks for the loss;
* ``_get_loss(sample_weight)``, which ``fit`` calls for the loss, and whose own answer is its log loss;
* what ``fit`` calls of the loss, and `TrainingLoss` of the log loss: members of ``sklearn._loss.loss.BaseLoss``;
* ``_loss``, where ``fit`` leaves it.

Where one of them is gone `train` raises an error: no fit with another loss is handed out.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import deepcopy
from inspect import signature
from typing import Any

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier

from skfocal._kernels.blocks import Array
from skfocal.ensemble._loss import TrainingLoss


class BoosterOfAnyLoss(HistGradientBoostingClassifier):
    """The booster, with a loss that a subclass makes of labels and weights."""

    @abstractmethod
    def _total_weight(self, indices: Array, sample_weight: Array | None) -> Array | None:
        """The weights to train with, class weights included. Raises what is wrong with the labels, too."""

    @abstractmethod
    def _make_loss(self, indices: Array, total_weight: Array | None, log_loss: Any) -> TrainingLoss:
        """The loss for labels and weights; ``log_loss`` is the booster's own."""

    def _finalize_sample_weight(self, sample_weight: Array | None, y: Array) -> Array | None:
        self._indices_in_training = y.astype(np.intp)
        return self._total_weight(self._indices_in_training, sample_weight)

    def _get_loss(self, sample_weight: Array | None) -> TrainingLoss:
        if not hasattr(self, "_indices_in_training"):
            raise _unknown_scikit_learn("_finalize_sample_weight")
        log_loss = super()._get_loss(sample_weight=sample_weight)
        return self._make_loss(self._indices_in_training, sample_weight, log_loss)


def train(booster: BoosterOfAnyLoss, X: Any, y: Any, sample_weight: Array | None, **validation: Any) -> None:
    """The parent's ``fit``; ``validation`` are its arguments of held-out rows."""
    legal = signature(HistGradientBoostingClassifier.fit).parameters
    for name in validation:
        if name not in legal:
            raise TypeError(
                f"{name} must not be given with scikit-learn {sklearn.__version__}: held-out rows of your own need 1.7"
            )
    HistGradientBoostingClassifier.fit(booster, X, y, sample_weight, **validation)
    # Scoring by name leaves a method of the booster among its attributes, where a copy of it would find another's trees.
    for name in [name for name, value in vars(booster).items() if getattr(value, "__self__", None) is booster]:
        delattr(booster, name)
    # A fitted booster holds no labels, and pickles of it name no private class of ours.
    vars(booster).pop("_indices_in_training", None)
    loss = vars(booster).pop("_loss", None)
    if not isinstance(loss, TrainingLoss):
        raise _unknown_scikit_learn("_get_loss")
    if not loss.was_asked:
        raise _unknown_scikit_learn("init_gradient_and_hessian")


def detach(booster: BoosterOfAnyLoss) -> None:
    """Copy what a fit with ``warm_start`` appends to, so that another estimator may share it until now.

    That is whatever was learned, rather than the private names of the lists of trees and of the random generator.
    """
    parameters = booster.get_params(deep=False)
    itself = {id(value): value for value in parameters.values()}  # a callable scoring is no copy of it
    learned = {name: value for name, value in vars(booster).items() if name not in parameters}
    vars(booster).update(deepcopy(learned, itself))


def _unknown_scikit_learn(name: str) -> RuntimeError:
    return RuntimeError(
        f"scikit-learn {sklearn.__version__} did not call {name} of FocalHistGradientBoostingClassifier, by which it "
        "is given the focal loss: this version of skfocal does not know it. Install an earlier scikit-learn"
    )
