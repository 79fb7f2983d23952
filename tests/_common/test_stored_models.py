"""Model files written by earlier releases are models of this one."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_wine

import skfocal

FILES = Path(__file__).parents[1] / "data" / "models"
EXPECTED = json.loads((FILES / "expected.json").read_text())
"""Written by 0.1.0 with LightGBM 4.7.0 and XGBoost 3.2.0: predictions for every 40th row."""


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_earlier_releases_load(name):
    library, _, rest = name.partition("_")
    pytest.importorskip(library, exc_type=ImportError)
    clf = {"lightgbm": "FocalLGBMClassifier", "xgboost": "FocalXGBClassifier"}[library]
    clf, expected = getattr(skfocal, clf)(n_jobs=1), EXPECTED[name]
    clf.load_model(FILES / name)
    X = (load_breast_cancer if rest.startswith("binary") else load_wine)(return_X_y=True)[0][::40, :6]
    assert_allclose(clf.predict_proba(X), expected["proba"], rtol=1e-6)
    assert clf.predict(X).astype(str).tolist() == expected["labels"]
    assert clf.classes_.dtype.str == expected["dtype"]
    gamma = expected["gamma"]
    assert clf.focal_loss_.gamma == (tuple(gamma) if isinstance(gamma, list) else gamma)
    assert clf.calibration == expected["calibration"]
    assert np.isclose(clf.predict_proba(X).sum(axis=1), 1.0).all()
