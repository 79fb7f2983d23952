"""Binary focal loss in the signed margin ``u = s*z``. May import NumPy, ``blocks`` and ``compiled`` only.

The letters are those of Lin et al. 2017, `Focal Loss for Dense Object Detection
<https://arxiv.org/abs/1708.02002>`_, appendices A and B: ``p = sigmoid(u)`` is the probability of the true
class, ``q = 1 - p``, ``L = -log p``, ``log q = -u - L``, and with the sign ``s`` and the weight ``alpha`` of a row::

    FL       = alpha * q**gamma * L
    dFL/dz   = -s * alpha * q**gamma * G,             G = gamma*p*L + q
    d2FL/dz2 = alpha * q**gamma * p * ((1 + 2*gamma)*q - gamma*L*(q - gamma*p))
             = alpha * q**gamma * p * (q*(1 + gamma - gamma*L) + gamma*G)

``1 - p`` is never computed. Instead ``e = exp(-u)``, ``p = 1/(1+e)`` and ``q = e*p``.

All functions have the same arguments. ``raw_prediction`` (n,) contains the scores z. ``minus_s`` (n,) is the negative
sign, -1 for class 1 and +1 for class 0, in the dtype of the result; it is used because the exponential needs ``-u =
minus_s*z``. ``weight`` (n,) or None is alpha times the sample weight. ``gamma`` is a number >= 0, or one number per
row.
"""

from typing import Any

import numpy as np

from skfocal import _kernels
from skfocal._kernels.blocks import (
    Array,
    Gamma,
    each_block,
    empty_pair,
    floor_and_round,
    has_fast_log1p,
    power_is_by_products,
    q_to_the_gamma,
    saturate,
    take_rows,
)


def _scratch() -> tuple[int]:
    # The kernels in C have their own scratch memory on the stack.
    return (6,) if _kernels.compiled is None else (0,)


def _largest_minus_u(dtype: Any) -> float:
    # exp(-u) must be finite: exp(709.8) overflows float64, and exp(88.7) overflows float32. Beyond this bound, p <
    # 1e-304 (1e-34 in float32), and both derivatives equal their limits up to rounding: -s*q**gamma*(1 + gamma*p*L) ->
    # -s, and p.
    return 80.0 if dtype == np.float32 else 700.0


def _terms(minus_u: Array, e: Array, p: Array, L: Array, t: Array) -> Array | None:
    """Fill ``p`` and ``L``, overwrite ``e`` by q, clip ``minus_u`` (which can be ``e``) and return the clipped part."""
    limit = _largest_minus_u(minus_u.dtype)
    clipped = None
    if minus_u.max() > limit:
        clipped = np.maximum(minus_u - limit, 0.0)
        np.minimum(minus_u, limit, out=minus_u)
    np.exp(minus_u, out=e)
    terms_of(e, p, L, t)
    return clipped


def terms_of(e: Array, p: Array, L: Array, t: Array) -> None:
    """From ``e = exp(-u)`` fill ``p`` and ``L`` and overwrite ``e`` by q. ``t`` is scratch memory."""
    np.add(e, 1.0, out=t)
    np.divide(1.0, t, out=p)
    if has_fast_log1p(e.dtype):
        np.log1p(e, out=L)
    else:
        # log1p(e) is log(t) + (e - (t - 1))/t with t = fl(1 + e). The second term corrects the rounding error of t
        # (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.14.1). The error is at most 2 ulp.
        np.subtract(t, 1.0, out=L)
        np.subtract(e, L, out=L)
        np.multiply(L, p, out=L)
        np.log(t, out=t)
        np.add(L, t, out=L)
    np.multiply(e, p, out=e)


def first_derivative(q: Array, p: Array, L: Array, qg: Array, gamma: Gamma, out: Array) -> None:
    """Write ``abs(dFL/dz)`` to ``out``, from ``qg = alpha * q**gamma``. Overwrites ``L`` by ``gamma*L``."""
    np.multiply(gamma, L, out=L)
    np.multiply(L, p, out=out)
    np.add(out, q, out=out)
    np.multiply(out, qg, out=out)


