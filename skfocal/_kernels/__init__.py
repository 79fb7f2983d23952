"""Focal loss on plain arrays: NumPy alone, no scikit-learn, no classes.

``binary`` works in the signed margin, ``softmax`` on K scores a row, ``blocks`` walks the rows; none of them checks
what it gets. ``arguments`` makes such arrays of what callers hand in.

``compiled`` has loss, gradient and Hessian of both in C. It is None, and NumPy does the work, where it could not be
built when skfocal was installed, and with ``SKFOCAL_COMPILED=0`` in the environment.
"""

import os
from contextlib import suppress
from importlib import import_module
from types import ModuleType

compiled: ModuleType | None = None
if os.environ.get("SKFOCAL_COMPILED") != "0":
    with suppress(ImportError):
        compiled = import_module("skfocal._kernels._compiled")
