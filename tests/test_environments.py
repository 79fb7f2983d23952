"""The same models in every process: optimized, in development mode, with warnings as errors, in other locales."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

CLASSES = {
    "FocalLogisticRegression": ("sklearn", "skfocal", ""),
    "FocalTemperatureScaling": ("sklearn", "skfocal.calibration", "skfocal.FocalLogisticRegression(), cv=2"),
    "FocalHistGradientBoostingClassifier": ("sklearn", "skfocal", "max_iter=4"),
    "FocalLGBMClassifier": ("lightgbm", "skfocal", "n_estimators=5, verbosity=-1, n_jobs=1"),
    "FocalXGBClassifier": ("xgboost", "skfocal", "n_estimators=5, n_jobs=1"),
}
CODE = """
import hashlib, importlib, pickle, sys, tempfile
from pathlib import Path
import numpy as np, skfocal
rng = np.random.default_rng(0)
X, digest = rng.normal(size=(300, 4)), hashlib.sha256()
y = np.array(["\\u00fc", "\\u0436", "\\u65e5"])[np.digitize(X[:, 0] + X[:, 1] / 3, [0.1, 0.5])]
for library, module, name, arguments in ENTRIES:
    try:
        importlib.import_module(library)
    except Exception:
        print("without", library, file=sys.stderr)
        continue
    clf = eval(f"importlib.import_module(module).{name}({arguments})").fit(X, y)
    proba = clf.predict_proba(X)
    again = pickle.loads(pickle.dumps(clf))
    if hasattr(clf, "save_model"):
        with tempfile.TemporaryDirectory() as folder:
            clf.save_model(Path(folder, "model.json"))
            again = type(clf)()
            again.load_model(Path(folder, "model.json"))
    if not (np.array_equal(again.predict_proba(X), proba) and list(again.classes_) == sorted(set(y))):
        raise RuntimeError(f"{name} saved is another one")
    try:
        clf.fit(X, X[:, 0])
    except ValueError as error:
        if "y must" not in str(error) and "Unknown label type" not in str(error):
            raise
    print(name, hashlib.sha256(proba.tobytes()).hexdigest())
"""
ENTRIES = [(library, module, name, arguments) for name, (library, module, arguments) in CLASSES.items()]


def models(*options, **environment):
    """Digest of the probabilities of each class, from a process with these options and variables."""
    run = [sys.executable, *options, "-c", CODE.replace("ENTRIES", repr(ENTRIES))]
    done = subprocess.run(
        run, env={**os.environ, **environment}, capture_output=True, encoding="utf-8", timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split() for line in done.stdout.splitlines()), done.stderr


@pytest.fixture(scope="module")
def plain():
    of_plain, _ = models()
    assert len(of_plain) >= 3
    return of_plain


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["-O"], {}),
        (["-OO"], {}),
        (["-X", "dev"], {}),
        (["-W", "error"], {}),
        (["-X", "utf8=0"], {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}),
    ],
    ids=["optimized", "without docstrings", "development", "warnings are errors", "C locale"],
)
def test_the_models_are_those_of_a_plain_process(options, environment, plain):
    got, errors = models(*options, **environment)
    assert got == {name: digest for name, digest in plain.items() if name in got}
    missing = {CLASSES[name][0] for name in plain.keys() - got.keys()}
    # LightGBM 4.7 and XGBoost 3.2 can't be imported without docstrings.
    assert missing <= ({"lightgbm", "xgboost"} if options == ["-OO"] else set())
    assert all(f"without {library}" in errors for library in missing)
