"""Checks of shared parameters other than those of the loss itself. May import ``_kernels``.

Every message names the parameter, the value that was given and the legal values.
"""

from numbers import Integral
from typing import Any

import numpy as np

from skfocal._kernels.arguments import is_number


def check_scale(scale: Any) -> float:
    """A number > 0."""
    legal = f"scale must be a number > 0, got {scale!r}"
    if not is_number(scale):
        raise TypeError(legal)
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(legal)
    return float(scale)


def check_max_step(max_step: Any) -> float | None:
    """None or a number > 0."""
    if max_step is None:
        return None
    legal = f"max_step must be None or a number > 0, got {max_step!r}"
    if not is_number(max_step):
        raise TypeError(legal)
    if not (np.isfinite(max_step) and max_step > 0):
        raise ValueError(legal)
    return float(max_step)


def check_bool(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_n_threads(n_threads: Any) -> int:
    """An integer >= 1."""
    if not isinstance(n_threads, Integral) or isinstance(n_threads, bool):
        raise TypeError(f"n_threads must be an integer >= 1, got {n_threads!r}")
    if n_threads < 1:
        raise ValueError(f"n_threads must be an integer >= 1, got {n_threads!r}")
    return int(n_threads)
