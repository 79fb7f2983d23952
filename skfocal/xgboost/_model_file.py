"""XGBoost's model file with the additional state of a focal model. May import ``_common``, this folder, XGBoost.

The state is an attribute of the booster, which is set before the first round. Every file of the booster therefore has
it, also those of ``xgboost.callback.TrainingCheckPoint`` and the result of ``save_raw``. Further training of the
booster copies its attributes. Therefore a second attribute contains the number of rounds and, after training, the
scores of a row of missing values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike

from skfocal._common.saved_state import (
    FORMAT,
    FORMAT_OF_LABELS,
    SavedState,
    state_from_text,
    state_of,
    state_of_others,
)
from skfocal._kernels.blocks import Array
from skfocal.xgboost._booster_in_training import raw_scores
from skfocal.xgboost._training import n_labels_of

STATE, TREES = "skfocal", "skfocal_trees"


def state_in_training(classifier: Any, classes: Array) -> StateInModel:
    """Callback that stores the state of the classifier in the booster, if its labels can be saved.

    Only callbacks see the booster between two rounds. Without any, it is enough to store the rounds at the end.
    """
    try:
        text = _state(classifier, classes).to_text()
    except ValueError:  # such labels can be fitted, but not saved
        text = None
    return StateInEachRound(text) if classifier.callbacks else StateInModel(text)


class StateInModel(xgb.callback.TrainingCallback):
    """Sets the attributes of the booster before and after training."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def before_training(self, model: Any) -> Any:
        # A model from which training continues can already have these attributes.
        model.set_attr(**{STATE: self.text, TREES: None})
        return model

    def after_training(self, model: Any) -> Any:
        self._store_rounds(model)
        return model

    def _store_rounds(self, model: Any) -> None:
        if self.text is not None:
            model.set_attr(**{TREES: json.dumps({"rounds": model.num_boosted_rounds()})})


class StateInEachRound(StateInModel):
    """Sets the attributes after each round as well. It precedes callbacks that write files."""

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._store_rounds(model)
        return False


def _state(classifier: Any, classes: Array) -> SavedState:
    return state_of(classifier, classes, missing=repr(float(classifier.missing)))  # JSON has no NaN


def put_state(classifier: Any) -> None:
    """Store the current state of the classifier in the trained booster.

    Raises
    ------
    ValueError
        If a label cannot be restored from its text.
    """
    booster = classifier.get_booster()
    text = _state(classifier, classifier.classes_).to_text()
    trees = {"rounds": booster.num_boosted_rounds(), "missing_row": _of_missing_row(booster).tolist()}
    booster.set_attr(**{STATE: text, TREES: json.dumps(trees)})


def put_state_if_it_can_be_told(classifier: Any) -> None:
    """`put_state`, except that nothing is stored if the labels cannot be saved."""
    try:
        put_state(classifier)
    except ValueError:
        classifier.get_booster().set_attr(**{STATE: None, TREES: None})


def _of_missing_row(booster: xgb.Booster) -> Array:
    """Scores of a row of missing values, (1,) or (n_classes,)."""
    row = xgb.DMatrix(
        np.full((1, booster.num_features()), np.nan, np.float32),
        feature_names=booster.feature_names,
        feature_types=booster.feature_types,
    )
    return raw_scores(booster, row).ravel()


def load(classifier: Any, fname: Any, load_parent: Callable[[Any], None]) -> SavedState:
    """Read the file into the classifier, which is a copy of the user's classifier and has no booster."""
    if not isinstance(fname, (str, os.PathLike, bytearray)):
        raise TypeError(f"fname must be a path, or a bytearray as of save_raw, got {type(fname).__name__}")
    shown = f"a bytearray of {len(fname)} bytes" if isinstance(fname, bytearray) else repr(os.fspath(fname))
    legal = f"fname must be a model saved by FocalXGBClassifier.save_model, got {shown}"
    try:
        load_parent(fname)
    except (xgb.core.XGBoostError, TypeError, ValueError) as error:
        # Only the first part of the message is kept, and not as the cause. XGBoost's messages contain the calls in C++.
        # For a truncated file they contain bytes that are not text, which raises a ValueError.
        first = str(error).partition("\n")[0]
        raise ValueError(f"{legal}, which XGBoost can't read: {first[:200]}") from None
    booster = classifier.get_booster()
    text = booster.attr(STATE)
    if text is None:
        raise ValueError(f"{legal}, which XGBoost trained alone: see from_booster")
    if not _has_the_trees_it_says(booster):
        raise ValueError(f"{legal}, whose trees are no longer those that it trained: see from_booster")
    try:
        state = state_from_text(text, more=("missing",), formats=(FORMAT, FORMAT_OF_LABELS))
        give(classifier, state)
    except ValueError as error:
        raise ValueError(f"{legal}: {error}") from error
    return state


