"""Both boosters' Dask classifiers on a cluster of two processes, against the local classifiers, and what goes wrong."""

import json
import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)
xgb = pytest.importorskip("xgboost", exc_type=ImportError)
da = pytest.importorskip("dask.array", exc_type=ImportError)
dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)
pytest.importorskip("distributed", exc_type=ImportError)
pd = pytest.importorskip("pandas")

from lightgbm.dask import DaskLGBMClassifier  # noqa: E402
from xgboost.dask import DaskXGBClassifier  # noqa: E402

from skfocal.lightgbm import FocalDaskLGBMClassifier, FocalLGBMClassifier  # noqa: E402
from skfocal.xgboost import FocalDaskXGBClassifier, FocalXGBClassifier  # noqa: E402

# Dask, its cluster and the boosters' ports announce what they like.
pytestmark = pytest.mark.filterwarnings("ignore")


class LightGBM:
    """The classes of a library, and what differs between the two."""

    ours, local = FocalDaskLGBMClassifier, FocalLGBMClassifier
    parent, parents_local = DaskLGBMClassifier, lgb.LGBMClassifier
    quiet, regularization, for_categories = {"verbosity": -1}, {"reg_lambda": 1.0}, {}
    error, bad_parameter, suffix = lgb.basic.LightGBMError, ("num_leaves", 1), "txt"

    @staticmethod
    def start(clf):
        """The raw scores before the first tree."""
        return clf.intercept_


class XGBoost:
    """As `LightGBM`."""

    ours, local = FocalDaskXGBClassifier, FocalXGBClassifier
    parent, parents_local = DaskXGBClassifier, xgb.XGBClassifier
    quiet, regularization, for_categories = {}, {}, {"enable_categorical": True}
    error, bad_parameter, suffix = xgb.core.XGBoostError, ("max_bin", -5), "json"

    @staticmethod
    def start(clf):
        """As the model keeps it."""
        model = json.loads(clf.get_booster().save_config())["learner"]["learner_model_param"]
        return np.array(json.loads(model["base_score"]))


@pytest.fixture(params=[LightGBM, XGBoost], ids=["lightgbm", "xgboost"])
def library(request):
    return request.param


@pytest.fixture
def small(library):
    """Parameters of a small model that prints nothing."""
    return {"n_estimators": 8, **library.quiet}


def problem(n_classes):
    """X, y and weights; the rows of two classes are sorted, so that there are partitions without a positive row."""
    shares = [0.8] + [0.2 / (n_classes - 1)] * (n_classes - 1)
    X, y = make_classification(2100, 8, n_informative=6, n_classes=n_classes, weights=shares, random_state=0)
    order = np.argsort(y, kind="stable") if n_classes == 2 else np.arange(len(y))
    return X[order], y[order], np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_on_one_partition_it_is_the_local_model(spread, library, small, n_classes, weighted, gamma):
    X, y, w = problem(n_classes)
    labels = np.array(list("abcd"))[y]
    dX, dy, dw = spread(1, X, labels, w)
    ours = library.ours(gamma, focal_alpha="balanced", **small)
    ours.fit(dX, dy, sample_weight=dw if weighted else None)
    local = library.local(gamma, focal_alpha="balanced", n_jobs=1, **small)
    local.fit(X, labels, sample_weight=w if weighted else None)
    assert_array_equal(ours.classes_, local.classes_)
    assert_allclose(library.start(ours), library.start(local), rtol=1e-6, atol=1e-6)
    assert_allclose(ours.class_weights_, local.class_weights_, rtol=1e-6)
    assert_allclose(ours.decision_function(dX).compute(), local.decision_function(X), atol=1e-6)
    for calibration in ("focus", "full", None):
        p = ours.set_params(calibration=calibration).predict_proba(dX).compute()
        assert_allclose(p, local.set_params(calibration=calibration).predict_proba(X), atol=1e-6)
    assert_array_equal(ours.predict(dX).compute(), local.predict(X))


@pytest.mark.parametrize("n_partitions", [2, 7])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_on_several_it_is_as_close_as_the_parent_is_to_itself(spread, library, small, n_classes, n_partitions):
    X, y, _ = problem(n_classes)
    labels = np.array(list("abcd"))[y]
    dX, dy, di = spread(n_partitions, X, labels, y)

    def distance(a, b):
        return np.median(np.abs(a - b))

    ours = library.ours(0.5, **small).fit(dX, dy)
    local = library.local(0.5, n_jobs=1, **small).fit(X, labels)
    theirs = library.parent(**library.regularization, **small).fit(dX, di)
    their_local = library.parents_local(n_jobs=1, **library.regularization, **small).fit(X, y)
    of_parent = distance(theirs.predict_proba(dX).compute(), their_local.predict_proba(X))
    # There are two outcomes, by which worker is first: of several partitions the parent's distance is one draw.
    assert distance(ours.predict_proba(dX).compute(), local.predict_proba(X)) <= max(3 * of_parent, 0.05)
    # What is global is that of all rows, whatever the partitions.
    assert_allclose(library.start(ours), library.start(local), rtol=1e-6, atol=1e-6)
    assert ours.focal_loss_ == local.focal_loss_


