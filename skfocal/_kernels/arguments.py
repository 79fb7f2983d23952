"""Checks and conversion of the arguments of public functions. May import NumPy.

Every message names the parameter, the value that was given and the legal values.
"""

from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from skfocal._kernels.blocks import Array

Calibration: TypeAlias = Literal["focus", "full"] | None

CALIBRATIONS = ("focus", "full", None)


def is_number(value: Any) -> bool:
    """Whether the value is a real number that float64 can hold, and not a bool."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        return False
    try:
        float(value)
    except OverflowError:  # only for integers and fractions; floats become infinite
        return False
    return True


MAX_GAMMA = 100.0
"""Largest gamma. At the score 0, q**gamma is 2**-100. This number and its inverse, which is the scale of the loss in
training, are far enough from the limits of float32 for derivatives and weights. Such a large gamma is not useful: at
gamma 10, a row with p = 0.5 already has a weight of a thousandth."""


def check_gamma(gamma: Any, name: str = "gamma") -> float | tuple[float, ...]:
    """One number from 0 to `MAX_GAMMA`, or a tuple of them, one per class."""
    legal = f"{name} must be a number >= 0 or one per class, got {_shown(gamma)}"
    values = _floats(gamma, legal)
    if not all(g >= 0 for g in _as_tuple(values)):
        raise ValueError(legal)
    if not all(g <= MAX_GAMMA for g in _as_tuple(values)):
        raise ValueError(f"{name} must be at most {MAX_GAMMA:g}, got {_shown(gamma)}")
    return values


def _shown(value: Any) -> str:
    """A value for an error message, shortened to one line."""
    if isinstance(value, np.ndarray) and value.size > 20:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_alpha(alpha: Any, name: str = "alpha") -> float | tuple[float, ...] | None:
    """None, one number in (0, 1), or a tuple of positive numbers, one per class."""
    if alpha is None:
        return None
    legal = f"{name} must be None, a number in (0, 1) for two classes, or one number > 0 per class, got {_shown(alpha)}"
    values = _floats(alpha, legal)
    if isinstance(values, float):
        if not 0 < values < 1:
            raise ValueError(legal)
    elif not all(np.isfinite(a) and a > 0 for a in values):
        raise ValueError(legal)
    return values


def _as_tuple(values: float | tuple[float, ...]) -> tuple[float, ...]:
    return (values,) if isinstance(values, float) else values


def _floats(value: Any, legal: str) -> float | tuple[float, ...]:
    if is_number(value):
        return float(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return _floats(value[()], legal)
    if isinstance(value, (str, bytes, dict, set)) or not isinstance(value, Iterable):
        raise TypeError(legal)
    values = list(value)
    if not all(is_number(v) for v in values):
        raise TypeError(legal)
    if len(values) < 2:
        raise ValueError(legal)
    return tuple(float(v) for v in values)


def check_calibration(calibration: Any) -> Calibration:
    """'focus', 'full' or None."""
    if not (calibration is None or (isinstance(calibration, str) and calibration in CALIBRATIONS)):
        raise ValueError(f"calibration must be 'focus', 'full' or None, got {calibration!r}")
    result: Calibration = calibration  # type: ignore[assignment]  # narrowed by the line above
    return result


def check_raw_prediction(raw_prediction: ArrayLike) -> Array:
    """Finite scores, (n,) for two classes or (n, K); float32 stays, everything else becomes float64."""
    raw = as_raw_prediction(raw_prediction)
    if not np.isfinite(raw).all():
        raise ValueError("raw_prediction must be finite, got NaN or infinity")
    return raw


def as_raw_prediction(raw_prediction: ArrayLike) -> Array:
    """`check_raw_prediction` without the check of the values: only shape and dtype are checked."""
    raw = np.asarray(raw_prediction)
    if raw.dtype != np.float32:
        try:
            raw = raw.astype(np.float64, copy=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"raw_prediction must be numeric, got dtype {raw.dtype}") from error
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.ndim not in (1, 2) or raw.shape[1:] == (0,):
        raise ValueError(f"raw_prediction must have shape (n,) or (n, n_classes), got {raw.shape}")
    if raw.shape[0] == 0:
        raise ValueError("raw_prediction must have at least one row, got 0")
    return raw


def as_labels(y_true: ArrayLike, n_rows: int | None = None) -> Array:
    """Numbers that can be class indices, (n,). Shape and dtype are checked, but not the values."""
    y = np.asarray(y_true)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"y_true must have shape (n,), one label per row, got {y.shape}")
    if n_rows is not None and y.shape[0] != n_rows:
        raise ValueError(f"y_true must have one label per row of raw_prediction: got {y.shape[0]} and {n_rows}")
    if y.shape[0] == 0:
        raise ValueError("y_true must have at least one label, got 0")
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y_true must hold class indices 0, 1, ..., got dtype {y.dtype}")
    return y


def check_y_true(y_true: ArrayLike, n_classes: int | None = None) -> Array:
    """Class indices 0 .. n_classes - 1 as intp, (n,)."""
    y = as_labels(y_true)
    with np.errstate(invalid="ignore"):
        indices = y.astype(np.intp, copy=False)
    # NaN fails every comparison. Each comparison is written so that NaN raises the error.
    is_whole = y.dtype.kind != "f" or np.array_equal(indices, y)
    if not (y.min() >= 0 and is_whole and (n_classes is None or y.max() < n_classes)):
        top = "n_classes - 1" if n_classes is None else n_classes - 1
        is_index = (y >= 0) & (indices == y) & (y < (np.inf if n_classes is None else n_classes))
        raise ValueError(f"y_true must hold class indices 0 .. {top}, got {y[~is_index][0].item()!r}")
    return indices


def check_sample_weight(
    sample_weight: ArrayLike | None, n_rows: int, dtype: Any, name: str = "sample_weight"
) -> Array | None:
    """Finite weights >= 0 that are not all zero, (n,), or None. A column (n, 1) becomes (n,)."""
    if sample_weight is None:
        return None
    given = np.asarray(sample_weight)
    if given.dtype.kind == "c":
        raise TypeError(f"{name} must be real numbers, got dtype {given.dtype}")
    try:
        with np.errstate(over="ignore"):  # infinite results are refused below
            weight = given.astype(dtype, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numeric, got {_shown(sample_weight)}") from error
    if weight.ndim == 0:
        weight = np.full(n_rows, weight)
    if weight.shape == (n_rows, 1):
        weight = weight[:, 0]
    if weight.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), one weight per row, got {weight.shape}")
    total = weight.sum(dtype=np.float64)
    if not np.isfinite(total) or weight.min() < 0:
        raise ValueError(f"{name} must be finite numbers >= 0, got a negative number, NaN or infinity")
    if total == 0:
        raise ValueError(f"{name} must hold at least one number > 0, got zeros only")
    return weight