def _has_the_trees_it_says(booster: xgb.Booster) -> bool:
    try:
        known = json.loads(booster.attr(TREES) or "{}")
    except ValueError:
        return False
    if known.get("rounds") != booster.num_boosted_rounds():
        return False
    # XGBoost sums in float32, in its own order.
    return "missing_row" not in known or np.allclose(known["missing_row"], _of_missing_row(booster), 1e-5, 1e-5)


def give(classifier: Any, state: SavedState) -> None:
    """Set the fitted attributes of a classifier that has a booster."""
    n_classes, n_labels = _n_classes(classifier.get_booster()), n_labels_of(classifier.get_booster())
    if state.classes.shape[0] != n_classes:
        raise ValueError(f"booster must have {state.classes.shape[0]} classes, got {n_classes}")
    if state.n_labels != n_labels:
        raise ValueError(f"booster must have {state.n_labels} labels per row, got {n_labels}")
    state.give_to(classifier)
    classifier._classes, classifier.n_classes_ = state.classes, n_classes


def _n_classes(booster: xgb.Booster) -> int:
    learner = json.loads(booster.save_config())["learner"]
    if (kind := learner["gradient_booster"]["name"]) == "gblinear":
        raise ValueError(f"booster must be of trees, got one of {kind}")
    return max(2, int(learner["learner_model_param"]["num_class"]))


def from_booster(
    cls: type[Any],
    /,
    booster: xgb.Booster,
    *,
    gamma: Any,
    alpha: Any = None,
    classes: ArrayLike | None = None,
    calibration: Any = "focus",
    **params: Any,
) -> Any:
    """Create a classifier from a booster that ``xgboost.train`` trained with a `FocalObjective`.

    Parameters
    ----------
    booster : xgboost.Booster
        The trained booster. It is not changed. Its start is its ``base_score``. If training started at a
        ``base_margin``, the booster does not contain these scores, and ``predict_proba`` needs them as well.
    gamma, alpha
        Parameters of the objective.
    classes : array-like of shape (n_classes,), default=None
        Labels that belong to the class indices 0, 1, ... of the training. None: the indices are the labels. With
        several labels per row, only None and [0, 1] are possible.
    calibration : {"focus", "full"} or None, default="focus"
        Correction of the probabilities, see ``FocalXGBClassifier``.
    **params
        Other parameters of the classifier. Its predictions use ``missing``, and its next ``fit`` uses all of them.

    Returns
    -------
    FocalXGBClassifier

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here, or if the number of classes does not match the booster.

    Examples
    --------
    >>> import xgboost as xgb
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.xgboost import FocalObjective, FocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> objective = FocalObjective(gamma=2.0)
    >>> params = {"objective": "binary:logistic", "base_score": objective.base_score(y)}
    >>> booster = xgb.train(params, xgb.DMatrix(X, y), 20, obj=objective)
    >>> clf = FocalXGBClassifier.from_booster(booster, gamma=2.0, classes=["malignant", "benign"])
    >>> str(clf.predict(X[:1])[0])
    'malignant'
    """
    if not isinstance(booster, xgb.Booster):
        raise TypeError(f"booster must be an xgboost.Booster, got {type(booster).__name__}")
    classifier = cls(gamma, alpha, calibration=calibration, **params)
    classifier._check_parameters()
    classifier._Booster = booster.copy()
    n_classes, n_labels = _n_classes(booster), n_labels_of(booster)
    give(classifier, state_of_others(classes, n_classes, gamma, alpha, calibration, n_labels=n_labels))
    put_state_if_it_can_be_told(classifier)
    return classifier
