"""FocalLoss: parameters, weights, optimum, posterior, errors."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, root
from scipy.special import expit, softmax

from skfocal import FocalLoss
from skfocal._kernels import softmax as kernels

RNG = np.random.default_rng(0)


def test_published_value():
    # Lin et al. 2017, section 3.2: at p_t = 0.9 and gamma = 2 the loss is 100 times lower than cross-entropy's.
    z = np.log(9.0)
    assert_allclose(FocalLoss(0.0)([1], [z]) / FocalLoss(2.0)([1], [z]), 100.0, rtol=1e-12)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), ((0.5, 3.0), None), (1.0, (2.0, 0.3)), ((0.0, 2.0), 0.9)])
def test_binary_parameters_by_definition(gamma, alpha):
    z, y = RNG.normal(size=50), RNG.integers(2, size=50)
    p = np.where(y == 1, expit(z), expit(-z))
    gammas = np.broadcast_to(gamma, 2)[y]
    alphas = (np.ones(2) if alpha is None else np.array([1 - alpha, alpha]) if np.isscalar(alpha) else np.array(alpha))[
        y
    ]
    w = RNG.uniform(0, 2, size=50)
    loss = FocalLoss(gamma, alpha)
    rows = -alphas * (1 - p) ** gammas * np.log(p)
    assert_allclose(loss.loss(y, z), rows, rtol=1e-10)
    assert_allclose(loss(y, z, w), np.average(rows, weights=w), rtol=1e-10)
    swapped = FocalLoss(gamma[::-1] if isinstance(gamma, tuple) else gamma,
                        None if alpha is None else 1 - alpha if np.isscalar(alpha) else alpha[::-1])  # fmt: skip
    assert_allclose(swapped.gradient(1 - y, -z), -loss.gradient(y, z), rtol=1e-12)


def test_multiclass_parameters_by_definition():
    gamma, alpha = (0.0, 1.0, 2.5), (1.0, 0.2, 4.0)
    z, y = RNG.normal(size=(60, 3)), RNG.integers(3, size=60)
    p = softmax(z, axis=1)[np.arange(60), y]
    expected = -np.array(alpha)[y] * (1 - p) ** np.array(gamma)[y] * np.log(p)
    assert_allclose(FocalLoss(gamma, alpha).loss(y, z), expected, rtol=1e-10)


@pytest.mark.parametrize("shape", [(40,), (40, 3)])
def test_weights_multiply_exactly(shape):
    z, y = RNG.normal(size=shape), RNG.integers(2, size=40)
    w = 2.0 ** RNG.integers(-3, 4, size=40)
    loss = FocalLoss(1.7)
    assert_array_equal(loss.loss(y, z, w), w * loss.loss(y, z))
    for weighted, plain in zip(loss.gradient_hessian(y, z, w), loss.gradient_hessian(y, z)):
        assert_array_equal(weighted, (w if z.ndim == 1 else w[:, None]) * plain)
    assert_array_equal(loss.gradient(y, z, w), loss.gradient_hessian(y, z, w)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(40,), (40, 3)])
def test_dtype_is_kept_and_input_may_be_read_only_or_strided(dtype, shape):
    z, y = RNG.normal(size=shape).astype(dtype), RNG.integers(2, size=40)
    loss = FocalLoss(2.0, None)
    expected = loss.gradient_hessian(y, z)
    assert {a.dtype for a in (*expected, loss.loss(y, z), loss.predict_proba(z))} == {np.dtype(dtype)}
    z.flags.writeable = y.flags.writeable = False
    strided = np.repeat(z, 2, axis=0)[::2]
    for view in (z, strided, np.asfortranarray(z)):
        assert_array_equal(loss.gradient_hessian(y, view), expected)
    assert loss.loss(y, z.tolist()).dtype == np.float64
    assert loss.loss(y.astype(float), np.rint(z).astype(int)).dtype == np.float64


@pytest.mark.parametrize("n_scores", [1, 2])
def test_weights_and_gammas_of_rows_have_the_dtype_of_the_scores(n_scores):
    # The kernels in C take no other; with a wider one the kernels in NumPy would compute in float64.
    for alpha in (None, 0.3):
        data = FocalLoss((1.0, 2.0), alpha).on([0, 1, 1], n_scores, [1.0, 2.0, 3.0], np.float32)
        assert data.weight.dtype == data.gamma.dtype == np.float32
    assert FocalLoss(2.0, 0.3).on([0, 1, 1], n_scores, None, np.float32).weight.dtype == np.float32
    # Without alpha and weights, and with one gamma, there is nothing per row.
    data = FocalLoss(2.0).on([0, 1, 1], n_scores)
    assert data.weight is None
    assert data.gamma == 2.0


@pytest.mark.parametrize("n_scores", [1, 3])
def test_labels_that_the_kernels_in_c_refuse_are_computed_in_the_dtype_of_the_scores(n_scores):
    rng = np.random.default_rng(0)
    y, w = rng.integers(max(2, n_scores), size=300), rng.uniform(0.1, 2.0, size=300)
    z = rng.normal(size=300 if n_scores == 1 else (300, n_scores)).astype(np.float32)
    loss = FocalLoss((0.5, 1.3, 2.2)[: max(2, n_scores)], (0.3, 1.7, 0.9)[: max(2, n_scores)])
    data, labels = loss.on(y, n_scores, w, np.float32), y.astype(np.float16)
    assert_array_equal(loss.loss(labels, z, w), data.loss(z))
    assert_array_equal(loss.gradient(labels, z, w), data.loss_gradient(z)[1])
    assert_array_equal(loss.gradient_hessian(labels, z, w), data.gradient_hessian(z))


def test_the_posterior_is_computed_in_the_dtype_of_the_scores(monkeypatch):
    dtypes, log_posterior = [], kernels.log_posterior

    def recorded(*arguments):
        dtypes.append({a.dtype for a in arguments if a is not None})
        return log_posterior(*arguments)

    monkeypatch.setattr(kernels, "log_posterior", recorded)
    for alpha in (None, (1.0, 2.0, 3.0)):
        FocalLoss(2.0, alpha).predict_proba(np.zeros((2, 3), np.float32), "full")
    assert dtypes == [{np.dtype(np.float32)}] * 2


def test_probabilities_that_underflow_are_0_and_raise_nothing():
    with np.errstate(all="raise"):
        for calibration in ("focus", "full", None):
            proba = FocalLoss(2.0, (1.0, 2.0, 3.0)).predict_proba([[800.0, 0.0, -800.0]], calibration)
            assert_array_equal(proba, [[1.0, 0.0, 0.0]])
            assert_array_equal(FocalLoss(2.0, 0.3).predict_proba([800.0], calibration), [[0.0, 1.0]])


def expected_loss_minimiser(loss, shares, n_scores):
    """Scores that minimise the expected loss for class probabilities ``shares``: the zero of its gradient.

    Of K scores the last is held at 0, for the softmax leaves a constant open.
    """
    k = len(shares)

    def scores(free):
        return free if n_scores == 1 else np.append(free, 0.0)

    def gradient(free):
        raw = np.repeat(free, k) if n_scores == 1 else np.tile(scores(free), (k, 1))
        return loss.gradient(np.arange(k), raw, shares).reshape(k, -1).sum(axis=0)[: len(free)]

    def value(free):
        raw = np.repeat(free, k) if n_scores == 1 else np.tile(scores(free), (k, 1))
        return loss.loss(np.arange(k), raw, shares).sum()

    free = minimize(value, np.zeros(max(1, n_scores - 1)), jac=gradient, method="BFGS").x
    return scores(root(gradient, free, tol=1e-14).x)


@pytest.mark.parametrize("seed", range(12))
def test_posterior_recovers_the_class_probabilities(seed):
    rng = np.random.default_rng(seed)
    for n_classes in (2, 3, 5):
        n_scores = 1 if n_classes == 2 else n_classes
        shares = rng.dirichlet(np.full(n_classes, 2.0)) * 0.9 + 0.1 / n_classes
        per_class = seed % 2
        gamma = tuple(rng.uniform(0, 4, n_classes)) if per_class else float(rng.uniform(0, 4))
        loss = FocalLoss(gamma, tuple(rng.uniform(0.3, 3.0, n_classes)))
        z = expected_loss_minimiser(loss, shares, n_scores)
        raw = z if n_scores == 1 else z[np.newaxis]
        assert_allclose(loss.predict_proba(raw, "full")[0], shares, atol=1e-8)
        optimum = loss.optimal_scores(shares)
        raw = np.array([optimum]) if n_scores == 1 else optimum[np.newaxis]
        assert_allclose(loss.predict_proba(raw, "full")[0], shares, atol=1e-8)
        k = np.arange(n_classes)
        gradient = loss.gradient(k, np.repeat(raw, n_classes, axis=0), shares).reshape(n_classes, -1).sum(axis=0)
        assert_allclose(gradient, 0.0, atol=1e-12)


def test_calibration_undoes_what_it_says():
    z = np.linspace(-40, 40, 41)
    assert_allclose(FocalLoss(3.0, 0.8).predict_proba(z, None)[:, 1], expit(z), rtol=1e-14)
    focus, full = (FocalLoss(3.0, 0.8).predict_proba(z, c) for c in ("focus", "full"))
    assert_array_equal(focus, FocalLoss(3.0).predict_proba(z))
    odds = full[:, 1] / full[:, 0] / (focus[:, 1] / focus[:, 0])
    assert_allclose(odds, 0.2 / 0.8, rtol=1e-10)
    # gamma 0 is calibrated as it is; the map is strictly increasing, symmetric, and fixes z = 0.
    assert_allclose(FocalLoss(0.0).predict_proba(z)[:, 1], expit(z), rtol=1e-14)
    assert (np.diff(focus[:21, 1]) > 0).all()
    assert_allclose(focus, focus[::-1, ::-1], rtol=1e-12)
    assert focus[20, 1] == 0.5


def test_two_class_softmax_posterior_equals_the_binary_one():
    z = np.linspace(-100, 100, 61)
    loss = FocalLoss((0.7, 2.0), (0.4, 3.0))
    assert_allclose(loss.predict_proba(np.c_[np.zeros_like(z), z], "full"), loss.predict_proba(z, "full"), rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 5.0])
def test_constant_is_where_the_weighted_gradient_vanishes(gamma):
    y, w = RNG.choice(3, p=[0.97, 0.02, 0.01], size=4000), RNG.uniform(size=4000)
    z = FocalLoss(gamma).fit_intercept_only(y, w)
    assert_allclose(FocalLoss(gamma).gradient(y, np.tile(z, (4000, 1)), w).sum(axis=0) / w.sum(), 0.0, atol=1e-13)
    assert_allclose(np.exp(z).sum(), 1.0)
    z = FocalLoss(gamma, 0.3).fit_intercept_only(y > 0, w)
    assert isinstance(z, float)
    assert_allclose(FocalLoss(gamma, 0.3).gradient(y > 0, np.full(4000, z), w).sum() / w.sum(), 0.0, atol=1e-13)
    if gamma == 0:
        share = np.average(y > 0, weights=w)
        assert_allclose(FocalLoss(0.0).fit_intercept_only(y > 0, w), np.log(share / (1 - share)), rtol=1e-12)


def test_constant_of_one_class_is_finite():
    assert np.isfinite(FocalLoss(2.0).fit_intercept_only([1, 1, 1]))
    assert np.isfinite(FocalLoss((0.0, 1.0, 2.0)).fit_intercept_only([1, 1, 1])).all()


def test_constant_of_no_row_is_an_error():
    with pytest.raises(ValueError, match="y_true must have at least one label, got 0"):
        FocalLoss().fit_intercept_only([])


def test_copies_and_comparison():
    loss = FocalLoss([0.5, 1], np.array([1.0, 2.0]))
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss), FocalLoss((0.5, 1.0), (1.0, 2.0))):
        assert other == loss
        assert hash(other) == hash(loss)
    assert FocalLoss(1) != FocalLoss(2)
    assert eval(repr(loss), {"FocalLoss": FocalLoss}) == loss


@pytest.mark.parametrize(
    ("gamma", "alpha", "error", "match"),
    [
        (-1.0, None, ValueError, "gamma must be a number >= 0 or one per class, got -1.0"),
        (np.nan, None, ValueError, "gamma must"),
        (np.inf, None, ValueError, "gamma must"),
        ("2", None, TypeError, "gamma must"),
        (None, None, TypeError, "gamma must"),
        (True, None, TypeError, "gamma must"),
        ([1.0], None, ValueError, "gamma must"),
        ([1.0, -2.0], None, ValueError, "gamma must"),
        (2.0, 0.0, ValueError, "alpha must"),
        (2.0, 1.0, ValueError, "alpha must"),
        (2.0, [1.0, 0.0], ValueError, "alpha must"),
        (2.0, "balanced", TypeError, "alpha must"),
        (2.0, {0: 1.0}, TypeError, "alpha must"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], ValueError, "gamma and alpha"),
    ],
)
def test_bad_parameters(gamma, alpha, error, match):
    with pytest.raises(error, match=match):
        FocalLoss(gamma, alpha)


@pytest.mark.parametrize("method", ["loss", "gradient", "gradient_hessian"])
@pytest.mark.parametrize(
    ("y", "z", "w", "error", "match"),
    [
        ([0, 1], [0.0], None, ValueError, "y_true must have one label per row"),
        ([0, 2], [0.0, 1.0], None, ValueError, "y_true must hold class indices 0 .. 1, got"),
        ([0, -1], [0.0, 1.0], None, ValueError, "y_true must"),
        ([0, 0.5], [0.0, 1.0], None, ValueError, "y_true must"),
        ([0, np.nan], [0.0, 1.0], None, ValueError, "y_true must"),
        (["a", "b"], [0.0, 1.0], None, TypeError, "y_true must"),
        ([], [], None, ValueError, "raw_prediction must have at least one row"),
        ([0, 1], [0.0, np.nan], None, ValueError, "raw_prediction must be finite"),
        ([0, 1], [0.0, np.inf], None, ValueError, "raw_prediction must be finite"),
        ([0, 1], ["a", "b"], None, TypeError, "raw_prediction must be numeric"),
        ([0, 1], np.zeros((2, 2, 2)), None, ValueError, "raw_prediction must have shape"),
        ([0, 1], np.zeros((2, 0)), None, ValueError, r"raw_prediction must have shape \(n,\) or .*, got \(2, 0\)"),
        ([0, 1], [0.0, 1.0], [1.0], ValueError, "sample_weight must have shape"),
        ([0, 1], [0.0, 1.0], [1.0, -1.0], ValueError, "sample_weight must be finite"),
        ([0, 1], [0.0, 1.0], [1.0, np.nan], ValueError, "sample_weight must be finite"),
        ([0, 1], [0.0, 1.0], [0.0, 0.0], ValueError, "sample_weight must hold at least one"),
        ([0, 1], [0.0, 1.0], ["x", "y"], TypeError, "sample_weight must be numeric"),
    ],
)
def test_bad_data(y, z, w, error, match, method):
    with pytest.raises(error, match=match):
        getattr(FocalLoss(), method)(y, z, w)


def test_bad_number_of_classes_and_calibration():
    with pytest.raises(ValueError, match="a single number is for two classes"):
        FocalLoss(2.0, 0.3).loss([0, 1], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="gamma must have one entry per class: got 2 entries for 3"):
        FocalLoss((1.0, 2.0)).loss([0, 1], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="calibration must be 'focus', 'full' or None, got 'half'"):
        FocalLoss().predict_proba([0.0], "half")


def test_log_loss_scale_makes_the_curvatures_equal():
    rng = np.random.default_rng(0)

    def curvature(loss, y, w):
        # Second differences of the mean loss by each score, at its own optimum.
        start = np.atleast_1d(loss.fit_intercept_only(y, w))
        h = 1e-4

        def at(step):
            z = np.tile(start + step, (200, 1))
            return loss(y, z[:, 0] if len(start) == 1 else z, w)

        return sum((at(h * e) - 2 * at(0 * e) + at(-h * e)) / h**2 for e in np.eye(len(start)))

    for n_classes, gamma, alpha in ((2, 2.0, 0.8), (2, (0.5, 2.0), None), (4, 1.0, None), (3, 1.5, (1.0, 2.0, 5.0))):
        y, w = rng.integers(n_classes, size=200) % rng.integers(1, n_classes + 1, size=200), rng.uniform(size=200)
        y[:n_classes] = np.arange(n_classes)

        scale = FocalLoss(gamma, alpha).log_loss_scale(y, w)
        expected = curvature(FocalLoss(0.0, alpha), y, w) / curvature(FocalLoss(gamma, alpha), y, w)
        assert_allclose(scale, expected, rtol=1e-5)
        assert_allclose(FocalLoss(gamma, alpha).log_loss_scale(y, 7 * w), scale, rtol=1e-12)
    assert FocalLoss(0.0).log_loss_scale([0, 1, 1]) == 1.0
    # By hand at p = 1/2: p*q = 1/4 against q*p*((1 + 2)*q + log(p)*(q - p)) = 3/8.
    assert_allclose(FocalLoss(1.0).log_loss_scale([0, 1]), 2 / 3, rtol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "totals"),
    [
        # The absent class has so large an alpha that the score says that class, where the focal loss is concave.
        ((1e30, 1.0), [0, 7]),
        ((1.0, 1e30, 1.0), [1, 0, 0]),
        # The curvature of log loss is 0 beyond a margin of 745: the focal one is negative, 0, and positive.
        ((1e200, 1e-150), [0, 7]),
        ((1e300, 1e-300), [0, 7]),
        ((1e200, 1e-150), [7, 0]),
    ],
)
def test_log_loss_scale_is_1_where_no_factor_makes_the_curvatures_equal(alpha, totals):
    assert FocalLoss(2.0, alpha).scale_of_totals(totals) == 1.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_class_totals_may_have_any_dtype(dtype):
    totals = np.array([1, 3, 7], dtype)
    assert_allclose(FocalLoss(0.0).optimal_scores(totals), np.log([1 / 11, 3 / 11, 7 / 11]), rtol=1e-14)
    assert_allclose(FocalLoss(0.0).optimal_scores(totals[:2]), np.log(3.0), rtol=1e-14)
    assert_allclose(FocalLoss(1.0).scale_of_totals(np.array([5, 5], dtype)), 2 / 3, rtol=1e-12)


def test_the_mean_of_losses_whose_sum_overflows():
    largest = np.finfo(np.float64).max
    y, z = [1, 1, 1], [-largest, -largest / 2, 0.0]
    # At gamma 0 these losses are the margins; log 2 is nothing beside them.
    assert_allclose(FocalLoss(0.0)(y[:2], z[:2]), 0.75 * largest, rtol=1e-14)
    for size in (1.0, 1e200, 1e-200):
        weight = size * np.array([1.0, 3.0, 4.0])
        assert_allclose(FocalLoss(0.0)(y, z, weight), 0.3125 * largest, rtol=1e-14)


def test_constants_of_rare_and_absent_classes():
    assert_allclose(FocalLoss(0.0).optimal_scores([1e-30, 0.5]), np.log(0.5) + 30 * np.log(10.0), rtol=1e-13)
    # An absent class has the share 1e-15.
    assert_allclose(FocalLoss(0.0).optimal_scores([0.0, 7.0]), 15 * np.log(10.0), rtol=1e-12)
    assert_allclose(FocalLoss(0.0).optimal_scores([7.0, 0.0]), -15 * np.log(10.0), rtol=1e-12)


def test_a_label_beyond_the_parameters_of_the_classes_is_an_error():
    for loss in (FocalLoss((1.0, 2.0)), FocalLoss(2.0, (1.0, 2.0))):
        for method in (loss.fit_intercept_only, loss.log_loss_scale):
            with pytest.raises(ValueError, match=r"y_true must hold class indices 0 .. 1, got 2"):
                method([0, 1, 2])


def test_the_hessian_of_one_score_is_a_matrix_of_one_number():
    y, z, w = np.array([0, 1, 1]), np.array([0.3, -2.0, 1.0]), np.array([1.0, 2.0, 0.5])
    data = FocalLoss(2.0).on(y, 1, w)
    hessian = FocalLoss(2.0).gradient_hessian(y, z, w)[1]
    direction = np.array([3.0, -0.5, 7.0])
    assert_array_equal(data.hessian_product(z, direction), hessian * direction)
    assert_array_equal(data.hessian_matrix(z), hessian.reshape(3, 1, 1))


def test_the_hessian_of_several_scores_is_the_change_of_the_gradient():
    rng = np.random.default_rng(0)
    y, z, w = np.arange(30) % 3, rng.normal(size=(30, 3)), rng.uniform(0.5, 2.0, size=30)
    loss = FocalLoss((0.5, 2.0, 1.3), (0.3, 1.0, 2.0))
    data, h = loss.on(y, 3, w), 1e-5
    differences = [(loss.gradient(y, z + h * e, w) - loss.gradient(y, z - h * e, w)) / (2 * h) for e in np.eye(3)]
    matrix = np.stack(differences, axis=2)
    assert_allclose(data.hessian_matrix(z), matrix, atol=1e-8)
    direction = rng.normal(size=(30, 3))
    assert_allclose(data.hessian_product(z, direction), np.einsum("njk,nk->nj", matrix, direction), atol=1e-7)
