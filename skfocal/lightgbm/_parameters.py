"""LightGBM's parameters that ``FocalLGBMClassifier`` does not accept, and the messages about them."""

from __future__ import annotations

from typing import Any

# Parameters that another parameter replaces. LightGBM would ignore them, or they would conflict with the loss.
REPLACED_PARAMETERS = {
    **dict.fromkeys(
        ("objective", "objective_type", "app", "application", "loss"),
        "the focal loss is the objective: use focal_gamma and focal_alpha, or LGBMClassifier for another objective",
    ),
    **dict.fromkeys(
        ("is_unbalance", "unbalance", "unbalanced_sets"), "LightGBM ignores it here: use focal_alpha='balanced'"
    ),
    "scale_pos_weight": "LightGBM ignores it here: use focal_alpha, for example {negative: 1, positive: weight}",
    **dict.fromkeys(("num_class", "num_classes"), "the number of classes is that of y"),
    "sigmoid": "LightGBM ignores it here: scores have the plain sigmoid",
    "multi_error_top_k": "multi_error here is of the one class that predict decides for; give a callable instead",
    **dict.fromkeys(
        (
            f"{sign}_{name}"
            for sign in ("pos", "neg")
            for name in ("bagging_fraction", "sub_row", "subsample", "bagging")
        ),
        "LightGBM samples classes for its own binary objective only: use subsample and subsample_freq, and focal_alpha "
        "for the weights of the classes",
    ),
    "pred_early_stop": "LightGBM stops early for its own objectives only, and ignores it here",
    "gamma": "did you mean focal_gamma? LightGBM has no gamma; min_split_gain is what XGBoost calls so",
    "alpha": "did you mean focal_alpha? LightGBM's alpha is of other objectives; the L1 penalty is reg_alpha",
}

OWN_OBJECTIVE = "focal_loss"
"""Name of the objective. LightGBM has no objective of this name."""

BOOSTING_ALIASES = ("boosting_type", "boosting", "boost")
METRIC_ALIASES = ("metric", "metrics", "metric_types")


def is_true(value: Any) -> bool:
    """Value of a flag. LightGBM also accepts strings, in upper or lower case."""
    return value.lower() not in ("false", "-") if isinstance(value, str) else bool(value)


def check_parameters(params: dict[str, Any]) -> None:
    """Raise an error for parameters that have no effect or that the focal loss replaces."""
    for name, advice in REPLACED_PARAMETERS.items():
        value = params.get(name)
        is_off = value is None or value is False or (isinstance(value, str) and not is_true(value))
        is_own = (name, value) in (("scale_pos_weight", 1), ("objective", OWN_OBJECTIVE))
        if not (is_off or is_own):
            raise ValueError(f"{name} must not be given to FocalLGBMClassifier, got {value!r}: {advice}")
    for name in BOOSTING_ALIASES:
        if params.get(name) in ("rf", "random_forest"):
            raise ValueError(
                f"{name} must be 'gbdt' or 'dart', got {params[name]!r}: LightGBM's random forest takes no custom "
                "objective"
            )


def uses_dart(params: dict[str, Any]) -> bool:
    """Whether the boosting type is DART."""
    return any(params.get(name) == "dart" for name in BOOSTING_ALIASES)
