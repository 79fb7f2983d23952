"""Multiclass focal loss in the softmax of K scores. May import NumPy, ``blocks``, ``binary`` and ``compiled`` only.

Seen from the true class t the loss is binary: ``p_t = sigmoid(u)`` in the margin ``u = z_t - log(others)`` with
``others`` the sum of ``exp(z_k)`` over k other than t. By u it has the derivatives of ``binary``; u has 1 by z_t and
-r_k by z_k, where ``r_k = p_k/q`` is class k's share of q. With ``A = -dFL/du >= 0`` and ``H = d2FL/du2``::

    dFL/dz_t        = -A                      d2FL/dz_t**2    = H
    dFL/dz_k        = A * r_k                 d2FL/dz_k**2    = A * r_k*(1 - r_k) + H * r_k**2
    d2FL/dz_t dz_k  = -H * r_k                d2FL/dz_j dz_k  = (H - A) * r_j*r_k

by the chain rule from Lin et al. 2017, eq. 5. It is ``alpha * w * (p_k - [k==t])`` with the ratio ``w = A/q`` to
cross-entropy, and its Hessian, without a factor that grows without bound.

``1 - r_k`` is the sum of the other shares, never a subtraction where it matters: of a row that is surely wrong H is as
small. Scratch is class-major, (K, rows): one class at a time is contiguous.

Arguments, the same everywhere: ``raw_prediction`` (n, K) in any memory order; ``y`` (n,) class indices, intp;
``weight`` (n,) or None, alpha times sample weight; ``gamma`` a number >= 0 or one per row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from skfocal import _kernels
from skfocal._kernels.binary import first_derivative, log1p_gamma_p_r, second_derivative, terms_of
from skfocal._kernels.blocks import Array, Gamma, each_block, floor_and_round, q_to_the_gamma, saturate, take_rows

SURELY_WRONG = 0.97
"""Share ``r_k`` from which on ``1 - r_k`` is summed from the others; below, the subtraction loses five bits at most."""


class _Block:
    """A block of rows and what the formulas share. Attributes carry the letters above and those of ``binary``.

    ``e`` (K, n) are first the exponentials, with 0 for the true class, whose formulas are others and put in at the end.
    """

    def __init__(self, raw_prediction: Array, y: Array, scratch: Array) -> None:
        n_rows, n_classes = raw_prediction.shape
        # Contiguous for the last, shorter block too: the true class is found by flat index, several times faster
        # than by a pair of indices.
        large, small = scratch[: 2 * n_classes], scratch[2 * n_classes :, :n_rows]
        flat = large.reshape(-1)[: 2 * n_classes * n_rows]
        self.e, self.h = flat.reshape(2, n_classes, n_rows)
        self.q, self.p, self.L, self.qg, self.A, self.H, self.inv, self.t = small
        self.z = raw_prediction
        self.at_true = y * n_rows
        self.at_true += np.arange(n_rows)

    def of_true_class(self, a: Array, out: Array) -> None:
        """``a[y[i], i]`` of each row i."""
        # "clip" because "raise" would buffer the output; the indices are in range.
        np.take(a.reshape(-1), self.at_true, out=out, mode="clip")

    def exponentials(self, *, true_loss: bool) -> None:
        """Fill ``e``, and of the true class ``q, p`` and ``L``, the last to all digits if asked.

        Leaves the others' sum of exponentials in ``A``, its reciprocal in ``inv`` and the true class's in ``H``.
        """
        e, t, others, e_t = self.e, self.t, self.A, self.H
        z = self.z.T
        if z.strides[1] != z.itemsize:
            np.copyto(e, z)  # class by class in memory: the reduction below runs along it
            z = e
        np.max(z, axis=0, out=t)
        with np.errstate(over="ignore"):  # the exponential of minus infinity is 0, as it should be
            np.subtract(z, t, out=e)
        if true_loss:
            self.of_true_class(e, out=self.qg)
            np.maximum(self.qg, np.finfo(e.dtype).min, out=self.qg)
        np.exp(e, out=e)
        self.of_true_class(e, out=e_t)
        e.reshape(-1)[self.at_true] = 0.0
        np.add.reduce(e, axis=0, out=others)
        # others/e_t must stay finite, for K up to 1e8. Below, p_t changes no derivative by more than rounding.
        smallest = 1e-30 if e.dtype == np.float32 else 1e-300
        np.maximum(e_t, smallest, out=t)
        np.divide(others, t, out=self.q)
        terms_of(self.q, self.p, self.L, t)
        if true_loss:
            far = np.flatnonzero(e_t < smallest)
            self.L[far] = np.log(others[far]) - self.qg[far]
        # Where all others are 0 so are A and H: what stands in for their sum does not matter.
        np.maximum(others, np.finfo(e.dtype).tiny, out=self.inv)
        np.divide(1.0, self.inv, out=self.inv)

    def power_of_q(self, weight: Array | None, gamma: Gamma, scale: float = 1.0) -> None:
        """``alpha * q**gamma`` to ``qg``."""
        q_to_the_gamma(self.q, None, gamma, out=self.qg)
        if weight is not None:
            np.multiply(self.qg, weight, out=self.qg)
        if scale != 1.0:
            np.multiply(self.qg, scale, out=self.qg)

    def loss(self, weight: Array | None, out: Array) -> None:
        """After `power_of_q`, (n,)."""
        with np.errstate(over="ignore"):
            np.multiply(self.qg, self.L, out=out)
        saturate(out, weight)

    def by_u(self, gamma: Gamma, *, second: bool = True) -> None:
        """Turn ``e`` into the shares ``r_k``, fill ``A`` and, if asked, ``H``. Uses up ``L`` and ``qg``."""
        np.multiply(self.e, self.inv, out=self.e)
        first_derivative(self.q, self.p, self.L, self.qg, gamma, out=self.A)
        if second:
            second_derivative(self.q, self.p, self.L, self.qg, gamma, self.A, out=self.H)

    def gradient(self) -> Array:
        """After `by_u`, (K, n). Turns the shares into it."""
        r = self.e
        np.multiply(r, self.A, out=r)
        np.negative(self.A, out=self.t)
        r.reshape(-1)[self.at_true] = self.t
        return r

    def hessian_diagonal(self, factor: float = 1.0, least: float = 0.0) -> Array:
        """After `by_u`, times ``factor``, at least ``least`` times the gradient's size, (K, n). Uses up ``H``."""
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
        """Gradient and Hessian for ``gamma = 0``: ``p_k - [k==t]`` and ``p_k*(1 - p_k)``. In place of `by_u`.

        As boosters compute them: where scores are equal so are Hessians, whatever the true class, and so splits tie
        where theirs do.
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
        """Rows with a wrong class near 1, that class's flat index, its ``e`` and the sum of the others' but for t's."""
        # With q > 0.75 and inv near 1 the highest score is another class's, whose exponential is 1 then.
        rows = np.flatnonzero((self.inv > SURELY_WRONG) & (self.q > 0.75))
        e, columns = self.e[:, rows], np.arange(rows.shape[0])
        top = e.argmax(axis=0)
        of_top = e[top, columns]
        e[top, columns] = 0.0
        return rows, top * self.e.shape[1] + rows, of_top, e.sum(axis=0)

    def shares(self) -> Array:
        """After `by_u`: ``r_k`` (K, n), -1 for the true class, that is minus the derivatives of u."""
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
    """Have the kernel in C fill the results that are given; the arguments are those of `gradient_hessian`."""
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
    """Class-major ``a`` (K, n) to ``out`` (n, K). Class by class: NumPy's own order would be K short strides a row."""
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
        # p*L tends to 0, which a larger L times the p that stands in does not. All other L are at most 710.
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
    """Gradient and diagonal of the Hessian, (n, K) both, in the memory order of ``raw_prediction``.

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
    """Each row's Hessian times its ``direction`` (n, K), (n, K)."""
    out = np.empty_like(raw_prediction)

    def run(rows: slice, block: _Block) -> None:
        g = _rows(gamma, rows)
        block.power_of_q(_rows(weight, rows), g)
        block.by_u(g)
        A, H, r, h = block.A, block.H, block.shares(), block.h
        x = np.ascontiguousarray(direction[rows].T)
        # Of the true class H * s with s = sum_k r_k*x_k, its own r being -1; of the others, with their own sum s',
        # H * r_k*s + A * r_k*(x_k - s').
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
        n_classes=n_classes,
    )
    return out
