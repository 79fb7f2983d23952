"""LightGBM's model file with the additional state of a focal model. May import ``_common``, this folder, LightGBM.

The state is a line among the parameters that LightGBM writes after the trees::

    [skfocal: ]: {"format": 1, "classes": ..., "gamma": 2.0, ...}

LightGBM (4.6, 4.7) does not change these lines. A booster that LightGBM loads and saves still has the line, and there
is no warning, because LightGBM reads it as a parameter without a value. If plain LightGBM continues the training, it
writes the parameters of that training, without the line. This is right, because the line no longer describes the model.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skfocal._common.files import complete_file
from skfocal._common.saved_state import SavedState, state_from_text, state_of, state_of_others
from skfocal._common.state import learning
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._interrupts import set_model
from skfocal.lightgbm._objective import FocalObjective
from skfocal.lightgbm._start import bake

KEY = "[skfocal: ]: "
LINE = re.compile(rf"^{re.escape(KEY)}.*\n", flags=re.MULTILINE)
END = "\nend of parameters\n"


# Methods of FocalLGBMClassifier


def save_model(self: Any, filename: Any, num_iteration: int | None = None) -> Any:
    """Save the model as LightGBM's text file, with labels, loss and ``calibration`` in it.

    ``lightgbm.Booster(model_file=...)`` reads the file as well and predicts the raw scores. `skfocal.FocalLoss`
    converts them to probabilities.

    Parameters
    ----------
    filename : str or PathLike
        Path of the file.
    num_iteration : int, default=None
        Number of iterations to save. None: up to the best iteration of early stopping, or all if there is none. <= 0:
        all.

    Returns
    -------
    self

    Raises
    ------
    ValueError
        If labels are objects other than strings.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from skfocal.lightgbm import FocalLGBMClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FocalLGBMClassifier(n_estimators=5, verbosity=-1).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.txt")
    ...     again = FocalLGBMClassifier().load_model(clf.save_model(path) and path)
    >>> bool((again.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    check_is_fitted(self)
    _save(self, filename, num_iteration)
    return self


def load_model(self: Any, filename: Any) -> Any:
    """Load a model that `save_model` saved. Of the parameters, only ``calibration`` is read from the file.

    Parameters
    ----------
    filename : str or PathLike
        Path of the file.

    Returns
    -------
    self

    Raises
    ------
    ValueError
        If the file was not saved by a FocalLGBMClassifier, or if its booster was trained further without one. The
        estimator is unchanged.
    """
    with learning(self) as model:
        state = _load(model, filename)
    self.calibration = state.calibration
    return self


def from_booster(
    cls: type[Any],
    /,
    booster: lgb.Booster,
    *,
    gamma: Any,
    alpha: Any = None,
    classes: ArrayLike | None = None,
    start: Any = None,
    calibration: Any = "focus",
    **params: Any,
) -> Any:
    """Create a classifier from a booster that ``lightgbm.train`` trained with a `FocalObjective`.

    Parameters
    ----------
    booster : lightgbm.Booster
        The trained booster. It is not changed.
    gamma, alpha
        Parameters of the objective.
    classes : array-like of shape (n_classes,), default=None
        Labels that belong to the class indices 0, 1, ... of the training. None: the indices are the labels.
    start : float or array-like of shape (n_classes,), default=None
        The ``init_score`` of all rows in training, which is not stored in the booster. It becomes part of the model.
        None: 0.
    calibration : {"focus", "full"} or None, default="focus"
        Correction of the probabilities, see ``FocalLGBMClassifier``.
    **params
        Other parameters of the classifier, which its next ``fit`` uses.

    Returns
    -------
    FocalLGBMClassifier

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here, if the number of classes does not match, or if the booster has one of
        LightGBM's own objectives.

    Examples
    --------
    >>> import lightgbm as lgb
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.lightgbm import FocalLGBMClassifier, FocalObjective
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> objective = FocalObjective(gamma=2.0)
    >>> start = objective.focal_loss.fit_intercept_only(y)
    >>> data = lgb.Dataset(X, y, init_score=np.full(len(y), start))
    >>> booster = lgb.train({"objective": objective, "verbosity": -1}, data, 20)
    >>> clf = FocalLGBMClassifier.from_booster(booster, gamma=2.0, classes=["malignant", "benign"], start=start)
    >>> str(clf.predict(X[:1])[0])
    'malignant'
    """
    classifier = cls(gamma, alpha, calibration=calibration, **params)
    classifier._check_focal_parameters()
    _take(classifier, booster, gamma, alpha, classes, calibration, start)
    return classifier


# Files


def with_state(model: str, state: SavedState) -> str:
    """The model's text with the state.

    Raises
    ------
    ValueError
        If a label cannot be restored from its text.
    """
    head, end, rest = LINE.sub("", model).rpartition(END)
    if not end:
        raise RuntimeError("LightGBM's model text has no parameters: skfocal.lightgbm needs to learn its new format")
    return f"{head}{KEY}{state.to_text()}\n{end}{rest}"


def with_state_of(classifier: Any, model: str) -> str:
    """The model's text with the classifier's state, if the labels can be saved. Other labels can be fitted, but not
    saved.
    """
    try:
        return with_state(model, _state(classifier))
    except ValueError:
        return LINE.sub("", model)


def _state(classifier: Any) -> SavedState:
    return state_of(
        classifier,
        classifier.classes_,
        start=np.asarray(classifier.intercept_).tolist(),
        feature_names=getattr(classifier, "_names_in", None),
        best_iteration=int(classifier.best_iteration_),
    )


def _save(classifier: Any, filename: Any, num_iteration: int | None) -> None:
    """Write the classifier's file."""
    text = with_state(classifier.booster_.model_to_string(num_iteration), _state(classifier))
    with complete_file(filename) as path:
        path.write_text(text, encoding="utf-8", newline="\n")


def _load(classifier: Any, filename: Any) -> SavedState:
    """Read the file into the classifier, which is a copy of the user's classifier."""
    path = Path(os.fspath(filename))
    legal = f"filename must be a model saved by FocalLGBMClassifier.save_model, got {str(path)!r}"
    try:
        model = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{legal}, which is no text") from None
    lines = LINE.findall(model)
    if not lines:
        is_model = model.startswith("tree\n") and END in model
        why = "a model that LightGBM trained last: see from_booster" if is_model else "no model of LightGBM, or cut off"
        raise ValueError(f"{legal}, which is {why}")
    try:
        state = state_from_text(lines[-1].removeprefix(KEY), more=("start", "feature_names", "best_iteration"))
        booster = lgb.Booster(model_str=model)
        _give(classifier, booster, state)
    except (ValueError, lgb.basic.LightGBMError) as error:
        raise ValueError(f"{legal}: {str(error)[:200]}") from error
    return state


def _give(classifier: Any, booster: lgb.Booster, state: SavedState) -> None:
    """Set the fitted attributes of the classifier from a booster and its state."""
    n_scores = _n_scores(state.classes)
    if booster.num_model_per_iteration() != n_scores:
        raise ValueError(
            f"booster must have {n_scores} trees an iteration for {state.classes.shape[0]} classes, got "
            f"{booster.num_model_per_iteration()}"
        )
    best = state.more["best_iteration"]
    booster.best_iteration = best if 0 < best <= booster.current_iteration() else -1
    state.give_to(classifier)
    classifier._set_labels(state.classes)
    classifier._class_weight = None
    classifier._Booster = booster
    classifier._best_iteration = max(0, booster.best_iteration)
    classifier._best_score, classifier._evals_result = {}, {}
    classifier._n_features = classifier._n_features_in = booster.num_feature()
    classifier._names_in = state.more["feature_names"]
    classifier._objective = FocalObjective(state.loss.gamma, state.loss.alpha, classifier.max_step)
    start = np.asarray(state.more["start"], dtype=np.float64)
    classifier.intercept_ = start if start.ndim else float(start)
    classifier.fitted_ = True


def _take(
    classifier: Any, booster: Any, gamma: Any, alpha: Any, classes: ArrayLike | None, calibration: Any, start: Any
) -> None:
    """Set the fitted attributes of the classifier from a booster of ``lightgbm.train``."""
    if not isinstance(booster, lgb.Booster):
        raise TypeError(f"booster must be a lightgbm.Booster, got {type(booster).__name__}")
    model = LINE.sub("", booster.model_to_string(num_iteration=-1))
    objective = re.search(r"^objective=(.*)$", model, flags=re.MULTILINE)
    if objective:
        raise ValueError(
            f"booster must have been trained with a FocalObjective, got one of LightGBM's objective {objective[1]!r}"
        )
    if booster.num_trees() == 0:
        raise ValueError("booster must have at least one tree, got 0")
    n_classes = max(2, booster.num_model_per_iteration())
    state = state_of_others(classes, n_classes, gamma, alpha, calibration)
    begin = _check_start(start, _n_scores(state.classes))
    names = booster.feature_name()
    more = {
        "start": begin.tolist(),
        "feature_names": None if names == [f"Column_{j}" for j in range(len(names))] else names,
        "best_iteration": max(0, booster.best_iteration),
    }
    text = bake(model, np.atleast_1d(begin)) if begin.any() else model
    _give(classifier, lgb.Booster(model_str=text), replace(state, more=more))
    set_model(classifier._Booster, with_state_of(classifier, text))


def _n_scores(classes: Array) -> int:
    return 1 if classes.shape[0] == 2 else classes.shape[0]


def _check_start(start: Any, n_scores: int) -> Array:
    """Scores at which training started, () or (n_scores,), float64."""
    legal = "start must be a finite number" if n_scores == 1 else f"start must be {n_scores} finite numbers"
    try:
        values = np.asarray(0.0 if start is None else start, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{legal}, got {start!r}") from error
    if start is None and n_scores > 1:
        values = np.zeros(n_scores)
    if n_scores == 1 and values.shape == (1,):
        values = values[0]
    if values.shape != (() if n_scores == 1 else (n_scores,)) or not np.isfinite(values).all():
        raise ValueError(f"{legal}, got {start!r}")
    return np.asarray(values)
