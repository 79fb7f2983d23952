"""Kernels against 80-digit arithmetic, finite differences and identities."""

import itertools
from functools import cache

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax as scipy_softmax

from skfocal import _kernels
from skfocal._kernels import binary, softmax
from skfocal._kernels.blocks import BLOCK_ELEMENTS, each_block

GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
MARGINS = (-700.0, -300.0, -80.0, -40.5, -20.0, -7.3, -2.8, -1.0, -0.1, 0.0, 1e-8, 0.1, 0.7, 1.0, 2.5, 7.3)
MARGINS += (17.0, 36.7, 40.0, 80.0, 300.0, 700.0)


LEVELS = [None] if _kernels.compiled is None else _kernels.compiled.levels()


@pytest.fixture(params=[*(f"C, {level}" for level in LEVELS), "NumPy", "NumPy without log1p"], autouse=True)
def code(request, monkeypatch):
    """Every test is of the kernels in C at each level of vector instructions that this processor has, and of those in
    NumPy with either way to a logarithm.
    """
    if request.param.startswith("C, "):
        compiled = request.getfixturevalue("compiled")
        compiled.use(request.param.removeprefix("C, "))
        yield
        compiled.use(LEVELS[0])
    else:
        monkeypatch.setattr(_kernels, "compiled", None)
        monkeypatch.setattr(binary, "has_fast_log1p", lambda dtype: request.param == "NumPy")
        yield


@cache
def exact_binary(u, gamma, dps=80):
    """Loss, gradient, Hessian and the Hessian's two terms by definition: derivatives of -q**gamma * log p by u.

    mpmath differentiates the formula numerically at a precision far beyond the result's, so that no formula of the
    code is used.
    """
    with mpmath.workdps(dps + 700):
        u, gamma = mpmath.mpf(u), mpmath.mpf(gamma)

        def loss(x):
            p = 1 / (1 + mpmath.exp(-x))
            return -((1 - p) ** gamma) * mpmath.log(p)

        h = mpmath.mpf(10) ** -150
        below, at, above = loss(u - h), loss(u), loss(u + h)
        first, second = (above - below) / (2 * h), (above - 2 * at + below) / h**2
        p = 1 / (1 + mpmath.exp(-u))
        q, log_p = 1 - p, mpmath.log(p)
        scale = q**gamma * p * max((1 + 2 * gamma) * q, abs(gamma * log_p * (q - gamma * p)))
        return tuple(+x for x in (at, first, second, scale))


def relative_errors(values, exact, scales, dtype):
    """Relative errors where the true value is a normal number."""
    tiny = float(np.finfo(dtype).tiny)
    return [
        float(abs(mpmath.mpf(float(v)) - e) / s) for v, e, s in zip(values, exact, scales) if abs(e) > tiny and s > tiny
    ]


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_equals_80_digits(gamma, dtype):
    margins = [u for u in MARGINS if dtype is np.float64 or abs(u) <= 80]
    u = np.array(margins, dtype=dtype)
    exact = [exact_binary(float(x), gamma) for x in u]
    loss, gradient, hessian, scale = ([e[i] for e in exact] for i in range(4))
    bound = 1e-12 if dtype is np.float64 else 1e-5 * max(1.0, gamma)
    for sign in (1.0, -1.0):
        s = np.full_like(u, sign)
        value, first = binary.loss_gradient(s * u, -s, None, gamma)
        g, h = binary.gradient_hessian(s * u, -s, None, gamma)
        assert value.dtype == g.dtype == h.dtype == dtype
        errors = [
            *relative_errors(value, loss, [abs(x) for x in loss], dtype),
            *relative_errors(sign * g, gradient, [abs(x) for x in gradient], dtype),
            *relative_errors(h, hessian, scale, dtype),
        ]
        assert len(errors) > 20
        assert max(errors) < bound
        # NumPy may round a vector of exponentials otherwise than its remainder: two ulp, not bits.
        assert_allclose(first, g, rtol=2 * np.finfo(dtype).eps)
        assert_array_equal(value, binary.loss(s * u, -s, None, gamma))


def exact_softmax(z, t, gamma, dps=80):
    """Loss, gradient and Hessian of one row from the definition, by differences at high precision."""
    return _exact_softmax(tuple(float(x) for x in z), int(t), gamma, dps)


