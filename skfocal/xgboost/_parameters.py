"""XGBoost's parameters that ``FocalXGBClassifier`` does not accept, and the messages about them."""

from __future__ import annotations

from typing import Any

from skfocal._common.rows import in_native_order

REPLACED_PARAMETERS = {
    "scale_pos_weight": "XGBoost ignores it here: use focal_alpha, for example {negative: 1, positive: weight}",
    "num_class": "the number of classes is that of y",
    "alpha": "did you mean focal_alpha? XGBoost's alpha is the L1 penalty, which is reg_alpha here",
    "disable_default_eval_metric": "the default metric here is the focal loss: give eval_metric to change it",
}
OWN_OBJECTIVES = (None, "binary:logistic", "multi:softprob")
"""Defaults of the parent, and the names that it writes into a loaded model. They name the link, not the loss."""


def check_parameters(model: Any) -> None:
    """Raise an error for parameters that have no effect or that the focal loss replaces."""
    if not (model.objective is None or model.objective in OWN_OBJECTIVES):
        raise ValueError(
            f"objective must not be given to FocalXGBClassifier, got {model.objective!r}: the focal loss is the "
            "objective: use focal_gamma and focal_alpha, or XGBClassifier for another objective"
        )
    # get_params is not used, because it draws from a random_state that is a generator.
    given = vars(model) | (getattr(model, "kwargs", None) or {})
    for name, advice in REPLACED_PARAMETERS.items():
        if given.get(name) is not None and not (name == "scale_pos_weight" and given[name] == 1):
            raise ValueError(f"{name} must not be given to FocalXGBClassifier, got {given[name]!r}: {advice}")
    if model.booster == "gblinear":
        raise ValueError(
            "booster must be 'gbtree' or 'dart', got 'gblinear': use FocalLogisticRegression for a linear model"
        )


def in_memory(X: Any) -> Any:
    """X in a form that both fit and predict of XGBoost accept: a LazyFrame of polars is collected, a series becomes a
    frame. Numbers get the byte order of this machine, because XGBoost ignores the byte order of a type.
    """
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        X = X.collect()
    return in_native_order(X.to_frame() if hasattr(X, "to_frame") and getattr(X, "ndim", 1) == 1 else X)


def with_text_names(X: Any) -> Any:
    """X for scikit-learn's check of the column names, which reads only the names and their number.

    If the names of a data frame are of several types, scikit-learn raises an error, and XGBoost converts them to
    strings. In this case the result is a frame without rows that has these strings as names. Otherwise it is X.
    """
    if not hasattr(X, "iloc") or len({isinstance(name, str) for name in X.columns}) < 2:
        return X
    return X.iloc[:0].set_axis([str(name) for name in X.columns], axis=1)


def is_array_like(X: Any) -> bool:
    """Whether X is a sparse matrix or NumPy can read it. XGBoost reads data frames and arrays on a GPU itself."""
    if hasattr(X, "columns") or hasattr(X, "__cuda_array_interface__"):
        return False
    return isinstance(X, (list, tuple)) or hasattr(X, "__array__") or hasattr(X, "tocsr")
