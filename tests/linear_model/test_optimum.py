"""FocalLogisticRegression ends at the optimum, whatever the penalty, the columns, the container and the start."""

import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression

PRECISE = {"tol": 1e-8, "max_iter": 10_000}


def objective_and_violation(clf, X, y, C, l1_ratio):
    """C * sum of losses + penalty at the solution, and by how much its optimality conditions fail, by NumPy alone.

    The violation of a coefficient is the distance of 0 from its subgradient, relative to the size of the terms in it.
    """
    loss = FocalLoss(clf.focal_loss_.gamma, clf.focal_loss_.alpha)
    raw = clf.decision_function(X)
    gradient = loss.gradient(y, raw).reshape(len(y), -1)
    coef = clf.coef_
    value = C * loss.loss(y, raw).sum() + 0.5 * (1 - l1_ratio) * (coef**2).sum() + l1_ratio * np.abs(coef).sum()
    smooth = C * gradient.T @ X + (1 - l1_ratio) * coef
    size = C * np.abs(gradient).T @ np.abs(X) + np.abs(coef) + l1_ratio
    slack = np.where(coef == 0, np.maximum(np.abs(smooth) - l1_ratio, 0.0), np.abs(smooth + l1_ratio * np.sign(coef)))
    intercept = np.abs(gradient.sum(axis=0)) / np.abs(gradient).sum(axis=0)
    return value, max((slack / size).max(), intercept.max())


CASES = [
    (load_breast_cancer(return_X_y=True), 2.0, 1.0, 0.1, 14.0522),
    (load_iris(return_X_y=True), 2.0, 100.0, 1.0, 172.54),
    (make_classification(500, 10, n_informative=6, n_classes=3, random_state=1), 0.0, 1.0, 0.1, 283.4161),
]


@pytest.mark.parametrize(("data", "gamma", "C", "l1_ratio", "best"), CASES, ids=["breast_cancer", "iris", "three"])
def test_l1_ends_at_the_optimum_or_warns(data, gamma, C, l1_ratio, best):
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf = FocalLogisticRegression(gamma, C=C, l1_ratio=l1_ratio, **PRECISE).fit(X, y)
    value, violation = objective_and_violation(clf, X, y, C, l1_ratio)
    # ``best`` is where refits from the former ends got to, to the digits that are known of it.
    assert value <= best + 0.51 * 10.0 ** -len(str(best).split(".")[1])
    assert violation < 1e-6


