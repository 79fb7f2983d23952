"""The objective of the linear model for scipy.optimize, in scaled unknowns. May import ``loss`` only.

``F(coef, intercept) = mean focal loss + l2/2 * ||coef||_2^2 + l1 * ||coef||_1`` over the total weight W, that is the
estimator's objective divided by ``C * W``, with ``l2 = (1 - l1_ratio)/(C*W)`` and ``l1 = l1_ratio/(C*W)``; `scale_at`
then takes the mean loss of a constant score for the unit of F.
The unknowns are ``v_k = B (coef_k * s)`` and ``b_k = (intercept_k + coef_k . mean) * s_0``: the columns of X are
centred and scaled by s in the algebra, X itself stays as it is, sparse or dense. B is 1, or after `whiten_at` a root of
F's curvature by class k at some point, so that correlated columns cost no iterations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds
from sklearn.utils.sparsefuncs import mean_variance_axis

from skfocal._kernels.blocks import Array
from skfocal.loss import BinaryLossOnData, MulticlassLossOnData

ROWS = 4096
"""Rows a time where a pass over dense X would need a copy of it, for a product of matrices."""

CACHED = 65_536
"""Numbers a time where it would need one for sums."""

READ_ONCE = 2**19
"""Numbers of dense X a time where they are used twice, for the scores and then with the derivatives: of 4 MiB the
second use finds most in a cache. Measured from 0.25 to 16 MiB, on 20,000 x 500 and 200,000 x 40."""

MAX_CORRELATED = 512
"""Columns up to which correlations are worth their cost, which is that of some d/40 evaluations of F."""

LEAST_EIGENVALUE = 1e-10
"""Floor of the curvature's eigenvalues to the largest: below, a column is a combination of others up to rounding."""


