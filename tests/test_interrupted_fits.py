"""Interrupted work is not lost: signals at any time, full disks, vanished folders, and training that continues."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification

import skfocal

pytestmark = pytest.mark.processes

SIZES = {
    "FocalLogisticRegression": "",
    "FocalHistGradientBoostingClassifier": "max_iter=8",
    "FocalLGBMClassifier": "n_estimators=25, verbosity=-1, n_jobs=1",
    "FocalXGBClassifier": "n_estimators=25, n_jobs=1",
    "FocalTemperatureScaling": "skfocal.FocalLogisticRegression(), cv=2",
}
LIBRARY = {"FocalLGBMClassifier": "lightgbm", "FocalXGBClassifier": "xgboost"}

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def needs_library(name):
    pytest.importorskip(LIBRARY.get(name, "sklearn"))


def run(code, folder):
    """What a process prints whose temporary directory is this one."""
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@posix
@pytest.mark.parametrize("name", SIZES)
def test_after_a_signal_at_any_time_the_estimator_is_the_old_one_or_the_new_one(name, tmp_path):
    # XGBoost's timer starts with its rounds. Before, an interrupt of the calls by which it reads the data corrupts its
    # memory, in XGBClassifier as well (3.2).
    needs_library(name)
    code = f"""
import os, signal, threading, time
import numpy as np, skfocal, skfocal.calibration
from sklearn.datasets import make_classification

signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it

def make():
    room = skfocal.calibration if {name!r} == "FocalTemperatureScaling" else skfocal
    return room.{name}({SIZES[name]})

def in_training(timer):
    import xgboost
    class Start(xgboost.callback.TrainingCallback):
        def before_training(self, model):
            timer.start()
            return model
        __reduce__ = lambda self: (xgboost.callback.TrainingCallback, ())
        __deepcopy__ = lambda self, memo: self
    return Start()

X, y = make_classification(800, 12, n_informative=6, random_state=0)
a, b = (X, y), (X[:, :9], np.where(X[:, 0] > 1, 2, y))
of = {{}}
for label, problem in (("a", a), ("b", b)):
    begin = time.perf_counter()
    of[label] = make().fit(*problem).predict_proba(problem[0])
    took = time.perf_counter() - begin
clf, interrupted = make().fit(*a), 0
CALLBACKS = {{"callbacks": None}} if {name!r} == "FocalXGBClassifier" else {{}}
for share in (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0):
    before = vars(clf).copy()
    timer = threading.Timer(share * took, os.kill, (os.getpid(), signal.SIGINT))
    try:
        if {name!r} == "FocalXGBClassifier":
            clf.set_params(callbacks=[in_training(timer)])
            before = vars(clf).copy()
        else:
            timer.start()
        clf.fit(*b)
        timer.cancel()
        timer.join()
        time.sleep(0.001)
    except KeyboardInterrupt:
        interrupted += 1
    timer.join()
    now = vars(clf)
    if now.keys() == before.keys() and all(now[key] is before[key] for key in before):
        assert np.array_equal(clf.predict_proba(X), of["a"]), "the old one, changed"
    else:
        assert np.array_equal(clf.predict_proba(b[0]), of["b"]), "half of each"
    assert np.array_equal(clf.set_params(**CALLBACKS).fit(*a).predict_proba(X), of["a"]), "another model after it"
print(interrupted)
"""
    assert int(run(code, tmp_path)) >= 2
    assert not list(tmp_path.iterdir())


@posix
def test_a_full_disk_costs_the_bins_and_no_more(tmp_path):
    pytest.importorskip("lightgbm")
    code = """
import resource, warnings
import numpy as np, skfocal
from sklearn.datasets import load_breast_cancer
X, y = load_breast_cancer(return_X_y=True)
make = lambda **parameters: skfocal.FocalLGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1, **parameters)
with_bins, without = (make(balanced_bins=wanted).fit(X, y).predict_proba(X) for wanted in (True, False))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    clf = make().fit(X, y)
assert "balanced_bins needs a file" in str(seen[0].message), seen
assert np.array_equal(clf.predict_proba(X), without)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert np.array_equal(clf.fit(X, y).predict_proba(X), with_bins)
"""
    run(code, tmp_path)
    assert not list(tmp_path.iterdir())


@posix
@pytest.mark.parametrize("name", LIBRARY)
def test_saving_to_a_full_disk_is_an_error_and_leaves_the_older_file(name, tmp_path):
    needs_library(name)
    code = f"""
