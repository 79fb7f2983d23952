"""Binary focal loss in the signed margin ``u = s*z``. May import NumPy and ``blocks`` only.

The letters are those of Lin et al. 2017, `Focal Loss for Dense Object Detection
<https://arxiv.org/abs/1708.02002>`_, appendices A and B: ``p = sigmoid(u)`` is the probability of the true
class, ``q = 1 - p``, ``l = log p``, ``log q = l - u``, and with the sign ``s`` and the weight ``alpha`` of a row::

    FL       = -alpha * q**gamma * l
    dFL/dz   = alpha * s * q**gamma * (gamma*p*l - q)
    d2FL/dz2 = alpha * q**gamma * p * ((1 + 2*gamma)*q + gamma*l*(q - gamma*p))

``1 - p`` is never formed: with ``e = exp(-u)``, ``p = 1/(1+e)`` and ``q = e*p``.

Arguments, the same everywhere: ``raw_prediction`` (n,) scores z; ``sign`` (n,) of +1 and -1, ``weight`` (n,) or
None, alpha times sample weight, both in the dtype of the result; ``gamma`` a number >= 0 or one per row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array, Gamma, each_block, q_to_the_gamma, take_rows


def _smallest_margin(dtype: Any) -> float:
    # exp(-u) must stay finite: exp(709.8) overflows float64, exp(88.7) float32. Below this margin p < 1e-304
    # (1e-34) and both derivatives are within rounding of their limits: -s*q**gamma*(1 - gamma*p*l) -> -s, and p.
    return -80.0 if dtype == np.float32 else -700.0


def _terms(u: Array, scratch: Array) -> tuple[Array, Array, Array]:
    """Clip ``u`` in place and return ``p, q, l``, which live in ``scratch`` (4, n)."""
    e, p, l, t = scratch
    np.maximum(u, _smallest_margin(u.dtype), out=u)
    np.negative(u, out=e)
    np.exp(e, out=e)
    # l = -log1p(e) as log(w) + (e - (w - 1))/w with w = fl(1 + e): the second term gives back what the rounding
    # of w lost (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.14.1). NumPy's log is
    # vectorised on every machine, its log1p only with AVX-512. Within 2 ulp of log1p.
    np.add(e, 1.0, out=t)
    np.divide(1.0, t, out=p)
    np.subtract(t, 1.0, out=l)
    np.subtract(e, l, out=l)
    np.multiply(l, p, out=l)
    np.log(t, out=t)
    np.add(l, t, out=l)
    np.negative(l, out=l)
    q = np.multiply(e, p, out=e)
    return p, q, l


def loss(raw_prediction: Array, sign: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1) -> Array:
    """Focal loss of each row, (n,)."""
    out = np.empty_like(sign)

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        _loss(raw_prediction[rows], sign[rows], take_rows(weight, start, stop), take_rows(gamma, start, stop),
              out[rows], None, scratch)  # fmt: skip

    each_block(run, sign.shape[0], scratch_shape=(7,), dtype=sign.dtype, n_threads=n_threads)
    return out


def loss_gradient(
    raw_prediction: Array, sign: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1
) -> tuple[Array, Array]:
    """Focal loss and gradient of each row, (n,) both."""
    out, gradient = np.empty_like(sign), np.empty_like(sign)

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        _loss(raw_prediction[rows], sign[rows], take_rows(weight, start, stop), take_rows(gamma, start, stop),
              out[rows], gradient[rows], scratch)  # fmt: skip

    each_block(run, sign.shape[0], scratch_shape=(7,), dtype=sign.dtype, n_threads=n_threads)
    return out, gradient


def _loss(
    z: Array, s: Array, weight: Array | None, gamma: Gamma, loss: Array, gradient: Array | None, scratch: Array
) -> None:
    u, qg, below = scratch[4:]
    np.multiply(s, z, out=u)
    # What the clip takes from u is what it takes from l: there p = exp(u) to the last digit.
    np.subtract(u, _smallest_margin(u.dtype), out=below)
    np.minimum(below, 0.0, out=below)
    p, q, l = _terms(u, scratch[:4])
    t = scratch[3]
    np.subtract(l, u, out=u)
    q_to_the_gamma(q, u, gamma, out=qg)
    np.add(l, below, out=t)
    np.negative(t, out=t)
    np.multiply(t, qg, out=loss)
    if weight is not None:
        np.multiply(loss, weight, out=loss)
    if gradient is not None:
        _gradient(s, weight, gamma, p, q, l, qg, gradient, t)


def _gradient(
    s: Array, weight: Array | None, gamma: Gamma, p: Array, q: Array, l: Array, qg: Array, out: Array, t: Array
) -> None:
    np.multiply(p, l, out=t)
    np.multiply(gamma, t, out=t)
    np.subtract(t, q, out=t)
    np.multiply(t, qg, out=t)
    np.multiply(t, s, out=t)
    if weight is not None:
        np.multiply(t, weight, out=t)
    np.copyto(out, t, casting="same_kind")


def gradient_hessian(
    raw_prediction: Array,
    sign: Array,
    weight: Array | None,
    gamma: Gamma,
    *,
    out: tuple[Array, Array] | None = None,
    finish: Callable[[Array, Array], None] | None = None,
    n_threads: int = 1,
) -> tuple[Array, Array]:
    """First and second derivative of each row's loss, (n,) both.

    ``finish(gradient, hessian)`` may change each block in place while it is in the cache. ``out`` may have a
    narrower dtype than ``sign``, in which everything is computed.
    """
    gradient, hessian = out if out is not None else (np.empty_like(sign), np.empty_like(sign))

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        u, qg, g = scratch[4:]
        s, w, gm = sign[rows], take_rows(weight, start, stop), take_rows(gamma, start, stop)
        np.multiply(s, raw_prediction[rows], out=u)
        p, q, l = _terms(u, scratch[:4])
        t = scratch[3]
        np.subtract(l, u, out=u)
        q_to_the_gamma(q, u, gm, out=qg)
        _gradient(s, w, gm, p, q, l, qg, g, t)
        h = _hessian(w, gm, p, q, l, qg, u, t)
        if finish is not None:
            finish(g, h)
        np.copyto(gradient[rows], g, casting="same_kind")
        np.copyto(hessian[rows], h, casting="same_kind")

    each_block(run, sign.shape[0], scratch_shape=(7,), dtype=sign.dtype, n_threads=n_threads)
    return gradient, hessian


def _hessian(
    weight: Array | None, gamma: Gamma, p: Array, q: Array, l: Array, qg: Array, out: Array, t: Array
) -> Array:
    """Overwrite ``out`` with the Hessian; ``l`` and ``qg`` are used up."""
    np.multiply(gamma, p, out=t)
    np.subtract(q, t, out=t)
    np.multiply(l, t, out=t)
    np.multiply(gamma, t, out=t)
    np.multiply(1.0 + 2.0 * gamma, q, out=out)
    np.add(out, t, out=out)
    np.multiply(qg, p, out=qg)
    np.multiply(out, qg, out=out)
    if weight is not None:
        np.multiply(out, weight, out=out)
    return out


def posterior_logit(
    raw_prediction: Array, gamma_negative: float, gamma_positive: float, log_alpha_ratio: float = 0.0
) -> Array:
    """``logit P(y=1 | x)`` at the minimiser of the expected loss, (n,).

    ``log P_k = log p_k - log alpha_k - log w_k + const`` with
    ``log w_k = gamma_k*log q_k + log1p(gamma_k*p_k*r_k)`` and ``r_k = -log(p_k)/q_k``
    (Charoenphakdee et al. 2021, theorem 11, with a gamma and an alpha per class). Strictly increasing in z.
    """
    z = np.asarray(raw_prediction)
    if gamma_negative == gamma_positive == 0.0:
        result: Array = z - z.dtype.type(log_alpha_ratio)
        return result
    out = np.empty_like(z)
    g0, g1 = gamma_negative, gamma_positive

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        out[rows] = z[rows]
        log_p, log_q, p, q, r = scratch
        # log sigmoid(z) = min(z, 0) - log1p(exp(-|z|)); log_p - z would lose log_q where it is near 0.
        np.abs(z[rows], out=r)
        np.negative(r, out=r)
        np.exp(r, out=r)
        np.log1p(r, out=r)
        np.minimum(z[rows], 0.0, out=log_p)
        np.subtract(log_p, r, out=log_p)
        np.maximum(z[rows], 0.0, out=log_q)
        np.add(log_q, r, out=log_q)
        np.negative(log_q, out=log_q)
        np.exp(log_p, out=p)
        np.exp(log_q, out=q)
        if g0 == g1:
            r[...] = g1 * z[rows]
        else:
            r[...] = g0 * log_p - g1 * log_q
        np.add(out[rows], r, out=out[rows])
        out[rows] += log1p_gamma_p_r(g0, q, log_q, p, r)
        out[rows] -= log1p_gamma_p_r(g1, p, log_p, q, r)
        out[rows] -= z.dtype.type(log_alpha_ratio)

    each_block(run, z.shape[0], scratch_shape=(5,), dtype=z.dtype)
    return out


def log1p_gamma_p_r(gamma: Gamma, p: Array, log_p: Array, q: Array, out: Array) -> Array:
    """``log1p(gamma * p * r)`` with ``r = -log(p)/q``, which tends to 1 as ``q`` tends to 0."""
    tiny = np.finfo(p.dtype).tiny
    np.maximum(q, tiny, out=out)
    np.divide(log_p, out, out=out)
    np.negative(out, out=out)
    out[q <= tiny] = 1.0
    np.multiply(p, out, out=out)
    np.multiply(gamma, out, out=out)
    return np.log1p(out, out=out)
