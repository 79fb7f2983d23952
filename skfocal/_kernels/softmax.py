"""Multiclass focal loss in the softmax of K scores. May import NumPy, ``blocks`` and ``binary`` only.

With ``p_k`` the softmax probabilities, t the true class, ``q = 1 - p_t``, ``L = -log p_t`` and ``r = L/q``::

    FL               = alpha * q**gamma * L
    w                = q**gamma * (1 + gamma*p_t*r)
    v                = gamma * p_t * q**(gamma+1) * (2 - L + (gamma-1)*p_t*r)         = -w' * q**2
    dFL/dz_k         = alpha * w * (p_k - [k==t])
    d2FL/dz_j dz_k   = alpha * (w * (p_k*[j==k] - p_j*p_k) + v * d_j * d_k),  d_k = (p_k - [k==t]) / q

``w`` is the focal gradient's ratio to that of cross-entropy and ``w' = dw / d(log p_t)``. The factor ``q**2`` of v
is the one that ``(p_j - [j==t]) * (p_k - [k==t])`` gives up in ``d_j * d_k``: so nothing grows without bound for
``gamma < 1``. Derived from Lin et al. 2017, eq. 5, by the chain rule.

``1 - p_k`` is the sum of the other probabilities, never a subtraction: for a class near 1 that would leave
no correct digit. Scratch is class-major, (K, rows): one class at a time is contiguous.

Arguments, the same everywhere: ``raw_prediction`` (n, K) in any memory order; ``y`` (n,) class indices, intp;
``weight`` (n,) or None, alpha times sample weight; ``gamma`` a number >= 0 or one per row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from skfocal._kernels.binary import log1p_gamma_p_r
from skfocal._kernels.blocks import BLOCK_ELEMENTS, Array, Gamma, each_block, q_to_the_gamma, take_rows


class _Block:
    """A block of rows, its probabilities, and what the formulas share. Attributes carry the letters above."""

    def __init__(self, raw_prediction: Array, y: Array, scratch: Array) -> None:
        n_classes = raw_prediction.shape[1]
        self.p, self.complement, self.d = scratch[: 3 * n_classes].reshape(3, n_classes, -1)
        self.p_t, self.q, self.L, self.w, self.v, self.t = scratch[3 * n_classes :]
        self.z, self.y = raw_prediction, y
        self.columns = np.arange(y.shape[0])

    def probabilities(self) -> None:
        """Fill ``p`` (K, n), ``complement = 1 - p``, and of the true class ``p_t``, ``q`` and ``L``."""
        e, complement, t = self.p, self.complement, self.t  # e = exp(z - max z) becomes p at the end
        n_classes = e.shape[0]
        np.copyto(e, self.z.T)
        np.max(e, axis=0, out=t)
        np.subtract(e, t, out=e)
        np.copyto(self.L, e[self.y, self.columns])
        np.exp(e, out=e)
        # The sum of all others, as what comes before plus what comes after: additions of positive numbers only.
        complement[0].fill(0.0)
        for k in range(1, n_classes):
            np.add(complement[k - 1], e[k - 1], out=complement[k])
        np.copyto(t, e[-1])
        for k in range(n_classes - 2, -1, -1):
            np.add(complement[k], t, out=complement[k])
            np.add(t, e[k], out=t)
        # t is the sum S of all. log S as in binary._terms: log(S) and what rounding took from S.
        e_t, others = e[self.y, self.columns], complement[self.y, self.columns]
        np.subtract(t, e_t, out=self.w)
        np.subtract(others, self.w, out=self.w)
        np.divide(self.w, t, out=self.w)
        np.log(t, out=self.v)
        np.add(self.v, self.w, out=self.v)
        np.subtract(self.v, self.L, out=self.L)
        np.divide(1.0, t, out=t)
        np.multiply(e, t, out=e)
        np.multiply(complement, t, out=complement)
        np.multiply(e_t, t, out=self.p_t)
        np.multiply(others, t, out=self.q)

    def loss(self, weight: Array | None, gamma: Gamma, out: Array) -> None:
        q_to_the_gamma(self.q, None, gamma, out=self.w)
        np.multiply(self.w, self.L, out=self.w)
        if weight is not None:
            np.multiply(self.w, weight, out=self.w)
        np.copyto(out, self.w, casting="same_kind")

    def gradient_weight(self, weight: Array | None, gamma: Gamma, *, with_v: bool) -> None:
        """Fill ``w`` and, if asked, ``v`` and ``d``; alpha included in ``w`` and ``v``."""
        p_t, q, L, w, v, t = self.p_t, self.q, self.L, self.w, self.v, self.t
        tiny = np.finfo(q.dtype).tiny
        q_to_the_gamma(q, None, gamma, out=w)
        if weight is not None:
            np.multiply(w, weight, out=w)
        np.maximum(q, tiny, out=t)
        if with_v:
            np.divide(self.p, t, out=self.d)
            np.multiply(w, q, out=v)
        np.divide(L, t, out=t)
        np.multiply(p_t, t, out=t)
        if with_v:
            np.multiply(v, p_t, out=v)
            np.multiply(v, gamma, out=v)
            bracket = (gamma - 1.0) * t
            np.subtract(bracket, L, out=bracket)
            np.add(bracket, 2.0, out=bracket)
            np.multiply(v, bracket, out=v)
            self.d[self.y, self.columns] = -1.0
        np.multiply(gamma, t, out=t)
        np.add(t, 1.0, out=t)
        np.multiply(w, t, out=w)

    def gradient(self, out: Array) -> None:
        """``w * (p_k - [k==t])`` to ``out`` (K, n), which may be ``p`` itself."""
        np.multiply(self.p, self.w, out=out)
        np.multiply(self.w, self.q, out=self.t)
        np.negative(self.t, out=self.t)
        out[self.y, self.columns] = self.t

    def hessian_diagonal(self, out: Array) -> None:
        """``w*p_k*(1-p_k) + v*d_k**2`` to ``out`` (K, n), which may be ``d`` itself; uses up ``complement``."""
        np.multiply(self.complement, self.p, out=self.complement)
        np.multiply(self.complement, self.w, out=self.complement)
        np.multiply(self.d, self.d, out=out)
        np.multiply(out, self.v, out=out)
        np.add(out, self.complement, out=out)


def _each_block(run: Callable[[slice, _Block], None], raw_prediction: Array, y: Array, n_threads: int) -> None:
    n_rows, n_classes = raw_prediction.shape

    def on_block(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        block = _Block(raw_prediction[rows], y[rows], scratch)
        block.probabilities()
        run(rows, block)

    each_block(
        on_block,
        n_rows,
        scratch_shape=(3 * n_classes + 6,),
        dtype=raw_prediction.dtype,
        block_rows=max(256, 2 * BLOCK_ELEMENTS // n_classes),
        n_threads=n_threads,
    )


def _rows(per_row: Any, rows: slice) -> Any:
    return take_rows(per_row, rows.start, rows.stop)


def loss(raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1) -> Array:
    """Focal loss of each row, (n,)."""
    out = np.empty(y.shape[0], dtype=raw_prediction.dtype)

    def run(rows: slice, block: _Block) -> None:
        block.loss(_rows(weight, rows), _rows(gamma, rows), out[rows])

    _each_block(run, raw_prediction, y, n_threads)
    return out


def loss_gradient(
    raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1
) -> tuple[Array, Array]:
    """Focal loss (n,) and gradient (n, K), the latter in the memory order of ``raw_prediction``."""
    out, gradient = np.empty(y.shape[0], dtype=raw_prediction.dtype), np.empty_like(raw_prediction)

    def run(rows: slice, block: _Block) -> None:
        w, g = _rows(weight, rows), _rows(gamma, rows)
        block.loss(w, g, out[rows])
        block.gradient_weight(w, g, with_v=False)
        block.gradient(out=block.p)
        np.copyto(gradient[rows].T, block.p)

    _each_block(run, raw_prediction, y, n_threads)
    return out, gradient


def gradient_hessian(
    raw_prediction: Array,
    y: Array,
    weight: Array | None,
    gamma: Gamma,
    *,
    out: tuple[Array, Array] | None = None,
    finish: Callable[[Array, Array], None] | None = None,
    n_threads: int = 1,
) -> tuple[Array, Array]:
    """Gradient and diagonal of the Hessian, (n, K) both, in the memory order of ``raw_prediction``.

    ``finish(gradient, hessian)`` may change each block (K, rows) in place while it is in the cache. ``out`` may
    have a narrower dtype than ``raw_prediction``, in which everything is computed.
    """
    gradient, hessian = out if out is not None else (np.empty_like(raw_prediction), np.empty_like(raw_prediction))

    def run(rows: slice, block: _Block) -> None:
        block.gradient_weight(_rows(weight, rows), _rows(gamma, rows), with_v=True)
        block.hessian_diagonal(out=block.d)
        block.gradient(out=block.p)
        if finish is not None:
            finish(block.p, block.d)
        np.copyto(gradient[rows].T, block.p, casting="same_kind")
        np.copyto(hessian[rows].T, block.d, casting="same_kind")

    _each_block(run, raw_prediction, y, n_threads)
    return gradient, hessian


def hessian_matrix(raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma) -> Array:
    """Full Hessian of each row, (n, K, K)."""
    n_classes = raw_prediction.shape[1]
    out = np.empty((*raw_prediction.shape, n_classes), dtype=raw_prediction.dtype)

    def run(rows: slice, block: _Block) -> None:
        block.gradient_weight(_rows(weight, rows), _rows(gamma, rows), with_v=True)
        p, d, w, v = block.p, block.d, block.w, block.v
        for j in range(n_classes):
            for k in range(n_classes):
                p_part = p[k] * block.complement[k] if j == k else -p[j] * p[k]
                out[rows, j, k] = w * p_part + v * d[j] * d[k]

    _each_block(run, raw_prediction, y, 1)
    return out


def hessian_product(
    raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, direction: Array, *, n_threads: int = 1
) -> Array:
    """Each row's Hessian times its ``direction`` (n, K), (n, K)."""
    out = np.empty_like(raw_prediction)

    def run(rows: slice, block: _Block) -> None:
        block.gradient_weight(_rows(weight, rows), _rows(gamma, rows), with_v=True)
        x = np.ascontiguousarray(direction[rows].T)
        p, d, w, v = block.p, block.d, block.w, block.v
        # w * (p_k*x_k - p_k * sum_j p_j*x_j) + v * d_k * sum_j d_j*x_j
        along_p = (p * x).sum(axis=0)
        along_d = (d * x).sum(axis=0)
        np.copyto(out[rows].T, w * p * (x - along_p) + v * along_d * d)

    _each_block(run, raw_prediction, y, n_threads)
    return out


