"""What of FocalDaskXGBClassifier differs from the Dask classifier of LightGBM; the rest is in tests/test_dask.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss

pytest.importorskip("xgboost", exc_type=ImportError)
pytest.importorskip("dask.array", exc_type=ImportError)
pytest.importorskip("distributed", exc_type=ImportError)

from xgboost import dask as xgb_dask

from skfocal.xgboost import FocalDaskXGBClassifier

# Dask, its cluster and XGBoost's ports announce what they like.
pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = {"n_estimators": 8}


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_of_all_rows_wherever_they_are(imbalanced, spread, weighted):
    X, y = imbalanced
    w = np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))
    labels = np.array(["no", "yes"])[y]
    dX, dy, dw = spread(7, X, labels, w)
    clf = FocalDaskXGBClassifier(0.5, eval_metric=["logloss", "error", "rmse", "focal_loss"], **QUIET)
    clf.fit(dX, dy, eval_set=[(dX, dy)], sample_weight_eval_set=[dw] if weighted else None)
    weight = w if weighted else None
    p, history = clf.predict_proba(dX).compute().astype(float), clf.evals_result()["validation_0"]
    expected = {
        "logloss": log_loss(y, p, sample_weight=weight),
        "error": np.average((p[:, 1] > 0.5) != y, weights=weight),
        "rmse": np.average((p[:, 1] - y) ** 2, weights=weight) ** 0.5,
        "focal_loss": clf.focal_loss_(y, clf.decision_function(dX).compute(), weight),
    }
    assert list(history) == list(expected)
    for name, value in expected.items():
        assert_allclose(history[name][-1], value, rtol=1e-6, atol=5e-7)  # XGBoost keeps six decimals


def test_early_stopping(imbalanced, spread):
    X, y = imbalanced
    parameters = {"n_estimators": 200, "learning_rate": 1.0, "early_stopping_rounds": 3}
    clf = FocalDaskXGBClassifier(0.5, **parameters)
    train = np.random.default_rng(0).random(len(y)) < 0.5
    dA, da_, dB, db = spread(2, X[train], y[train]) + spread(2, X[~train], y[~train])
    clf.fit(dA, da_, eval_set=[(dB, db)])
    history = clf.evals_result()["validation_0"]["focal_loss"]
    assert clf.best_iteration == int(np.argmin(history)) < len(history) - 1 < 199
    assert_allclose(clf.predict_proba(dB).compute(), clf.to_local().predict_proba(X[~train]), rtol=1e-6)


def test_the_private_names_of_xgboosts_dask_that_are_used_are_there():
    for cls, name in [
        (xgb_dask.DaskXGBClassifier, "_fit_async"),
        (xgb_dask.DaskScikitLearnBase, "_predict_async"),
        (xgb_dask.DaskScikitLearnBase, "_client_sync"),
    ]:
        assert hasattr(cls, name), f"{cls.__name__} has no {name} any more: FocalDaskXGBClassifier needs another way"
