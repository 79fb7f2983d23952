"""Which of XGBoost's parameters ``FocalXGBClassifier`` takes, and what it says of the others."""

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
"""Defaults of the parent, and what it writes into a loaded model: they name the link, not the loss."""


def check_parameters(model: Any) -> None:
    """No parameter without an effect, none that the focal loss replaces."""
    if not (model.objective is None or model.objective in OWN_OBJECTIVES):
        raise ValueError(
            f"objective must not be given to FocalXGBClassifier, got {model.objective!r}: the focal loss is the "
            "objective: use focal_gamma and focal_alpha, or XGBClassifier for another objective"
        )
    # Not get_params, which draws from a random_state that is a generator.
    given = vars(model) | (getattr(model, "kwargs", None) or {})
    for name, advice in REPLACED_PARAMETERS.items():
        if given.get(name) is not None and not (name == "scale_pos_weight" and given[name] == 1):
            raise ValueError(f"{name} must not be given to FocalXGBClassifier, got {given[name]!r}: {advice}")
    if model.booster == "gblinear":
        raise ValueError(
            "booster must be 'gbtree' or 'dart', got 'gblinear': use FocalLogisticRegression for a linear model"
        )


def in_memory(X: Any) -> Any:
    """X as XGBoost takes it in fit and in predict alike: a polars LazyFrame collected, a series as one column, bytes in
    this machine's order, in which XGBoost reads them whatever their type says.
    """
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        X = X.collect()
    return in_native_order(X.to_frame() if hasattr(X, "to_frame") and getattr(X, "ndim", 1) == 1 else X)


def is_array_like(X: Any) -> bool:
    """Whether NumPy can read X, or it is a sparse matrix; a data frame or an array on a GPU is for XGBoost to read."""
    if hasattr(X, "columns") or hasattr(X, "__cuda_array_interface__"):
        return False
    return isinstance(X, (list, tuple)) or hasattr(X, "__array__") or hasattr(X, "tocsr")
