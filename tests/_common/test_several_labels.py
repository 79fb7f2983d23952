"""Errors for several labels per row where one is supported, and scikit-learn's two ways to train a model per label."""

import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

from skfocal.calibration import FocalTemperatureScaling
from skfocal.ensemble import FocalHistGradientBoostingClassifier
from skfocal.inspection import FocalLossDisplay
from skfocal.linear_model import FocalLogisticRegression

ESTIMATORS = {
    "FocalLogisticRegression": lambda: FocalLogisticRegression(0.5),
    "FocalHistGradientBoostingClassifier": lambda: FocalHistGradientBoostingClassifier(max_iter=5),
    "FocalTemperatureScaling": lambda: FocalTemperatureScaling(LogisticRegression(), cv=3),
    "FocalLGBMClassifier": lambda: importlib.import_module("skfocal.lightgbm").FocalLGBMClassifier(
        n_estimators=5, verbosity=-1, n_jobs=1
    ),
}
each = pytest.mark.parametrize("name", ESTIMATORS)


def make(name):
    if name == "FocalLGBMClassifier":
        pytest.importorskip("lightgbm", exc_type=ImportError)
    return ESTIMATORS[name]()


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, (X[:, :2] + rng.normal(size=(200, 2)) > [0.0, 1.0]).astype(int)


@each
@pytest.mark.parametrize("container", [np.asarray, csr_matrix, np.ndarray.tolist], ids=["array", "sparse", "lists"])
def test_the_error_names_what_takes_several_labels(name, container, labels):
    X, Y = labels
    with pytest.raises(ValueError, match=r"y should be a 1d array of labels, shape \(n_samples,\)") as error:
        make(name).fit(X, container(Y))
    for way in ("FocalXGBClassifier", "MultiOutputClassifier", "ClassifierChain"):
        assert way in str(error.value)


@each
def test_scikit_learn_makes_a_model_per_label(name, labels):
    X, Y = labels
    model = make(name)
    together = MultiOutputClassifier(model).fit(X, Y).predict_proba(X)
    chain = ClassifierChain(model, order=[0, 1]).fit(X, Y).predict_proba(X)
    for j in range(2):
        features = X if j == 0 else np.c_[X, Y[:, 0]]
        assert_array_equal(together[j], clone(model).fit(X, Y[:, j]).predict_proba(X))
        # In a chain the labels before are true in training and predicted afterwards.
        alone = clone(model).fit(features, Y[:, j])
        if j == 1:
            features = np.c_[X, clone(model).fit(X, Y[:, 0]).predict(X)]
        assert_allclose(chain[:, j], alone.predict_proba(features)[:, 1], rtol=1e-10)


def test_pictures_are_of_one_label(labels):
    X, Y = labels
    clf = FocalLogisticRegression().fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="y should be a 1d array of labels"):
        FocalLossDisplay.from_estimator(clf, X, Y)