import resource
from pathlib import Path
import skfocal
from sklearn.datasets import load_breast_cancer
X, y = load_breast_cancer(return_X_y=True)
clf = skfocal.{name}({SIZES[name]}).fit(X, y)
before, path = vars(clf).copy(), Path({str(tmp_path)!r}, "model.json")
link = path.with_name("link.json")
link.symlink_to(path)
clf.save_model(link)
path.chmod(0o640)
other = skfocal.{name}({SIZES[name]}).fit(X, y == 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for target in (path, link, path.with_name("new.json")):
    try:
        other.save_model(target)
    except Exception as error:
        print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert sorted(each.name for each in path.parent.iterdir()) == ["link.json", "model.json"]
loaded = skfocal.{name}()
loaded.load_model(path)
assert loaded.predict_proba(X).tolist() == clf.predict_proba(X).tolist()
other.save_model(link)
assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
loaded.load_model(path)
assert loaded.predict_proba(X).tolist() == other.predict_proba(X).tolist()
assert all(vars(clf)[key] is value for key, value in before.items())
"""
    saved = run(code, tmp_path).split()
    assert len(saved) == 3
    assert set(saved) <= {"OSError", "XGBoostError"}


@posix
@pytest.mark.parametrize("name", LIBRARY)
def test_a_file_that_was_cut_off_is_refused_and_changes_nothing(name, tmp_path):
    needs_library(name)
    X, y = make_classification(300, random_state=0)
    clf = getattr(skfocal, name)(n_estimators=5, n_jobs=1).fit(X, y)
    path = tmp_path / "model.json"
    clf.save_model(path)
    path.write_bytes(path.read_bytes()[:5000])
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=r"filename|fname"):
        clf.load_model(path)
    assert all(vars(clf)[key] is value for key, value in before.items())


@posix
def test_a_folder_that_may_not_be_written_to_costs_the_bins(tmp_path, monkeypatch):
    pytest.importorskip("lightgbm")
    folder = tmp_path
    if os.geteuid() == 0:  # root may write to any folder but to those of the kernel
        folder = Path("/proc")
        if not (folder / "self").exists():
            pytest.skip("root may write to any folder here")
    else:
        folder.chmod(0o500)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    X, y = make_classification(300, random_state=0)
    with pytest.warns(UserWarning, match="balanced_bins needs a file"):
        skfocal.FocalLGBMClassifier(n_estimators=2, verbosity=-1, n_jobs=1).fit(X, y)


def test_a_temporary_directory_that_vanishes_in_a_fit_is_not_missed(tmp_path, monkeypatch):
    pytest.importorskip("lightgbm")
    X, y = make_classification(600, random_state=0)
    make = skfocal.FocalLGBMClassifier(n_estimators=8, verbosity=-1, n_jobs=1)
    expected = make.fit(X, y).predict_proba(X)
    folder, gone = tmp_path / "there", []
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def vanish(env):
        if env.iteration == 2:
            gone.extend(folder.iterdir())
            shutil.rmtree(folder)

    assert_array_equal(make.fit(X, y, callbacks=[vanish]).predict_proba(X), expected)
    assert len(gone) == 1
    assert not folder.exists()


# Training that goes on


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("by", ["estimator", "file"])
@pytest.mark.parametrize("name", LIBRARY)
def test_a_checkpoint_continued_is_the_model_of_an_uninterrupted_fit(name, by, n_classes, tmp_path):
    needs_library(name)
    X, y = make_classification(800, 8, n_informative=6, n_classes=n_classes, random_state=0)
    labels, weight = np.array(["b", "c", "a"])[y], np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    make = lambda n: eval(f"skfocal.{name}(1.5, 'balanced', {SIZES[name]})").set_params(n_estimators=n)  # noqa: E731
    whole, checkpoint = make(30).fit(X, labels, sample_weight=weight), make(12).fit(X, labels, sample_weight=weight)
    given = checkpoint
    if by == "file":
        checkpoint.save_model(given := str(Path(tmp_path, "model.json")))
    argument = {"FocalLGBMClassifier": "init_model", "FocalXGBClassifier": "xgb_model"}[name]
    before = vars(checkpoint).copy()
    continued = make(18).fit(X, labels, sample_weight=weight, **{argument: given})
    assert_array_equal(continued.classes_, whole.classes_)
    assert_allclose(continued.predict_proba(X), whole.predict_proba(X), atol=1e-5)
    assert all(vars(checkpoint)[key] is value for key, value in before.items())


def test_a_linear_model_that_was_stopped_goes_on_to_the_same_optimum():
    X, y = make_classification(500, 10, random_state=0)
    whole = skfocal.FocalLogisticRegression(tol=1e-8).fit(X, y)
    clf = skfocal.FocalLogisticRegression(tol=1e-8, warm_start=True, max_iter=2)
    with pytest.warns(UserWarning, match="did not converge after 2 iterations"):
        clf.fit(X, y)
    assert np.abs(clf.coef_ - whole.coef_).max() > 1e-3
    clf.set_params(max_iter=100).fit(X, y)
    assert_allclose(clf.coef_, whole.coef_, atol=1e-6)
