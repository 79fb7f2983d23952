"""Shapes, values and logarithms of tensors on any of Keras's backends. May import Keras and NumPy."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
from keras import ops

try:
    # Private, because there is no public way for a loss to exclude elements from a mean. Keras's own losses use it.
    from keras.src.backend import set_keras_mask
except ImportError:  # ignore_class is refused in this case
    set_keras_mask = None

FAR = -1000.0
"""Below this logarithm p is 0 even in float64, and the loss equals cross-entropy for any gamma."""


# Shapes


def same_rank(y: Any, z: Any) -> tuple[Any, Any]:
    """Both tensors with the same number of dimensions, at least 1. As in Keras's own losses, a last dimension of 1 may
    be missing.
    """
    if len(y.shape) == len(z.shape) == 1:
        return ops.expand_dims(y, -1), ops.expand_dims(z, -1)
    longer = y if len(y.shape) > len(z.shape) else z
    if abs(len(y.shape) - len(z.shape)) != 1 or longer.shape[-1] != 1:
        return y, z
    if len(longer.shape) == 2:
        return tuple(x if x is longer else ops.expand_dims(x, -1) for x in (y, z))  # type: ignore[return-value]
    return tuple(ops.squeeze(x, -1) if x is longer else x for x in (y, z))  # type: ignore[return-value]


def fits(a: Any, b: Any, or_one: bool = False) -> bool:
    """Whether the known parts of the shapes are equal. With ``or_one``, whether a broadcasts to b."""
    return len(a) == len(b) and all(None in (n, m) or n == m or (or_one and n == 1) for n, m in zip(a, b, strict=True))


def number_of_classes(z: Any) -> int:
    """K, the last dimension of scores."""
    if not (len(z.shape) and isinstance(z.shape[-1], int) and z.shape[-1] >= 2):
        raise ValueError(f"y_pred must have shape (..., K) with K >= 2 classes, got {tuple(z.shape)}")
    return int(z.shape[-1])


# Values

# If PyTorch is the backend, Keras has imported it already. PyTorch's compiler would fail if values were read.
_COMPILER = sys.modules["torch"].compiler if keras.backend.backend() == "torch" else None


def values(x: Any) -> Any:
    """The tensor as an array, or None if its values cannot be read without waiting for a GPU."""
    if _COMPILER is not None and (_COMPILER.is_compiling() or x.device.type != "cpu"):
        return None
    try:
        return np.asarray(ops.convert_to_numpy(x))
    except (TypeError, RuntimeError):  # traced by JAX (TypeError), by PyTorch or TensorFlow: there are no values yet
        return None


def checked_for_mask(ignore_class: Any) -> Any:
    """``ignore_class``, if this version of Keras can exclude rows from a mean."""
    if ignore_class is not None and set_keras_mask is None:
        raise ImportError(f"ignore_class is not supported with Keras {keras.__version__}: it has no set_keras_mask")
    return ignore_class


def with_mask(loss: Any, counted: Any) -> Any:
    """The loss with the mask that excludes rows from Keras's means and sums."""
    set_keras_mask(loss, mask=counted)
    return loss


def at_least_float32(y_pred: Any) -> tuple[Any, str]:
    """Scores in the dtype of the computation, and the name of the dtype."""
    y_pred = ops.convert_to_tensor(y_pred)
    dtype = "float64" if keras.backend.standardize_dtype(y_pred.dtype) == "float64" else "float32"
    return ops.cast(y_pred, dtype), dtype


def log(p: Any, dtype: str) -> Any:
    """Logarithm of probabilities, finite."""
    # The lower bound replaces only p = 0. The logarithm of p + epsilon would not be 0 at p = 1. ops.maximum and
    # ops.clip are not used, because on PyTorch they round numbers to float32, where the lower bound of float64 is 0.
    floor = ops.convert_to_tensor(np.finfo(dtype).tiny, dtype=dtype)
    return ops.log(ops.where(p > floor, p, floor))


def log_probabilities(z: Any) -> tuple[Any, Any]:
    """``log p_k`` and ``log(1 - p_k)`` of K scores per row, both accurate to the last digits.

    Only the top class can have ``1 - p_k`` near 0. If ``u`` is its score minus the log-sum-exp of the others, then ``p
    = sigmoid(u)`` and ``1 - p = sigmoid(-u)``. Unused values are replaced before the logarithm, because 0 times
    infinity in a gradient is NaN.
    """
    # A constant in all scores costs digits of their differences. The loss and its gradient do not depend on it.
    z = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))
    top = ops.one_hot(ops.argmax(z, axis=-1), z.shape[-1], dtype=z.dtype)
    is_top = top > 0
    # Not minus infinity, because backends that subtract the maximum would compute infinity minus infinity in a
    # gradient.
    dtype = keras.backend.standardize_dtype(z.dtype)
    far_below = ops.convert_to_tensor(float(np.finfo(dtype).min) / 2, dtype=dtype)
    others = ops.logsumexp(ops.where(is_top, far_below, z), axis=-1, keepdims=True)
    z_top = ops.sum(ops.where(is_top, z, 0.0), axis=-1, keepdims=True)
    u = z_top - others
    log_p_top = ops.log_sigmoid(u)
    log_p = ops.where(is_top, log_p_top, z - z_top + log_p_top)
    log_q = ops.log1p(-ops.exp(ops.where(is_top, -1.0, log_p)))
    return log_p, ops.where(is_top, ops.log_sigmoid(-u), log_q)
