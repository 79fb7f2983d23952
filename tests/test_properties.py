"""Properties of the loss that hold for all arguments, on arguments that hypothesis chooses."""

import atexit
import tempfile

import numpy as np
import pytest
from hypothesis import configuration, given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skfocal import FocalLoss, _kernels
from skfocal._kernels import blocks

# Without a database, too, hypothesis keeps what it found in the sources, and does so while pytest collects the tests.
STORAGE = tempfile.TemporaryDirectory(prefix="hypothesis")
atexit.register(STORAGE.cleanup)
configuration.set_hypothesis_home_dir(STORAGE.name)

given_any = settings(derandomize=True, deadline=None, max_examples=200, database=None)
DTYPES = st.sampled_from([np.float32, np.float64])
SPREADS = st.sampled_from([1e-30, 1e-3, 1.0, 5.0, 30.0, 300.0, 1e4, 1e30])


@st.composite
def problems(draw, weights=True):
    """Loss, labels, scores of any size, and weights: one score per row for two classes, or K."""
    n_scores = draw(st.sampled_from([1, 2, 3, 7, 50]))
    n_classes, n_rows = max(2, n_scores), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(DTYPES)
    shape = (n_rows,) if n_scores == 1 else (n_rows, n_scores)
    largest = np.finfo(dtype).max
    raw = (draw(SPREADS) * rng.standard_normal(shape)).astype(dtype)
    extremes = [0.0, -0.0, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal]
    extremes += [sign * value for value in (largest, largest / 2, 88.7, 709.7) for sign in (1, -1)]
    for value in draw(st.lists(st.sampled_from(extremes), max_size=4)):
        raw.reshape(-1)[rng.integers(raw.size)] = value
    gammas = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0, 50.0]), st.floats(0.0, 50.0))
    gamma = tuple(draw(gammas) for _ in range(n_classes)) if draw(st.booleans()) else draw(gammas)
    alpha = tuple(10.0 ** rng.uniform(-5, 5, n_classes)) if draw(st.booleans()) else None
    weight = None
    if weights and draw(st.booleans()):
        weight = draw(st.sampled_from([1.0, 1e-12, 1e12, 1e30])) * rng.exponential(size=n_rows)
        weight[rng.random(n_rows) < 0.3] = 0.0
        weight[0] = 1.0
    return FocalLoss(gamma, alpha), rng.integers(n_classes, size=n_rows), raw, weight


def results(loss, y, raw, weight=None, **options):
    data = loss.on(y, 1 if raw.ndim == 1 else raw.shape[1], weight, raw.dtype)
    return [
        data.loss(raw, **options),
        *data.loss_gradient(raw, **options),
        *(np.array(a) for a in data.gradient_hessian(raw, **options)),
    ]


@given_any
@given(problems())
def test_everything_is_finite_and_no_floating_point_error_is_raised(problem):
    loss, y, raw, weight = problem
    with np.errstate(all="raise", under="ignore"):
        values = [loss.loss(y, raw, weight), loss.gradient(y, raw, weight), *loss.gradient_hessian(y, raw, weight)]
        mean = loss(y, raw, weight)
        probabilities = [loss.predict_proba(raw, calibration) for calibration in (None, "focus", "full")]
    assert all(np.isfinite(a).all() and a.dtype == raw.dtype for a in (*values, *probabilities))
    assert (values[0] >= 0).all()
    rows = loss.loss(y, raw)[np.s_[:] if weight is None else weight > 0]
    assert rows.min() * (1 - 1e-12) <= mean
    assert mean * (1 - 1e-12) <= rows.max()


@given_any
@given(problems(weights=False), st.floats(1e-3, 100.0))
def test_the_loss_falls_as_the_true_class_rises(problem, step):
    loss, y, raw, _ = problem
    raw = np.clip(raw.astype(np.float64), -1e4, 1e4)
    higher = raw.copy()
    if raw.ndim == 1:
        higher += np.where(y == 1, step, -step)
    else:
        higher[np.arange(len(y)), y] += step
    before, after = loss.loss(y, raw), loss.loss(y, higher)
    assert (after <= before * (1 + 1e-13)).all()
    assert (after < before)[before > 1e-280].all()
    # By the definition the gradient has the sign of it.
    gradient = loss.gradient(y, raw)
    of_true = np.where(y == 1, gradient, -gradient) if raw.ndim == 1 else gradient[np.arange(len(y)), y]
    assert (of_true <= 0).all()


@given_any
@given(problems())
def test_gradient_rows_of_the_softmax_sum_to_zero(problem):
    loss, y, raw, weight = problem
    if raw.ndim == 1:
        raw = np.stack([0 * raw, raw], axis=1)
    gradient = loss.gradient(y, raw, weight).astype(np.float64)
    bound = 4 * raw.shape[1] * np.finfo(raw.dtype).eps * np.abs(gradient).sum(axis=1)
    # A denormal number has few digits, and the weights multiply what it lacks.
    size = (1.0 if loss.alpha is None else max(loss.alpha)) * (1.0 if weight is None else np.maximum(weight, 1.0))
    bound += np.finfo(raw.dtype).tiny * 50 * size
    assert (np.abs(gradient.sum(axis=1)) <= bound).all()


