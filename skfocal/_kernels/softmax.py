"""Multiclass focal loss in the softmax of K scores. May import NumPy, ``blocks``, ``binary`` and ``compiled`` only.

For the true class t the loss is a binary loss: ``p_t = sigmoid(u)`` with the margin ``u = z_t - log(others)``, where
``others`` is the sum of ``exp(z_k)`` over all k other than t. The derivatives by u are those of ``binary``. The
derivative of u by z_t is 1, and by z_k it is -r_k, where ``r_k = p_k/q`` is the share of class k in q. With ``A =
-dFL/du >= 0`` and ``H = d2FL/du2``::

    dFL/dz_t        = -A                      d2FL/dz_t**2    = H
    dFL/dz_k        = A * r_k                 d2FL/dz_k**2    = A * r_k*(1 - r_k) + H * r_k**2
    d2FL/dz_t dz_k  = -H * r_k                d2FL/dz_j dz_k  = (H - A) * r_j*r_k

This follows from Lin et al. (2017), equation 5, by the chain rule. The gradient equals ``alpha * w * (p_k - [k==t])``,
where ``w = A/q`` is the ratio to the gradient of cross-entropy. In the form above no factor is unbounded.

``1 - r_k`` is computed as the sum of the other shares if a subtraction would be inaccurate, that is, in rows that are
certainly wrong, where H is equally small. Scratch memory is class-major, (K, rows), so that each class is contiguous.

All functions have the same arguments. ``raw_prediction`` (n, K) has any memory order. ``y`` (n,) contains class
indices, intp. ``weight`` (n,) or None is alpha times the sample weight. ``gamma`` is a number >= 0, or one number per
row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from skfocal import _kernels
from skfocal._kernels.binary import first_derivative, log1p_gamma_p_r, second_derivative, terms_of
from skfocal._kernels.blocks import Array, Gamma, each_block, floor_and_round, q_to_the_gamma, saturate, take_rows

SURELY_WRONG = 0.97
"""For shares ``r_k`` above this value, ``1 - r_k`` is the sum of the other shares. Below it, the subtraction loses at
most five bits."""


class _Block:
    """A block of rows and its intermediate results. Attributes have the letters above and those of ``binary``.

    ``e`` (K, n) contains the exponentials at first. It is 0 for the true class, which has different formulas and is
    filled in at the end.
    """

    def __init__(self, raw_prediction: Array, y: Array, scratch: Array) -> None:
        n_rows, n_classes = raw_prediction.shape
        # Contiguous even for the last, shorter block, because the true class is accessed by a flat index. This is
        # several times faster than a pair of indices.
        large, small = scratch[: 2 * n_classes], scratch[2 * n_classes :, :n_rows]
        flat = large.reshape(-1)[: 2 * n_classes * n_rows]
        self.e, self.h = flat.reshape(2, n_classes, n_rows)
        self.q, self.p, self.L, self.qg, self.A, self.H, self.inv, self.t = small
        self.z = raw_prediction
        self.at_true = y * n_rows
        self.at_true += np.arange(n_rows)

    def of_true_class(self, a: Array, out: Array) -> None:
        """``a[y[i], i]`` of each row i."""
        # "clip", because "raise" would buffer the output. The indices are in range.
        np.take(a.reshape(-1), self.at_true, out=out, mode="clip")

    def exponentials(self, *, true_loss: bool) -> None:
        """Fill ``e``, and ``q``, ``p`` and ``L`` of the true class. With ``true_loss``, ``L`` is accurate to all
        digits.

        Also stores the sum of the exponentials of the other classes in ``A``, its reciprocal in ``inv``, and the
        exponential of the true class in ``H``.
        """
        e, t, others, e_t = self.e, self.t, self.A, self.H
        z = self.z.T
        if z.strides[1] != z.itemsize:
            np.copyto(e, z)  # class by class in memory, for the reduction below
            z = e
        np.max(z, axis=0, out=t)
        with np.errstate(over="ignore"):  # exp(-inf) is 0, which is right
            np.subtract(z, t, out=e)
        if true_loss:
            self.of_true_class(e, out=self.qg)
            np.maximum(self.qg, np.finfo(e.dtype).min, out=self.qg)
        np.exp(e, out=e)
        self.of_true_class(e, out=e_t)
        e.reshape(-1)[self.at_true] = 0.0
        np.add.reduce(e, axis=0, out=others)
        # others/e_t must be finite, for K up to 1e8. Below this bound, p_t changes the derivatives only by rounding
        # errors.
        smallest = 1e-30 if e.dtype == np.float32 else 1e-300
        np.maximum(e_t, smallest, out=t)
        np.divide(others, t, out=self.q)
        terms_of(self.q, self.p, self.L, t)
        if true_loss:
            far = np.flatnonzero(e_t < smallest)
            self.L[far] = np.log(others[far]) - self.qg[far]
        # If all others are 0, A and H are 0 as well, and the replacement of their sum does not matter.
        np.maximum(others, np.finfo(e.dtype).tiny, out=self.inv)
        np.divide(1.0, self.inv, out=self.inv)

    def power_of_q(self, weight: Array | None, gamma: Gamma, scale: float = 1.0) -> None:
        """Write ``alpha * q**gamma`` to ``qg``."""
        q_to_the_gamma(self.q, None, gamma, out=self.qg)
        if weight is not None:
            np.multiply(self.qg, weight, out=self.qg)
        if scale != 1.0:
            np.multiply(self.qg, scale, out=self.qg)

    def loss(self, weight: Array | None, out: Array) -> None:
        """The loss, (n,). Call `power_of_q` before."""
        with np.errstate(over="ignore"):
            np.multiply(self.qg, self.L, out=out)
        saturate(out, weight)

    def by_u(self, gamma: Gamma, *, second: bool = True) -> None:
        """Convert ``e`` to the shares ``r_k``, fill ``A`` and, with ``second``, ``H``. Overwrites ``L`` and ``qg``."""
        np.multiply(self.e, self.inv, out=self.e)
        first_derivative(self.q, self.p, self.L, self.qg, gamma, out=self.A)
        if second:
            second_derivative(self.q, self.p, self.L, self.qg, gamma, self.A, out=self.H)

    def gradient(self) -> Array:
        """The gradient, (K, n), which overwrites the shares. Call `by_u` before."""
        r = self.e
        np.multiply(r, self.A, out=r)
        np.negative(self.A, out=self.t)
        r.reshape(-1)[self.at_true] = self.t
        return r

    def hessian_diagonal(self, factor: float = 1.0, least: float = 0.0) -> Array:
        """The diagonal times ``factor``, at least ``least`` times the absolute gradient, (K, n). Call `by_u` before.
        Overwrites ``H``.
        """
        r, h, A, H, t = self.e, self.h, self.A, self.H, self.t
        if factor != 1.0:
            A = np.multiply(A, factor, out=self.L)
            np.multiply(H, factor, out=H)
            least /= factor
        rows, at_wrong, r_wrong, rest = self._surely_wrong()
        of_wrong = A[rows] * rest + H[rows] * r_wrong
        # r_k * (A + r_k*(H - A))
        np.subtract(H, A, out=t)
        np.multiply(r, t, out=h)
        np.add(h, A, out=h)
        if least:
            np.multiply(A, least, out=t)
            np.maximum(h, t, out=h)
            np.maximum(H, t, out=H)
            np.maximum(of_wrong, t[rows], out=of_wrong)
        np.multiply(h, r, out=h)
        flat = h.reshape(-1)
        flat[self.at_true] = H
        flat[at_wrong] = of_wrong * r_wrong
        return h

    def cross_entropy(self, factor: float, least: float) -> tuple[Array, Array]:
        """Gradient and Hessian for ``gamma = 0``: ``p_k - [k==t]`` and ``p_k*(1 - p_k)``. Replaces `by_u`.

        They are computed as in the boosters: equal scores have equal Hessians for any true class, so that the same
        splits are tied. Where a wrong class is near 1, accuracy matters more, and they differ by rounding errors.
        """
        p, h, A, H, p_t, q, qg, t = self.e, self.h, self.A, self.H, self.p, self.q, self.qg, self.t
        np.add(A, H, out=t)
        np.divide(1.0, t, out=t)
        np.multiply(p, t, out=p)
        np.multiply(H, t, out=p_t)
        complement = np.subtract(1.0, p_t, out=self.L)
        np.copyto(complement, q, where=q < 1.0 - SURELY_WRONG)
        np.multiply(complement, p_t, out=H)
        np.subtract(1.0, p, out=h)
        np.multiply(h, p, out=h)
        rows, at_wrong, p_wrong, rest = self._surely_wrong()
        flat = h.reshape(-1)
        flat[self.at_true] = H
        flat[at_wrong] = (rest + p_t[rows]) * p_wrong
        p.reshape(-1)[self.at_true] = q
        np.multiply(p, qg, out=p)
        np.multiply(qg, factor, out=t)
        np.multiply(h, t, out=h)
        if least:
            np.maximum(h, least * p, out=h)
        np.multiply(q, qg, out=A)
        np.negative(A, out=A)
        p.reshape(-1)[self.at_true] = A
        return p, h

    def _surely_wrong(self) -> tuple[Array, Array, Array, Array]:
        """Rows with a wrong class near 1, the flat index of this class, its ``e``, and the sum of ``e`` of the others
        except for t.
        """
        # With q > 0.75 and inv near 1, another class has the highest score, and its exponential is 1.
        rows = np.flatnonzero((self.inv > SURELY_WRONG) & (self.q > 0.75))
        e, columns = self.e[:, rows], np.arange(rows.shape[0])
        top = e.argmax(axis=0)
        of_top = e[top, columns]
        e[top, columns] = 0.0
        return rows, top * self.e.shape[1] + rows, of_top, e.sum(axis=0)

    def shares(self) -> Array:
        """``r_k`` (K, n), with -1 for the true class: the negative derivatives of u. Call `by_u` before."""
        self.e.reshape(-1)[self.at_true] = -1.0
        return self.e


def _each_block(
    run: Callable[[slice, _Block], None],
    raw_prediction: Array,
    y: Array,
    n_threads: int,
    spare: list[Array] | None = None,
    *,
    true_loss: bool = False,
) -> None:
    n_rows, n_classes = raw_prediction.shape

    def on_block(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        block = _Block(raw_prediction[rows], y[rows], scratch)
        block.exponentials(true_loss=true_loss)
        run(rows, block)

    each_block(
        on_block,
        n_rows,
        scratch_shape=(2 * n_classes + 8,),
        dtype=raw_prediction.dtype,
        n_classes=n_classes,
        n_threads=n_threads,
        spare=spare,
    )


def _each_compiled_block(
    raw_prediction: Array,
    y: Array,
    weight: Array | None,
    gamma: Gamma,
    n_threads: int,
    *,
    scale: float = 1.0,
    hessian_factor: float = 1.0,
    least: float = 0.0,
    floor: float = -np.inf,
    drop_bits: int = 0,
    loss: Array | None = None,
    gradient: Array | None = None,
    hessian: Array | None = None,
) -> None:
    """Fill the given results with the kernel in C. The arguments are those of `gradient_hessian`."""
    assert _kernels.compiled is not None
    fill = _kernels.compiled.softmax

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        data = raw_prediction[rows], y[rows], _rows(weight, rows), _rows(gamma, rows)
        results = (None if a is None else a[rows] for a in (loss, gradient, hessian))
        fill(*data, scale, hessian_factor, least, floor, drop_bits, *results)
        if loss is not None:
            saturate(loss[rows], _rows(weight, rows))

    n_rows, n_classes = raw_prediction.shape
    each_block(run, n_rows, scratch_shape=(0,), dtype=raw_prediction.dtype, n_classes=n_classes, n_threads=n_threads)


def _store(a: Array, out: Array) -> None:
    """Copy class-major ``a`` (K, n) to ``out`` (n, K), class by class. NumPy's own order would be K short strides per
    row.
    """
    for k in range(a.shape[0]):
        np.copyto(out[:, k], a[k], casting="same_kind")


def _rows(per_row: Any, rows: slice) -> Any:
    return take_rows(per_row, rows.start, rows.stop)


def loss(raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1) -> Array:
    """Focal loss of each row, (n,)."""
    out = np.empty(y.shape[0], dtype=raw_prediction.dtype)
    if _kernels.compiled is not None:
        _each_compiled_block(raw_prediction, y, weight, gamma, n_threads, loss=out)
        return out

    def run(rows: slice, block: _Block) -> None:
        block.power_of_q(_rows(weight, rows), _rows(gamma, rows))
        block.loss(_rows(weight, rows), out[rows])

    _each_block(run, raw_prediction, y, n_threads, true_loss=True)
    return out


def loss_gradient(
    raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1
) -> tuple[Array, Array]:
    """Focal loss (n,) and gradient (n, K), the latter in the memory order of ``raw_prediction``."""
    out, gradient = np.empty(y.shape[0], dtype=raw_prediction.dtype), np.empty_like(raw_prediction)
    if _kernels.compiled is not None:
        _each_compiled_block(raw_prediction, y, weight, gamma, n_threads, loss=out, gradient=gradient)
        return out, gradient

    def run(rows: slice, block: _Block) -> None:
        g = _rows(gamma, rows)
        block.power_of_q(_rows(weight, rows), g)
        block.loss(_rows(weight, rows), out[rows])
        # p*L tends to 0, but a larger L times the replacement of p does not. All other L are at most 710.
        np.minimum(block.L, 1000.0, out=block.L)
        block.by_u(g, second=False)
        _store(block.gradient(), gradient[rows])

    _each_block(run, raw_prediction, y, n_threads, true_loss=True)
    return out, gradient


def gradient_hessian(
    raw_prediction: Array,
    y: Array,
    weight: Array | None,
    gamma: Gamma,
    *,
    scale: float = 1.0,
    hessian_factor: float = 1.0,
    least: float = 0.0,
    out: tuple[Array, Array] | None = None,
    floor: float = -np.inf,
    drop_bits: int = 0,
    n_threads: int = 1,
    spare: list[Array] | None = None,
) -> tuple[Array, Array]:
    """Gradient and diagonal of the Hessian, each (n, K), in the memory order of ``raw_prediction``.

    The other arguments are those of `binary.gradient_hessian`.
    """
    gradient, hessian = out if out is not None else (np.empty_like(raw_prediction), np.empty_like(raw_prediction))
    if _kernels.compiled is not None:
        _each_compiled_block(
            raw_prediction, y, weight, gamma, n_threads,
            scale=scale, hessian_factor=hessian_factor, least=least, floor=floor, drop_bits=drop_bits,
            gradient=gradient, hessian=hessian,
        )  # fmt: skip
        return gradient, hessian
    is_zero = not isinstance(gamma, np.ndarray) and gamma == 0.0

    def run(rows: slice, block: _Block) -> None:
        g = _rows(gamma, rows)
        block.power_of_q(_rows(weight, rows), g, scale)
        if is_zero:
            first, second = block.cross_entropy(hessian_factor, least)
        else:
            block.by_u(g)
            second = block.hessian_diagonal(hessian_factor, least)
            first = block.gradient()
        _store(first, gradient[rows])
        _store(second, hessian[rows])
        floor_and_round(gradient[rows], hessian[rows], floor, drop_bits)

    _each_block(run, raw_prediction, y, n_threads, spare)
    return gradient, hessian


def hessian_matrix(raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma) -> Array:
    """Full Hessian of each row, (n, K, K)."""
    n_classes = raw_prediction.shape[1]
    out = np.empty((*raw_prediction.shape, n_classes), dtype=raw_prediction.dtype)

    def run(rows: slice, block: _Block) -> None:
        g, true = _rows(gamma, rows), y[rows]
        block.power_of_q(_rows(weight, rows), g)
        block.by_u(g)
        A, H = block.A, block.H.copy()
        h, r = block.hessian_diagonal(), block.shares()
        for j in range(n_classes):
            for k in range(n_classes):
                both_other = (true != j) & (true != k)
                out[rows, j, k] = h[k] if j == k else (H - A * both_other) * r[j] * r[k]

    _each_block(run, raw_prediction, y, 1)
    return out


def hessian_product(
    raw_prediction: Array, y: Array, weight: Array | None, gamma: Gamma, direction: Array, *, n_threads: int = 1
) -> Array:
    """Product of each row's Hessian with its ``direction`` (n, K). The result is (n, K)."""
    out = np.empty_like(raw_prediction)

    def run(rows: slice, block: _Block) -> None:
        g = _rows(gamma, rows)
        block.power_of_q(_rows(weight, rows), g)
        block.by_u(g)
        A, H, r, h = block.A, block.H, block.shares(), block.h
        x = np.ascontiguousarray(direction[rows].T)
        # For the true class: H * s with s = sum_k r_k*x_k, where its own r is -1. For the others: H * r_k*s + A *
        # r_k*(x_k - s'), where s' is the sum over the others.
        np.multiply(r, x, out=h)
        s = h.sum(axis=0)
        block.of_true_class(x, out=block.t)
        np.subtract(x, s + block.t, out=x)
        np.multiply(x, A, out=x)
        x.reshape(-1)[block.at_true] = 0.0
        np.add(x, H * s, out=x)
        np.multiply(x, r, out=x)
        np.copyto(out[rows].T, x)

    _each_block(run, raw_prediction, y, n_threads)
    return out


def log_posterior(raw_prediction: Array, gamma: Array, log_alpha: Array | None) -> Array:
    """``log P(y=k | x)`` at the minimum of the expected loss, up to a constant per row, (n, K).

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
        # log q_k of the top class is the log-sum-exp of the others, which can all underflow compared with the top
        # class.
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
        n_classes=n_classes,
    )
    return out
