"""Class weights by effective numbers: the function, and ``focal_alpha="effective"`` of all estimators."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

import skfocal
from skfocal import effective_number_weights

FAST = {
    "FocalHistGradientBoostingClassifier": {"max_iter": 5},
    "FocalLGBMClassifier": {"n_estimators": 5, "verbosity": -1, "n_jobs": 1},
    "FocalXGBClassifier": {"n_estimators": 5, "n_jobs": 1},
    "FocalLogisticRegression": {},
}
each = pytest.mark.parametrize("name", [name for name in FAST if name in dir(skfocal)])


def labels(*counts):
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999, 0.9999, 1 - 1e-9])
@pytest.mark.parametrize("counts", [(1, 7), (3000, 20), (10_000, 300, 4)])
def test_weights_are_those_of_the_paper(beta, counts):
    # Equation 3 as the sum it comes from: the n-th row counts beta**(n - 1).
    with mpmath.workdps(50):
        effective = [mpmath.fsum(mpmath.mpf(beta) ** i for i in range(n)) for n in counts]
        weights = [1 / e for e in effective]
        expected = [float(w * len(counts) / mpmath.fsum(weights)) for w in weights]
    got = effective_number_weights(labels(*counts), beta)
    assert list(got) == list(range(len(counts)))
    assert_allclose(list(got.values()), expected, rtol=1e-12)


def test_beta_lies_between_equal_and_balanced():
    y = labels(900, 90, 10)
    assert list(effective_number_weights(y, 0.0).values()) == [1.0, 1.0, 1.0]
    balanced = 1000 / (3 * np.array([900, 90, 10]))
    near = np.array(list(effective_number_weights(y, 1 - 1e-12).values()))
    assert_allclose(near / near[0], balanced / balanced[0], rtol=1e-6)


def test_a_weight_of_two_is_the_row_twice():
    y, w = labels(30, 5), np.r_[np.full(30, 2.0), np.full(5, 3.0)]
    assert effective_number_weights(y, 0.9, sample_weight=w) == effective_number_weights(labels(60, 15), 0.9)
    none = effective_number_weights(y, 0.9, sample_weight=np.r_[np.ones(30), np.zeros(5)])
    assert none == effective_number_weights(labels(30, 1), 0.9)


def test_labels_of_any_kind_are_keys_that_class_weight_takes():
    X = np.random.default_rng(0).normal(size=(100, 2))
    for y in (np.array(["b", "a"])[labels(80, 20)], labels(80, 20) * 2.0 - 1.0, labels(80, 20) == 1):
        weights = effective_number_weights(y)
        assert set(weights) == set(y.tolist())
        clf = LogisticRegression(class_weight=weights).fit(X, y)
        assert_array_equal(clf.classes_, sorted(weights))
    assert effective_number_weights(["b"] * 80 + ["a"] * 20)["a"] > 1 > effective_number_weights(labels(80, 20))[0]


@pytest.mark.parametrize("beta", [1.0, -0.1, np.nan, np.inf, 2])
def test_beta_out_of_range(beta):
    with pytest.raises(ValueError, match=r"beta must be a number in \[0, 1\), got"):
        effective_number_weights([0, 1], beta)


def test_bad_arguments():
    for beta in ("0.9", None, True, [0.9]):
        with pytest.raises(TypeError, match=r"beta must be a number in \[0, 1\), got"):
            effective_number_weights([0, 1], beta)
    with pytest.raises(ValueError, match="y must hold at least two classes, got one class: 3"):
        effective_number_weights([3, 3])
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(2,\)"):
        effective_number_weights([0, 1], sample_weight=[1.0])


@each
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_effective_alpha_of_the_estimators(name, weighted, n_classes, imbalanced):
    X, y = imbalanced
    y = np.where(X[:, 0] > 1.5, 2, y) if n_classes == 3 else y
    y = np.array(["no", "yes", "maybe"])[y]
    w = np.random.default_rng(0).uniform(0.5, 3.0, len(y)) if weighted else None
    make = getattr(skfocal, name)
    by_name = make(1.0, "effective", **FAST[name]).fit(X, y, sample_weight=w)
    by_label = make(1.0, effective_number_weights(y, sample_weight=w), **FAST[name]).fit(X, y, sample_weight=w)
    assert_allclose(by_name.class_weights_, by_label.class_weights_, rtol=1e-6)
    assert_allclose(by_name.predict_proba(X), by_label.predict_proba(X), rtol=1e-3, atol=1e-5)
    balanced = make(1.0, "balanced", **FAST[name]).fit(X, y, sample_weight=w)
    assert np.ptp(np.log(by_name.class_weights_)) < 0.95 * np.ptp(np.log(balanced.class_weights_))
    with pytest.raises(ValueError, match="focal_alpha must be 'balanced' or 'effective' if it is a string, got 'eff'"):
        make(1.0, "eff").fit(X, y)
