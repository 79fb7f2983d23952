"""What of FocalDaskLGBMClassifier differs from the Dask classifier of XGBoost; the rest is in tests/test_dask.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("lightgbm", exc_type=ImportError)
pytest.importorskip("dask.array", exc_type=ImportError)
pytest.importorskip("distributed", exc_type=ImportError)

from lightgbm import dask as lgb_dask

from skfocal.lightgbm import FocalDaskLGBMClassifier, FocalLGBMClassifier

# Dask, its cluster and LightGBM's ports announce what they like.
pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = {"verbosity": -1, "n_estimators": 8}


def test_evaluation_sets_are_evaluated(imbalanced, spread):
    X, y = imbalanced
    labels = np.array(["no", "yes"])[y]
    dX, dy = spread(1, X, labels)
    clf = FocalDaskLGBMClassifier(0.5, **QUIET)
    clf.fit(dX, dy, eval_set=[(dX, dy)], eval_metric="binary_logloss")
    local = FocalLGBMClassifier(0.5, n_jobs=1, **QUIET).fit(
        X, labels, eval_X=X, eval_y=labels, eval_metric="binary_logloss"
    )
    history = clf.evals_result_["valid_0"]
    assert list(history) == list(local.evals_result_["valid_0"])
    for name, values in history.items():
        assert_allclose(values, local.evals_result_["valid_0"][name], rtol=1e-6)


def test_early_stopping_is_refused(imbalanced, spread):
    dX, dy = spread(2, *imbalanced)
    with pytest.raises(ValueError, match="early_stopping_round must not be given"):
        FocalDaskLGBMClassifier(early_stopping_round=3, **QUIET).fit(dX, dy)


def test_the_private_names_of_lightgbms_dask_that_are_used_are_there():
    for name in ("_train", "_get_dask_client", "_predict"):
        assert hasattr(lgb_dask, name), (
            f"lightgbm.dask has no {name} any more: FocalDaskLGBMClassifier needs another way"
        )
    assert hasattr(lgb_dask.DaskLGBMClassifier, "_lgb_dask_to_local")
