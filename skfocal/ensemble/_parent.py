"""The only file that uses private names of scikit-learn's booster. May import ``_loss`` and scikit-learn.

``HistGradientBoostingClassifier`` documents one loss. There is no public way to give it another one, so these four
private names are used:

* ``_finalize_sample_weight(sample_weight, y)``. ``fit`` calls it to get the training weights, after it has encoded the
  labels and before it asks for the loss;
* ``_get_loss(sample_weight)``. ``fit`` calls it to get the loss, and the parent's version returns the log loss;
* the members of ``sklearn._loss.loss.BaseLoss`` that ``fit`` and `TrainingLoss` call;
* ``_loss``, the attribute in which ``fit`` stores the loss.

If one of them is missing, `train` raises an error, so that no model is trained with the wrong loss.
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
    """The booster with a loss that a subclass makes from labels and weights."""

    @abstractmethod
    def _weigh(self, indices: Array, sample_weight: Array | None) -> tuple[Array | None, Callable[[Any], TrainingLoss]]:
        """The training weights, including class weights, and a function that makes the loss from the booster's log
        loss.

        Errors of labels and weights are raised here, because ``classes_`` are known and no training has started.
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
    """Call the parent's ``fit``. ``validation`` contains its arguments for held-out rows."""
    legal = signature(HistGradientBoostingClassifier.fit).parameters
    for name in validation:
        if name not in legal:
            raise TypeError(
                f"{name} must not be given with scikit-learn {sklearn.__version__}: held-out rows of your own need 1.7"
            )
    HistGradientBoostingClassifier.fit(booster, X, y, sample_weight, **validation)
    # With a named scorer, ``fit`` stores a bound method as an attribute; copies would then predict with the trees of
    # the original.
    for name in [name for name, value in vars(booster).items() if getattr(value, "__self__", None) is booster]:
        delattr(booster, name)
    # A fitted booster should not contain the labels, and its pickle should not name a private class.
    loss = booster.__dict__.pop("_loss", None)
    if not isinstance(loss, TrainingLoss):
        raise _unknown_scikit_learn("_get_loss")
    if not loss.was_asked:
        raise _unknown_scikit_learn("init_gradient_and_hessian")


def detach(booster: BoosterOfAnyLoss) -> None:
    """Copy the objects that a fit with ``warm_start`` appends to, because another estimator may share them.

    All learned attributes are copied, so that the private names of the lists of trees and of the random generator are
    not needed.
    """
    parameters = booster.get_params(deep=False)
    itself = {id(value): value for value in parameters.values()}  # a callable scoring must not be copied
    learned = {name: value for name, value in vars(booster).items() if name not in parameters}
    booster.__dict__.update(deepcopy(learned, itself))


def _unknown_scikit_learn(name: str) -> RuntimeError:
    return RuntimeError(
        f"scikit-learn {sklearn.__version__} did not call {name} of FocalHistGradientBoostingClassifier, by which it "
        "is given the focal loss: this version of skfocal does not know it. Install an earlier scikit-learn"
    )
