"""``with_native_objective``: models of the parents' own classes. May import ``_common``, and the library of a booster
when it gets a model of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skfocal._common.classifier import FocalClassifierMixin


def with_native_objective(model: Any) -> Any:
    """Convert a focal model to the parent's own class, with the same trees or coefficients.

    Some tools check for the parent's class, or for the name of an objective in the model file, and refuse a focal
    model: treelite, dtreeviz, supertree, lleaves, m2cgen, hummingbird. They accept the result of this function. m2cgen
    0.10.0 and hummingbird 0.4.12 compute wrong scores for all models of XGBoost 3, including ``XGBClassifier``. Use
    them with LightGBM.

    Parameters
    ----------
    model : estimator
        A fitted focal classifier. It is not changed.

    Returns
    -------
    estimator
        A fitted ``LGBMClassifier``, ``XGBClassifier``, ``LogisticRegression`` or ``HistGradientBoostingClassifier``.
        The labels of an ``XGBClassifier`` are indices into ``classes_`` of the focal model.

    Raises
    ------
    TypeError
        If the model is not a focal classifier.

    Notes
    -----
    **The probabilities of the result are the sigmoid or softmax of the scores**, as with ``calibration=None``, because
    the parents and the tools do not correct for the focal loss. To get the probabilities of the focal model, take the
    raw scores and convert them with `skfocal.FocalLoss`, or with the three lines of NumPy on the page "Save, load,
    deploy". The predicted classes are those of the focal model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skfocal.export import with_native_objective
    >>> from skfocal.linear_model import FocalLogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FocalLogisticRegression(focal_gamma=2.0).fit(X, y)
    >>> native = with_native_objective(clf)
    >>> type(native).__name__
    'LogisticRegression'
    >>> float(abs(native.decision_function(X) - clf.decision_function(X)).max())
    0.0
    """
    if not isinstance(model, FocalClassifierMixin):
        raise TypeError(f"model must be a focal classifier, got {type(model).__name__}")
    check_is_fitted(model)
    for base in type(model).__mro__:
        if base.__name__ in NATIVE:
            return NATIVE[base.__name__](model)
    raise TypeError(f"model must have a parent with an objective of its own, got {type(model).__name__}")


def _parameters(model: Any) -> dict[str, Any]:
    """Parameters of the model that the parent also has."""
    return {name: value for name, value in model.get_params().items() if name not in model.focal_parameters}


def _lightgbm(model: Any) -> Any:
    from lightgbm import Booster, LGBMClassifier

    K = model.n_classes_
    objective = "binary" if K == 2 else "multiclass"
    text = model.booster_.model_to_string()
    text = re.sub(r"^\[skfocal: .*\n", "", text, flags=re.MULTILINE)
    line = "objective=binary sigmoid:1" if K == 2 else f"objective=multiclass num_class:{K}"
    text = re.sub(r"^(max_feature_idx=.*)$", rf"\1\n{line}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^\[objective: .*\]$", f"[objective: {objective}]", text, count=1, flags=re.MULTILINE)
    native = LGBMClassifier(**_parameters(model) | {"objective": objective})
    # LightGBM has no public way to create a fitted classifier from a booster. Its fit sets these attributes.
    for name in ("_n_features", "_n_features_in", "_classes", "_n_classes", "_class_map", "_le", "_class_weight"):
        setattr(native, name, getattr(model, name))
    native._Booster, native._objective = Booster(model_str=text), objective
    native._best_iteration, native._best_score, native._evals_result = 0, {}, {}
    native._fitted_with_feature_names = getattr(model, "_names_in", None) is not None
    native.fitted_ = True
    return native


def _xgboost(model: Any) -> Any:
    from xgboost import XGBClassifier

    booster = model.get_booster().copy()
    booster.set_attr(skfocal=None, skfocal_trees=None)
    native = XGBClassifier(**_parameters(model))
    native.load_model(booster.save_raw())
    native.set_params(objective="binary:logistic" if model.n_classes_ == 2 else "multi:softprob")
    return native


def _linear(model: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    chosen = model.C_ if hasattr(model, "C_") else model.C
    native = LogisticRegression(C=chosen, fit_intercept=model.fit_intercept)
    native.classes_, native.n_features_in_ = model.classes_, model.n_features_in_
    native.coef_, native.intercept_, native.n_iter_ = model.coef_, model.intercept_, model.n_iter_
    if hasattr(model, "feature_names_in_"):
        native.feature_names_in_ = model.feature_names_in_
    return native


def _hist(model: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    native = HistGradientBoostingClassifier(**_parameters(model) | {"loss": "log_loss"})
    fitted = {name: value for name, value in vars(model).items() if name not in vars(native)}
    for name in ("focal_loss_", "class_weights_", *model.focal_parameters):
        fitted.pop(name, None)
    vars(native).update(fitted)
    native._loss = native._get_loss(sample_weight=None)  # its predict_proba needs it
    return native


NATIVE: dict[str, Callable[[Any], Any]] = {
    "FocalLGBMClassifier": _lightgbm,
    "FocalXGBClassifier": _xgboost,
    "FocalLogisticRegression": _linear,
    "FocalHistGradientBoostingClassifier": _hist,
}
"""Converters by class name, so that no library has to be imported for the look-up."""
