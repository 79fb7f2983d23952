"""Walk rows in blocks that stay in the cache, on threads if asked. May import NumPy only."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Gamma: TypeAlias = float | Array
"""The focusing parameter of the true class: one number, or one number per row."""

BLOCK_ELEMENTS = 65_536
"""Rows per block times classes. Smaller blocks pay for NumPy's call overhead and, on threads, wait for the interpreter
lock; larger ones leave the cache: seven float64 scratch rows of these are 3.7 MB. Measured from 4,096 to 250,000."""

MIN_ROWS_PER_THREAD = 131_072
"""Two blocks: with fewer rows, threads wait for each other more than they gain."""


def each_block(
    run: Callable[[int, int, Array], None],
    n_rows: int,
    *,
    scratch_shape: tuple[int, ...],
    dtype: Any,
    block_rows: int = BLOCK_ELEMENTS,
    n_threads: int = 1,
) -> None:
    """Call ``run(start, stop, scratch)`` for consecutive blocks of rows.

    Each thread walks a contiguous share of the rows and reuses one scratch array of shape
    ``(*scratch_shape, block_rows)``. Underflow is part of the formulas (``q**gamma`` of an easy row), so
    it never raises nor warns here, whatever ``numpy.seterr`` says.
    """
    block_rows = max(1, min(block_rows, n_rows))

    def walk(first: int, last: int) -> None:
        scratch = np.empty((*scratch_shape, block_rows), dtype=dtype)
        with np.errstate(under="ignore"):
            for start in range(first, last, block_rows):
                stop = min(start + block_rows, last)
                run(start, stop, scratch[..., : stop - start])

    n_threads = max(1, min(n_threads, n_rows // MIN_ROWS_PER_THREAD))
    if n_threads == 1:
        walk(0, n_rows)
        return
    # Shares end on block boundaries: a row's result does not depend on the number of threads.
    n_blocks = -(-n_rows // block_rows)
    edges = [min(n_rows, block_rows * (n_blocks * i // n_threads)) for i in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(walk, edges[:-1], edges[1:]):
            pass


def take_rows(per_row: Any, start: int, stop: int) -> Any:
    """Rows ``start:stop`` of an array; a scalar or None stands for all rows and is returned as it is."""
    return per_row[start:stop] if isinstance(per_row, np.ndarray) else per_row


def q_to_the_gamma(q: Array, log_q: Array | None, gamma: Gamma, out: Array) -> None:
    """Write ``q**gamma`` to ``out``: by products for the usual gammas, else as ``exp(gamma * log q)``.

    ``log_q=None`` has it computed from ``q``; the smallest positive number then stands in for ``q = 0``.
    """
    if isinstance(gamma, np.ndarray) or gamma not in (0.0, 0.5, 1.0, 2.0):
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
        np.multiply(q, q, out=out)