@cache
def _exact_softmax(z, t, gamma, dps):
    n = len(z)
    with mpmath.workdps(dps + 700):
        z, gamma = [mpmath.mpf(float(x)) for x in z], mpmath.mpf(gamma)

        def loss(x):
            e = [mpmath.exp(v) for v in x]
            total = mpmath.fsum(e)
            q = mpmath.fsum(v for k, v in enumerate(e) if k != t) / total
            return -(q**gamma) * (x[t] - mpmath.log(total))

        h = mpmath.mpf(10) ** -170  # truncation below 1e-340, rounding far below that

        def moved(*steps):
            x = list(z)
            for k, step in steps:
                x[k] += step * h
            return loss(x)

        at = loss(z)
        gradient = [(moved((k, 1)) - moved((k, -1))) / (2 * h) for k in range(n)]
        hessian = mpmath.matrix(n, n)
        for j, k in itertools.product(range(n), repeat=2):
            if j <= k:
                d = moved((j, 1), (k, 1)) - moved((j, 1), (k, -1)) - moved((j, -1), (k, 1)) + moved((j, -1), (k, -1))
                hessian[j, k] = hessian[k, j] = d / (4 * h**2)
        return at, gradient, hessian


def multiclass_rows(n_classes):
    rng = np.random.default_rng(n_classes)
    rows = [rng.normal(size=n_classes) * size for size in (1.0, 5.0, 30.0, 150.0)]
    rows += [np.zeros(n_classes), np.r_[40.0, np.zeros(n_classes - 1)], np.r_[np.zeros(n_classes - 1), 300.0]]
    return np.array([row for row in rows for _ in range(2)]), np.tile([0, n_classes - 1], len(rows))


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_softmax_equals_80_digits(n_classes, gamma):
    z, y = multiclass_rows(n_classes)
    loss, gradient = softmax.loss_gradient(z, y, None, gamma)
    diagonal = softmax.gradient_hessian(z, y, None, gamma)[1]
    matrix = softmax.hessian_matrix(z, y, None, gamma)
    checked = 0
    for i in range(len(y)):
        at, first, second = exact_softmax(z[i], y[i], gamma)
        assert relative_errors([loss[i]], [at], [abs(at)], np.float64) < [1e-12]
        errors = relative_errors(gradient[i], first, [abs(x) for x in first], np.float64)
        # The Hessian near its zero: relative to the larger of its terms, at least w*p*(1-p) of cross-entropy's part.
        p = np.exp(z[i] - z[i].max()) / np.exp(z[i] - z[i].max()).sum()
        q = 1.0 - p[y[i]]
        size = [abs(second[k, k]) + q**gamma * p[k] * (1 - p[k]) * (1 + gamma) ** 2 for k in range(n_classes)]
        errors += relative_errors(diagonal[i], [second[k, k] for k in range(n_classes)], size, np.float64)
        checked += len(errors)
        assert max(errors, default=0.0) < 1e-12
        for j, k in itertools.product(range(n_classes), repeat=2):
            scale = abs(second[j, k]) + max(size[j], size[k]) * 1e-3
            assert float(abs(mpmath.mpf(float(matrix[i, j, k])) - second[j, k])) <= 1e-11 * float(scale) + 1e-300
    assert checked > 2 * n_classes


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_softmax_in_float32(n_classes, gamma):
    z, y = multiclass_rows(n_classes)
    z, y = z[np.abs(z).max(axis=1) <= 40].astype(np.float32), y[np.abs(z).max(axis=1) <= 40]
    loss, gradient = softmax.loss_gradient(z, y, None, gamma)
    diagonal = softmax.gradient_hessian(z, y, None, gamma)[1]
    bound = 1e-5 * max(1.0, gamma)
    checked = 0
    for i in range(len(y)):
        at, first, second = exact_softmax(z[i], y[i], gamma, dps=40)
        p = np.exp(z[i].astype(float) - z[i].max())
        p /= p.sum()
        q = np.delete(p, y[i]).sum()
        size = [abs(second[k, k]) + q**gamma * p[k] * (1 - p[k]) * (1 + gamma) ** 2 for k in range(n_classes)]
        errors = relative_errors([loss[i]], [at], [abs(at)], np.float32)
        errors += relative_errors(gradient[i], first, [abs(x) for x in first], np.float32)
        errors += relative_errors(diagonal[i], [second[k, k] for k in range(n_classes)], size, np.float32)
        checked += len(errors)
        assert max(errors, default=0.0) < bound
    assert checked > 2 * n_classes


