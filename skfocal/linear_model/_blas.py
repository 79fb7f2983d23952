"""Keeps SciPy's linear algebra from standing in NumPy's way. May import threadpoolctl only.

The wheels of NumPy and SciPy carry an OpenBLAS each, and the threads of each go on spinning on the cores for a while
after a product. A solver of SciPy that calls an objective written in NumPy has them spin against each other: a fit of
20,000 x 500 took 0.25 s on two cores, with one thread for SciPy's 0.08 s. Where the two share a library, as in conda's
builds, nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from threadpoolctl import ThreadpoolController

_lock = Lock()
_limits = ExitStack()
_users = 0


@cache
def _of_scipy() -> ThreadpoolController:
    """The BLAS that only SciPy uses: it lies in the folder that its wheels carry theirs in. Maybe none."""
    loaded = ThreadpoolController()
    paths = [library["filepath"] for library in loaded.info() if library["user_api"] == "blas"]
    own = [path for path in paths if {"scipy.libs", "scipy"} & set(Path(path).parts)]
    selected: ThreadpoolController = loaded.select(filepath=own)
    return selected


@contextmanager
def scipy_on_one_thread() -> Iterator[None]:
    """Within, SciPy's own BLAS has one thread. It is the process's setting: the first fit makes, the last ends it."""
    global _users
    with _lock:
        if _users == 0:
            _limits.enter_context(_of_scipy().limit(limits=1))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limits.close()