def log_posterior(raw_prediction: Array, gamma: Array, log_alpha: Array | None) -> Array:
    """``log P(y=k | x)`` at the minimiser of the expected loss, up to a constant per row, (n, K).

    ``log p_k - log alpha_k - log w_k``, ``log w_k = gamma_k*log q_k + log1p(gamma_k*p_k*r_k)``,
    ``r_k = -log(p_k)/q_k`` (Charoenphakdee et al. 2021, theorem 11, with a gamma and an alpha per class).
    ``gamma`` and ``log_alpha`` have one entry per class.
    """
    n_rows, n_classes = raw_prediction.shape
    out = np.empty_like(raw_prediction)
    g = gamma[:, np.newaxis]

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        log_p, log_q, p, q, t = scratch.reshape(5, n_classes, -1)
        columns = np.arange(stop - start)
        np.copyto(log_p, raw_prediction[rows].T)
        top = log_p.argmax(axis=0)
        log_p -= log_p[top, columns]
        # log q_k of the top class is the log-sum-exp of the others, which may all underflow beside the top one.
        np.copyto(t, log_p)
        t[top, columns] = -np.inf
        second = t.max(axis=0)
        t -= second
        np.exp(t, out=t)
        log_others = np.log(t.sum(axis=0)) + second
        log_sum = np.log1p(np.exp(log_others))
        log_p -= log_sum
        np.exp(log_p, out=p)
        np.subtract(1.0, p, out=q)
        np.log(np.maximum(q, np.finfo(q.dtype).tiny, out=log_q), out=log_q)
        log_q[top, columns] = log_others - log_sum
        q[top, columns] = np.exp(log_q[top, columns])
        log_w = log1p_gamma_p_r(g, p, log_p, q, t)
        np.multiply(g, log_q, out=log_q)
        log_p -= log_q
        log_p -= log_w
        if log_alpha is not None:
            log_p -= log_alpha[:, np.newaxis]
        np.copyto(out[rows].T, log_p)

    each_block(
        run,
        n_rows,
        scratch_shape=(5 * n_classes,),
        dtype=raw_prediction.dtype,
        block_rows=max(256, BLOCK_ELEMENTS // n_classes),
    )
    return out
