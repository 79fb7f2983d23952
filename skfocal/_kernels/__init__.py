"""Focal loss on plain arrays: NumPy and SciPy, no scikit-learn, no classes.

``binary`` uses the signed margin, ``softmax`` uses K scores per row, ``optimum`` finds the best constant scores, and
``blocks`` iterates over the rows. They do not check their arguments. ``arguments`` checks and converts the arguments of
public functions. ``unprepared`` lets the C code do this where it can.

``compiled`` contains loss, gradient and Hessian of both in C. If it is None, NumPy is used, and ``why_not_compiled``
gives the reason: the C code was not built during the installation, the environment has ``SKFOCAL_COMPILED=0``, or the
results are wrong (``self_test``).
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
