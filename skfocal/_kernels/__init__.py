"""Focal loss on plain arrays: NumPy alone, no scikit-learn, no classes.

``binary`` works in the signed margin, ``softmax`` on K scores a row, ``blocks`` walks the rows; none of them checks
what it gets. ``arguments`` makes such arrays of what callers hand in, and ``unprepared`` does without where it can.

``compiled`` has loss, gradient and Hessian of both in C. Where it is None NumPy does the work, and ``why_not_compiled``
says why: they could not be built when skfocal was installed, ``SKFOCAL_COMPILED=0`` is in the environment, or they do
not compute what they should (``self_test``).
"""

import os
import warnings
from importlib import import_module
from types import ModuleType

from skfocal._kernels.self_test import fault


def _load() -> tuple[ModuleType | None, str]:
    if os.environ.get("SKFOCAL_COMPILED") == "0":
        return None, "SKFOCAL_COMPILED=0"
    try:
        module = import_module("skfocal._kernels._compiled")
    except ModuleNotFoundError:
        return None, "those in C were not built when skfocal was installed"
    except ImportError as error:
        return None, f"those in C can't be loaded: {error}"
    what = fault(module)
    if what:
        warnings.warn(
            f"skfocal computes with NumPy, because its kernels in C failed their self-test: {what}. A faulty "
            "compiler, flags that change results such as -ffast-math, or the source of another version made them so. "
            "Install skfocal anew, or set SKFOCAL_COMPILED=0 in the environment to do without them and this warning.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None, f"those in C failed their self-test: {what}"
    return module, ""


compiled, why_not_compiled = _load()
