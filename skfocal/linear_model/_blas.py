"""Keeps SciPy's linear algebra from standing in NumPy's way. May import threadpoolctl only.

The wheels of NumPy and SciPy carry an OpenBLAS each, and the threads of each go on spinning on the cores for a while
after a product. A solver of SciPy that calls an objective written in NumPy has them spin against each other: a fit of
20,000 x 500 took 0.25 s on two cores, with one thread for SciPy's 0.08 s. Where the two share a library, as in conda's
builds, nothing is done.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock, get_ident
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_users: Counter[int] = Counter()
"""Fits within `scipy_on_one_thread`, by thread."""
_n_threads: list[int] = []
"""Of each library of `_of_scipy`, while there are users: what to set afterwards."""


@cache
def _of_scipy() -> list[Any]:
    """The BLAS that only SciPy uses: it lies in the folder that its wheels carry theirs in. Maybe none."""
    loaded = ThreadpoolController()
    paths = [library["filepath"] for library in loaded.info() if library["user_api"] == "blas"]
    own = [path for path in paths if {"scipy.libs", "scipy"} & set(Path(path).parts)]
    selected: list[Any] = loaded.select(filepath=own).lib_controllers
    return selected


def _set_threads(library: Any, n_threads: int) -> None:
    # From version 3.8, threadpoolctl lets a single thread change the number, and ignores all others as long as that
    # thread lives. Here the last fit sets back what the first has set, whichever threads they run on. There is no
    # public way; where the private name is gone, fits on several threads at once may leave SciPy's BLAS on one thread.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


@contextmanager
def scipy_on_one_thread() -> Iterator[None]:
    """Within, SciPy's own BLAS has one thread. It is the process's setting: the first fit makes, the last ends it."""
    thread = get_ident()
    with _lock:
        if not _users:
            for library in _of_scipy():
                _n_threads.append(library.num_threads)
                _set_threads(library, 1)
        _users[thread] += 1
    try:
        yield
    finally:
        with _lock:
            _leave({thread: 1})


def _leave(fits: dict[int, int]) -> None:
    """So many fits of these threads have ended."""
    _users.subtract(fits)
    for thread in fits:
        if _users[thread] == 0:
            del _users[thread]
    if _n_threads and not _users:
        for library, n_threads in zip(_of_scipy(), _n_threads, strict=True):
            _set_threads(library, n_threads)
        _n_threads.clear()


def _in_child() -> None:
    """A fork copies the calling thread alone: the fits of all others will never end there."""
    _leave({thread: fits for thread, fits in _users.items() if thread != get_ident()})
    _lock.release()


if hasattr(os, "register_at_fork"):
    # Held over the fork, the lock is free in the child and what it protects is whole.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_in_child)
