"""Focal loss on plain arrays: NumPy alone, no scikit-learn, no classes.

``binary`` uses the signed margin, ``softmax`` uses K scores per row, and ``blocks`` iterates over the rows. They do not
check their arguments. ``arguments`` checks and converts the arguments of public functions.

``compiled`` contains loss, gradient and Hessian of both in C. It is None if it could not be built during the
installation, or if the environment has ``SKFOCAL_COMPILED=0``. NumPy is used then.
"""

import os
from contextlib import suppress
from importlib import import_module
from types import ModuleType

compiled: ModuleType | None = None
if os.environ.get("SKFOCAL_COMPILED") != "0":
    with suppress(ImportError):
        compiled = import_module("skfocal._kernels._compiled")
