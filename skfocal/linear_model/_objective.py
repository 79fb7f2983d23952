"""The objective of the linear model for scipy.optimize, in scaled unknowns. May import ``loss`` and ``_design``.

``F(coef, intercept) = mean focal loss + l2/2 * ||coef||_2^2 + l1 * ||coef||_1`` is the estimator's objective divided by
``C * W``, where W is the total weight, ``l2 = (1 - l1_ratio)/(C*W)`` and ``l1 = l1_ratio/(C*W)``. F is then divided by
the mean loss of the best constant score. The unknowns are ``v_k = B (coef_k * s)`` and ``b_k = (intercept_k + coef_k .
mean) * s_0``. The columns of X are centered and scaled by s in the formulas; X itself, sparse or dense, is not changed.
B is 1 at first. After `whiten_at` it is a root of the curvature of F by class k at some point, so that correlated
columns need no more iterations than others. `LinearObjective` is the smooth part of F, that is, F without the L1
penalty. The penalty is ``sum(l1 * abs(x))`` with one weight per unknown.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from scipy import sparse

from skfocal._kernels.blocks import Array
from skfocal.linear_model._design import Columns, weighted_grams
from skfocal.loss import BinaryLossOnData, FocalLoss, MulticlassLossOnData

MAX_CORRELATED = 512
"""Maximum number of columns for which correlations are computed. Their cost is that of about d/40 evaluations of F."""

LEAST_CURVATURE = 1e-11
"""Share of the trace that is added to the curvature in each direction. Below it, a column is a linear combination of
others up to rounding."""


class LinearObjective:
    """Value, gradient and Hessian of the smooth part of F at a flat vector of unknowns.

    Parameters
    ----------
    columns : Columns
        X, its moments and the weights of its rows.
    data : BinaryLossOnData or MulticlassLossOnData
        The loss bound to labels and weights.
    unit, curvature : float
        Result of `at_constant`. F is divided by ``unit``, and the unknowns are scaled to unit curvature at the constant
        score.
    """

    def __init__(
        self,
        columns: Columns,
        data: BinaryLossOnData | MulticlassLossOnData,
        n_scores: int,
        unit: float,
        curvature: float,
        C: float,
        l1_ratio: float,
    ) -> None:
        self.design, self.fit_intercept = columns.design, columns.fit_intercept
        self.n_rows, self.n_features = self.design.n_rows, self.design.n_features
        self.n_scores = n_scores
        self.parts = [data.part(rows.start, rows.stop) for rows in self.design.slices]
        self.mean, self.column_size = columns.mean, columns.size
        # With a large gamma the loss is small, and the tolerance has to shrink with it. Therefore sums are divided by
        # the loss of a constant score instead of the total weight.
        self.total = unit
        # All classes have the same scale. With a scale of its own, a rare class would need digits that hardly change
        # the loss.
        curvature = max(curvature / (unit * n_scores), np.finfo(float).tiny)
        self._curvature_of_columns = curvature * columns.variance
        self.intercept_scale: Any = np.sqrt(curvature)
        self._first_intercept_scale = self.intercept_scale
        self._curvature: Array | None = None
        self._penalize(C, l1_ratio)

    def with_C(self, C: float, x: Array) -> tuple[LinearObjective, Array]:
        """A copy of the objective with another C, and the point x in the unknowns of the copy.

        The copy keeps the loss and its gradient at x, and the curvature of `whiten_at`. They do not depend on C.
        """
        coef, shifted = self._coef(x)
        other = copy(self)
        other._penalize(C, self.l1_ratio)
        x_there = other._unknowns(coef, shifted)
        if self._is_last(x):
            other._last = x_there, *other._with_penalty(coef, *self._sums)
        return other, x_there

    def _penalize(self, C: float, l1_ratio: float) -> None:
        self.l1_ratio, self.l2 = l1_ratio, (1.0 - l1_ratio) / (C * self.total)
        scale = np.sqrt(self._curvature_of_columns + self.l2)
        self.scale = np.where(scale > 0, scale, 1.0)
        self.basis: tuple[Array, Array] | None = None
        self._last: tuple[Array, float, Array] | None = None
        self.l1 = (
            None
            if l1_ratio == 0.0
            else self._join(
                np.tile(l1_ratio / (C * self.total) / self.scale, (self.n_scores, 1)), np.zeros(self.n_scores)
            )
        )
        if self._curvature is not None:
            self._whiten(self._curvature)

    @property
    def can_be_whitened(self) -> bool:
        """False with L1, because its penalty is on single coefficients, and where whitening would cost too much."""
        return self.l1 is None and 1 < self.n_features <= min(MAX_CORRELATED, self.n_rows)

    def whiten_at(self, x: Array) -> Array:
        """Choose the unknowns of each class so that F's curvature at x is about the identity. Returns x in the new
        unknowns.
        """
        coef, shifted = self._coef(x)
        inner = np.zeros((self.n_scores, self.n_features, self.n_features))
        along, per_class = np.zeros((self.n_scores, self.n_features)), np.zeros(self.n_scores)
        for (_, X), data in zip(self.design, self.parts, strict=True):
            # |H|: see at_constant.
            h = np.abs(data.gradient_hessian(self._scores(X, coef, shifted))[1]).reshape(X.shape[0], -1)
            of_part = weighted_grams(X, self.mean, h)
            inner, along, per_class = inner + of_part[0], along + of_part[1], per_class + h.sum(axis=0)
        if not per_class.min() > np.finfo(float).tiny * self.n_rows:
            return x  # separated rows that are fitted to the last digit have no curvature
        if self.fit_intercept:
            step = along.sum(axis=0) / per_class.sum()
            outer = step[:, np.newaxis] * (along - 0.5 * np.outer(per_class, step))[:, np.newaxis, :]
            inner -= outer + outer.transpose(0, 2, 1)
            self.mean, shifted = self.mean + step, shifted + coef @ step
        self.intercept_scale = np.sqrt(per_class / self.total)
        self._curvature = inner / self.total
        self._whiten(self._curvature)
        self._last = None
        return self._unknowns(coef, shifted)

    def _whiten(self, curvature: Array) -> None:
        """Set the unknowns from the curvature of the loss, (n_scores, d, d), and of the penalty."""
        curvature = curvature / np.outer(self.scale, self.scale)
        d = np.arange(self.n_features)
        curvature[:, d, d] += self.l2 / self.scale**2
        root = _cholesky(curvature)
        self.basis = root.transpose(0, 2, 1), np.linalg.inv(root).transpose(0, 2, 1)

    def unwhitened(self, gradient: Array) -> Array:
        """The gradient with respect to the unknowns before `whiten_at`."""
        if self.basis is None:
            return gradient
        by_x = gradient.reshape(self.n_scores, -1)
        by_v = _by_class(self.basis[0].transpose(0, 2, 1), by_x[:, : self.n_features])
        return self._join(by_v, by_x[:, -1] * (self.intercept_scale / self._first_intercept_scale))

    # Between the estimator's unknowns and the solver's

    def pack(self, coef: Array, intercept: Array) -> Array:
        return self._unknowns(coef, intercept + coef @ self.mean)

    def _unknowns(self, coef: Array, shifted: Array) -> Array:
        v = coef * self.scale if self.basis is None else _by_class(self.basis[0], coef * self.scale)
        return self._join(v, shifted * self.intercept_scale)

    def _join(self, of_coef: Array, of_intercept: Array) -> Array:
        parts = [of_coef, of_intercept[:, np.newaxis]] if self.fit_intercept else [of_coef]
        return np.concatenate(parts, axis=1).ravel()

    def unpack(self, x: Array) -> tuple[Array, Array]:
        coef, shifted = self._coef(x)
        if self.n_scores > 1:
            # The softmax does not determine one constant per column. Without L1 it is set to 0, which minimizes the L2
            # penalty.
            if self.l1 is None:
                coef = coef - coef.mean(axis=0)
            shifted = shifted - shifted.mean()
        if not self.fit_intercept:
            return coef, np.zeros(self.n_scores)
        intercept = shifted - coef @ self.mean
        return coef, intercept - intercept.mean() if self.n_scores > 1 else intercept

    def _coef(self, x: Array) -> tuple[Array, Array]:
        """Coefficients (K, d) and intercepts (K,) for the centered columns."""
        x = x.reshape(self.n_scores, -1)
        v = x[:, : self.n_features]
        shifted = x[:, -1] / self.intercept_scale if self.fit_intercept else np.zeros(self.n_scores)
        return (v if self.basis is None else _by_class(self.basis[1], v)) / self.scale, shifted

    def cancellation(self, x: Array) -> float:
        """Size of the terms of a score. For correlated columns and large means they cancel, and F contains their
        rounding errors.
        """
        coef = self._coef(x)[0]
        return float((np.abs(coef) @ self.column_size).max())

    # F and its derivatives

    def _scores(self, X: Any, coef: Array, shifted: Array) -> Array:
        scores = X @ coef.T
        scores += shifted - coef @ self.mean
        result: Array = scores[:, 0] if self.n_scores == 1 else scores
        return result

    def _back(self, X: Any, per_row: Array) -> tuple[Array, Array]:
        """Sums over rows of the derivatives: with respect to the coefficients of X's columns, and to ``shifted``."""
        per_row = per_row.reshape(X.shape[0], -1)
        if sparse.issparse(X):
            by_coef = (X.T @ per_row).T
        elif self.n_scores == 1:
            by_coef = (per_row[:, 0] @ X)[np.newaxis]  # BLAS has a faster routine for a vector than for a row
        else:
            by_coef = per_row.T @ X
        return by_coef, per_row.sum(axis=0)

    def _flat(self, by_coef: Array, sums: Array, coef: Array) -> Array:
        """Derivatives with respect to the unknowns, from the sums of `_back` and the derivative of the L2 penalty at
        coef.
        """
        by_coef = ((by_coef - np.outer(sums, self.mean)) / self.total + self.l2 * coef) / self.scale
        if self.basis is not None:
            by_coef = _by_class(self.basis[1].transpose(0, 2, 1), by_coef)
        return self._join(by_coef, sums / self.total / self.intercept_scale)

    def __call__(self, x: Array) -> tuple[float, Array]:
        # SciPy's solvers evaluate their starting point first. F is already known there.
        if self._last is not None and self._is_last(x):
            return self._last[1], self._last[2].copy()
        value, gradient = self._evaluate(x)
        self._last = x.copy(), value, gradient
        return value, gradient.copy()

    def _is_last(self, x: Array) -> bool:
        return self._last is not None and np.array_equal(x, self._last[0])

    def _evaluate(self, x: Array) -> tuple[float, Array]:
        coef, shifted = self._coef(x)
        total, by_coef, sums = 0.0, np.zeros_like(coef), np.zeros(self.n_scores)
        for (_, X), data in zip(self.design, self.parts, strict=True):
            loss, gradient = data.loss_gradient(self._scores(X, coef, shifted))
            of_part = self._back(X, gradient)
            total, by_coef, sums = total + loss.sum(), by_coef + of_part[0], sums + of_part[1]
        self._sums = float(total), by_coef, sums
        return self._with_penalty(coef, *self._sums)

    def _with_penalty(self, coef: Array, total: float, by_coef: Array, sums: Array) -> tuple[float, Array]:
        """F and its gradient, from the sums over the rows of the loss and of its derivatives."""
        value = total / self.total + 0.5 * self.l2 * float((coef * coef).sum())
        return value, self._flat(by_coef, sums, coef)

    def hessian_product(self, x: Array, direction: Array) -> Array:
        coef, shifted = self._coef(x)
        coef_step, shifted_step = self._coef(direction)
        by_coef, sums = np.zeros_like(coef), np.zeros(self.n_scores)
        for (_, X), data in zip(self.design, self.parts, strict=True):
            scores, step = self._scores(X, coef, shifted), self._scores(X, coef_step, shifted_step)
            of_part = self._back(X, data.hessian_product(scores, step))
            by_coef, sums = by_coef + of_part[0], sums + of_part[1]
        return self._flat(by_coef, sums, coef_step)

    def hessian(self, x: Array) -> Array:
        coef, shifted = self._coef(x)
        d, width = self.n_features, self.n_features + self.fit_intercept
        first, second = np.triu_indices(self.n_scores)
        inner = np.zeros((first.shape[0], width, width))
        for (_, X), data in zip(self.design, self.parts, strict=True):
            h = data.hessian_matrix(self._scores(X, coef, shifted))[:, first, second]
            of_part = weighted_grams(X, self.mean, h)
            inner[:, :d, :d] += of_part[0]
            if self.fit_intercept:
                inner[:, d, :d] += of_part[1]
                inner[:, d, d] += h.sum(axis=0)
        if self.fit_intercept:
            inner[:, :d, d] = inner[:, d, :d]
        inner /= self.total
        inner[np.ix_(first == second, range(d), range(d))] += self.l2 * np.eye(d)
        # One matrix per class, which maps the unknowns to the coefficients of the centered columns and ``shifted``.
        to_coef = np.tile(np.eye(width), (self.n_scores, 1, 1))
        to_coef[:, :d, :d] = (np.eye(d) if self.basis is None else self.basis[1]) / self.scale[:, np.newaxis]
        if self.fit_intercept:
            to_coef[:, d, d] = 1.0 / self.intercept_scale
        out = np.empty((self.n_scores, width, self.n_scores, width))
        for i, (j, k) in enumerate(zip(first, second, strict=True)):
            out[j, :, k, :] = to_coef[j].T @ inner[i] @ to_coef[k]
            out[k, :, j, :] = out[j, :, k, :].T
        return out.reshape(self.n_scores * width, -1)


