"""Checks of the parameters of the PyTorch and Keras losses, which become numbers. May import ``_kernels`` and NumPy.

They differ from those of `skfocal.FocalLoss` in ``alpha``. A class may have the weight 0, as in
`torch.nn.CrossEntropyLoss`, and each label of a multi-label problem may have its own weights. Every message names the
parameter, the value that was given and the legal values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from skfocal._kernels.arguments import is_number

LEGAL_ALPHA = (
    "alpha must be None, a number in (0, 1) for two classes, or one number >= 0 per class, not all of them 0, got "
)
LEGAL_PAIR = (
    "alpha must be None, a number in (0, 1) for class 1, or the weights of class 0 and of class 1, each a number >= 0 "
    "or one per label, not all of them 0, got "
)


def check_alpha(alpha: Any) -> float | tuple[float, ...] | None:
    """Weights of K classes: None, one number in (0, 1), or a tuple of numbers >= 0."""
    if alpha is None:
        return None
    legal = f"{LEGAL_ALPHA}{alpha!r}"
    values = as_numbers(alpha, legal)
    if isinstance(values, float):
        return _check_share(values, legal)
    if any(isinstance(v, tuple) for v in values):
        raise TypeError(legal)
    if len(values) < 2:
        raise ValueError(legal)
    _check_weights(values, legal)
    return values


def check_alpha_pair(alpha: Any) -> float | tuple[Any, Any] | None:
    """Weights of two classes: None, one number in (0, 1), or the weights of class 0 and of class 1.

    Each of the two is a number, or one number per label in an equally nested sequence.
    """
    if alpha is None:
        return None
    legal = f"{LEGAL_PAIR}{alpha!r}"
    values = as_numbers(alpha, legal)
    if isinstance(values, float):
        return _check_share(values, legal)
    if len(values) != 2:
        raise ValueError(f"alpha must have one entry per class: got {len(values)} entries for 2 classes. {legal}")
    try:
        both = np.stack(np.broadcast_arrays(*values))
    except ValueError as error:
        raise ValueError(legal) from error
    _check_weights(both, legal)
    weights: tuple[Any, Any] = as_numbers(both, legal)  # type: ignore[assignment]  # of two entries
    return weights


def check_pos_weight(pos_weight: Any) -> float | tuple[Any, ...] | None:
    """None, a number >= 0, or one per label, nested or not."""
    if pos_weight is None:
        return None
    legal = (
        f"pos_weight must be None, a number > 0, or one number >= 0 per label, not all of them 0, got {pos_weight!r}"
    )
    values = as_numbers(pos_weight, legal)
    _check_weights(values, legal)
    return values


def check_as_many(gamma: Any, alpha: Any) -> None:
    """Check that gamma and alpha per class have the same number of classes."""
    if isinstance(gamma, tuple) and isinstance(alpha, tuple) and len(gamma) != len(alpha):
        raise ValueError(f"gamma and alpha must have as many entries, one per class: got {len(gamma)} and {len(alpha)}")


def per_class(name: str, value: Any, n_classes: int) -> tuple[Any, ...]:
    """``gamma`` or ``alpha``, checked before, of each class."""
    if value is None:
        return (1.0,) * n_classes
    if isinstance(value, tuple):
        if len(value) != n_classes:
            raise ValueError(f"{name} must have one entry per class: got {len(value)} entries for {n_classes} classes")
        return value
    if name == "gamma":
        return (value,) * n_classes
    check_share_is_for_two(value, n_classes)
    return 1.0 - value, value


def check_share_is_for_two(alpha: float, n_classes: int) -> None:
    """Check that a single number as ``alpha`` is used for two classes only."""
    if n_classes != 2:
        raise ValueError(
            f"alpha must be None or one number >= 0 per class for {n_classes} classes, got {alpha!r}: "
            "a single number is for two classes"
        )


def check_label_smoothing(label_smoothing: Any) -> float:
    """A number in [0, 1]."""
    legal = f"label_smoothing must be a number in [0, 1], got {label_smoothing!r}"
    if not is_number(label_smoothing):
        raise TypeError(legal)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(legal)
    return float(label_smoothing)


def as_numbers(value: Any, legal: str) -> float | tuple[Any, ...]:
    """One float, or tuples of floats, nested as they came."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if is_number(value):
        return float(value)
    if isinstance(value, (str, bytes, dict, set)) or not isinstance(value, Iterable):
        raise TypeError(legal)
    return tuple(as_numbers(v, legal) for v in value)


def _check_share(value: float, legal: str) -> float:
    if not 0 < value < 1:
        raise ValueError(legal)
    return value


def _check_weights(values: Any, legal: str) -> None:
    try:
        weights = np.asarray(values, dtype=np.float64)
    except ValueError as error:  # nested unevenly
        raise ValueError(legal) from error
    if not (weights.size and np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any()):
        raise ValueError(legal)
