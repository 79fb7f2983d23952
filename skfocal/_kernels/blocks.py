"""Iterate over rows in blocks that fit the cache, optionally on threads. May import NumPy only."""

from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Gamma: TypeAlias = float | Array
"""The focusing parameter of the true class: one number, or one number per row."""

BLOCK_ELEMENTS = 131_072
"""Rows per block times classes. With smaller blocks the call overhead of NumPy grows (about 50 calls of a microsecond
each), and threads wait for the interpreter lock. Larger blocks do not fit the cache: six float64 scratch rows of this
size are 6.3 MB. Measured from 4,096 to 400,000. With less than one block per thread, threads are not worthwhile."""


def each_block(
    run: Callable[[int, int, Array], None],
    n_rows: int,
    *,
    scratch_shape: tuple[int, ...],
    dtype: Any,
    n_classes: int = 1,
    n_threads: int = 1,
    spare: list[Array] | None = None,
) -> None:
    """Call ``run(start, stop, scratch)`` once for each block of rows.

    Each thread, including the thread of the caller, takes the next block when it has finished one. Each thread has its
    own scratch array of shape ``(*scratch_shape, block_rows)``. ``spare`` keeps these arrays for the next call, because
    new memory costs a page fault every 4 KiB, and together the page faults take longer than an exponential of each
    number. Underflow is expected in the formulas (``q**gamma`` of an easy row), so it never raises or warns here, for
    any setting of ``numpy.seterr``.
    """
    n_threads = max(1, min(n_threads, n_rows * n_classes // BLOCK_ELEMENTS))
    block_rows = rows_per_block(n_rows, n_classes)
    shape = (*scratch_shape, block_rows)
    if block_rows >= n_rows:  # one block needs no threads, which cost as much as a thousand rows
        scratch = _spare_array(spare, shape, dtype)
        with np.errstate(under="ignore"):
            run(0, n_rows, scratch[..., :n_rows])
        if spare is not None:
            spare.append(scratch)
        return
    starts = iter(range(0, n_rows, block_rows))
    turn = allocate_lock()

    def walk() -> None:
        scratch = _spare_array(spare, shape, dtype)
        with np.errstate(under="ignore"):
            while True:
                with turn:
                    start = next(starts, None)
                if start is None:
                    break
                stop = min(start + block_rows, n_rows)
                run(start, stop, scratch[..., : stop - start])
        if spare is not None:
            spare.append(scratch)

    _on_threads(walk, n_threads)


def rows_per_block(n_rows: int, n_classes: int = 1) -> int:
    """Number of rows of each block except the last.

    It does not depend on the number of threads, because NumPy 2.0's exp differs by an ulp between the body and the end
    of an array. The number of blocks is even, for two threads, and their sizes are equal.
    """
    n_blocks = max(1, -(-n_rows // max(256, BLOCK_ELEMENTS // n_classes)))
    n_blocks += n_blocks % 2 if n_blocks > 1 else 0
    return max(1, -(-n_rows // n_blocks))


def _on_threads(work: Callable[[], None], n_threads: int) -> None:
    """Call ``work`` on ``n_threads`` threads, including the thread of the caller, and wait for all of them.

    ``threading.Thread`` and thread pools wait until a new thread runs. On a virtual machine this takes about 0.2 ms, a
    tenth of the time for a million rows. Here the caller starts with its own part immediately.
    """
    errors: list[BaseException] = []

    def other(running: LockType) -> None:
        try:
            work()
        except BaseException as error:  # raised by the caller
            errors.append(error)
        finally:
            running.release()

    others: list[LockType] = []
    try:
        for _ in range(n_threads - 1):
            running = allocate_lock()
            running.acquire()
            start_new_thread(other, (running,))
            others.append(running)
        work()
    finally:
        for running in others:
            running.acquire()
    if errors:
        raise errors[0]


def _spare_array(spare: list[Array] | None, shape: tuple[int, ...], dtype: Any) -> Array:
    try:
        array = spare.pop() if spare is not None else None
    except IndexError:
        array = None
    if array is None or array.shape != shape or array.dtype != dtype:
        return np.empty(shape, dtype=dtype)
    return array


def empty_pair(shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """Two arrays for results, in one block of memory.

    On Linux, NumPy requests huge pages for arrays of 4 MiB or more, and only complete huge pages inside the array are
    used. One block contains more of them than two blocks do: two derivatives of a million rows took 25 page faults
    instead of 810, and 2.0 ms instead of 3.3 ms.
    """
    first, second = np.empty((2, *shape), dtype=dtype)
    return first, second


def floor_and_round(gradient: Array, hessian: Array, floor: float, drop_bits: int) -> None:
    """Raise Hessians to ``floor``, then round both results to ``drop_bits`` fewer bits, in place."""
    if floor > -np.inf:
        np.maximum(hessian, floor, out=hessian)
    if drop_bits:
        for result in (gradient, hessian):
            # Interpreted as integers, floats of one sign have the same order. Rounding adds half a step and truncates.
            bits = result.view(f"u{result.itemsize}")
            np.add(bits, (1 << drop_bits) // 2, out=bits)
            np.bitwise_and(bits, ~bits.dtype.type((1 << drop_bits) - 1), out=bits)


def saturate(loss: Array, weight: Array | None) -> None:
    """Replace losses above the largest number by this number, times the weight if that is below 1. In place.

    NaN is not replaced, unless the weight is 0, where NaN is the result of 0 times infinity.
    """
    largest = np.finfo(loss.dtype).max
    if not loss.max() <= largest:
        if weight is None:
            np.minimum(loss, largest, out=loss)
        else:
            (rows,) = np.nonzero((loss > largest) | (np.isnan(loss) & (weight == 0.0)))
            loss[rows] = np.minimum(weight[rows], 1.0) * largest


def take_rows(per_row: Any, start: int, stop: int) -> Any:
    """Rows ``start:stop`` of an array. A scalar or None, which stands for all rows, is returned unchanged."""
    return per_row[start:stop] if isinstance(per_row, np.ndarray) else per_row


POWERS_BY_PRODUCTS = (0.0, 0.5, 1.0, 2.0)


def power_is_by_products(gamma: Gamma) -> bool:
    """Whether ``q_to_the_gamma`` needs no logarithm of q."""
    return not isinstance(gamma, np.ndarray) and gamma in POWERS_BY_PRODUCTS


def q_to_the_gamma(q: Array, log_q: Array | None, gamma: Gamma, out: Array) -> None:
    """Write ``q**gamma`` to ``out``, by products for the usual gammas, otherwise as ``exp(gamma * log q)``.

    With ``log_q=None`` the logarithm is computed from ``q``, and the smallest positive number replaces ``q = 0``.
    """
    if not power_is_by_products(gamma):
        if log_q is None:
            np.maximum(q, np.finfo(q.dtype).tiny, out=out)
            log_q = np.log(out, out=out)
        np.multiply(gamma, log_q, out=out)
        np.exp(out, out=out)
    elif gamma == 0.0:
        out.fill(1.0)
    elif gamma == 0.5:
        np.sqrt(q, out=out)
    elif gamma == 1.0:
        np.copyto(out, q)
    else:
        np.square(q, out=out)


@cache
def has_fast_log1p(dtype: Any) -> bool:
    """Whether NumPy's log1p is vectorized on this machine. It needs AVX-512, whereas exp and log do not.

    Measured in float64, in ns per element: log1p takes 1.1 with AVX-512 and 5.1 to 7.7 without it; log takes 0.8 and
    3.5.
    """
    loops = np.lib.introspect.opt_func_info(func_name="^log1p$").get("log1p", {})
    current = loops.get(2 * np.dtype(dtype).char, {}).get("current", "")
    return bool(current) and "baseline" not in current