@given_any
@given(problems(weights=False), st.sampled_from([None, "focus", "full"]))
def test_posterior_rows_sum_to_one_and_rise_with_the_score(problem, calibration):
    loss, y, raw, _ = problem
    proba = loss.predict_proba(raw, calibration)
    assert_allclose(proba.sum(axis=1, dtype=np.float64), 1.0, rtol=60 * np.finfo(raw.dtype).eps)
    assert proba.min() >= 0
    raw = np.clip(raw.astype(np.float64), -1e4, 1e4)
    low = loss.predict_proba(raw, calibration)
    if raw.ndim == 1:
        assert (loss.predict_proba(raw + 0.5, calibration)[:, 1] >= low[:, 1] * (1 - 1e-12)).all()
    else:
        rows = np.arange(len(y))
        raw[rows, y] += 0.5
        assert (loss.predict_proba(raw, calibration)[rows, y] >= low[rows, y] * (1 - 1e-12)).all()


@given_any
@given(problems(weights=False), st.integers(-20, 20))
def test_weights_multiply_exactly(problem, exponent):
    loss, y, raw, _ = problem
    # Of a larger loss the largest number takes the place, which no weight multiplies.
    largest = np.finfo(raw.dtype).max * raw.dtype.type(1e-22)
    raw = np.clip(raw, -largest, largest)
    weight = np.full(len(y), 2.0**exponent)
    weight[1::2] = 0.0
    tiny = np.finfo(raw.dtype).tiny * 2.0**60
    for weighted, plain in zip(results(loss, y, raw, weight), results(loss, y, raw)):
        expected = (weight if plain.ndim == 1 else weight[:, np.newaxis]).astype(raw.dtype) * plain
        # Among the denormal numbers digits are lost, whichever factor comes last.
        exact = np.abs(plain) > tiny
        assert_array_equal(weighted[exact], expected[exact])
        assert_allclose(weighted, expected, rtol=1e-3, atol=np.finfo(raw.dtype).tiny)


@settings(given_any, max_examples=40)
@given(problems(), st.integers(2, 4), st.sampled_from([256, 700, 1024]))
def test_threads_change_nothing_and_nor_does_the_order_of_rows(problem, n_threads, block):
    loss, y, raw, weight = problem
    times = -(-3000 // len(y))
    y, raw = np.tile(y, times), np.tile(raw, (times,) if raw.ndim == 1 else (times, 1))
    weight = None if weight is None else np.tile(weight, times)
    with pytest.MonkeyPatch.context() as patch:
        whole = results(loss, y, raw, weight)
        patch.setattr(blocks, "BLOCK_ELEMENTS", block)
        one = results(loss, y, raw, weight)
        for a, b in zip(one, results(loss, y, raw, weight, n_threads=n_threads)):
            assert_array_equal(a, b)
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = results(loss, y[order], raw[order], None if weight is None else weight[order])
    tolerance = 0 if _kernels.compiled is not None else 8 * np.finfo(raw.dtype).eps
    for a, b, c in zip(whole, one, shuffled):
        # NumPy's own exponentials differ by an ulp between the body and the end of an array; the kernels in C do not.
        assert_allclose(b, a, rtol=tolerance, atol=np.finfo(raw.dtype).tiny if tolerance else 0)
        assert_allclose(c, a[order], rtol=tolerance, atol=np.finfo(raw.dtype).tiny if tolerance else 0)


def test_kernels_in_c_and_in_numpy_agree(compiled):
    @given_any
    @given(problems())
    def agree(problem):
        loss, y, raw, weight = problem
        in_c = results(loss, y, raw, weight)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_kernels, "compiled", None)
            in_numpy = results(loss, y, raw, weight)
        # q**gamma multiplies the error of q by gamma; a Hessian of terms that cancel has the error of the largest.
        eps = 400 * np.finfo(raw.dtype).eps
        scale = 1.0 if weight is None else weight.max()
        scale *= 1.0 if loss.alpha is None else max(loss.alpha)
        for i, (a, b) in enumerate(zip(in_c, in_numpy)):
            assert_allclose(a, b, rtol=eps, atol=eps * scale * (1e-6 if i < 4 else 1.0))

    agree()


@given_any
@given(problems())
def test_any_weights_multiply_within_rounding(problem):
    loss, y, raw, weight = problem
    raw = np.clip(raw, -1e6, 1e6)
    weight = np.linspace(0.0, 7.3, len(y)) + 0.1 if weight is None else weight / weight.max()
    loss = FocalLoss(loss.gamma)
    plain = results(loss, y, raw)
    # A Hessian is a sum, of which rounding takes a part of its largest term, some (1 + gamma) gradients.
    largest = np.abs(plain[2]) if raw.ndim == 1 else np.abs(plain[2]).max(axis=1)
    largest = largest * (1 + np.max(loss.gamma))
    for i, (weighted, without) in enumerate(zip(results(loss, y, raw, weight), plain)):
        w, size = (weight, largest) if without.ndim == 1 else (weight[:, np.newaxis], largest[:, np.newaxis])
        expected = w.astype(raw.dtype) * without
        size = w * size if i == 4 else np.abs(expected)
        bound = 16 * np.finfo(raw.dtype).eps * size + 1e3 * np.finfo(raw.dtype).tiny
        assert (np.abs(weighted - expected) <= bound).all()
