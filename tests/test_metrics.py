"""metrics: by definition, by label, and as a scorer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression
from skfocal.metrics import NegFocalLossScorer, focal_loss, neg_focal_loss_scorer


def test_gamma_zero_is_log_loss_and_labels_are_any():
    rng = np.random.default_rng(0)
    z, y, w = rng.normal(size=40), rng.integers(2, size=40), rng.uniform(size=40)
    labels = np.array(["yes", "no"])[y]
    p = 1 / (1 + np.exp(-z))
    assert_allclose(focal_loss(y, z, gamma=0.0, sample_weight=w), log_loss(y, p, sample_weight=w), rtol=1e-12)
    # Sorted, "no" comes first: it is the negative class unless the labels say otherwise.
    assert_allclose(focal_loss(labels, -z, gamma=1.0), focal_loss(y, z, gamma=1.0))
    assert_allclose(focal_loss(labels, z, gamma=1.0, labels=["yes", "no"]), focal_loss(y, z, gamma=1.0))


def test_multiclass_with_a_class_missing():
    z = np.random.default_rng(0).normal(size=(3, 3))
    expected = FocalLoss(2.0, (1.0, 2.0, 3.0))([2, 0, 2], z)
    assert_allclose(focal_loss(["c", "a", "c"], z, alpha=[1, 2, 3], labels=["a", "b", "c"]), expected)
    with pytest.raises(ValueError, match=r"labels must name each class once, got \['a', 'b', 'a'\]"):
        focal_loss(["a", "b", "a"], z, labels=["a", "b", "a"])
    with pytest.raises(ValueError, match="labels must name the 3 classes"):
        focal_loss(["c", "a", "c"], z)
    with pytest.raises(ValueError, match=r"y_true must hold labels among .* got 'd'"):
        focal_loss(["d", "a", "c"], z, labels=["a", "b", "c"])


def test_scorer(imbalanced):
    X, y = imbalanced
    clf = FocalLogisticRegression().fit(X, y)
    assert_allclose(neg_focal_loss_scorer(clf, X, y), -focal_loss(y, clf.decision_function(X)))
    scorer = NegFocalLossScorer(gamma=0.5, alpha=0.9)
    assert_allclose(scorer(clf, X, y), -focal_loss(y, clf.decision_function(X), gamma=0.5, alpha=0.9))
    assert (cross_val_score(clf, X, y, scoring=scorer) < 0).all()
    # A fold of one class is scored: the order of the scores comes from the estimator.
    assert neg_focal_loss_scorer(clf, X[y == 0], y[y == 0]) < 0
    no_scores = GaussianNB().fit(X, y)
    with pytest.raises(TypeError, match="estimator must have a decision_function"):
        neg_focal_loss_scorer(no_scores, X, y)