@pytest.mark.parametrize("l1_ratio", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("C", [0.02, 1.0, 30.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_l1_gives_sagas_zeros(l1_ratio, C, n_classes):
    X, y = make_classification(300, 12, n_informative=5, n_classes=n_classes, random_state=2)
    X = StandardScaler().fit_transform(X)
    ours = FocalLogisticRegression(0.0, C=C, l1_ratio=l1_ratio, **PRECISE).fit(X, y)
    # Before 1.8, scikit-learn wants the penalty named; since then it deprecates the name.
    named = {"penalty": "elasticnet"} if parse_version(sklearn.__version__) < parse_version("1.8") else {}
    saga = LogisticRegression(solver="saga", C=C, l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000, **named).fit(X, y)
    assert_array_equal(ours.coef_ != 0, np.abs(saga.coef_) > 1e-9)
    assert_allclose(ours.coef_, saga.coef_, atol=1e-5)
    assert objective_and_violation(ours, X, y, C, l1_ratio)[1] < 1e-6


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_dense_and_sparse_fits_are_alike_at_the_default_tolerance(gamma, l1_ratio):
    X, y = make_classification(400, 20, n_informative=6, random_state=0)
    X[np.abs(X) < 0.5] = 0.0
    fits = [FocalLogisticRegression(gamma, l1_ratio=l1_ratio).fit(A, y) for A in (X, sparse.csr_array(X))]
    assert np.abs(fits[0].predict_proba(X) - fits[1].predict_proba(X)).max() < 1e-6


@pytest.mark.parametrize("solver", ["lbfgs", "trust-krylov", "trust-exact"])
@pytest.mark.parametrize("mean", [0.0, 2000.0])
def test_a_warm_start_ends_where_a_cold_one_does(solver, mean):
    X, y = make_classification(300, 5, n_informative=4, n_redundant=0, random_state=0)
    X += mean
    warm = FocalLogisticRegression(2.0, C=0.1, solver=solver, warm_start=True, max_iter=1000).fit(X, y)
    warm.set_params(C=10.0).fit(X, y)
    cold = FocalLogisticRegression(2.0, C=10.0, solver=solver, max_iter=1000).fit(X, y)
    assert_allclose(warm.predict_proba(X), cold.predict_proba(X), atol=1e-3)
    values = [objective_and_violation(clf, X, y, 10.0, 0.0)[0] for clf in (warm, cold)]
    assert values[0] <= values[1] * 1.0001


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-2, 1.0, 1e4])
def test_scores_of_the_classes_sum_to_zero_without_l1(fit_intercept, C):
    X, y = load_iris(return_X_y=True)
    clf = FocalLogisticRegression(1.0, C=C, fit_intercept=fit_intercept, max_iter=10_000).fit(X, y)
    assert_allclose(clf.coef_.sum(axis=0), 0.0, atol=1e-6 * np.abs(clf.coef_).max())


def test_select_from_model_keeps_what_l1_left_over():
    X, y = make_classification(300, 12, n_informative=4, random_state=3)
    clf = FocalLogisticRegression(1.0, C=0.05, l1_ratio=1.0, **PRECISE)
    selected = SelectFromModel(clf).fit(X, y)
    assert_array_equal(selected.get_support(), (clf.fit(X, y).coef_ != 0).any(axis=0))
    assert 0 < selected.get_support().sum() < 12
    assert RFE(FocalLogisticRegression(1.0), n_features_to_select=3).fit(X, y).support_.sum() == 3


def test_sparsify_and_densify_change_the_container_alone():
    X, y = load_breast_cancer(return_X_y=True)
    clf = FocalLogisticRegression(1.0, C=0.01, l1_ratio=1.0, max_iter=1000).fit(X, y)
    expected = clf.predict_proba(X)
    assert sparse.issparse(clf.sparsify().coef_)
    assert_allclose(clf.predict_proba(X), expected, atol=1e-12)
    assert isinstance(clf.densify().coef_, np.ndarray)
    assert_array_equal(clf.predict_proba(X), expected)


def test_bagging_of_a_class_that_a_bootstrap_may_miss():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), np.zeros(100, int)
    y[:2] = 1
    for seed in range(6):
        bag = BaggingClassifier(FocalLogisticRegression(), 5, random_state=seed).fit(X, y)
        assert np.isfinite(bag.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("name", "value", "way"),
    [
        ("penalty", "l1", "l1_ratio=1"),
        ("n_jobs", 2, "leave it out"),
        ("random_state", 0, "nothing is random"),
        ("dual", True, "primal"),
        ("gamma", 2.0, "focal_gamma"),
        ("alpha", 0.5, "focal_alpha"),
    ],
)
def test_parameters_of_logistic_regression_are_told_what_to_write(name, value, way):
    with pytest.raises(TypeError, match=f"has no parameter {name}, got {name}={value!r}: .*{way}"):
        FocalLogisticRegression(**{name: value})


def test_float32_is_not_copied_whole():
    X, y = make_classification(20_000, 8, random_state=0)
    X32 = X.astype(np.float32)
    a, b = (FocalLogisticRegression(1.0).fit(A, y) for A in (X32, X32.astype(np.float64)))
    assert a.coef_.dtype == np.float32
    assert_allclose(a.coef_, b.coef_, rtol=1e-4, atol=1e-5)


def test_underflow_of_unlikely_classes_is_no_error():
    X, y = load_iris(return_X_y=True)
    clf = FocalLogisticRegression(1.0, C=1e4, max_iter=5000).fit(X, y)
    with np.errstate(all="raise"):
        proba = clf.predict_proba(1000.0 * X)
    assert_allclose(proba.sum(axis=1), 1.0)
