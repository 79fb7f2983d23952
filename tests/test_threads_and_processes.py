"""Estimators and objectives shared by threads; searches in other processes; forks; pickles from other kernels."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import make_classification

import skfocal

pytestmark = pytest.mark.processes

FAST = {
    "FocalLogisticRegression": {},
    "FocalHistGradientBoostingClassifier": {"max_iter": 4},
    "FocalLGBMClassifier": {"n_estimators": 6, "verbosity": -1, "n_jobs": 1},
    "FocalXGBClassifier": {"n_estimators": 6, "n_jobs": 1},
    "FocalTemperatureScaling": {"cv": 2},
}
LIBRARY = {"FocalLGBMClassifier": "lightgbm", "FocalXGBClassifier": "xgboost"}
each = pytest.mark.parametrize("name", FAST)


def make(name):
    pytest.importorskip(LIBRARY.get(name, "sklearn"))
    if name == "FocalTemperatureScaling":
        from skfocal.calibration import FocalTemperatureScaling

        return FocalTemperatureScaling(skfocal.FocalLogisticRegression(), **FAST[name])
    return getattr(skfocal, name)(**FAST[name])


def problem(seed, n_classes=2):
    return make_classification(300, 6, n_informative=5, n_redundant=0, n_classes=n_classes, random_state=seed)


@each
def test_eight_threads_some_predicting_and_some_fitting_disturb_nobody(name):
    X, y = problem(0)
    shared = make(name).fit(X, y)
    expected, problems = shared.predict_proba(X), [problem(seed, 2 + seed % 2) for seed in range(4)]
    alone = [make(name).fit(*data).predict_proba(data[0]) for data in problems]

    def work(i):
        if i % 2:
            return np.array_equal(shared.predict_proba(X), expected)
        data = problems[i // 2 % 4]
        return np.array_equal(make(name).fit(*data).predict_proba(data[0]), alone[i // 2 % 4])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(48)))


# One objective, several data sets


def rounds_of_lightgbm(objectives, change):
    """Model texts of two boosters that are trained in turn, by the objectives ``objectives`` gives for each round."""
    import lightgbm as lgb

    boosters = []
    for seed in (0, 1):
        X, y = problem(seed)
        data = lgb.Dataset(X, y, weight=np.linspace(0.5, 2, len(y)), free_raw_data=False)
        boosters.append(lgb.Booster({"objective": "none", "verbosity": -1, "num_threads": 1}, data))
    for i in range(4):
        for booster in boosters:
            data = booster.train_set
            if i == 2 and change == "weights":
                data.set_weight(data.get_weight()[::-1].copy())
            if i == 2 and change == "labels":
                data.set_label(1 - data.get_label())
            booster.update(fobj=objectives())
    return [booster.model_to_string() for booster in boosters]


def rounds_of_xgboost(objectives, change):
    import xgboost as xgb

    boosters, sets = [], []
    for seed in (0, 1):
        X, y = problem(seed)
        sets.append(xgb.DMatrix(X, y, weight=np.linspace(0.5, 2, len(y))))
        boosters.append(xgb.Booster({"nthread": 1, "objective": "binary:logistic", "base_score": 0.5}, [sets[-1]]))
    for i in range(4):
        for booster, data in zip(boosters, sets):
            if i == 2 and change == "weights":
                data.set_weight(data.get_weight()[::-1].copy())
            if i == 2 and change == "labels":
                data.set_label(1 - data.get_label())
            booster.update(data, i, fobj=objectives())
    return [bytes(booster.save_raw("ubj")) for booster in boosters]


@pytest.mark.parametrize("change", ["nothing", "weights", "labels"])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_an_objective_that_two_data_sets_share_is_as_good_as_one_for_each_round(library, change):
    pytest.importorskip(library)
    objective = __import__(f"skfocal.{library}", fromlist=["FocalObjective"]).FocalObjective
    rounds = {"lightgbm": rounds_of_lightgbm, "xgboost": rounds_of_xgboost}[library]
    shared = objective(1.5)
    assert rounds(lambda: shared, change) == (fresh := rounds(lambda: objective(1.5), change))
    # The change shows, so the test can fail.
    assert (rounds(lambda: shared, "nothing") == fresh) is (change == "nothing")


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_an_objective_that_threads_share_mixes_up_no_data_sets(library):
    pytest.importorskip(library)
    objective = __import__(f"skfocal.{library}", fromlist=["FocalObjective"]).FocalObjective(1.5)
    rng = np.random.default_rng(0)
    calls = [(rng.integers(2, size=n), rng.normal(size=n), rng.uniform(size=n)) for n in (2000, 2000, 1500, 900)]
    expected = [type(objective)(1.5)(*call) for call in calls]

    def right(i):
        return all(np.array_equal(got, want) for got, want in zip(objective(*calls[i % 4]), expected[i % 4]))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, range(400)))


# Other processes

SEARCH = """
import sys
import joblib, numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
import skfocal, skfocal.calibration

