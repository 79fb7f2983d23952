"""``FocalHistGradientBoostingClassifier``: what early stopping goes by."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from skfocal import FocalLoss
from skfocal.ensemble import FocalHistGradientBoostingClassifier
from skfocal.metrics import focal_loss, neg_focal_loss_scorer

HAS_X_VAL = "X_val" in inspect.signature(HistGradientBoostingClassifier.fit).parameters


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("alpha", [None, "balanced"])
def test_early_stopping_goes_by_the_focal_loss(gamma, alpha, problem):
    X, y, w = problem
    stopping = {"early_stopping": True, "validation_fraction": None, "max_iter": 6}
    clf = FocalHistGradientBoostingClassifier(gamma, alpha, **stopping).fit(X, y, w)
    trained = FocalLoss(gamma, clf.focal_loss_.alpha)
    start = trained.fit_intercept_only(y, w)
    stages = [np.full(len(y), start) if np.ndim(start) == 0 else np.tile(start, (len(y), 1))]
    stages += clf.staged_decision_function(X)
    assert len(clf.train_score_) == 7
    assert_allclose(clf.train_score_, [-trained(y, scores, w) for scores in stages], rtol=1e-10)
    assert (np.diff(clf.train_score_) > 0).all()


@pytest.mark.parametrize("calibration", ["focus", None])
def test_early_stopping_by_name_scores_probabilities(calibration, problem):
    X, y, _ = problem
    clf = FocalHistGradientBoostingClassifier(
        2.0, calibration=calibration, early_stopping=True, validation_fraction=None, scoring="neg_log_loss", max_iter=6
    ).fit(X, y)
    losses = [-log_loss(y, proba) for proba in clf.staged_predict_proba(X)]
    assert_allclose(clf.train_score_[1:], losses, rtol=1e-9)


def test_early_stopping_by_a_scorer_of_ours_and_of_users(imbalanced):
    X, y = imbalanced
    seen = []

    def scorer(estimator, X, y, sample_weight):
        seen.append((estimator.get_params(), set(y), estimator.predict(X), estimator.classes_))
        return -log_loss(y, estimator.predict_proba(X), sample_weight=sample_weight)

    labels = np.array(["ok", "fraud"])[y]
    stopping = {"early_stopping": True, "validation_fraction": None, "max_iter": 5}
    clf = FocalHistGradientBoostingClassifier(2.0, class_weight="balanced", scoring=scorer, **stopping).fit(X, labels)
    assert seen[0][0] == clf.get_params()
    assert seen[0][1] == {"ok", "fraud"}
    assert_array_equal(seen[-1][2], clf.predict(X))
    weight = clf.class_weights_[(labels == "ok").astype(int)]
    expected = -log_loss(labels, clf.predict_proba(X), sample_weight=weight)
    assert_allclose(clf.train_score_[-1], expected, rtol=1e-12)
    clf.set_params(scoring=neg_focal_loss_scorer).fit(X, labels)
    expected = -focal_loss(labels, clf.decision_function(X), labels=clf.classes_, sample_weight=weight)
    assert_allclose(clf.train_score_[-1], expected, rtol=1e-9)


def test_early_stopping_stops(imbalanced):
    X, y = imbalanced
    clf = FocalHistGradientBoostingClassifier(
        2.0, max_iter=500, early_stopping=True, n_iter_no_change=5, random_state=0
    ).fit(X, y)
    assert 5 < clf.n_iter_ < 500
    assert clf.do_early_stopping_
    assert len(clf.validation_score_) == clf.n_iter_ + 1
    assert clf.validation_score_[-6:-1].max() <= clf.validation_score_[:-5].max() + 1e-7


def test_held_out_rows_of_the_caller(imbalanced):
    X, y = imbalanced
    labels = np.array(["ok", "fraud"])[y]
    train, test = slice(0, 1000), slice(1000, None)
    w = np.random.default_rng(0).uniform(0.5, 2.0, 500)
    clf = FocalHistGradientBoostingClassifier(2.0, "balanced", early_stopping=True, max_iter=10)
    held_out = {"X_val": X[test], "y_val": labels[test], "sample_weight_val": w}
    if not HAS_X_VAL:
        with pytest.raises(TypeError, match=r"X_val must not be given with scikit-learn 1\.6"):
            clf.fit(X[train], labels[train], **held_out)
        assert not hasattr(clf, "classes_")
        return
    clf.fit(X[train], labels[train], **held_out)
    loss = FocalLoss(2.0, clf.focal_loss_.alpha)
    value = -loss(labels[test] == "ok", clf.decision_function(X[test]), w)
    assert_allclose(clf.validation_score_[-1], value, rtol=1e-10)
    with pytest.raises(ValueError, match=r"y_val must hold labels among \['fraud', 'ok'\], got 'other'"):
        clf.fit(X[train], labels[train], X_val=X[test], y_val=np.full(500, "other"))
    with pytest.raises(ValueError, match="sample_weight_val must be finite numbers >= 0"):
        clf.fit(X[train], labels[train], X_val=X[test], y_val=labels[test], sample_weight_val=-w)
    with pytest.raises(ValueError, match=r"sample_weight_val must have shape \(500,\)"):
        clf.fit(X[train], labels[train], X_val=X[test], y_val=labels[test], sample_weight_val=w[1:])
    with pytest.raises(ValueError, match="y_val"):
        clf.fit(X[train], labels[train], X_val=X[test])