@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0, 5.0])
def test_confidently_wrong_row_keeps_its_digits(gamma):
    # Class 1 has all but 1e-13 of the probability: 1 - p_1 by subtraction would have three digits.
    z, y = np.array([[0.0, 30.0, -2.0]]), np.array([0])
    _, _, second = exact_softmax(z[0], 0, gamma)
    diagonal = softmax.gradient_hessian(z, y, None, gamma)[1][0]
    for k in range(3):
        assert_allclose(diagonal[k], float(second[k, k]), rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.3])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_derivatives_by_fourth_order_differences(gamma, n_classes):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(30, n_classes)), rng.integers(n_classes, size=30)
    weight = rng.uniform(0.5, 2.0, size=30)
    h = 1e-3

    def difference(f, k):
        step = h * np.eye(n_classes)[k]
        return (8 * (f(z + step) - f(z - step)) - (f(z + 2 * step) - f(z - 2 * step))) / (12 * h)

    gradient = softmax.loss_gradient(z, y, weight, gamma)[1]
    matrix = softmax.hessian_matrix(z, y, weight, gamma)
    for k in range(n_classes):
        assert_allclose(difference(lambda x: softmax.loss(x, y, weight, gamma), k), gradient[:, k], atol=1e-9)
        assert_allclose(
            difference(lambda x: softmax.loss_gradient(x, y, weight, gamma)[1], k), matrix[:, :, k], atol=1e-9
        )
    direction = rng.normal(size=z.shape)
    product = softmax.hessian_product(z, y, weight, gamma, direction)
    assert_allclose(product, np.einsum("njk,nk->nj", matrix, direction), rtol=1e-12, atol=1e-15)

    u, s = z[:, 0], np.where(y > 0, 1.0, -1.0)

    def difference1(f):
        return (8 * (f(u + h) - f(u - h)) - (f(u + 2 * h) - f(u - 2 * h))) / (12 * h)

    g, hessian = binary.gradient_hessian(u, -s, weight, gamma)
    assert_allclose(difference1(lambda x: binary.loss(x, -s, weight, gamma)), g, atol=1e-9)
    assert_allclose(difference1(lambda x: binary.gradient_hessian(x, -s, weight, gamma)[0]), hessian, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gamma_zero_is_cross_entropy(dtype):
    from scipy.special import expit, log_softmax, softmax as scipy_softmax

    rng = np.random.default_rng(1)
    z = (rng.normal(size=200) * 4).astype(dtype)
    s = np.where(rng.random(200) < 0.5, -1, 1).astype(dtype)
    tol = {"rtol": 1e-12 if dtype is np.float64 else 3e-6, "atol": 0}
    g, h = binary.gradient_hessian(z, -s, None, 0.0)
    assert_allclose(binary.loss(z, -s, None, 0.0), np.logaddexp(0, -s * z), **tol)
    assert_allclose(g, -s * expit(-s * z), **tol)
    assert_allclose(h, expit(z) * expit(-z), **tol)
    Z, y = (rng.normal(size=(200, 4)) * 3).astype(dtype), rng.integers(4, size=200)
    p = scipy_softmax(Z, axis=1)
    loss, gradient = softmax.loss_gradient(Z, y, None, 0.0)
    assert_allclose(loss, -log_softmax(Z, axis=1)[np.arange(200), y], rtol=1e-10 if dtype is np.float64 else 1e-3)
    assert_allclose(gradient, p - np.eye(4)[y], atol=1e-12 if dtype is np.float64 else 1e-6)
    diagonal = softmax.gradient_hessian(Z, y, None, 0.0)[1]
    assert_allclose(diagonal, p * (1 - p), atol=1e-12 if dtype is np.float64 else 1e-6)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_binary_equals_two_class_softmax(gamma):
    z = np.linspace(-30, 30, 121)
    for y in (0, 1):
        Z, labels, s = np.c_[np.zeros_like(z), z], np.full(z.shape, y), np.full(z.shape, 2.0 * y - 1)
        g, h = binary.gradient_hessian(z, -s, None, gamma)
        G, H = softmax.gradient_hessian(Z, labels, None, gamma)
        assert_allclose(binary.loss(z, -s, None, gamma), softmax.loss(Z, labels, None, gamma), rtol=1e-12)
        assert_allclose(G[:, 1], g, rtol=1e-12)
        assert_allclose(G[:, 0], -g, rtol=1e-12)
        assert_allclose(H, np.c_[h, h], rtol=1e-9, atol=1e-14)


def test_swapping_classes_flips_the_sign_and_the_ratio_to_cross_entropy_is_q_to_the_gamma():
    z, s = np.linspace(-20, 20, 81), np.ones(81)
    for gamma in GAMMAS:
        g, h = binary.gradient_hessian(z, -s, None, gamma)
        g_swapped, h_swapped = binary.gradient_hessian(-z, s, None, gamma)
        assert_array_equal(g_swapped, -g)
        assert_array_equal(h_swapped, h)
        ratio = binary.loss(z, -s, None, gamma) / binary.loss(z, -s, None, 0.0)
        assert_allclose(ratio, (1 / (1 + np.exp(z))) ** gamma, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 7.5, 20.0])
