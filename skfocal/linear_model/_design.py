"""The design matrix X, dense or CSR, by parts of rows in float64. May import NumPy, SciPy and scikit-learn.

float32 data are converted part by part, because the solvers need sums in float64. There is never a complete float64
copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skfocal._kernels.blocks import Array, take_rows

READ_ONCE = 2**19
"""Size of a part of dense X, in numbers. A part is read twice, for the scores and for the sums of derivatives. With 4
MiB most of the second read comes from a cache. Measured from 0.25 to 16 MiB, on 20,000 x 500 and 200,000 x 40."""

CACHED = 65_536
"""Size of a part of dense X if its sums need a copy, in numbers."""


@dataclass(frozen=True)
class Rows:
    """Checked data of a fit: X, the classes (K,), the class index of each row, and ``sample_weight`` or None."""

    X: Any
    classes: Array
    indices: Array
    weight: Array | None

    def __getitem__(self, selected: Array) -> Rows:
        """The selected rows. A class without rows among them stays in ``classes``."""
        weight = None if self.weight is None else self.weight[selected]
        return Rows(self.X[selected], self.classes, self.indices[selected], weight)


class DesignMatrix:
    """X in parts. Iteration yields pairs of a slice and its rows as float64. The rows are valid until the next pair."""

    def __init__(self, X: Any) -> None:
        self.X, self.is_sparse = X, sparse.issparse(X)
        self.n_rows, self.n_features = X.shape
        self.is_float64 = X.dtype == np.float64
        self.slices = self._slices()
        if not self.is_float64 and len(self.slices) == 1:
            self.X, self.is_float64 = X.astype(np.float64), True
        self._buffer: Array | None = None

    def _slices(self) -> list[slice]:
        if not self.is_sparse:
            step = max(1, READ_ONCE // self.n_features)
            starts = [*range(0, self.n_rows, step), self.n_rows]
        elif self.is_float64:
            starts = [0, self.n_rows]
        else:
            # A part has at least as many numbers as X has columns, because each part adds that many sums.
            step = max(READ_ONCE, self.n_features)
            bounds = np.searchsorted(self.X.indptr, np.arange(step, self.X.nnz, step), side="left")
            starts = [0, *np.unique(bounds[(bounds > 0) & (bounds < self.n_rows)]).tolist(), self.n_rows]
        return [slice(start, stop) for start, stop in pairwise(starts)]

    def __iter__(self) -> Iterator[tuple[slice, Any]]:
        for rows in self.slices:
            yield rows, self._part(rows)

    def _part(self, rows: slice) -> Any:
        X = self.X
        if len(self.slices) == 1:
            return X
        if self.is_sparse:
            start, stop = X.indptr[rows.start], X.indptr[rows.stop]
            indptr = X.indptr[rows.start : rows.stop + 1] - start
            shape = rows.stop - rows.start, self.n_features
            return sparse.csr_array((X.data[start:stop].astype(np.float64), X.indices[start:stop], indptr), shape=shape)
        if self.is_float64:
            return X[rows]
        if self._buffer is None:  # reused, because new memory costs a page fault every 4 KiB
            first = self.slices[0]
            self._buffer = np.empty((first.stop - first.start, self.n_features))
        part = self._buffer[: rows.stop - rows.start]
        np.copyto(part, X[rows])
        return part

    def moments(self, weight: Array | None, *, about_zero: bool) -> tuple[Array, Array]:
        """Weighted mean and variance of each column. With ``about_zero`` they are 0 and the mean square."""
        # The moments of each part about its own mean are combined, so that X is read once: Chan, Golub & LeVeque 1983,
        # Algorithms for computing the sample variance.
        mean, squares, seen = np.zeros(self.n_features), np.zeros(self.n_features), 0.0
        for rows, X in self._small_parts():
            w = take_rows(weight, rows.start, rows.stop)
            of_part = float(X.shape[0] if w is None else w.sum())
            if of_part == 0.0:
                continue
            if self.is_sparse:
                own_mean, variance = mean_variance_axis(X, axis=0, weights=w)
                step = (0.0 if about_zero else own_mean) - mean
                squares += of_part * (variance + own_mean**2 if about_zero else variance)
            else:
                ones = np.ones(X.shape[0]) if w is None else w
                step = np.zeros(self.n_features) if about_zero else ones @ X / of_part - mean
                centred = X - (mean + step)
                np.square(centred, out=centred)
                squares += ones @ centred
            squares += step**2 * (seen * of_part / (seen + of_part))
            seen += of_part
            mean += step * (of_part / seen)
        return mean, squares / seen

    def _small_parts(self) -> Iterator[tuple[slice, Any]]:
        if self.is_sparse:
            yield from self
            return
        n_rows = max(1, CACHED // self.n_features)
        for start in range(0, self.n_rows, n_rows):
            rows = slice(start, min(start + n_rows, self.n_rows))
            # float32 parts are combined with float64 arrays below, so that the result is float64.
            yield rows, self.X[rows]


class Columns:
    """X and the moments of its columns, which do not depend on the loss and the penalty.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_samples, n_features)
        float32 or float64.
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows, without the class weights of the loss.
    fit_intercept : bool
        With False, the moments are about zero, and the columns are not centered.
    """

    def __init__(self, X: Any, weight: Array | None, fit_intercept: bool) -> None:
        self.design, self.weight, self.fit_intercept = DesignMatrix(X), weight, fit_intercept
        with np.errstate(over="ignore", invalid="ignore"):
            self.mean, self.variance = self.design.moments(weight, about_zero=not fit_intercept)
        if not np.isfinite(self.variance).all():
            raise ValueError("X must have columns whose sums of squares fit float64, got numbers beyond some 1e150")
        self.size = np.abs(self.mean) + np.sqrt(self.variance)


def weighted_grams(X: Any, mean: Array, h: Array) -> tuple[Array, Array]:
    """``A.T @ diag(h_m) @ A`` (M, d, d) and ``A.T @ h_m`` (M, d) for each column of h (n, M).

    X is a part of the rows. A is X with ``mean`` subtracted from its columns.
    """
    d, m = X.shape[1], h.shape[1]
    inner = np.empty((m, d, d))
    if sparse.issparse(X):
        along, totals = (X.T @ h).T, h.sum(axis=0)
        for i in range(m):
            outer = np.outer(mean, along[i] - 0.5 * totals[i] * mean)
            inner[i] = (X.T @ X.multiply(h[:, i, np.newaxis]).tocsr()).toarray() - (outer + outer.T)
        return inner, along - np.outer(totals, mean)
    centred = X - mean
    for i in range(m):
        inner[i] = centred.T @ (centred * h[:, i, np.newaxis])
    return inner, h.T @ centred