def test_the_local_model_has_the_same_predictions_and_can_be_saved(spread, library, small, tmp_path):
    X, y, _ = problem(4)
    dX, dy = spread(2, X, np.array(list("abcd"))[y])
    clf = library.ours(2.0, **small).fit(dX, dy)
    p = clf.predict_proba(dX).compute()
    local = clf.to_local()
    assert type(local) is library.local
    assert_allclose(local.predict_proba(X), p, rtol=1e-12)
    file, loaded = tmp_path / f"model.{library.suffix}", library.local()
    clf.save_model(file)
    loaded.load_model(file)
    assert_allclose(loaded.predict_proba(X), p, rtol=1e-12)
    copied = pickle.loads(pickle.dumps(clf))
    assert_allclose(copied.predict_proba(dX).compute(), p, rtol=1e-12)


def test_data_frames_with_categories_and_unknown_lengths(client, library, small):
    X, y, _ = problem(2)
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(8)])
    frame["c7"] = pd.Categorical(np.where(X[:, 7] > 0, "u", "v"))
    frame.iloc[::9, 0] = np.nan
    series = pd.Series(np.array(["no", "yes"])[y], name="y")
    dX, dy = dd.from_pandas(frame, npartitions=3), dd.from_pandas(series, npartitions=3)
    clf = library.ours(**library.for_categories, **small).fit(dX, dy)
    assert_array_equal(clf.classes_, ["no", "yes"])
    assert clf.to_local().score(frame, series) > 0.9
    assert_allclose(clf.predict_proba(dX).compute(), clf.to_local().predict_proba(frame), rtol=1e-12)
    unknown = dd.from_pandas(frame.drop(columns="c7"), npartitions=3).to_dask_array()
    clf = library.ours(**small).fit(unknown, dy.to_dask_array())
    assert clf.decision_function(unknown).compute().shape == (len(y),)


def test_partitions_without_rows_change_nothing(client, library, small):
    X, y, _ = problem(2)
    frame, series = pd.DataFrame(X).add_prefix("c"), pd.Series(y, name="y")
    parts = [slice(0, 0), slice(0, len(y)), slice(0, 0)]
    dX, dy = (dd.concat([dd.from_pandas(data.iloc[part], npartitions=1) for part in parts]) for data in (frame, series))
    local = library.local(n_jobs=1, **small).fit(frame, series)
    assert_allclose(library.start(library.ours(**small).fit(dX, dy)), library.start(local), rtol=1e-6)


def test_bad_input_is_named(spread, library, small):
    X, y, w = problem(2)
    dX, dy, dw = spread(2, X, y, w)
    clf = library.ours(**small)
    for arguments, error, match in [
        ((X, dy), TypeError, "X must be a Dask Array or DataFrame, got ndarray"),
        ((dX, y), TypeError, "y must be a Dask Array or DataFrame or Series, got ndarray"),
        ((dX, dy.rechunk(300)), ValueError, "y must be in as many partitions as X, 2, got 7"),
        ((dX, dy, {"sample_weight": -dw}), ValueError, "sample_weight must be finite numbers >= 0"),
        ((dX, dy * 0), ValueError, "y must hold at least two classes, got one class: 0"),
        ((dX, da.stack([dy, dy], axis=1)), ValueError, "y must be one label per row for a Dask .*got 2 columns"),
        ((dX.rechunk((1050, 4)), dy), ValueError, "X must have two dimensions and all columns in each chunk"),
        ((dX, dy.rechunk(((1000, 1100),))), ValueError, "y must have a label for each row of each partition of X"),
    ]:
        with pytest.raises(error, match=match):
            clf.fit(*arguments[:2], **dict(*arguments[2:]))
    with pytest.raises(ValueError, match="focal_gamma must be a number >= 0"):
        library.ours(-1.0, **small).fit(dX, dy)
    assert not hasattr(clf, "classes_") or not clf.__sklearn_is_fitted__()


@pytest.fixture
def fit(client, spread, library):
    """Function that fits on both workers, with a metric that each calls in each round."""

    def fit(metric=None, **parameters):
        X = np.random.default_rng(0).normal(size=(2000, 5))
        dX, dy = spread(2, X, np.where(X[:, 0] > 1.0, "yes", "no"))
        clf = library.ours(**library.quiet, **parameters)
        clf.client = client
        sets = {} if metric is None else {"eval_set": [(dX, dy)]}
        if metric is not None and library is LightGBM:
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
    name, value = library.bad_parameter
    with pytest.raises(library.error, match=name):
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
            with pytest.raises(library.error):
                fitting.result(timeout=60)
        finally:
            (tmp_path / "give up").touch()
    client.wait_for_workers(2, timeout=60)
    fit(n_estimators=2)  # and the cluster serves on
