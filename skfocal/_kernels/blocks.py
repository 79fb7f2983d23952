"""Walk rows in blocks that stay in the cache, on threads if asked. May import NumPy only."""

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
"""Rows per block times classes. Smaller blocks pay for NumPy's call overhead, some 50 calls of a microsecond each, and
on threads wait for the interpreter lock; larger ones leave the cache: six float64 scratch rows of these are 6.3 MB.
Measured from 4,096 to 400,000. Fewer than a block for each thread, and threads wait more than they gain."""


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
    """Call ``run(start, stop, scratch)`` for each block of rows, once.

    Threads, of which the caller's is one, take the next block when they are done with one; each has a scratch array
    of shape ``(*scratch_shape, block_rows)`` of its own. ``spare`` keeps these for the next call: fresh memory costs
    a page fault every 4 KiB, which together take longer than an exponential of each number. Underflow is part of the
    formulas (``q**gamma`` of an easy row), so it never raises nor warns here, whatever ``numpy.seterr`` says.
    """
    n_threads = max(1, min(n_threads, n_rows * n_classes // BLOCK_ELEMENTS))
    block_rows = rows_per_block(n_rows, n_classes)
    shape = (*scratch_shape, block_rows)
    if block_rows >= n_rows:  # one block needs neither turns nor threads, which cost as much as a thousand rows
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
    """Rows of each block but the last.

    The same for any number of threads: NumPy 2.0's exp differs by an ulp between the body and the end of an array. An
    even number of blocks, all of one size, for two threads.
    """
    n_blocks = max(1, -(-n_rows // max(256, BLOCK_ELEMENTS // n_classes)))
    n_blocks += n_blocks % 2 if n_blocks > 1 else 0
    return max(1, -(-n_rows // n_blocks))


def _on_threads(work: Callable[[], None], n_threads: int) -> None:
    """Call ``work`` on so many threads, of which the caller's is one, and wait for all.

    ``threading.Thread`` and pools wait until a new thread runs, which takes a virtual machine some 0.2 ms, a tenth of a
    million rows; here the caller has begun with its own part by then.
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
    """Two arrays for results, in one piece of memory.

    On Linux NumPy asks for huge pages where an array has 4 MiB or more, and only whole ones inside it count. One piece
    holds more of them than two do: a million rows of two derivatives took 25 page faults instead of 810, and 2.0 ms
    instead of 3.3.
    """
    first, second = np.empty((2, *shape), dtype=dtype)
    return first, second


def floor_and_round(gradient: Array, hessian: Array, floor: float, drop_bits: int) -> None:
    """Raise Hessians to ``floor``, then round both results to ``drop_bits`` fewer bits, in place."""
    if floor > -np.inf:
        np.maximum(hessian, floor, out=hessian)
    if drop_bits:
        for result in (gradient, hessian):
            # As integers, floats of one sign are in their order: half a step up, then down.
            bits = result.view(f"u{result.itemsize}")
            np.add(bits, (1 << drop_bits) // 2, out=bits)
            np.bitwise_and(bits, ~bits.dtype.type((1 << drop_bits) - 1), out=bits)


def saturate(loss: Array, weight: Array | None) -> None:
    """Put the largest number, times the weight if that is below 1, in place of losses that exceed it, in place.

    NaN stays, but for a weight of 0: there it is 0 times infinity.
    """
    largest = np.finfo(loss.dtype).max
    if not loss.max() <= largest:
        if weight is None:
            np.minimum(loss, largest, out=loss)
        else:
            (rows,) = np.nonzero((loss > largest) | (np.isnan(loss) & (weight == 0.0)))
            loss[rows] = np.minimum(weight[rows], 1.0) * largest


def take_rows(per_row: Any, start: int, stop: int) -> Any:
    """Rows ``start:stop`` of an array; a scalar or None stands for all rows and is returned as it is."""
    return per_row[start:stop] if isinstance(per_row, np.ndarray) else per_row


POWERS_BY_PRODUCTS = (0.0, 0.5, 1.0, 2.0)


def power_is_by_products(gamma: Gamma) -> bool:
    """Whether ``q_to_the_gamma`` needs no logarithm of q."""
    return not isinstance(gamma, np.ndarray) and gamma in POWERS_BY_PRODUCTS


def q_to_the_gamma(q: Array, log_q: Array | None, gamma: Gamma, out: Array) -> None:
    """Write ``q**gamma`` to ``out``: by products for the usual gammas, else as ``exp(gamma * log q)``.

    ``log_q=None`` has it computed from ``q``; the smallest positive number then stands in for ``q = 0``.
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
    """Whether NumPy's log1p is vectorised on this machine. Only with AVX-512; its exp and log are without it too.

    Measured, float64, ns an element: log1p 1.1 with AVX-512 and 5.1 to 7.7 without; log 0.8 and 3.5.
    """
    loops = np.lib.introspect.opt_func_info(func_name="^log1p$").get("log1p", {})
    current = loops.get(2 * np.dtype(dtype).char, {}).get("current", "")
    return bool(current) and "baseline" not in current
