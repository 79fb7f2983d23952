"""``FocalHistGradientBoostingClassifier``: fits that continue, fail, are interrupted or watched."""

import copy
import pickle
from threading import Event, Thread

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError

from skfocal.ensemble import FocalHistGradientBoostingClassifier

WARM = {"warm_start": True, "max_iter": 4, "random_state": 0}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"max_features": 0.3},
        {"early_stopping": True, "n_iter_no_change": 1000},
        {"early_stopping": True, "scoring": "roc_auc_ovr", "n_iter_no_change": 1000},
    ],
    ids=str,
)
def test_a_continued_fit_is_the_long_one(parameters, problem):
    X, y, w = problem
    clf = FocalHistGradientBoostingClassifier(2.0, "balanced", **WARM, **parameters).fit(X, y, w)
    first, dump = clf.decision_function(X), pickle.dumps(clf)
    short = copy.deepcopy(clf)
    clf.set_params(max_iter=9).fit(X, y, w)
    whole = clone(clf).fit(X, y, w)
    assert clf.n_iter_ == whole.n_iter_ == 9
    assert_array_equal(clf.decision_function(X), whole.decision_function(X))
    assert_array_equal(clf.train_score_, whole.train_score_)
    assert_array_equal(clf.validation_score_, whole.validation_score_)
    # What was there is the beginning, and what was copied from it has not grown.
    assert_array_equal(list(clf.staged_decision_function(X))[3], first)
    for other in (short, pickle.loads(dump)):
        assert other.n_iter_ == 4
        assert_array_equal(other.set_params(max_iter=9).fit(X, y, w).decision_function(X), clf.decision_function(X))


def test_a_continued_fit_at_gamma_zero_is_the_parents(problem):
    X, y, w = problem
    ours = FocalHistGradientBoostingClassifier(0.0, max_step=None, l2_regularization=0.0, **WARM, max_features=0.5)
    parent = HistGradientBoostingClassifier(**WARM, max_features=0.5)
    for rounds in (4, 7):
        ours.set_params(max_iter=rounds).fit(X, y, w)
        parent.set_params(max_iter=rounds).fit(X, y, w)
        assert_array_equal(ours.decision_function(X), parent.decision_function(X))


def test_a_continued_fit_may_change_gamma(problem):
    X, y, _ = problem
    clf = FocalHistGradientBoostingClassifier(0.0, max_step=None, l2_regularization=0.0, **WARM).fit(X, y)
    first = clf.decision_function(X)
    clf.set_params(focal_gamma=2.0, max_iter=8).fit(X, y)
    assert clf.focal_loss_.gamma == 2.0
    assert_array_equal(list(clf.staged_decision_function(X))[3], first)


def test_what_a_continued_fit_refuses(imbalanced):
    X, y = imbalanced
    clf = FocalHistGradientBoostingClassifier(2.0, **WARM).fit(X, y)
    before = pickle.dumps(clf)
    with pytest.raises(ValueError, match=r"trained with, \[0, 1\], for warm_start=True .* got \[0, 5\]"):
        clf.fit(X, 5 * y)
    with pytest.raises(ValueError, match=r"trained with, \[0, 1\], for warm_start=True .* got \[0, 1, 2\]"):
        clf.fit(X, np.where(X[:, 0] > 1.5, 2, y))
    with pytest.raises(ValueError, match="max_iter=2 must be larger than or equal to n_iter_=4"):
        clf.set_params(max_iter=2).fit(X, y)
    assert pickle.dumps(clf.set_params(max_iter=4)) == before


class Failing:
    """A scorer that raises at its fourth call.

    It keeps the class of the error, because a raised error is pickled with its traceback if distributed is imported.
    """

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, estimator, X, y, sample_weight=None):
        self.calls += 1
        if self.calls == 4:
            raise self.error("of a scorer")
        return estimator.score(X, y)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(error, warm_start, problem):
    X, y, w = problem
    labels = np.array(["a", "b", "c"])[y]
    # The first fit is scored as the second: the parent keeps the scorer of the first when it continues one.
    scored = {"max_features": 0.5, "early_stopping": True, "validation_fraction": None, "random_state": 0}
    clf = FocalHistGradientBoostingClassifier(2.0, max_iter=2, scoring=Failing(error), **scored).fit(X, labels, w)
    state, dump = vars(clf).copy(), pickle.dumps(clf.set_params(scoring="loss"))
    failing = {"scoring": Failing(error), "early_stopping": True, "focal_gamma": 0.5, "max_iter": 30}
    other = labels if warm_start else np.array(["u", "v", "w"])[y]
    clf.set_params(warm_start=warm_start, **failing)
    with pytest.raises(error):
        clf.fit(X, other)
    clf.set_params(scoring="loss", focal_gamma=2.0, max_iter=2, warm_start=False)
    assert vars(clf).keys() == state.keys()
    assert pickle.dumps(clf) == dump

    new = FocalHistGradientBoostingClassifier(**failing | {"scoring": Failing(error)}, warm_start=warm_start)
    parameters = set(vars(new))
    with pytest.raises(error):
        new.fit(X, other)
    assert set(vars(new)) == parameters
    with pytest.raises(NotFittedError):
        new.predict(X)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_is_seen_by_nobody_until_it_is_done(warm_start, problem):
    X, y, _ = problem
    labels = np.array(["a", "b", "c"])[y]
    seen = []

    def watch(estimator, X_binned, y_now):
        if first is not None:
            assert estimator is not clf
            assert_array_equal(clf.predict_proba(X), first)
            assert set(clf.predict(X)) <= set(labels)
            assert clf.n_iter_ == 3
            assert not hasattr(clone(clf), "classes_")
            seen.append(estimator.predict(X_binned))
        return 0.0

    first = None
    clf = FocalHistGradientBoostingClassifier(
        2.0, max_iter=3, scoring=watch, early_stopping=True, n_iter_no_change=100, warm_start=warm_start
    )
    first = clf.fit(X, labels).predict_proba(X)
    clf.set_params(max_iter=6, focal_gamma=0.5).fit(X, labels if warm_start else np.char.upper(labels))
    assert len(seen) >= 6
    assert set(clf.predict(X)) == set(labels if warm_start else np.char.upper(labels))
    assert np.abs(clf.predict_proba(X) - first).max() > 1e-3
    assert clf.scoring is watch


def test_predictions_while_another_thread_fits(problem):
    X, y, _ = problem
    clf = FocalHistGradientBoostingClassifier(2.0, max_iter=2).fit(X, y)
    models = {}
    for rounds in (2, 5):
        models[clone(clf).set_params(max_iter=rounds).fit(X, y).predict_proba(X).tobytes()] = rounds
    done, errors = Event(), []

    def refit():
        try:
            for i in range(20):
                clf.set_params(max_iter=(5, 2)[i % 2]).fit(X, y)
        except BaseException as error:  # shown by the caller
            errors.append(error)
        finally:
            done.set()

    thread = Thread(target=refit)
    thread.start()
    seen = []
    while not done.is_set():
        seen.append(clf.predict_proba(X).tobytes())
    thread.join()
    assert not errors
    assert set(seen) <= set(models)


def test_stages_are_of_the_model_they_were_asked_of(problem):
    X, y, _ = problem
    clf = FocalHistGradientBoostingClassifier(2.0, max_iter=3).fit(X, y)
    expected = list(clf.staged_predict_proba(X))
    stages = clf.staged_predict_proba(X)
    seen = [next(stages)]
    clf.set_params(max_iter=9, focal_gamma=0.5).fit(X, y)
    seen += stages
    assert_array_equal(seen, expected)
