"""Writes pickles of the estimators, objectives and losses of this release, and what the tests expect of them.

Run it once at a release, with the extras ``cpu`` and ``torch``: ``python tests/data/pickles/make.py`` writes a folder
beside this script that has the release's name. It refuses to write into a folder with files, because pickles of earlier
releases test that later releases can read them. Those beside this script are older: commit c3a5148 wrote them, and
2bd7c9c the modules of PyTorch.
"""

import json
import pickle
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

import skfocal

BOOSTER = {"n_estimators": 4, "n_jobs": 1}
# Not FocalHistGradientBoostingClassifier: its trees are private objects of scikit-learn, which may change them.
ESTIMATORS = {
    "FocalLogisticRegression": lambda: skfocal.FocalLogisticRegression(1.5, "balanced"),
    "FocalLogisticRegressionCV": lambda: skfocal.FocalLogisticRegressionCV([0.5, 1.5], "balanced", Cs=[0.1, 1.0], cv=3),
    "FocalLGBMClassifier": lambda: skfocal.FocalLGBMClassifier(1.5, "balanced", num_leaves=4, verbosity=-1, **BOOSTER),
    "FocalXGBClassifier": lambda: skfocal.FocalXGBClassifier(1.5, "balanced", max_depth=2, **BOOSTER),
    "FocalTemperatureScaling": lambda: import_module("skfocal.calibration").FocalTemperatureScaling(
        skfocal.FocalLogisticRegression(1.5), cv=3
    ),
}
"""Each is fitted to both problems of `rows_of`."""


def of(room, name, *arguments):
    return lambda: getattr(import_module(f"skfocal.{room}"), name)(*arguments)


OBJECTS = {
    "FocalLoss": of("loss", "FocalLoss", (1.0, 2.0), (0.3, 0.7)),
    "neg_focal_loss_scorer": lambda: import_module("skfocal.metrics").neg_focal_loss_scorer,
    "lightgbm_FocalObjective": of("lightgbm", "FocalObjective", 1.0, 0.3),
    "lightgbm_FocalMetric": of("lightgbm", "FocalMetric", 1.0, 0.3),
    "xgboost_FocalObjective": of("xgboost", "FocalObjective", 1.0, 0.3),
    "xgboost_FocalMetric": of("xgboost", "FocalMetric", 1.0, 0.3),
    "torch_BinaryFocalLoss": of("torch", "BinaryFocalLoss", (0.5, 2.0), 0.7),
    "torch_MulticlassFocalLoss": of("torch", "MulticlassFocalLoss", 1.0, [0.7, 1.0, 2.0]),
}
"""The tests compare their ``repr``."""


def library_of(name):
    """The library besides scikit-learn that the file of this name needs, or None."""
    first = name.partition("_")[0]
    library = {"FocalLGBMClassifier": "lightgbm", "FocalXGBClassifier": "xgboost"}.get(first, first)
    return library if library in ("lightgbm", "xgboost", "torch") else None


def rows_of(name):
    """X and labels of the problem with which the name ends."""
    X, y = (load_breast_cancer if name.endswith("binary") else load_wine)(return_X_y=True)
    return X[:, :6], np.array(["a", "b", "c"])[y]


def is_installed(name):
    library = library_of(name)
    return library is None or find_spec(library) is not None


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} must be empty: pickles of an earlier release are not written again")
    expected = {}
    for cls in filter(is_installed, ESTIMATORS):
        for name in (f"{cls}_binary", f"{cls}_multiclass"):
            X, labels = rows_of(name)
            clf, rows = ESTIMATORS[cls]().fit(X, labels), X[::40]
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(clf))
            expected[name] = {"proba": clf.predict_proba(rows).tolist(), "labels": clf.predict(rows).tolist()}
    for name in filter(is_installed, OBJECTS):
        made = OBJECTS[name]()
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(made))
        expected[name] = {"repr": repr(made)}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / skfocal.__version__)
