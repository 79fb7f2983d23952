"""Multiclass focal loss in the softmax of K scores. May import NumPy, ``blocks`` and ``binary`` only.

With ``p_k`` the softmax probabilities, t the true class, ``q = 1 - p_t``, ``L = -log p_t`` and ``r = L/q``::

    FL               = alpha * q**gamma * L
    w                = q**gamma * (1 + gamma*p_t*r)
    v                = gamma * p_t * q**(gamma-1) * (2 - L + (gamma-1)*p_t*r)         = -dw / d(log p_t)
    d_k              = p_k - [k==t],  d_t = -q
    dFL/dz_k         = alpha * w * d_k
    d2FL/dz_j dz_k   = alpha * (w * (p_k*[j==k] - p_j*p_k) + v * d_j * d_k)

``w`` is the focal gradient's ratio to that of cross-entropy. For ``gamma < 1`` v grows without bound as q tends to 0,
but no ``abs(d_k)`` exceeds q: multiplied in turn, nothing overflows. Derived from Lin et al. 2017, eq. 5, by the chain
rule.

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
        n_rows, n_classes = raw_prediction.shape
        # Contiguous for the last, shorter block too: the true class is found by flat index, several times faster
        # than by a pair of indices.
        large, small = scratch[: 3 * n_classes], scratch[3 * n_classes :, :n_rows]
        flat = large.reshape(-1)[: 3 * n_classes * n_rows]
        self.p, self.complement, self.d = flat.reshape(3, n_classes, n_rows)
        self.p_t, self.q, self.L, self.w, self.v, self.t = small
        self.z = raw_prediction
        self.at_true = y * n_rows
        self.at_true += np.arange(n_rows)

    def of_true_class(self, a: Array, out: Array) -> None:
        """``a[y[i], i]`` of each row i."""
        # "clip" because "raise" would buffer the output; the indices are in range.
        np.take(a.reshape(-1), self.at_true, out=out, mode="clip")

    def probabilities(self) -> None:
        """Fill ``p`` (K, n), ``complement``, and of the true class ``p_t``, ``q`` and ``L``.

        ``complement`` is ``1 - p`` times the sum of exponentials, whose reciprocal is left in ``t``.
        """
        e, complement, t, e_t, others = self.p, self.complement, self.t, self.p_t, self.q
        n_classes = e.shape[0]
        np.copyto(e, self.z.T)
        np.max(e, axis=0, out=t)
        np.subtract(e, t, out=e)
        self.of_true_class(e, out=self.L)
        np.exp(e, out=e)
        # The sum of all others, as what comes before plus what comes after: additions of positive numbers only.
        np.copyto(complement[1], e[0])
        for k in range(2, n_classes):
            np.add(complement[k - 1], e[k - 1], out=complement[k])
        np.copyto(t, e[-1])
        for k in range(n_classes - 2, 0, -1):
            np.add(complement[k], t, out=complement[k])
            np.add(t, e[k], out=t)
        np.copyto(complement[0], t)
        np.add(t, e[0], out=t)
        # t is the sum S of all. log S as in binary._terms: log(S) and what rounding took from S.
        self.of_true_class(e, out=e_t)
        self.of_true_class(complement, out=others)
        np.subtract(t, e_t, out=self.w)
        np.subtract(others, self.w, out=self.w)
        np.divide(self.w, t, out=self.w)
        np.log(t, out=self.v)
        np.add(self.v, self.w, out=self.v)
        np.subtract(self.v, self.L, out=self.L)
        np.divide(1.0, t, out=t)
        np.multiply(e, t, out=e)
        np.multiply(e_t, t, out=self.p_t)
        np.multiply(others, t, out=self.q)

    def loss(self, weight: Array | None, gamma: Gamma, out: Array) -> None:
        q_to_the_gamma(self.q, None, gamma, out=self.w)
        np.multiply(self.w, self.L, out=self.w)
        if weight is not None:
            np.multiply(self.w, weight, out=self.w)
        np.copyto(out, self.w, casting="same_kind")

    def gradient_weight(self, weight: Array | None, gamma: Gamma, *, with_v: bool) -> None:
        """Fill ``w`` and, if asked, ``v``, alpha included in both, and ``complement`` with ``w * p_k * (1 - p_k)``.

        Turns ``p`` into the residuals d.
        """
        p_t, q, L, w, v, t = self.p_t, self.q, self.L, self.w, self.v, self.t
        if with_v:
            np.multiply(self.complement, self.p, out=self.complement)
            np.multiply(self.complement, t, out=self.complement)
        q_to_the_gamma(q, None, gamma, out=w)
        if weight is not None:
            np.multiply(w, weight, out=w)
        # With q = 0 goes w = 0, or gamma = 0: what stands in for q does not matter.
        np.maximum(q, np.finfo(q.dtype).tiny, out=t)
        if with_v:
            np.divide(w, t, out=v)
            np.multiply(v, p_t, out=v)
            np.multiply(v, gamma, out=v)
        np.divide(L, t, out=t)
        np.multiply(p_t, t, out=t)
        if with_v:
            np.subtract(2.0, L, out=L)
            np.multiply(gamma - 1.0, t, out=p_t)
            np.add(L, p_t, out=L)
            np.multiply(v, L, out=v)
        np.multiply(gamma, t, out=t)
        np.add(t, 1.0, out=t)
        np.multiply(w, t, out=w)
        if with_v:
            np.multiply(self.complement, w, out=self.complement)
        np.negative(q, out=t)
        self.p.reshape(-1)[self.at_true] = t

    def gradient(self, out: Array) -> None:
        """``w * d_k`` to ``out`` (K, n), which may be ``p`` itself."""
        np.multiply(self.p, self.w, out=out)

    def hessian_diagonal(self, out: Array) -> None:
        """``w*p_k*(1-p_k) + v*d_k**2`` to ``out`` (K, n), which may be ``d`` itself."""
        np.multiply(self.p, self.v, out=out)
        np.multiply(out, self.p, out=out)
        np.add(out, self.complement, out=out)


def _each_block(
    run: Callable[[slice, _Block], None],
    raw_prediction: Array,
    y: Array,
    n_threads: int,
    spare: list[Array] | None = None,
) -> None:
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
        spare=spare,
    )


def _store(a: Array, out: Array) -> None:
    """Class-major ``a`` (K, n) to ``out`` (n, K). Class by class: NumPy's own order would be K short strides a row."""
    for k in range(a.shape[0]):
        np.copyto(out[:, k], a[k], casting="same_kind")


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
        _store(block.p, gradient[rows])

    _each_block(run, raw_prediction, y, n_threads)
    return out, gradient


