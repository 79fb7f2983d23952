"""Prevents the BLAS threads of SciPy from slowing down those of NumPy. May import threadpoolctl only.

The wheels of NumPy and SciPy each contain an OpenBLAS. Its threads keep spinning on the cores for a while after a
product. If a SciPy solver calls an objective in NumPy, the threads of both compete: a fit of 20,000 x 500 took 0.25 s
on two cores, and 0.08 s with one thread for SciPy. If both use the same library, as in conda's builds, nothing is
changed.
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
"""Number of fits inside `scipy_on_one_thread`, by thread."""
_n_threads: dict[int, int] = {}
"""Number of threads to restore, by index into `_of_scipy`, as long as there are fits."""


@cache
def _of_scipy() -> list[Any]:
    """The BLAS libraries that only SciPy uses, in the library folder of its wheel. The list can be empty."""
    loaded = ThreadpoolController()
    paths = [library["filepath"] for library in loaded.info() if library["user_api"] == "blas"]
    own = [path for path in paths if {"scipy.libs", "scipy"} & set(Path(path).parts)]
    selected: list[Any] = loaded.select(filepath=own).lib_controllers
    return selected


def _set_threads(library: Any, n_threads: int) -> None:
    # From version 3.8, threadpoolctl accepts a change of the number from a single thread only, as long as that thread
    # lives. Here the last fit restores what the first fit has set, and the two can run on different threads. There is
    # no public way to do this. If the private name is missing, parallel fits may leave SciPy's BLAS on one thread.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


@contextmanager
def scipy_on_one_thread() -> Iterator[None]:
    """Context in which SciPy's BLAS has one thread. The setting is process-wide: the first fit sets it, the last
    restores it. An interrupt can arrive at any line: what it leaves undone is done by this fit or the next one.
    """
    thread = get_ident()
    try:
        with _lock:
            if not _users:
                for i, library in enumerate(_of_scipy()):
                    _n_threads.setdefault(i, library.num_threads)
                    _set_threads(library, 1)
            _users[thread] += 1
        yield
    finally:
        with _lock:
            _leave({thread: 1})


def _leave(fits: dict[int, int]) -> None:
    """Register that the given numbers of fits have ended, by thread."""
    _users.subtract(fits)
    for thread in fits:
        if _users[thread] <= 0:
            del _users[thread]
    if _n_threads and not _users:
        for i, n_threads in _n_threads.items():
            _set_threads(_of_scipy()[i], n_threads)
        _n_threads.clear()


def _in_child() -> None:
    """A fork copies only the calling thread, so the fits of the other threads never end in the child."""
    _leave({thread: fits for thread, fits in _users.items() if thread != get_ident()})
    _lock.release()


if hasattr(os, "register_at_fork"):
    # The lock is held during the fork, so that it is free in the child and the protected data are consistent.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_in_child)