def at_constant(loss: FocalLoss, totals: Array, constant: Array) -> tuple[float, float]:
    """Sums over rows and scores of the loss and of its absolute second derivatives, at constant scores (n_scores,).

    ``totals`` (K,) are the total weights of the classes, without the class weights of the loss.
    """
    n_classes = totals.shape[0]
    scores = np.repeat(constant[np.newaxis], n_classes, axis=0)
    scores = scores[:, 0] if n_classes == 2 else scores
    classes = np.arange(n_classes)
    # |H|, because only the size matters. H can be negative for a rare class.
    hessian = np.abs(loss.gradient_hessian(classes, scores)[1]).reshape(n_classes, -1)
    return float(totals @ loss.loss(classes, scores)), float((totals @ hessian).sum())


def _cholesky(curvature: Array) -> Array:
    """Lower Cholesky factors of matrices (K, d, d) that are positive definite up to rounding. Adds to their diagonals
    in place.

    Eigenvalues are not used, because ``numpy.linalg.eigh`` hangs in a process that was forked while another thread was
    inside it (OpenBLAS 0.3.31).
    """
    d = np.arange(curvature.shape[1])
    share = LEAST_CURVATURE
    while True:
        curvature[:, d, d] += share * np.trace(curvature, axis1=1, axis2=2)[:, np.newaxis]
        try:
            return np.linalg.cholesky(curvature)
        except np.linalg.LinAlgError:
            if share > 1.0:
                raise
            share *= 100.0


def _by_class(matrices: Array, vectors: Array) -> Array:
    """Each class's matrix (K, d, d) times its vector (K, d)."""
    result: Array = np.matmul(matrices, vectors[:, :, np.newaxis])[:, :, 0]
    return result