def test_nothing_overflows_or_warns(gamma, dtype):
    sizes = np.array([0.0, 1e-30, 1e-3, 1.0, 87.0, 89.0, 709.0, 746.0, 1e4], dtype=dtype)
    z = np.concatenate([-sizes, sizes])
    Z = np.array(list(itertools.product([0.0, 1e4, -1e4, 90.0, 750.0, 1.0], repeat=3)), dtype=dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise", under="raise"):
        results = []
        for sign in (-1, 1):
            s = np.full_like(z, sign)
            results += [*binary.loss_gradient(z, -s, None, gamma), *binary.gradient_hessian(z, -s, None, gamma)]
        results.append(binary.posterior_logit(z, gamma, gamma))
        for t in range(3):
            y = np.full(len(Z), t)
            results += [*softmax.loss_gradient(Z, y, None, gamma), *softmax.gradient_hessian(Z, y, None, gamma)]
            results.append(softmax.hessian_matrix(Z, y, None, gamma))
        results.append(softmax.log_posterior(Z, np.full(3, gamma, dtype=dtype), None))
    assert all(np.isfinite(r).all() and r.dtype == dtype for r in results)
    # The loss keeps the true margin where the derivatives' is clipped.
    loss = binary.loss(np.array([-1e4], dtype=dtype), -np.ones(1, dtype=dtype), None, gamma)
    assert_allclose(loss, 1e4, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_row_beyond_the_range_of_the_exponential_changes_no_other_row(gamma, dtype):
    # -log p is the margin itself to the last digit and q is 1.
    u = np.array([-1e4, 0.0, -1.5, 2.0, -1234.5], dtype=dtype)
    q = expit(-u.astype(float))
    expected = q**gamma * np.logaddexp(0.0, -u.astype(float))
    tolerance = 32 * np.finfo(dtype).eps
    for sign in (1.0, -1.0):
        s = np.full_like(u, sign)
        assert_allclose(binary.loss(s * u, -s, None, gamma), expected, rtol=tolerance)
    y = np.zeros(len(u), dtype=np.intp)
    assert_allclose(softmax.loss(np.stack([u, 0 * u], axis=1), y, None, gamma), expected, rtol=tolerance)
    assert_allclose(softmax.loss_gradient(np.stack([u, 0 * u], axis=1), y, None, gamma)[0], expected, rtol=tolerance)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("hessian_factor", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("scale", [0.7, 1.0, 2.0])
def test_scale_factor_and_least_are_those_of_the_exact_derivatives(scale, gamma, hessian_factor):
    rng = np.random.default_rng(3)
    z, s, w = 12 * rng.normal(size=500), np.where(rng.random(500) < 0.3, -1.0, 1.0), rng.random(500)
    Z, y = 12 * rng.normal(size=(500, 4)), rng.integers(4, size=500)
    for kernel, arguments in ((binary, (z, -s, w)), (softmax, (Z, y, w))):
        g, h = kernel.gradient_hessian(*arguments, gamma)
        for least in (0.0, 0.25):
            options = {"scale": scale, "hessian_factor": hessian_factor, "least": least}
            out = kernel.gradient_hessian(*arguments, gamma, **options)
            assert_allclose(out[0], scale * g, rtol=1e-13)
            expected = scale * hessian_factor * h
            if least:
                expected = np.maximum(expected, least * np.abs(scale * g))
            assert_allclose(out[1], expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 30.0])
def test_gamma_zero_is_cross_entropy_on_many_rows(spread):
    rng = np.random.default_rng(5)
    Z, y = spread * rng.normal(size=(3000, 3)), rng.integers(3, size=3000)
    p = scipy_softmax(Z, axis=1)
    g, h = softmax.gradient_hessian(Z, y, None, 0.0)
    assert_allclose(g, p - np.eye(3)[y], atol=1e-15)
    assert_allclose(h, p * (1 - p), atol=1e-15)
    assert_allclose(softmax.hessian_matrix(Z, y, None, 0.0), p[:, :, None] * (np.eye(3) - p[:, None, :]), atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("out_dtype", [np.float32, np.float64])
def test_hessians_are_floored_and_results_rounded_to_fewer_bits(out_dtype, dtype):
    n = 2 * BLOCK_ELEMENTS + 5
    z, y = 3 * np.random.default_rng(4).normal(size=(n, 2)).astype(dtype), np.arange(n) % 2
    out_dtype = min(out_dtype, dtype, key=lambda t: np.dtype(t).itemsize)
    bits = 24 if out_dtype is np.float32 else 53

    for kernel, arguments in ((binary, (z[:, 0], 1 - 2 * y.astype(dtype))), (softmax, (z, y))):
        g, h = (a.astype(out_dtype) for a in kernel.gradient_hessian(*arguments, None, 2.0))
        assert h.min() < 0.0
        out = np.empty(g.shape, out_dtype), np.empty(g.shape, out_dtype)
        kernel.gradient_hessian(*arguments, None, 2.0, out=out, floor=1e-3, drop_bits=3)
        for rounded, exact in zip(out, (g, np.maximum(h, out_dtype(1e-3))), strict=True):
            digits, exponent = np.frexp(rounded)
            whole = np.ldexp(digits, bits - 3)
            assert_array_equal(whole, np.rint(whole))
            assert (np.abs(whole - np.ldexp(exact, bits - 3 - exponent)) <= 0.5).all()


@pytest.mark.parametrize("gamma", [0.0, 1.3])
def test_narrower_results_are_the_wider_ones_rounded(gamma):
    rng = np.random.default_rng(6)
    Z, y, w = 4 * rng.normal(size=(300, 3)), rng.integers(3, size=300), rng.uniform(0.1, 2.0, size=300)
    options = {"scale": 2.0, "hessian_factor": 1.5, "least": 0.25}
    for kernel, arguments in ((binary, (Z[:, 0], 1.0 - 2.0 * (y > 0), w)), (softmax, (Z, y, w))):
        wide = kernel.gradient_hessian(*arguments, gamma, **options)
        narrow = tuple(np.empty(wide[0].shape, np.float32) for _ in range(2))
        kernel.gradient_hessian(*arguments, gamma, out=narrow, **options)
        for a, b in zip(narrow, wide, strict=True):
            assert_array_equal(a, b.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [0.0, 1.3, 20.0])
def test_the_largest_scores_do_not_overflow(gamma, dtype):
    largest = np.finfo(dtype).max
    u, minus_s = np.array([largest, -largest], dtype=dtype), np.full(2, -1, dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        loss, gradient = binary.loss_gradient(u, minus_s, None, gamma)
        first, second = binary.gradient_hessian(u, minus_s, None, gamma)
    # Surely right: no loss. Surely wrong: the loss is the margin, its slope 1.
    assert_allclose(loss, [0.0, largest], rtol=4 * np.finfo(dtype).eps)
    for slope in (gradient, first):
        assert_allclose(slope, [0.0, -1.0], rtol=1e-6, atol=1e-30)
    assert_allclose(second, [0.0, 0.0], atol=1e-30)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_an_error_on_any_thread_reaches_the_caller(n_threads):
    failed = []

    def run(start, stop, scratch):
        if start:
            failed.append(start)
            raise FloatingPointError(f"rows from {start}")

    with pytest.raises(FloatingPointError, match="rows from"):
        each_block(run, 6 * BLOCK_ELEMENTS, scratch_shape=(0,), dtype=float, n_threads=n_threads)
    assert 1 <= len(failed) <= n_threads


@pytest.mark.parametrize(("dtype", "gap"), [(np.float32, 85.0), (np.float64, 705.0)])
@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.5])
def test_heavy_rows_that_are_surely_right_do_not_overflow(dtype, gap, gamma):
    Z = np.array([[gap, 0.0, -0.5], [gap, 0.0, -gap], [2 * gap, 0.0, 0.0]], dtype=dtype)
    y, w = np.zeros(3, dtype=np.intp), np.full(3, 1e6, dtype=dtype)
    g, h = softmax.gradient_hessian(Z, y, w, gamma)
    assert np.isfinite(g).all()
    assert np.isfinite(h).all()
    assert (np.abs(g) <= 1e6 * np.exp(-0.9 * gap)).all()


def test_threads_and_blocks_change_nothing():
    n = 3 * BLOCK_ELEMENTS + 17
    rng = np.random.default_rng(2)
    z, s = rng.normal(size=n), np.where(rng.random(n) < 0.3, -1.0, 1.0)
    one, three = (binary.gradient_hessian(z, -s, None, 2.0, n_threads=k) for k in (1, 3))
    assert_array_equal(one, three)
    few = binary.gradient_hessian(z[:100], -s[:100], None, 2.0)
    assert_array_equal(few, [part[:100] for part in one])
    Z, y = rng.normal(size=(n, 3)), rng.integers(3, size=n)
    one, three = (softmax.gradient_hessian(Z, y, None, 1.5, n_threads=k) for k in (1, 3))
    assert_array_equal(one, three)
    fortran = softmax.gradient_hessian(np.asfortranarray(Z), y, None, 1.5)
    assert_array_equal(one, fortran)
    assert fortran[0].flags.f_contiguous


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exponential_and_logarithm_are_right_to_the_last_digits(dtype):
    # Where gamma is 0 nothing else is computed: -dFL/du = 1/(1 + e**u), loss = log(1 + e**-u), of u = (-s)*(-z).
    rng = np.random.default_rng(7)
    largest = 700.0 if dtype is np.float64 else 80.0
    u = np.concatenate([rng.uniform(-40, 40, 400), rng.uniform(-largest, largest, 100), 10 ** rng.uniform(-9, 0, 100)])
    u = u.astype(dtype)
    loss, gradient = binary.loss_gradient(u, np.full_like(u, -1), None, 0.0)
    with mpmath.workdps(400):
        exact = [mpmath.exp(-mpmath.mpf(float(x))) for x in u]
        exact_loss = np.array([float(mpmath.log1p(e)) for e in exact])
        exact_slope = np.array([float(e / (1 + e)) for e in exact])
    eps = np.finfo(dtype).eps
    assert_allclose(loss, exact_loss, rtol=3 * eps, atol=0)
    assert_allclose(-gradient, exact_slope, rtol=3 * eps, atol=0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_probabilities_of_both_classes_keep_their_digits(dtype):
    largest = 700 if dtype is np.float64 else 80
    logit = np.r_[np.linspace(-largest, largest, 2001), 0.0, 1e4, -1e4, np.nan].astype(dtype)
    out = np.empty((len(logit), 2), dtype=dtype)
    with np.errstate(all="raise"):
        binary.probabilities(logit.copy(), out)
    expected = np.c_[expit(-logit.astype(float)), expit(logit.astype(float))]
    assert_allclose(
        out[:-1], expected[:-1], rtol=4 * np.finfo(dtype).eps, atol=2e-35 if dtype is np.float32 else 1e-304
    )
    assert np.isnan(out[-1]).all()
    assert_allclose(out[:-1].sum(axis=1), 1, rtol=2 * np.finfo(dtype).eps)


def test_nan_stays_nan_in_its_row():
    z, s = np.array([0.3, np.nan, -2.0]), np.ones(3)
    Z, y = np.array([[0.3, 1.0], [0.0, np.nan], [np.nan, 0.0], [1.0, 2.0]]), np.array([0, 1, 1, 0])
    for dtype in (np.float64, np.float32):
        for gamma in (0.0, 1.3):
            for a in binary.loss_gradient(z.astype(dtype), s.astype(dtype), None, gamma):
                assert_array_equal(np.isnan(a), [False, True, False])
            loss, g = softmax.loss_gradient(Z.astype(dtype), y, None, gamma)
            assert_array_equal(np.isnan(loss), [False, True, True, False])
            assert_array_equal(np.isnan(g).any(axis=1), [False, True, True, False])