if __name__ == "__main__":
    X, y = make_classification(300, 6, random_state=0)
    labels = np.array(["yes", "no"])[y]
    for name, arguments in FAST.items():
        try:
            if name == "FocalTemperatureScaling":
                clf = skfocal.calibration.FocalTemperatureScaling(skfocal.FocalLogisticRegression(), **arguments)
                grid = {"estimator__focal_gamma": [0.0, 2.0]}
            else:
                clf, grid = getattr(skfocal, name)(**arguments), {"focal_gamma": [0.0, 2.0]}
        except ImportError:
            continue
        found = []
        for backend, n_jobs in ((None, 1), (sys.argv[1], 2)):
            with joblib.parallel_config(backend=backend) if backend else joblib.parallel_config():
                search = GridSearchCV(clf, grid, cv=2, n_jobs=n_jobs, scoring="neg_log_loss", error_score="raise")
                search.fit(X, labels)
            found.append((search.cv_results_["mean_test_score"], search.predict_proba(X)))
        assert all(np.array_equal(*pair) for pair in zip(*found)), name
        print(name)
"""


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_a_search_is_the_same_in_other_threads_and_processes(backend, tmp_path):
    # joblib's own pool of processes is a new one for each search.
    of = ("FocalLogisticRegression", "FocalLGBMClassifier") if backend == "multiprocessing" else FAST
    (script := tmp_path / "search.py").write_text(SEARCH.replace("FAST", repr({name: FAST[name] for name in of})))
    environment = {**os.environ, "JOBLIB_START_METHOD": "spawn", "OMP_NUM_THREADS": "1"}
    run = [sys.executable, str(script), backend]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "FocalLogisticRegression" in done.stdout


FORK = """
import os, warnings
import numpy as np, skfocal, skfocal.calibration
from sklearn.datasets import make_classification
X, y = make_classification(300, 6, random_state=0)
clf = MAKE
proba = clf.fit(X, y).predict_proba(X)
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for a fork of several threads
if (child := os.fork()) == 0:
    same = np.array_equal(clf.predict_proba(X), proba) and np.array_equal(clf.fit(X, y).predict_proba(X), proba)
    os._exit(0 if same else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@each
def test_a_forked_process_predicts_and_fits_as_its_parent(name):
    # With one thread: GNU's OpenMP, on which the libraries stand, does not survive a fork with more.
    pytest.importorskip(LIBRARY.get(name, "sklearn"))
    arguments = ", ".join(f"{key}={value!r}" for key, value in FAST[name].items())
    maker = f"skfocal.{name}({arguments})"
    if name == "FocalTemperatureScaling":
        maker = f"skfocal.calibration.{name}(skfocal.FocalLogisticRegression(), {arguments})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", FORK.replace("MAKE", maker)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "0"


READ = """
import pickle, sys
from pathlib import Path
import numpy as np
import skfocal, skfocal._kernels
from sklearn.datasets import make_classification
X, y = make_classification(300, 6, random_state=0)
kernels = "C" if skfocal._kernels.compiled is not None else "NumPy"
written = {}
for name, dump in pickle.loads(Path(sys.argv[1]).read_bytes()).items():
    clf, proba = pickle.loads(dump)
    of_pickle = np.abs(clf.predict_proba(X) - proba).max()
    print(kernels, name, of_pickle, np.abs(clf.fit(X, y).predict_proba(X) - proba).max())
    written[name] = pickle.dumps((clf, clf.predict_proba(X)))
Path(sys.argv[2]).write_bytes(pickle.dumps(written))
"""


def test_pickles_are_read_with_the_kernels_in_c_and_in_numpy(tmp_path):
    """From this process to one with ``SKFOCAL_COMPILED=0``, and from there to one that may have the kernels in C."""
    X, y = make_classification(300, 6, random_state=0)
    pickles = {}
    for name in FAST:
        try:
            clf = make(name).fit(X, y)
        except pytest.skip.Exception:  # a booster that is not installed; three need none
            continue
        pickles[name] = pickle.dumps((clf, clf.predict_proba(X)))
    assert len(pickles) >= 3
    (tmp_path / "0").write_bytes(pickle.dumps(pickles))
    for i, value in enumerate(("0", "1")):
        run = [sys.executable, "-c", READ, str(tmp_path / f"{i}"), str(tmp_path / f"{i + 1}")]
        environment = {**os.environ, "SKFOCAL_COMPILED": value}
        done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = [line.split() for line in done.stdout.splitlines()]
        assert [name for _, name, *_ in lines] == list(pickles)
        assert {kernels for kernels, *_ in lines} <= ({"NumPy"} if value == "0" else {"C", "NumPy"})
        # A last digit apart; a fit adds up many of them, and in float32 in the boosters.
        assert all(float(of_pickle) < 1e-6 and float(refitted) < 1e-4 for *_, of_pickle, refitted in lines)
