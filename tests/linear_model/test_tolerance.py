"""``tol`` of FocalLogisticRegression: no silent fit is above it, and what float64 can reach is reached."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression
from skfocal.linear_model._drop_in import SOLVER_INSTEAD
from skfocal.linear_model._solve import SOLVERS

DATA = {
    "breast_cancer": load_breast_cancer(return_X_y=True),  # raw: units from 1e-3 to 1e3
    "iris": load_iris(return_X_y=True),
    "three": make_classification(500, 10, n_informative=6, n_classes=3, random_state=1),
    "wide": make_classification(60, 100, n_informative=10, random_state=3),
}


def optimality(clf, X, y, C, l1_ratio):
    """Largest entry of the (sub)gradient in the units that ``tol`` is documented in, by NumPy and the loss alone."""
    loss, n, several = clf.focal_loss_, len(y), clf.coef_.shape[0] > 1
    score = loss.fit_intercept_only(y) if clf.fit_intercept else np.zeros(clf.coef_.shape[0]) if several else 0.0
    constant = np.tile(score, (n, 1)) if several else np.full(n, score)
    unit = loss.loss(y, constant).mean()
    curvature = np.abs(loss.gradient_hessian(y, constant)[1]).mean() / unit
    l2, l1 = (1 - l1_ratio) / (C * n * unit), l1_ratio / (C * n * unit)
    mean = X.mean(axis=0) if clf.fit_intercept else np.zeros(X.shape[1])
    scale = np.sqrt(curvature * ((X - mean) ** 2).mean(axis=0) + l2)
    gradient = loss.gradient(y, clf.decision_function(X)).reshape(n, -1) / (n * unit)
    smooth = gradient.T @ (X - mean) + l2 * clf.coef_
    pulled = np.where(clf.coef_ == 0, np.maximum(np.abs(smooth) - l1, 0), np.abs(smooth + l1 * np.sign(clf.coef_)))
    of_intercept = np.abs(gradient.sum(axis=0)) / np.sqrt(curvature) if clf.fit_intercept else 0.0
    return max((pulled / scale).max(), np.max(of_intercept))


@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("name", DATA)
def test_no_fit_ends_above_its_tolerance_silently(name, tol):
    X, y = DATA[name]
    for gamma in (0.0, 2.0):
        for C in (1e-8, 1.0, 100.0, 1e4):
            for l1_ratio in (0.0, 0.1, 1.0):
                for fit_intercept in (True, False):
                    clf = FocalLogisticRegression(
                        gamma, C=C, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=tol, max_iter=10_000
                    ).fit(X, y)  # a ConvergenceWarning would be an error
                    # Rounding of the test's own sums, in scores of raw columns.
                    assert optimality(clf, X, y, C, l1_ratio) <= 1.01 * tol + 1e-10


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["three", "iris"])
def test_twelve_digits_can_be_asked_for(solver, name):
    X, y = DATA[name]
    clf = FocalLogisticRegression(2.0, C=0.1, solver=solver, tol=1e-12, max_iter=1000).fit(X, y)
    assert optimality(clf, X, y, 0.1, 0.0) < 1e-11


@pytest.mark.parametrize("parameters", [{"solver": s} for s in SOLVERS] + [{"l1_ratio": 0.5}], ids=str)
def test_a_tolerance_below_float64_warns_with_the_gradient_that_was_reached(parameters):
    X, y = DATA["three"]
    with pytest.warns(ConvergenceWarning, match=r"e-1[3-9]\. It can get no closer in float64: raise tol"):
        FocalLogisticRegression(**parameters, tol=1e-30, max_iter=10_000).fit(X, y)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("spread", [1e-3, 1e-5])
def test_nearly_collinear_columns_without_regularization(solver, container, spread):
    X, y = make_classification(400, 5, n_informative=4, n_redundant=0, flip_y=0.1, random_state=0)
    difference = np.random.default_rng(0).normal(size=(400, 3))
    # The same model in columns that do not correlate: its optimum is what the others have to reach.
    apart = FocalLogisticRegression(0.0, C=np.inf, tol=1e-10).fit(np.c_[X, difference], y)
    nearly = container(np.c_[X, X[:, :3] + spread * difference])
    clf = FocalLogisticRegression(0.0, C=1e14, solver=solver, tol=1e-8, max_iter=1000).fit(nearly, y)
    assert_allclose(clf.predict_proba(nearly), apart.predict_proba(np.c_[X, difference]), atol=1e-4)


@pytest.mark.parametrize("parameters", [{"solver": s} for s in SOLVERS] + [{"l1_ratio": 0.5}], ids=str)
def test_columns_with_huge_means(parameters):
    X, y = DATA["three"]
    plain, moved = (
        FocalLogisticRegression(1.0, C=0.5, tol=1e-7, max_iter=1000, **parameters).fit(A, y) for A in (X, X + 1e6)
    )
    # Where only the penalty curves the objective, by 3e-3, a gradient of 1e-7 leaves coefficients 3e-5 apart.
    assert_allclose(moved.coef_, plain.coef_, atol=3e-5)
    assert_allclose(moved.predict_proba(X + 1e6), plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("C", [1e-8, 1e-4, 1e4, 1e10])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_extreme_regularization_is_logistic_regression(C, container):
    X, y = make_classification(300, 6, n_informative=4, flip_y=0.2, random_state=0)
    theirs = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    for solver in SOLVERS:
        ours = FocalLogisticRegression(0.0, C=C, solver=solver, tol=1e-9, max_iter=1000).fit(container(X), y)
        assert_allclose(ours.predict_proba(container(X)), theirs.predict_proba(X), atol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_from_far_away(solver):
    X, y = DATA["breast_cancer"]
    warm = FocalLogisticRegression(2.0, C=1e10, solver=solver, warm_start=True, max_iter=1000).fit(X, y)
    warm.set_params(C=1e-8).fit(X, y)
    cold = FocalLogisticRegression(2.0, C=1e-8, solver=solver).fit(X, y)
    assert_allclose(warm.predict_proba(X), cold.predict_proba(X), atol=1e-4)


def test_without_iterations_the_model_is_the_optimal_constant():
    X, y = DATA["breast_cancer"]
    with pytest.warns(ConvergenceWarning, match=r"after 0 iterations: .* Raise max_iter \(now 0\)"):
        clf = FocalLogisticRegression(2.0, max_iter=0).fit(X, y)
    assert_array_equal(clf.n_iter_, [0])
    assert_array_equal(clf.coef_, 0.0)
    assert_allclose(clf.predict_proba(X[:1]), [[1 - y.mean(), y.mean()]])


@pytest.mark.parametrize("gamma", [20.0, 50.0, 100.0, [100.0, 0.0]])
@pytest.mark.parametrize("C", [1.0, 1e10])
def test_the_largest_gammas_are_finite(gamma, C):
    X, y = DATA["breast_cancer"]
    for parameters in [{"solver": solver} for solver in SOLVERS] + [{"l1_ratio": 0.5}]:
        clf = FocalLogisticRegression(gamma, C=C, max_iter=1000, **parameters).fit(X, y)
        assert np.isfinite(clf.predict_proba(X)).all()
        value, at_0 = (
            C * clf.focal_loss_.loss(y, raw).sum()
            for raw in (clf.decision_function(X), np.full(len(y), FocalLoss(gamma).fit_intercept_only(y)))
        )
        assert value <= at_0 * (1 + 1e-12)


@pytest.mark.parametrize("container", [np.ascontiguousarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_becomes_float64_in_blocks(container, solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150_000, 20), dtype=np.float32)
    y = (X[:, 0] + rng.logistic(size=len(X)) > 1).astype(int)
    X = container(X)

    def fit(X):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            clf = FocalLogisticRegression(solver=solver).fit(X, y)
            return clf, tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    as_float64, needed = fit(X.astype(np.float64))
    single, peak = fit(X)
    # A copy as float64 has 24 MB, which a fit of float64 does not need: float32 needs parts of a few MiB instead, which
    # for sparse X have indices of their own.
    assert peak < needed + 8e6 + 4e6 * sparse.issparse(X)
    assert_allclose(single.coef_, as_float64.coef_, atol=1e-6)


@pytest.mark.parametrize(("theirs", "ours"), SOLVER_INSTEAD.items())
def test_solvers_of_logistic_regression_are_told_what_to_write(theirs, ours):
    with pytest.raises(ValueError, match=f"solver must be one of .*, got '{theirs}'; use solver='{ours}'"):
        FocalLogisticRegression(solver=theirs).fit(*DATA["iris"])


def test_set_params_names_the_way_too():
    with pytest.raises(ValueError, match="has no parameter penalty, got penalty='l1': l1_ratio=0 is 'l2'"):
        FocalLogisticRegression().set_params(penalty="l1")
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        FocalLogisticRegression().set_params(nonsense=1)


def test_fits_and_predictions_bear_errors_for_underflow():
    X, y = DATA["iris"]
    with np.errstate(under="raise"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for parameters in [{"solver": solver} for solver in SOLVERS] + [{"l1_ratio": 0.5}]:
            clf = FocalLogisticRegression(5.0, C=1e8, **parameters).fit(X, y)
            assert np.isfinite(clf.predict_proba(1e3 * X)).all()
