"""What a fit leaves behind, in all estimators: failures, interrupts, threads, locales, warning filters, copies."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone

import skfocal
from skfocal._common.state import learning

FAST = {
    "FocalHistGradientBoostingClassifier": {"max_iter": 4},
    "FocalLogisticRegressionCV": {"Cs": [0.1, 1.0], "cv": 2},
    "FocalLGBMClassifier": {"n_estimators": 10, "verbosity": -1, "n_jobs": 1},
    "FocalXGBClassifier": {"n_estimators": 10, "n_jobs": 1},
}
ESTIMATORS = [name for name in dir(skfocal) if name.endswith(("Classifier", "Regression", "CV")) and "Dask" not in name]
each = pytest.mark.parametrize("name", ESTIMATORS)
each_booster = pytest.mark.parametrize("name", [name for name in ESTIMATORS if "LGBM" in name or "XGB" in name])


def make(name, *args, **kwargs):
    if name.endswith("CV") and args:
        args = [args[0]], *args[1:]  # the candidates for gamma
    return getattr(skfocal, name)(*args, **FAST.get(name, {}), **kwargs)


@pytest.fixture(scope="module")
def problem_a(imbalanced):
    X, y = imbalanced
    return X, np.array(["b", "a"])[y]


@pytest.fixture(scope="module")
def problem_b(imbalanced):
    """Other labels than those of a, in another order, more of them, and fewer columns."""
    X, y = imbalanced
    return X[:, :5], np.array(["u", "v", "w"])[np.where(X[:, 0] > 1.0, 2, 1 - y)]


class Boom(Exception):
    pass


def act_in_xgboost():
    """Replaced by what a test wants done."""


def _after_iteration(self, model, epoch, evals_log):
    if epoch == 2:
        act_in_xgboost()
    return False


def during_training(name, act, monkeypatch):
    """Have ``act`` called in the midst of training, by what the library lets a user hand in where it lets one."""
    if name == "FocalLGBMClassifier":
        return {}, {"callbacks": [lambda env: act() if env.iteration == 2 else None]}
    if name == "FocalXGBClassifier":
        import xgboost as xgb

        class Acting(xgb.callback.TrainingCallback):
            after_iteration = _after_iteration

            def __reduce__(self):  # a class made here can't be pickled; what comes back does nothing
                return xgb.callback.TrainingCallback, ()

            def __deepcopy__(self, memo):
                return self

        callback = Acting()
        monkeypatch.setattr(sys.modules[__name__], "act_in_xgboost", act)
        return {"callbacks": [callback]}, {}

    def acting(function):
        def replaced(*args, **kwargs):
            act()
            return function(*args, **kwargs)

        return replaced

    import scipy.optimize
    from sklearn.ensemble._hist_gradient_boosting.grower import TreeGrower

    monkeypatch.setattr(scipy.optimize, "minimize", acting(scipy.optimize.minimize))
    monkeypatch.setattr(TreeGrower, "grow", acting(TreeGrower.grow))
    return {}, {}


def by_a_metric(name, stop, problem):
    """The same from an evaluation metric."""
    if name == "FocalLGBMClassifier":
        return {}, {"eval_metric": lambda y, p: stop(), "eval_set": [problem]}
    return {"eval_metric": lambda y, p, sample_weight=None: stop()}, {"eval_set": [problem]}


def refused_by_the_library(name):
    """Scores to start at of other rows, which the library finds out."""
    return {}, {{"FocalLGBMClassifier": "init_score", "FocalXGBClassifier": "base_margin"}[name]: np.zeros(5)}


def assert_still_knows_a(clf, before, problem_a, expected):
    assert vars(clf).keys() == before.keys()
    for attribute, value in before.items():
        assert vars(clf)[attribute] is value, attribute
    X, _ = problem_a
    for got, wanted in zip((clf.predict_proba(X), clf.predict(X), clf.classes_), expected):
        assert_array_equal(got, wanted)


def fitted_to_a(name, problem_a):
    clf = make(name, 1.0).fit(*problem_a)
    X, _ = problem_a
    return clf, (clf.predict_proba(X), clf.predict(X), clf.classes_)


@each
@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
def test_a_fit_that_fails_or_is_interrupted_leaves_the_estimator_as_it_was(
    name, error, problem_a, problem_b, monkeypatch
):
    def stop():
        raise error

    expected_after = make(name, 1.0).fit(*problem_b).predict_proba(problem_b[0])
    clf, expected = fitted_to_a(name, problem_a)
    with monkeypatch.context() as patch:
        parameters, keywords = during_training(name, stop, patch)
        fresh = make(name, 1.0, **parameters)
        before_fresh = vars(fresh).copy()
        clf.set_params(**parameters)
        before = vars(clf).copy()
        with pytest.raises(error):
            clf.fit(*problem_b, **keywords)
        with pytest.raises(error):
            fresh.fit(*problem_b, **keywords)
    assert vars(fresh).keys() == before_fresh.keys()
    assert_still_knows_a(clf, before, problem_a, expected)
    clf.set_params(**dict.fromkeys(parameters))
    assert_array_equal(clf.fit(*problem_b).predict_proba(problem_b[0]), expected_after)


@each_booster
def test_a_metric_that_raises_and_a_refusal_of_the_library_leave_the_estimator_as_it_was(name, problem_a, problem_b):
    def stop():
        raise Boom

    for parameters, keywords in (by_a_metric(name, stop, problem_b), refused_by_the_library(name)):
        clf, expected = fitted_to_a(name, problem_a)
        as_before = {parameter: clf.get_params()[parameter] for parameter in parameters}
        clf.set_params(**parameters)
        with pytest.raises(Exception) as raised:  # noqa: PT011  # each library has its own
            clf.fit(*problem_b, **keywords)
        assert not isinstance(raised.value, AssertionError)
        clf.set_params(**as_before)
        before = vars(clf).copy()
        assert_still_knows_a(clf, before, problem_a, expected)


@each_booster
@pytest.mark.parametrize("wrong", [{"eval_set": "labels"}, {"eval_metric": "nonsense"}])
def test_a_refusal_of_ours_leaves_the_estimator_as_it_was(name, wrong, problem_a, problem_b):
    clf, expected = fitted_to_a(name, problem_a)
    keywords = dict(wrong)
    if "eval_set" in keywords:
        keywords["eval_set"] = [(problem_b[0], problem_a[1])]
    elif name == "FocalXGBClassifier":
        clf.set_params(**keywords)
        keywords = {}
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=r"eval_set|eval_metric"):
        clf.fit(*problem_b, **keywords)
    assert_still_knows_a(clf, before, problem_a, expected)


@each
def test_whoever_looks_during_a_fit_sees_the_estimator_before_it(name, problem_a, problem_b, monkeypatch):
    clf, expected = fitted_to_a(name, problem_a)
    params, seen = clf.get_params(), []

    def look():
        seen.append((pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), clone(clf), clf.get_params()))

    with monkeypatch.context() as patch:
        parameters, keywords = during_training(name, look, patch)
        clf.set_params(**parameters)
        clf.fit(*problem_b, **keywords)
    for pickled, copied, cloned, params_then in seen:
        for other in (pickled, copied):
            assert_array_equal(other.predict_proba(problem_a[0]), expected[0])
            assert_array_equal(other.classes_, expected[2])
        other = cloned.set_params(**dict.fromkeys(parameters))
        assert_array_equal(other.fit(*problem_b).predict_proba(problem_b[0]), clf.predict_proba(problem_b[0]))
        assert {n: v for n, v in params_then.items() if n != "callbacks"} == {
            n: v for n, v in params.items() if n != "callbacks"
        }
    assert seen
    assert_array_equal(clf.classes_, ["u", "v", "w"])


def test_of_two_fits_that_overlap_the_last_one_is_published_whole():
    class Toy(BaseEstimator):
        def __init__(self, parameter=0):
            self.parameter = parameter

    toy = Toy()
    toy.note = "the user's"
    with learning(toy) as first:
        first.size_, first.old_ = 3, "first"
    with learning(toy) as slow:
        with learning(toy) as quick:
            quick.size_, quick.names_ = 5, ["only quick has names"]
            del quick.old_
        toy.later = "the user's, too"
        slow.size_, slow.parameter = 3, 7  # 3 is what it was before
    assert (toy.size_, toy.old_, toy.parameter) == (3, "first", 0)
    assert not hasattr(toy, "names_")
    assert (toy.note, toy.later) == ("the user's", "the user's, too")


@each
def test_threads_fit_the_same_estimator_and_the_last_one_wins(name, problem_a, problem_b):
    clf = make(name, 1.0)
    problems = [problem_a, problem_b]
    models = [make(name, 1.0).fit(*problem) for problem in problems]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: clf.fit(*problems[i % 2]), range(24)))
    winner = models[len(clf.classes_) - 2]
    X, _ = problems[len(clf.classes_) - 2]
    assert_array_equal(clf.predict_proba(X), winner.predict_proba(X))
    assert clf.get_params() == winner.get_params()
    clf.fit(*problem_a)


@each
def test_a_prediction_during_refits_is_of_one_model_or_the_other(name, problem_a):
    X, labels = problem_a
    problems = [(X, labels), (X, np.where(X[:, 0] > 0, 1, 2))]
    expected = [make(name, 1.0).fit(*problem) for problem in problems]
    expected = [(model.predict_proba(X[:50]), model.predict(X[:50])) for model in expected]
    clf, done, wrong = make(name, 1.0).fit(*problems[0]), threading.Event(), []

    def predict():
        while not done.is_set():
            proba, decided = clf.predict_proba(X[:50]), clf.predict(X[:50])
            if not any(np.array_equal(proba, e[0]) for e in expected):
                wrong.append(proba)
            if not any(np.array_equal(decided, e[1]) for e in expected):
                wrong.append(decided)

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(20):
        clf.fit(*problems[i % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


@each
def test_a_fit_changes_no_warning_filter(name, problem_a, monkeypatch):
    filters, seen = list(warnings.filters), []
    with monkeypatch.context() as patch:
        parameters, keywords = during_training(name, lambda: seen.append(list(warnings.filters)), patch)
        make(name, **parameters).fit(*problem_a, **keywords)
    assert seen
    # scipy and NumPy set filters of their own for single calls; none may go, and ours may not come.
    assert all(entry in during for during in seen for entry in filters)
    assert list(warnings.filters) == filters


@pytest.fixture(scope="module")
def comma_locale(tmp_path_factory):
    """Environment of a process whose locale has a comma for the decimal point."""
    names = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    found = [name for name in names if name.lower().replace("-", "") in ("de_de.utf8", "fr_fr.utf8", "nl_nl.utf8")]
    if found:
        return {"LC_ALL": found[0]}
    folder = tmp_path_factory.mktemp("locale")
    if shutil.which("localedef") is None:
        pytest.skip("no locale with a decimal comma here, and no localedef to make one")
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    if subprocess.run(command, capture_output=True, check=False).returncode > 1:
        pytest.skip("no locale with a decimal comma here, and localedef has no sources to make one of")
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8"}


@each
@pytest.mark.parametrize("parameters", [{}, {"focal_alpha": [0.3, 1.87654321]}])
def test_a_comma_for_the_decimal_point_changes_nothing(name, parameters, comma_locale):
    # Not linear_tree: LightGBM's own models with it differ there (4.7: probabilities by 0.1).
    gamma = "[1.2345678901]" if name.endswith("CV") else "1.2345678901"
    code = f"""