def second_derivative(q: Array, p: Array, L: Array, qg: Array, gamma: Gamma, G: Array, out: Array) -> None:
    """Write ``d2FL/dz2`` to ``out``, from the results of `first_derivative` in ``L`` and ``G``. Overwrites ``L`` and
    ``qg``.
    """
    np.subtract(1.0 + gamma, L, out=L)
    np.multiply(L, q, out=L)
    np.multiply(L, qg, out=L)
    np.multiply(gamma, G, out=qg)
    np.add(L, qg, out=L)
    np.multiply(L, p, out=out)


def loss(raw_prediction: Array, minus_s: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1) -> Array:
    """Focal loss of each row, (n,)."""
    out = np.empty_like(minus_s)

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        _loss(raw_prediction[rows], minus_s[rows], take_rows(weight, start, stop), take_rows(gamma, start, stop),
              out[rows], None, scratch)  # fmt: skip

    each_block(run, minus_s.shape[0], scratch_shape=_scratch(), dtype=minus_s.dtype, n_threads=n_threads)
    return out


def loss_gradient(
    raw_prediction: Array, minus_s: Array, weight: Array | None, gamma: Gamma, *, n_threads: int = 1
) -> tuple[Array, Array]:
    """Focal loss and gradient of each row, each of shape (n,)."""
    out, gradient = np.empty_like(minus_s), np.empty_like(minus_s)

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        _loss(raw_prediction[rows], minus_s[rows], take_rows(weight, start, stop), take_rows(gamma, start, stop),
              out[rows], gradient[rows], scratch)  # fmt: skip

    each_block(run, minus_s.shape[0], scratch_shape=_scratch(), dtype=minus_s.dtype, n_threads=n_threads)
    return out, gradient


def _loss(
    z: Array, minus_s: Array, weight: Array | None, gamma: Gamma, loss: Array, gradient: Array | None, scratch: Array
) -> None:
    if _kernels.compiled is not None:
        _kernels.compiled.binary(z, minus_s, weight, gamma, 1.0, 1.0, 0.0, -np.inf, 0, loss, gradient, None)
        saturate(loss, weight)
        return
    minus_u, e, p, L, qg, t = scratch
    np.multiply(minus_s, z, out=minus_u)
    clipped = _terms(minus_u, e, p, L, t)
    q = e
    _q_to_the_gamma(q, minus_u, L, weight, gamma, qg)
    with np.errstate(over="ignore"):
        np.multiply(qg, L, out=loss)
        if clipped is not None:
            # Where the clip applies, p = exp(u) to the last digit, so the clipped parts of -u and of L are equal.
            loss += clipped * qg
    saturate(loss, weight)
    if gradient is not None:
        first_derivative(q, p, L, qg, gamma, out=t)
        np.multiply(t, minus_s, out=gradient)


def _q_to_the_gamma(q: Array, minus_u: Array, L: Array, weight: Array | None, gamma: Gamma, out: Array) -> None:
    """Write ``weight * q**gamma`` to ``out``, which can be ``minus_u``."""
    log_q = None
    if not power_is_by_products(gamma):
        log_q = np.subtract(minus_u, L, out=out)
        # The product with gamma is finite, and the power is 0 long before this bound.
        np.maximum(log_q, np.finfo(log_q.dtype).min / 1024, out=log_q)
    q_to_the_gamma(q, log_q, gamma, out=out)
    if weight is not None:
        np.multiply(out, weight, out=out)


