"""Versions and platform for a bug report. Imports the kernels, and looks up other libraries by name."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from skfocal import _kernels

LIBRARIES = (
    "skfocal",
    "numpy",
    "scipy",
    "scikit-learn",
    "lightgbm",
    "xgboost",
    "xgboost-cpu",
    "torch",
    "keras",
    "matplotlib",
    "pandas",
    "polars",
)


def show_versions() -> None:
    """Print the versions of Python and of the libraries, and the kernels in use. Add the output to a bug report.

    Examples
    --------
    >>> import skfocal
    >>> skfocal.show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System:
    ...
    Kernels: ...
    """
    print("\nSystem:")
    print(f"    python: {sys.version}".replace("\n", " "))
    print(f"   machine: {platform.platform()}")
    print("\nLibraries:")
    for name in LIBRARIES:
        print(f"{name:>14}: {_version(name)}")
    print("\nThreads:")
    for library in threadpool_info():
        print(f"    {library.get('internal_api')} {library.get('version') or ''}: {library.get('num_threads')}")
    compiled = _kernels.compiled
    print("\nKernels:", f"NumPy ({_kernels.why_not_compiled})" if compiled is None else f"C ({compiled.level()})")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
