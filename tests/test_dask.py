"""Both boosters' Dask classifiers: what goes wrong on a worker comes back to the client, and soon."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)
xgb = pytest.importorskip("xgboost", exc_type=ImportError)
pytest.importorskip("dask.array", exc_type=ImportError)
pytest.importorskip("distributed", exc_type=ImportError)

from skfocal.lightgbm import FocalDaskLGBMClassifier  # noqa: E402
from skfocal.xgboost import FocalDaskXGBClassifier  # noqa: E402

# Dask, its cluster and the boosters' ports announce what they like.
pytestmark = pytest.mark.filterwarnings("ignore")

LIBRARIES = {
    "lightgbm": (FocalDaskLGBMClassifier, {"verbosity": -1}, lgb.basic.LightGBMError),
    "xgboost": (FocalDaskXGBClassifier, {}, xgb.core.XGBoostError),
}


@pytest.fixture(params=list(LIBRARIES))
def library(request):
    return request.param


@pytest.fixture
def fit(client, spread, library):
    """Function that fits on both workers, with a metric that each calls in each round."""

    def fit(metric=None, **parameters):
        cls, quiet, _ = LIBRARIES[library]
        X = np.random.default_rng(0).normal(size=(2000, 5))
        dX, dy = spread(2, X, np.where(X[:, 0] > 1.0, "yes", "no"))
        clf = cls(**quiet, **parameters)
        clf.client = client
        sets = {} if metric is None else {"eval_set": [(dX, dy)]}
        if metric is not None and library == "lightgbm":
            sets["eval_metric"] = lambda y_true, p: ("mine", metric(), False)
        elif metric is not None:
            clf.set_params(eval_metric=lambda y_true, p: metric())
        return clf.fit(dX, dy, **sets)

    return fit


def test_a_client_that_was_given_is_used(client, fit):
    clf = fit(n_estimators=2)
    assert_array_equal(clf.classes_, ["no", "yes"])
    assert clf.client is client


def test_an_error_on_a_worker_names_the_parameter(fit, library):
    name, value = {"lightgbm": ("num_leaves", 1), "xgboost": ("max_bin", -5)}[library]
    with pytest.raises(LIBRARIES[library][2], match=name):
        fit(**{name: value})


def test_an_error_of_a_function_of_the_user_comes_back(fit):
    def metric():
        raise ZeroDivisionError("no row of mine")

    with pytest.raises(ZeroDivisionError, match="no row of mine"):
        fit(metric)


def test_a_killed_worker_is_an_error_within_a_minute(client, fit, library, tmp_path):
    def metric():
        (tmp_path / str(os.getpid())).touch()
        assert not (tmp_path / "give up").exists()
        time.sleep(0.01)
        return 0.0

    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(fit, metric, n_estimators=100_000)
        try:
            started = time.monotonic()
            while len(workers := list(tmp_path.iterdir())) < 2:
                assert not fitting.done()
                assert time.monotonic() < started + 120
                time.sleep(0.05)
            os.kill(int(workers[0].name), signal.SIGKILL)
            with pytest.raises(LIBRARIES[library][2]):
                fitting.result(timeout=60)
        finally:
            (tmp_path / "give up").touch()
    client.wait_for_workers(2, timeout=60)
    fit(n_estimators=2)  # and the cluster serves on
