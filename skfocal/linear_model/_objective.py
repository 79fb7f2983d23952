"""The objective of the linear model for scipy.optimize, in scaled unknowns. May import ``loss`` and ``_design``.

``F(coef, intercept) = mean focal loss + l2/2 * ||coef||_2^2 + l1 * ||coef||_1`` over the total weight W, that is the
estimator's objective divided by ``C * W``, with ``l2 = (1 - l1_ratio)/(C*W)`` and ``l1 = l1_ratio/(C*W)``; its unit is
the mean loss of a constant score.
The unknowns are ``v_k = B (coef_k * s)`` and ``b_k = (intercept_k + coef_k . mean) * s_0``: the columns of X are
centred and scaled by s in the algebra, X itself stays as it is, sparse or dense. B is 1, or after `whiten_at` a root of
F's curvature by class k at some point, so that correlated columns cost no iterations.
`LinearObjective` is the smooth part of F: all but the L1 penalty, which is ``sum(l1 * abs(x))`` with a weight for each
unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from skfocal._kernels.blocks import Array
from skfocal.linear_model._design import DesignMatrix, weighted_grams
from skfocal.loss import BinaryLossOnData, FocalLoss, MulticlassLossOnData

MAX_CORRELATED = 512
"""Columns up to which correlations are worth their cost, which is that of some d/40 evaluations of F."""

LEAST_CURVATURE = 1e-11
"""Added to the curvature in each direction, as a share of its trace: below, a column is a combination of others up to
rounding."""


class LinearObjective:
    """Value, gradient and Hessian of the smooth part of F at a flat vector of unknowns.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_samples, n_features)
        float32 or float64.
    data : BinaryLossOnData or MulticlassLossOnData
        The loss bound to labels and weights.
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows, but for those of the loss.
    unit, curvature : float
        What `at_constant` gives: there the loss is the unit of F, and the unknowns have unit curvature.
    """

    def __init__(
        self,
        X: Any,
        data: BinaryLossOnData | MulticlassLossOnData,
        weight: Array | None,
        n_scores: int,
        unit: float,
        curvature: float,
        C: float,
        l1_ratio: float,
        fit_intercept: bool,
    ) -> None:
        self.design, self.fit_intercept = DesignMatrix(X), fit_intercept
        self.n_rows, self.n_features = X.shape
        self.n_scores = n_scores
        self.parts = [data.part(rows.start, rows.stop) for rows in self.design.slices]
        with np.errstate(over="ignore", invalid="ignore"):
            self.mean, variance = self.design.moments(weight, about_zero=not fit_intercept)
        if not np.isfinite(variance).all():
            raise ValueError("X must have columns whose sums of squares fit float64, got numbers beyond some 1e150")
        self.column_size = np.abs(self.mean) + np.sqrt(variance)
        # A large gamma makes the loss small as such: what counts as converged has to shrink with it. So sums are
        # divided by the loss of a constant score instead of the total weight.
        self.total = unit
        self.l2 = (1.0 - l1_ratio) / (C * self.total)
        # One scale for all classes: a rare class's own would have the solver chase digits of it that the loss hardly
        # sees.
        curvature = max(curvature / (unit * n_scores), np.finfo(float).tiny)
        scale = np.sqrt(curvature * variance + self.l2)
        self.scale = np.where(scale > 0, scale, 1.0)
        self.intercept_scale: Any = np.sqrt(curvature)
        self._first_intercept_scale = self.intercept_scale
        self.basis: tuple[Array, Array] | None = None
        self._last: tuple[Array, float, Array] | None = None
        self.l1 = (
            None
            if l1_ratio == 0.0
            else self._join(
                np.tile(l1_ratio / (C * self.total) / self.scale, (self.n_scores, 1)), np.zeros(self.n_scores)
            )
        )

    @property
    def can_be_whitened(self) -> bool:
        """False for L1, whose penalty is on single coefficients, and where it would cost too much."""
        return self.l1 is None and 1 < self.n_features <= min(MAX_CORRELATED, self.n_rows)

    def whiten_at(self, x: Array) -> Array:
        """Choose the unknowns of each class so that F's curvature there by them is about the identity; x in them."""
        coef, shifted = self._coef(x)
        inner = np.zeros((self.n_scores, self.n_features, self.n_features))
        along, per_class = np.zeros((self.n_scores, self.n_features)), np.zeros(self.n_scores)
        for (_, X), data in zip(self.design, self.parts, strict=True):
            # |H|: see at_constant.
            h = np.abs(data.gradient_hessian(self._scores(X, coef, shifted))[1]).reshape(X.shape[0], -1)
            of_part = weighted_grams(X, self.mean, h)
            inner, along, per_class = inner + of_part[0], along + of_part[1], per_class + h.sum(axis=0)
        if not per_class.min() > np.finfo(float).tiny * self.n_rows:
            return x  # separated rows, fitted to the last digit: there is no curvature to go by
        if self.fit_intercept:
            step = along.sum(axis=0) / per_class.sum()
            outer = step[:, np.newaxis] * (along - 0.5 * np.outer(per_class, step))[:, np.newaxis, :]
            inner -= outer + outer.transpose(0, 2, 1)
            self.mean, shifted = self.mean + step, shifted + coef @ step
        self.intercept_scale = np.sqrt(per_class / self.total)
        inner /= self.total * np.outer(self.scale, self.scale)
        d = np.arange(self.n_features)
        inner[:, d, d] += self.l2 / self.scale**2
        root = _cholesky(inner)
        self.basis = root.transpose(0, 2, 1), np.linalg.inv(root).transpose(0, 2, 1)
        self._last = None
        return self._unknowns(coef, shifted)

    def unwhitened(self, gradient: Array) -> Array:
        """The gradient by the unknowns as they were before `whiten_at`."""
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
            # The softmax leaves one constant per column open. Without L1 it is 0: L2 wants that, nothing else any.
            if self.l1 is None:
                coef = coef - coef.mean(axis=0)
            shifted = shifted - shifted.mean()
        if not self.fit_intercept:
            return coef, np.zeros(self.n_scores)
        intercept = shifted - coef @ self.mean
        return coef, intercept - intercept.mean() if self.n_scores > 1 else intercept

    def _coef(self, x: Array) -> tuple[Array, Array]:
        """Coefficients (K, d) and the intercepts of the centred columns (K,)."""
        x = x.reshape(self.n_scores, -1)
        v = x[:, : self.n_features]
        shifted = x[:, -1] / self.intercept_scale if self.fit_intercept else np.zeros(self.n_scores)
        return (v if self.basis is None else _by_class(self.basis[1], v)) / self.scale, shifted

    def cancellation(self, x: Array) -> float:
        """Size of the terms of a score, which cancel on correlated columns and large means: their rounding is in F."""
        coef = self._coef(x)[0]
        return float((np.abs(coef) @ self.column_size).max())

    # F and its derivatives

    def _scores(self, X: Any, coef: Array, shifted: Array) -> Array:
        scores = X @ coef.T
        scores += shifted - coef @ self.mean
        result: Array = scores[:, 0] if self.n_scores == 1 else scores
        return result

    def _back(self, X: Any, per_row: Array) -> tuple[Array, Array]:
        """Derivatives by the scores to sums over rows: by coefficients of X's columns, and by ``shifted``."""
        per_row = per_row.reshape(X.shape[0], -1)
        if sparse.issparse(X):
            by_coef = (X.T @ per_row).T
        elif self.n_scores == 1:
            by_coef = (per_row[:, 0] @ X)[np.newaxis]  # BLAS has a faster routine for a vector than for a row
        else:
            by_coef = per_row.T @ X
        return by_coef, per_row.sum(axis=0)

    def _flat(self, by_coef: Array, sums: Array, coef: Array) -> Array:
        """The sums of `_back`, and the L2 penalty's derivative at coef, to derivatives by the unknowns."""
        by_coef = ((by_coef - np.outer(sums, self.mean)) / self.total + self.l2 * coef) / self.scale
        if self.basis is not None:
            by_coef = _by_class(self.basis[1].transpose(0, 2, 1), by_coef)
        return self._join(by_coef, sums / self.total / self.intercept_scale)

    def __call__(self, x: Array) -> tuple[float, Array]:
        # SciPy's solvers ask first for the point that they are started at, where F is known.
        if self._last is not None and np.array_equal(x, self._last[0]):
            return self._last[1], self._last[2].copy()
        value, gradient = self._evaluate(x)
        self._last = x.copy(), value, gradient
        return value, gradient.copy()

    def _evaluate(self, x: Array) -> tuple[float, Array]:
        coef, shifted = self._coef(x)
        total, by_coef, sums = 0.0, np.zeros_like(coef), np.zeros(self.n_scores)
        for (_, X), data in zip(self.design, self.parts, strict=True):
            loss, gradient = data.loss_gradient(self._scores(X, coef, shifted))
            of_part = self._back(X, gradient)
            total, by_coef, sums = total + loss.sum(), by_coef + of_part[0], sums + of_part[1]
        value = total / self.total + 0.5 * self.l2 * float((coef * coef).sum())
        return float(value), self._flat(by_coef, sums, coef)

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
        # One matrix a class: the solvers' unknowns to coefficients of the centred columns and ``shifted``.
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
    """Sums of the loss and of its absolute second derivatives, over the scores too, at constant scores (n_scores,).

    ``totals`` (K,) are the total weights of the classes, but for those of the loss.
    """
    n_classes = totals.shape[0]
    scores = np.repeat(constant[np.newaxis], n_classes, axis=0)
    scores = scores[:, 0] if n_classes == 2 else scores
    classes = np.arange(n_classes)
    # |H|: the scale is of interest, not the sign, which may be negative for a rare class.
    hessian = np.abs(loss.gradient_hessian(classes, scores)[1]).reshape(n_classes, -1)
    return float(totals @ loss.loss(classes, scores)), float((totals @ hessian).sum())


def _cholesky(curvature: Array) -> Array:
    """Lower factors of matrices (K, d, d) that are positive but for rounding, which becomes part of them.

    Not by eigenvalues: ``numpy.linalg.eigh`` hangs in a process that was forked while another thread was in it
    (OpenBLAS 0.3.31).
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
