"""FocalLogisticRegression: against scikit-learn's, its own optimality conditions, and its contract."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression
from skfocal.linear_model._objective import _cholesky
from skfocal.linear_model._solve import SOLVERS

PRECISE = {"tol": 1e-8, "max_iter": 10_000}


def standardised(loader):
    X, y = loader(return_X_y=True)
    return StandardScaler().fit_transform(X), y


PROBLEMS = {"binary": standardised(load_breast_cancer), "multinomial": standardised(load_iris)}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_gamma_zero_is_logistic_regression(name, container, solver, class_weight):
    X, y = PROBLEMS[name]
    w = np.random.default_rng(0).uniform(0.2, 2, size=len(y)) if class_weight is None else None
    theirs = LogisticRegression(class_weight=class_weight, tol=1e-9, max_iter=10_000).fit(X, y, w)
    ours = FocalLogisticRegression(0.0, class_weight=class_weight, solver=solver, **PRECISE).fit(container(X), y, w)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
    assert_allclose(ours.predict_proba(container(X)), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize(("l1_ratio", "C"), [(1.0, 0.1), (0.5, 0.2)])
def test_l1_is_logistic_regression(name, l1_ratio, C):
    X, y = PROBLEMS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # before 1.8, scikit-learn wants the penalty's name as well
        theirs = LogisticRegression(l1_ratio=l1_ratio, C=C, solver="saga", tol=1e-10, max_iter=100_000)
        if "penalty" in theirs.get_params() and theirs.penalty == "l2":
            theirs.set_params(penalty="elasticnet")
        theirs.fit(X, y)
    ours = FocalLogisticRegression(0.0, l1_ratio=l1_ratio, C=C, **PRECISE).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert_array_equal(ours.coef_ == 0, np.abs(theirs.coef_) < 1e-12)
    assert (ours.coef_ == 0).any()


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_intercept_and_no_penalty(name):
    X, y = PROBLEMS[name]
    theirs = LogisticRegression(fit_intercept=False, tol=1e-9, max_iter=10_000).fit(X, y)
    ours = FocalLogisticRegression(0.0, fit_intercept=False, **PRECISE).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert_array_equal(ours.intercept_, 0.0)
    few, noisy = X[:, :3], np.where(np.random.default_rng(0).random(len(y)) < 0.2, 0, y)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(few, noisy)
    ours = FocalLogisticRegression(0.0, C=np.inf, **PRECISE).fit(few, noisy)
    assert_allclose(ours.predict_proba(few), theirs.predict_proba(few), atol=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("name", PROBLEMS)
def test_objective_is_stationary_and_no_other_start_is_better(name, gamma):
    X, y = PROBLEMS[name]
    C, k = 0.7, len(np.unique(y))
    clf = FocalLogisticRegression(gamma, C=C, **PRECISE).fit(X, y)
    loss, n_scores = FocalLoss(gamma), 1 if k == 2 else k

    def objective(theta):
        coef, intercept = theta.reshape(n_scores, -1)[:, :-1], theta.reshape(n_scores, -1)[:, -1]
        raw = X @ coef.T + intercept
        g = loss.gradient(y, raw).reshape(len(y), -1)
        value = C * loss.loss(y, raw).sum() + 0.5 * (coef**2).sum()
        return value, np.c_[C * g.T @ X + coef, C * g.sum(axis=0)].ravel()

    theta = np.c_[clf.coef_, clf.intercept_].ravel()
    value, gradient = objective(theta)
    assert np.abs(gradient).max() < 1e-4 * value
    rng = np.random.default_rng(0)
    for _ in range(3):
        other = minimize(objective, rng.normal(size=theta.size), jac=True, method="L-BFGS-B", options={"maxiter": 5000})
        assert value <= other.fun * (1 + 1e-6)


def test_scaling_leaves_the_optimum_where_it_is():
    X, y = PROBLEMS["binary"]
    rng = np.random.default_rng(0)
    units, shift = 10.0 ** rng.uniform(-3, 4, X.shape[1]), rng.normal(size=X.shape[1])
    plain = FocalLogisticRegression(2.0, C=np.inf, l1_ratio=0.0, **PRECISE).fit(X[:, :4], y)
    moved = FocalLogisticRegression(2.0, C=np.inf, **PRECISE).fit((X * units + units * shift)[:, :4], y)
    assert_allclose(moved.coef_ * units[:4], plain.coef_, rtol=1e-4)
    assert_allclose(moved.intercept_ + moved.coef_ @ (units * shift)[:4], plain.intercept_, rtol=1e-4)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_float32_stays(container):
    X, y = PROBLEMS["multinomial"]
    single = FocalLogisticRegression().fit(container(X.astype(np.float32)), y)
    double = FocalLogisticRegression().fit(container(X), y)
    assert single.coef_.dtype == single.intercept_.dtype == np.float32
    assert double.coef_.dtype == np.float64
    assert single.decision_function(X.astype(np.float32)).dtype == np.float32
    assert_allclose(single.coef_, double.coef_, atol=1e-4)


def test_forms_of_alpha(imbalanced):
    X, y = imbalanced
    labels, share = np.array(["bad", "good"])[y], np.mean(y == 0)

    def coef(alpha=None, w=None):
        return FocalLogisticRegression(2.0, alpha, **PRECISE).fit(X, labels, w).coef_

    assert_allclose(coef(0.5), coef(None), rtol=1e-9)
    balanced = coef("balanced")
    weight = np.where(y == 1, 1 / (2 * np.mean(y == 1)), 1 / (2 * share))
    for same in (coef(share), coef([1 - share, share]), coef({"good": share / (1 - share)}), coef(None, weight)):
        assert_allclose(same, balanced, atol=1e-5)  # what the solver resolves
    assert not np.allclose(balanced, coef(None), rtol=1e-2)
    clf = FocalLogisticRegression(2.0, {"good": 3.0}).fit(X, labels)
    assert_allclose(np.average(clf.class_weights_[y]), 1.0)
    assert_allclose(clf.class_weights_[1] / clf.class_weights_[0], 3.0)


def test_probabilities_by_calibration(imbalanced):
    X, y = imbalanced
    focus, full, bare = (
        FocalLogisticRegression(3.0, "balanced", calibration=c, C=1e4).fit(X, y) for c in ("focus", "full", None)
    )
    z = focus.decision_function(X)
    assert_allclose(bare.predict_proba(X)[:, 1], 1 / (1 + np.exp(-z)))
    assert_allclose(full.predict_proba(X)[:, 1].mean(), y.mean(), atol=0.01)
    assert_allclose(focus.predict_proba(X)[:, 1] > 0.5, focus.predict(X) == 1)
    weighted = FocalLogisticRegression(3.0, class_weight={0: 1.0, 1: 9.0}, calibration="full", C=1e4).fit(X, y)
    assert_allclose(weighted.predict_proba(X)[:, 1].mean(), y.mean(), atol=0.01)
    assert_allclose(np.exp(focus.predict_log_proba(X)), focus.predict_proba(X))


def test_warm_start(imbalanced):
    X, y = imbalanced
    clf = FocalLogisticRegression(2.0, warm_start=True).fit(X, y)
    first = int(clf.n_iter_[0])
    assert clf.fit(X, y).n_iter_[0] < first / 2
    clf.fit(X[:, :3], y)
    assert clf.coef_.shape == (1, 3)


def test_convergence_warning_says_what_to_do(imbalanced):
    with pytest.warns(ConvergenceWarning, match=r"did not converge after 2 iterations: .* Raise max_iter \(now 2\)"):
        FocalLogisticRegression(max_iter=2).fit(*imbalanced)


@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_the_objective(solver, imbalanced, capsys):
    FocalLogisticRegression(solver=solver, verbose=1).fit(*imbalanced)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{solver} iteration 1: objective")
    values = [float(line.split("objective ")[1].split(",")[0]) for line in lines if "objective " in line]
    assert values[-1] <= values[0]


def test_cholesky_factors_of_what_is_positive_up_to_rounding():
    d = 5
    root = np.random.default_rng(0).normal(size=(2, d, d - 2))  # of rank d - 2
    curvature = root @ root.transpose(0, 2, 1)
    curvature[1] -= 1e-13 * np.eye(d)
    factors = _cholesky(curvature.copy())
    assert_allclose(factors @ factors.transpose(0, 2, 1), curvature, atol=1e-8 * np.trace(curvature[0]))
    assert_array_equal(factors, np.tril(factors))
    with pytest.raises(np.linalg.LinAlgError):
        _cholesky(np.array([np.diag([1.0, -5.0])]))


def test_trust_krylov_bears_garbage_in_fresh_memory(monkeypatch):
    X, y = PROBLEMS["binary"]
    expected = FocalLogisticRegression(2.0, solver="trust-exact", tol=1e-6).fit(X, y).coef_
    empty = np.empty

    def filled(*args, **kwargs):
        array = empty(*args, **kwargs)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        return array

    monkeypatch.setattr(np, "empty", filled)
    clf = FocalLogisticRegression(2.0, solver="trust-krylov", tol=1e-6).fit(X, y)
    assert_allclose(clf.coef_, expected, atol=1e-4)


def test_constant_column():
    X, y = PROBLEMS["binary"]
    for C in (1.0, np.inf):
        clf = FocalLogisticRegression(C=C).fit(np.c_[X[:, :2], np.full(len(y), 3.0)], y)
        assert np.isfinite(clf.coef_).all()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"focal_gamma": -1}, "focal_gamma must be a number >= 0"),
        ({"focal_gamma": [1.0, 2.0, 3.0]}, "focal_gamma must be a number or one per class: got 3 entries for 2"),
        ({"focal_alpha": 1.5}, "focal_alpha must"),
        ({"focal_alpha": "even"}, "focal_alpha must be 'balanced'"),
        ({"focal_alpha": {"x": 1.0}}, "focal_alpha must have labels of y as keys"),
        ({"focal_alpha": {1: -1.0}}, "focal_alpha must have numbers > 0 as values"),
        ({"focal_alpha": [1.0, 2.0, 3.0]}, "focal_alpha must have one entry per class"),
        ({"C": 0}, "C must be a number > 0"),
        ({"C": "1"}, "C must"),
        ({"l1_ratio": 1.1}, "l1_ratio must be a number in"),
        ({"l1_ratio": 0.5, "solver": "trust-exact"}, "l1_ratio must be 0 for solver='trust-exact'"),
        ({"class_weight": "even"}, "class_weight must"),
        ({"class_weight": {0: -1.0, 1: 1.0}}, "class_weight must"),
        ({"calibration": "none"}, "calibration must"),
        ({"fit_intercept": "yes"}, "fit_intercept must"),
        ({"solver": "liblinear"}, "solver must be one of"),
        ({"max_iter": -1}, "max_iter must"),
        ({"max_iter": 10.5}, "max_iter must"),
        ({"tol": 0.0}, "tol must"),
        ({"warm_start": 1}, "warm_start must"),
        ({"verbose": -1}, "verbose must"),
    ],
)
def test_bad_parameters(parameters, match, imbalanced):
    with pytest.raises(ValueError, match=match):
        FocalLogisticRegression(**parameters).fit(*imbalanced)


@pytest.mark.parametrize("gamma", [10.0, 15.0, 20.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_large_gamma_is_trained_to_its_end(gamma, solver):
    X, y = PROBLEMS["binary"]
    default = FocalLogisticRegression(gamma, C=1e5, solver=solver, max_iter=1000).fit(X, y)
    precise = FocalLogisticRegression(gamma, C=1e5, solver="trust-exact", tol=1e-7, max_iter=1000).fit(X, y)
    assert_allclose(default.decision_function(X).std(), precise.decision_function(X).std(), rtol=0.05)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_unscaled_heavy_tails_converge_with_the_defaults(gamma):
    # Ratios as in accounts: a few rows are thousands of times the rest, columns are correlated, units differ.
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(40, 40)) * np.logspace(0, -4, 40)
    X = rng.standard_t(0.8, size=(3000, 40)) @ mixing * np.logspace(-4, 4, 40)
    typical = X / np.median(np.abs(X), axis=0)
    y = (typical[:, [0, 3, 5]].sum(axis=1) + rng.logistic(size=3000) > 4).astype(int)
    fitted = FocalLogisticRegression(gamma).fit(X, y)  # a ConvergenceWarning would be an error
    exact = FocalLogisticRegression(gamma, solver="trust-exact", tol=1e-8, max_iter=1000).fit(X, y)
    values = [m.focal_loss_.loss(y, m.decision_function(X)).sum() + 0.5 * (m.coef_**2).sum() for m in (fitted, exact)]
    assert_allclose(values[0], values[1], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["U8", "S8", "M8[s]", "m8[s]"])
def test_texts_and_dates_are_no_numbers(dtype, imbalanced):
    X, y = imbalanced
    whole = np.round(10 * X).astype(int)
    clf = FocalLogisticRegression().fit(whole, y)
    for call in (
        lambda: FocalLogisticRegression().fit(whole.astype(dtype), y),
        lambda: clf.predict(whole.astype(dtype)),
    ):
        with pytest.raises((TypeError, ValueError), match=r"X must hold numbers|dtype='numeric' is not compatible"):
            call()


def test_scores_beyond_float64_decide_as_infinity_does(imbalanced):
    X, y = imbalanced
    clf = FocalLogisticRegression(C=np.inf).fit(1e-3 * X, y)  # coefficients far above 1
    far = np.where(np.sign(clf.coef_) > 0, 1.0, -1.0) * np.array([[1e308], [-1e308]])
    assert_allclose(clf.predict_proba(far), [[0.0, 1.0], [1.0, 0.0]], atol=1e-300)
    far[0, 0] *= -1
    with pytest.raises(ValueError, match="X must have numbers whose scores fit float64"):
        clf.predict_proba(far)
    with pytest.raises(ValueError, match="X must have columns whose sums of squares fit float64"):
        clf.fit(1e300 * X, y)