class LinearObjective:
    """Value, gradient and Hessian of F at a flat vector of unknowns."""

    def __init__(
        self,
        X: Any,
        data: BinaryLossOnData | MulticlassLossOnData,
        weight: Array | None,
        n_scores: int,
        C: float,
        l1_ratio: float,
        fit_intercept: bool,
    ) -> None:
        self.X, self.data, self.fit_intercept = X, data, fit_intercept
        self.n_rows, self.n_features = X.shape
        self.n_scores = n_scores
        step = self.n_rows if sparse.issparse(X) else max(1, READ_ONCE // self.n_features)
        starts = range(0, self.n_rows, step)
        self.parts = [(X[start : start + step], data.part(start, start + step)) for start in starts]
        self.total = float(self.n_rows if weight is None else weight.sum())
        self.l2 = (1.0 - l1_ratio) / (C * self.total)
        self.l1 = l1_ratio / (C * self.total)
        self.mean, self.variance = _moments(X, weight, self.total, about_zero=not fit_intercept)
        self.basis: tuple[Array, Array] | None = None

    def scale_at(self, intercept: Array) -> None:
        """Scale F to 1 and the unknowns to its unit curvature, on average over the classes, at a constant score."""
        scores = np.repeat(intercept[np.newaxis], self.n_rows, axis=0)
        scores = scores[:, 0] if self.n_scores == 1 else scores
        # A large gamma makes the loss small as such: what counts as converged has to shrink with it.
        unit = self.data.loss(scores).sum() / self.total
        self.total, self.l1, self.l2 = self.total * unit, self.l1 / unit, self.l2 / unit
        hessian = self.data.gradient_hessian(scores)[1]
        # |H|: the scale is of interest, not the sign, which may be negative for a rare class. One scale for all
        # classes: a rare class's own would have the solver chase digits of it that the loss hardly sees.
        curvature = max(float(np.abs(hessian).sum() / (self.total * self.n_scores)), np.finfo(float).tiny)
        scale = np.sqrt(curvature * self.variance + self.l2)
        self.scale = np.where(scale > 0, scale, 1.0)
        self.intercept_scale = np.sqrt(curvature)

    @property
    def can_be_whitened(self) -> bool:
        """False for L1, whose bounds are on single coefficients, for sparse X, and where it would cost too much."""
        return not sparse.issparse(self.X) and not self.l1 and 1 < self.n_features <= min(MAX_CORRELATED, self.n_rows)

    def whiten_at(self, coef: Array, intercept: Array) -> None:
        """Choose the unknowns of each class so that F's curvature there by them is about the identity.

        Call `pack` again afterwards.
        """
        shifted = intercept + coef @ self.mean
        # |H|: see scale_at.
        h = np.abs(self.data.gradient_hessian(self._scores(self.X, coef, shifted))[1]).reshape(self.n_rows, -1)
        per_class = h.sum(axis=0)
        if not per_class.min() > np.finfo(float).tiny * self.n_rows:
            return  # separated rows, fitted to the last digit: there is no curvature to go by
        if self.fit_intercept:
            self.mean = h.sum(axis=1) @ self.X / h.sum()
        self.intercept_scale = np.sqrt(per_class / self.total)
        inner = np.zeros((self.n_scores, self.n_features, self.n_features))
        for start in range(0, self.n_rows, ROWS):
            rows = slice(start, start + ROWS)
            centred = (self.X[rows] - self.mean) / self.scale
            for k in range(self.n_scores):
                inner[k] += centred.T @ (centred * h[rows, k, np.newaxis])
        inner /= self.total
        d = np.arange(self.n_features)
        inner[:, d, d] += self.l2 / self.scale**2
        eigenvalues, vectors = np.linalg.eigh(inner)
        root = np.sqrt(np.maximum(eigenvalues, LEAST_EIGENVALUE * eigenvalues[:, -1:]))
        self.basis = root[:, :, np.newaxis] * vectors.transpose(0, 2, 1), vectors / root[:, np.newaxis, :]

    # Between the estimator's unknowns and the solver's

    def pack(self, coef: Array, intercept: Array) -> Array:
        v = coef * self.scale if self.basis is None else _by_class(self.basis[0], coef * self.scale)
        parts = [np.maximum(v, 0.0), np.maximum(-v, 0.0)] if self.l1 else [v]
        if self.fit_intercept:
            parts.append(((intercept + coef @ self.mean) * self.intercept_scale)[:, np.newaxis])
        return np.concatenate(parts, axis=1).ravel()

    def unpack(self, x: Array) -> tuple[Array, Array]:
        coef, shifted = self._coef(x)
        if not self.fit_intercept:
            return coef, np.zeros(self.n_scores)
        if self.n_scores > 1:
            # The softmax leaves one constant per column open, which only a penalty would pin.
            if not (self.l1 or self.l2):
                coef = coef - coef.mean(axis=0)
            shifted = shifted - shifted.mean()
            intercept = shifted - coef @ self.mean
            return coef, intercept - intercept.mean()
        return coef, shifted - coef @ self.mean

    def _coef(self, x: Array) -> tuple[Array, Array]:
        """Coefficients (K, d) and the intercepts of the centred columns (K,)."""
        d, x = self.n_features, x.reshape(self.n_scores, -1)
        v = x[:, :d] - x[:, d : 2 * d] if self.l1 else x[:, :d]
        shifted = x[:, -1] / self.intercept_scale if self.fit_intercept else np.zeros(self.n_scores)
        return (v if self.basis is None else _by_class(self.basis[1], v)) / self.scale, shifted

    @property
    def bounds(self) -> Bounds | None:
        """For L1: the positive and the negative part of each coefficient are unknowns >= 0 of their own."""
        return Bounds(self._lower_bounds(), np.inf) if self.l1 else None

    def _lower_bounds(self) -> Array:
        low = np.zeros((self.n_scores, 2 * self.n_features + self.fit_intercept))
        if self.fit_intercept:
            low[:, -1] = -np.inf
        return low.ravel()

    def optimality(self, x: Array, gradient: Array) -> float:
        """Largest entry of the projected gradient."""
        if self.l1:
            at_bound = (x <= 0) & np.isfinite(self._lower_bounds())
            gradient = np.where(at_bound & (gradient > 0), 0.0, gradient)
        return float(np.abs(gradient).max())

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

    def _mean(self, by_coef: Array, sums: Array) -> tuple[Array, Array]:
        """The sums of `_back` to means, by coefficients of the centred columns, and by ``shifted``."""
        return (by_coef - np.outer(sums, self.mean)) / self.total, sums / self.total

    def _flat(self, by_coef: Array, by_shifted: Array, penalty: float = 0.0) -> Array:
        v = (
            by_coef / self.scale
            if self.basis is None
            else _by_class(self.basis[1].transpose(0, 2, 1), by_coef / self.scale)
        )
        parts = [v + penalty / self.scale, -v + penalty / self.scale] if self.l1 else [v]
        if self.fit_intercept:
            parts.append((by_shifted / self.intercept_scale)[:, np.newaxis])
        return np.concatenate(parts, axis=1).ravel()

    def __call__(self, x: Array) -> tuple[float, Array]:
        coef, shifted = self._coef(x)
        total, by_coef, sums = 0.0, np.zeros_like(coef), np.zeros(self.n_scores)
        for X, data in self.parts:
            loss, gradient = data.loss_gradient(self._scores(X, coef, shifted))
            of_part = self._back(X, gradient)
            total, by_coef, sums = total + loss.sum(), by_coef + of_part[0], sums + of_part[1]
        by_coef, by_shifted = self._mean(by_coef, sums)
        value = total / self.total + 0.5 * self.l2 * float((coef * coef).sum())
        if self.l1:
            positive_and_negative = x.reshape(self.n_scores, -1)[:, : 2 * self.n_features]
            value += self.l1 * float((positive_and_negative / np.tile(self.scale, 2)).sum())
        return float(value), self._flat(by_coef + self.l2 * coef, by_shifted, self.l1)

    def hessian_product(self, x: Array, direction: Array) -> Array:
        coef, shifted = self._coef(x)
        coef_step, shifted_step = self._coef(direction)
        by_coef, sums = np.zeros_like(coef), np.zeros(self.n_scores)
        for X, data in self.parts:
            scores, step = self._scores(X, coef, shifted), self._scores(X, coef_step, shifted_step)
            of_part = self._back(X, data.hessian_product(scores, step))
            by_coef, sums = by_coef + of_part[0], sums + of_part[1]
        by_coef, by_shifted = self._mean(by_coef, sums)
        return self._flat(by_coef + self.l2 * coef_step, by_shifted)

    def hessian(self, x: Array) -> Array:
        coef, shifted = self._coef(x)
        per_row = self.data.hessian_matrix(self._scores(self.X, coef, shifted))
        width = self.n_features + self.fit_intercept
        out = np.empty((self.n_scores, width, self.n_scores, width))
        d = self.n_features
        # One matrix a class: the solvers' unknowns to coefficients of the centred columns and ``shifted``.
        to_coef = np.tile(np.eye(width), (self.n_scores, 1, 1))
        to_coef[:, :d, :d] = (np.eye(d) if self.basis is None else self.basis[1]) / self.scale[:, np.newaxis]
        if self.fit_intercept:
            to_coef[:, d, d] = 1.0 / self.intercept_scale
        for j in range(self.n_scores):
            for k in range(self.n_scores):
                block = self._gram(per_row[:, j, k])
                if j == k:
                    block[np.arange(d), np.arange(d)] += self.l2
                out[j, :, k, :] = to_coef[j].T @ block @ to_coef[k]
        return out.reshape(self.n_scores * width, -1)

    def _gram(self, h: Array) -> Array:
        """``A.T @ diag(h) @ A / W`` for A the centred X and, with an intercept, a column of ones."""
        if sparse.issparse(self.X):
            inner = (self.X.T @ self.X.multiply(h[:, np.newaxis]).tocsr()).toarray()
        else:
            inner = self.X.T @ (self.X * h[:, np.newaxis])
        along, total = np.asarray(self.X.T @ h), h.sum()
        inner = inner - np.outer(self.mean, along) - np.outer(along, self.mean) + total * np.outer(self.mean, self.mean)
        if self.fit_intercept:
            along = along - total * self.mean
            inner = np.block([[inner, along[:, np.newaxis]], [along[np.newaxis], np.array([[total]])]])
        result: Array = inner / self.total
        return result


def _by_class(matrices: Array, vectors: Array) -> Array:
    """Each class's matrix (K, d, d) times its vector (K, d)."""
    result: Array = np.matmul(matrices, vectors[:, :, np.newaxis])[:, :, 0]
    return result


def _moments(X: Any, weight: Array | None, total: float, *, about_zero: bool) -> tuple[Array, Array]:
    """Weighted mean and variance of each column; about zero, the mean is zero and the variance the mean square."""
    if sparse.issparse(X):
        mean, variance = mean_variance_axis(X, axis=0, weights=weight)
        return (np.zeros_like(mean), variance + mean**2) if about_zero else (mean, variance)
    # Part by part, each about its own mean, and then put together, so that X is read once: Chan, Golub & LeVeque 1983,
    # Algorithms for computing the sample variance.
    mean, squares, seen = np.zeros(X.shape[1]), np.zeros(X.shape[1]), 0.0
    rows = max(1, CACHED // X.shape[1])
    for start in range(0, X.shape[0], rows):
        part = X[start : start + rows]
        w = np.ones(part.shape[0]) if weight is None else weight[start : start + rows]
        of_part = w.sum()
        if of_part == 0:
            continue
        step = np.zeros(X.shape[1]) if about_zero else w @ part / of_part - mean
        centred = part - (mean + step)
        np.square(centred, out=centred)
        squares += w @ centred + step**2 * (seen * of_part / (seen + of_part))
        seen += of_part
        mean += step * (of_part / seen)
    return mean, squares / total
