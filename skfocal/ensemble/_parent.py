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
from collections.abc import Callable
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
    def _weigh(self, indices: Array, sample_weight: Array | None) -> tuple[Array | None, Callable[[Any], TrainingLoss]]:
        """The weights to train with, class weights included, and what makes the loss of the booster's own log loss.

        Raises what is wrong with labels or weights: nothing is trained yet, and ``classes_`` are known.
        """

    def _finalize_sample_weight(self, sample_weight: Array | None, y: Array) -> Array | None:
        total_weight, self._make_loss = self._weigh(y.astype(np.intp), sample_weight)
        return total_weight

    def _get_loss(self, sample_weight: Array | None) -> TrainingLoss:
        if "_make_loss" not in self.__dict__:
            raise _unknown_scikit_learn("_finalize_sample_weight")
        make_loss = self.__dict__.pop("_make_loss")
        loss: TrainingLoss = make_loss(super()._get_loss(sample_weight=sample_weight))
        return loss


def train(booster: BoosterOfAnyLoss, X: Any, y: Any, sample_weight: Array | None, **validation: Any) -> None:
    """The parent's ``fit``; ``validation`` are its arguments of held-out rows."""
    legal = signature(HistGradientBoostingClassifier.fit).parameters
    for name in validation:
        if name not in legal:
            raise TypeError(
                f"{name} must not be given with scikit-learn {sklearn.__version__}: held-out rows of your own need 1.7"
            )
    HistGradientBoostingClassifier.fit(booster, X, y, sample_weight, **validation)
    # Scoring by name leaves one of the booster's methods among its attributes: copies would predict with its trees.
    for name in [name for name, value in vars(booster).items() if getattr(value, "__self__", None) is booster]:
        delattr(booster, name)
    # A fitted booster holds no labels, and pickles of it name no private class of ours.
    loss = booster.__dict__.pop("_loss", None)
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
    booster.__dict__.update(deepcopy(learned, itself))


def _unknown_scikit_learn(name: str) -> RuntimeError:
    return RuntimeError(
        f"scikit-learn {sklearn.__version__} did not call {name} of FocalHistGradientBoostingClassifier, by which it "
        "is given the focal loss: this version of skfocal does not know it. Install an earlier scikit-learn"
    )
