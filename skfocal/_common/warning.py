"""Warnings that point at the user's line. Imports nothing of the package."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path

_NOT_THE_USERS = (str(Path(__file__).parents[1]), contextlib.__file__)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as of the first line outside this package that led here, however deep the call is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