def gradient_hessian(
    raw_prediction: Array,
    y: Array,
    weight: Array | None,
    gamma: Gamma,
    *,
    out: tuple[Array, Array] | None = None,
    finish: Callable[[Array, Array, Array], None] | None = None,
    n_threads: int = 1,
    spare: list[Array] | None = None,
) -> tuple[Array, Array]:
    """Gradient and diagonal of the Hessian, (n, K) both, in the memory order of ``raw_prediction``.

    ``finish(gradient, hessian, free)`` may change each block (K, rows) in place while it is in the cache, with ``free``
    to write to. ``out`` may have a narrower dtype than ``raw_prediction``, in which everything is computed.
    ``spare``: see `each_block`.
    """
    gradient, hessian = out if out is not None else (np.empty_like(raw_prediction), np.empty_like(raw_prediction))

    def run(rows: slice, block: _Block) -> None:
        block.gradient_weight(_rows(weight, rows), _rows(gamma, rows), with_v=True)
        block.hessian_diagonal(out=block.d)
        block.gradient(out=block.p)
        if finish is not None:
            finish(block.p, block.d, block.complement)
        _store(block.p, gradient[rows])
        _store(block.d, hessian[rows])

    _each_block(run, raw_prediction, y, n_threads, spare)
    return gradient, hessian


def hessian_matrix(raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma) -> Array:
    """Full Hessian of each row, (n, K, K)."""
    n_classes = raw_prediction.shape[1]
    out = np.empty((*raw_prediction.shape, n_classes), dtype=raw_prediction.dtype)

    def run(rows: slice, block: _Block) -> None:
        p = block.p.copy()
        block.gradient_weight(_rows(weight, rows), _rows(gamma, rows), with_v=True)
        d, w, v = block.p, block.w, block.v
        for j in range(n_classes):
            for k in range(n_classes):
                out[rows, j, k] = (block.complement[k] if j == k else -w * p[j] * p[k]) + v * d[j] * d[k]

    _each_block(run, raw_prediction, y, 1)
    return out


def hessian_product(
    raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, direction: Array, *, n_threads: int = 1
) -> Array:
    """Each row's Hessian times its ``direction`` (n, K), (n, K)."""
    out = np.empty_like(raw_prediction)

    def run(rows: slice, block: _Block) -> None:
        p = block.p.copy()
        block.gradient_weight(_rows(weight, rows), _rows(gamma, rows), with_v=True)
        x = np.ascontiguousarray(direction[rows].T)
        d, w, v = block.p, block.w, block.v
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