def gradient_hessian(
    raw_prediction: Array,
    minus_s: Array,
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
    """First and second derivatives of each row's loss, each of shape (n,).

    ``scale`` multiplies both derivatives, and ``hessian_factor`` multiplies the second. The second is then raised to at
    least ``least`` times the absolute value of the first, and to at least ``floor``. The computation uses the dtype of
    ``minus_s``. ``out`` can have a narrower dtype, and results are rounded to ``drop_bits`` bits fewer than that dtype
    has. For ``spare`` see `each_block`.
    """
    gradient, hessian = out if out is not None else empty_pair(minus_s.shape, minus_s.dtype)

    def run(start: int, stop: int, scratch: Array) -> None:
        rows = slice(start, stop)
        z, s, w, c = raw_prediction[rows], minus_s[rows], take_rows(weight, start, stop), take_rows(gamma, start, stop)
        parts = gradient[rows], hessian[rows]
        if _kernels.compiled is not None:
            _kernels.compiled.binary(z, s, w, c, scale, hessian_factor, least, floor, drop_bits, None, *parts)
        else:
            _gradient_hessian(z, s, w, c, scale, hessian_factor, least, *parts, scratch)
            floor_and_round(*parts, floor, drop_bits)

    each_block(run, minus_s.shape[0], scratch_shape=_scratch(), dtype=minus_s.dtype, n_threads=n_threads, spare=spare)
    return gradient, hessian


def _gradient_hessian(
    z: Array,
    minus_s: Array,
    weight: Array | None,
    gamma: Gamma,
    scale: float,
    hessian_factor: float,
    least: float,
    gradient: Array,
    hessian: Array,
    scratch: Array,
) -> None:
    """A block of `gradient_hessian` in NumPy."""
    direct = gradient.dtype == hessian.dtype == minus_s.dtype
    g, h = (gradient, hessian) if direct else (scratch[5], scratch[3])
    if not isinstance(gamma, np.ndarray) and gamma == 0.0:
        _cross_entropy(z, minus_s, weight, scale, least / hessian_factor, g, h, scratch)
    else:
        _focal(z, minus_s, weight, gamma, scale, least / hessian_factor, g, h, scratch)
    if hessian_factor != 1.0:
        np.multiply(h, hessian_factor, out=h)
    if not direct:
        np.copyto(gradient, g, casting="same_kind")
        np.copyto(hessian, h, casting="same_kind")


def _focal(
    z: Array, s: Array, w: Array | None, gamma: Gamma, scale: float, least: float, g: Array, h: Array, scratch: Array
) -> None:
    """Write the derivatives of a block to ``g`` and ``h``, which can be row 5 and row 3 of ``scratch``."""
    minus_u, e, p, L, G, t = scratch
    np.multiply(s, z, out=minus_u)
    _terms(minus_u, e, p, L, t)
    q, qg = e, minus_u
    _q_to_the_gamma(q, minus_u, L, w, gamma, out=qg)
    if scale != 1.0:
        np.multiply(qg, scale, out=qg)
    first_derivative(q, p, L, qg, gamma, out=G)
    np.multiply(G, s, out=g)
    second_derivative(q, p, L, qg, gamma, G, out=h)
    if least:
        np.multiply(G, least, out=G)
        np.maximum(h, G, out=h)


def _cross_entropy(
    z: Array, s: Array, w: Array | None, scale: float, least: float, g: Array, h: Array, scratch: Array
) -> None:
    """`_focal` for ``gamma = 0``. The derivatives are q and p*q and need no logarithm."""
    minus_u, p, q = scratch[:3]
    np.multiply(s, z, out=minus_u)
    np.minimum(minus_u, _largest_minus_u(minus_u.dtype), out=minus_u)
    np.exp(minus_u, out=q)
    np.add(q, 1.0, out=p)
    np.divide(1.0, p, out=p)
    np.multiply(q, p, out=q)
    if w is not None:
        np.multiply(q, w, out=q)
    if scale != 1.0:
        np.multiply(q, scale, out=q)
    if least:
        np.maximum(p, least, out=p)  # q is the gradient's absolute value
    np.multiply(q, p, out=h)
    np.multiply(q, s, out=g)


def posterior_logit(
    raw_prediction: Array, gamma_negative: float, gamma_positive: float, log_alpha_ratio: float = 0.0
) -> Array:
    """``logit P(y=1 | x)`` at the minimum of the expected loss, (n,).

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
        # log sigmoid(z) = min(z, 0) - log1p(exp(-|z|)). The difference log_p - z would be inaccurate for log_q near 0.
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


def probabilities(logit: Array, out: Array) -> None:
    """Write ``sigmoid(-logit)`` and ``sigmoid(logit)`` to the columns of ``out`` (n, 2). Overwrites ``logit``.

    The first column is ``e`` times the second, where ``e = exp(-logit)``. It is finite, because the second is at least
    1e-304 (2e-35 in float32).
    """
    e, t = np.negative(logit, out=logit), np.empty_like(logit)
    np.minimum(e, _largest_minus_u(e.dtype), out=e)
    with np.errstate(under="ignore"):
        np.exp(e, out=e)
        np.add(e, 1.0, out=t)
        np.divide(1.0, t, out=t)
        np.multiply(e, t, out=out[:, 0])
    out[:, 1] = t


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