import locale, sys
import numpy as np
import skfocal
if sys.argv[1] == "comma":
    locale.setlocale(locale.LC_ALL, "")
    assert locale.localeconv()["decimal_point"] == ","
rng = np.random.default_rng(0)
X, results = rng.normal(size=(600, 4)) / 7, []
for n_classes in (2, 3):
    y = (X[:, 0] > 0.2).astype(int) if n_classes == 2 else np.digitize(X[:, 0] + X[:, 1] / 3, [0.1, 0.3])
    parameters = {parameters} if n_classes == 2 else {{}}
    clf = skfocal.{name}({gamma}, **{FAST.get(name, {})}, **parameters).fit(X, y)
    results.append(clf.predict_proba(X).tobytes().hex())
print("".join(results))
"""
    environment = {**os.environ, **comma_locale}
    results = [
        subprocess.run([sys.executable, "-c", code, which], env=environment, capture_output=True, text=True, check=True)
        for which in ("point", "comma")
    ]
    assert results[0].stdout == results[1].stdout


@each
def test_a_process_that_turns_encoding_warnings_into_errors_can_fit(name):
    code = f"""
import warnings
import numpy as np, skfocal
# Of this package alone: older libraries open files of their own so.
warnings.filterwarnings("error", category=EncodingWarning, module=r"skfocal(\\..*)?$")
X = np.random.default_rng(0).normal(size=(200, 3))
skfocal.{name}(**{FAST.get(name, {})}).fit(X, X[:, 0] > 1)
"""
    run = [sys.executable, "-X", "warn_default_encoding", "-c", code]
    subprocess.run(run, check=True, capture_output=True)
