"""FocalDaskXGBClassifier on a cluster of two processes, against the local classifier."""

import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

xgb = pytest.importorskip("xgboost", exc_type=ImportError)
da = pytest.importorskip("dask.array", exc_type=ImportError)
dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)
pd = pytest.importorskip("pandas")

from xgboost import dask as xgb_dask  # noqa: E402

from skfocal.xgboost import FocalDaskXGBClassifier, FocalXGBClassifier  # noqa: E402

# Dask, its cluster and XGBoost's ports announce what they like.
pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = {"n_estimators": 8}


def problem(n_classes):
    shares = [0.8] + [0.2 / (n_classes - 1)] * (n_classes - 1)
    X, y = make_classification(2100, 8, n_informative=6, n_classes=n_classes, weights=shares, random_state=0)
    order = np.argsort(y, kind="stable") if n_classes == 2 else np.arange(len(y))  # partitions without a positive row
    return X[order], y[order], np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))


def start(clf):
    """The start, as XGBoost keeps it in the model."""
    return np.array(
        json.loads(json.loads(clf.get_booster().save_config())["learner"]["learner_model_param"]["base_score"])
    )


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_on_one_partition_it_is_the_local_model(client, spread, n_classes, weighted, gamma):
    X, y, w = problem(n_classes)
    labels = np.array(list("abcd"))[y]
    dX, dy, dw = spread(1, X, labels, w)
    ours = FocalDaskXGBClassifier(gamma, focal_alpha="balanced", **QUIET).fit(
        dX, dy, sample_weight=dw if weighted else None
    )
    local = FocalXGBClassifier(gamma, focal_alpha="balanced", n_jobs=1, **QUIET)
    local.fit(X, labels, sample_weight=w if weighted else None)
    assert_array_equal(ours.classes_, local.classes_)
    assert_allclose(start(ours), start(local), rtol=1e-6, atol=1e-6)
    assert_allclose(ours.class_weights_, local.class_weights_, rtol=1e-6)
    assert_allclose(ours.decision_function(dX).compute(), local.decision_function(X), atol=1e-6)
    for calibration in ("focus", "full", None):
        p = ours.set_params(calibration=calibration).predict_proba(dX).compute()
        assert_allclose(p, local.set_params(calibration=calibration).predict_proba(X), atol=1e-6)
    assert_array_equal(ours.predict(dX).compute(), local.predict(X))


@pytest.mark.parametrize("n_partitions", [2, 7])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_on_several_it_is_as_close_as_the_parent_is_to_itself(client, spread, n_classes, n_partitions):
    X, y, _ = problem(n_classes)
    labels = np.array(list("abcd"))[y]
    dX, dy, di = spread(n_partitions, X, labels, y)

    def distance(a, b):
        return np.median(np.abs(a - b))

    ours = FocalDaskXGBClassifier(0.5, **QUIET).fit(dX, dy)
    local = FocalXGBClassifier(0.5, n_jobs=1, **QUIET).fit(X, labels)
    theirs = xgb_dask.DaskXGBClassifier(**QUIET).fit(dX, di)
    their_local = xgb.XGBClassifier(n_jobs=1, **QUIET).fit(X, y)
    of_parent = distance(theirs.predict_proba(dX).compute(), their_local.predict_proba(X))
    # XGBoost has two outcomes, by which worker is first: of several partitions the parent's distance is one draw.
    assert distance(ours.predict_proba(dX).compute(), local.predict_proba(X)) <= max(3 * of_parent, 0.05)
    # What is global is that of all rows, whatever the partitions.
    assert_allclose(start(ours), start(local), rtol=1e-6, atol=1e-6)
    assert ours.focal_loss_ == local.focal_loss_


def test_the_local_model_has_the_same_predictions_and_can_be_saved(client, spread, tmp_path):
    X, y, _ = problem(4)
    dX, dy = spread(2, X, np.array(list("abcd"))[y])
    clf = FocalDaskXGBClassifier(2.0, **QUIET).fit(dX, dy)
    p = clf.predict_proba(dX).compute()
    local = clf.to_local()
    assert type(local) is FocalXGBClassifier
    assert_allclose(local.predict_proba(X), p, rtol=1e-12)
    clf.save_model(tmp_path / "model.json")
    loaded = FocalXGBClassifier()
    loaded.load_model(tmp_path / "model.json")
    assert_allclose(loaded.predict_proba(X), p, rtol=1e-12)
    copied = pickle.loads(pickle.dumps(clf))
    assert_allclose(copied.predict_proba(dX).compute(), p, rtol=1e-12)


def test_data_frames_with_categories_and_unknown_lengths(client):
    X, y, _ = problem(2)
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(8)])
    frame["c7"] = pd.Categorical(np.where(X[:, 7] > 0, "u", "v"))
    frame.iloc[::9, 0] = np.nan
    series = pd.Series(np.array(["no", "yes"])[y], name="y")
    dX, dy = dd.from_pandas(frame, npartitions=3), dd.from_pandas(series, npartitions=3)
    clf = FocalDaskXGBClassifier(enable_categorical=True, **QUIET).fit(dX, dy)
    assert_array_equal(clf.classes_, ["no", "yes"])
    assert clf.to_local().score(frame, series) > 0.9
    assert_allclose(clf.predict_proba(dX).compute(), clf.to_local().predict_proba(frame), rtol=1e-12)
    unknown = dd.from_pandas(frame.drop(columns="c7"), npartitions=3).to_dask_array()
    clf = FocalDaskXGBClassifier(**QUIET).fit(unknown, dy.to_dask_array())
    assert clf.decision_function(unknown).compute().shape == (len(y),)


def test_partitions_without_rows_change_nothing(client):
    X, y, _ = problem(2)
    frame, series = pd.DataFrame(X).add_prefix("c"), pd.Series(y, name="y")
    parts = [slice(0, 0), slice(0, len(y)), slice(0, 0)]
    dX, dy = (dd.concat([dd.from_pandas(data.iloc[part], npartitions=1) for part in parts]) for data in (frame, series))
    clf = FocalDaskXGBClassifier(**QUIET).fit(dX, dy)
    assert_allclose(start(clf), start(FocalXGBClassifier(n_jobs=1, **QUIET).fit(frame, series)), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_of_all_rows_wherever_they_are(client, spread, weighted):
    X, y, w = problem(2)
    labels = np.array(["no", "yes"])[y]
    dX, dy, dw = spread(7, X, labels, w)
    clf = FocalDaskXGBClassifier(0.5, eval_metric=["logloss", "error", "rmse", "focal_loss"], **QUIET)
    clf.fit(dX, dy, eval_set=[(dX, dy)], sample_weight_eval_set=[dw] if weighted else None)
    weight = w if weighted else None
    p, history = clf.predict_proba(dX).compute().astype(float), clf.evals_result()["validation_0"]
    assert_allclose(history["logloss"][-1], log_loss(y, p, sample_weight=weight), rtol=1e-5)
    assert_allclose(history["error"][-1], np.average((p[:, 1] > 0.5) != y, weights=weight), rtol=1e-4)
    assert_allclose(history["rmse"][-1], np.average((p[:, 1] - y) ** 2, weights=weight) ** 0.5, rtol=1e-5)
    focal = clf.focal_loss_(y, clf.decision_function(dX).compute(), weight)
    assert_allclose(history["focal_loss"][-1], focal, rtol=1e-5)
    assert list(history) == ["logloss", "error", "rmse", "focal_loss"]


def test_early_stopping(client, spread):
    X, y, _ = problem(2)
    parameters = {"n_estimators": 200, "learning_rate": 1.0, "early_stopping_rounds": 3}
    clf = FocalDaskXGBClassifier(0.5, **parameters)
    train = np.random.default_rng(0).random(len(y)) < 0.5
    dA, da_, dB, db = spread(2, X[train], y[train]) + spread(2, X[~train], y[~train])
    clf.fit(dA, da_, eval_set=[(dB, db)])
    history = clf.evals_result()["validation_0"]["focal_loss"]
    assert clf.best_iteration == int(np.argmin(history)) < len(history) - 1 < 199
    assert_allclose(clf.predict_proba(dB).compute(), clf.to_local().predict_proba(X[~train]), rtol=1e-6)


def test_bad_input_is_named(client, spread):
    X, y, w = problem(2)
    dX, dy, dw = spread(2, X, y, w)
    clf = FocalDaskXGBClassifier(**QUIET)
    for arguments, error, match in [
        ((X, dy), TypeError, "X must be a Dask Array or DataFrame, got ndarray"),
        ((dX, y), TypeError, "y must be a Dask Array or DataFrame or Series, got ndarray"),
        ((dX, dy.rechunk(300)), ValueError, "y must be in as many partitions as X, 2, got 7"),
        ((dX, dy, {"sample_weight": -dw}), ValueError, "sample_weight must be finite numbers >= 0"),
        ((dX, dy * 0), ValueError, "y must hold at least two classes, got one class: 0"),
        (
            (dX, da.stack([dy, dy], axis=1)),
            ValueError,
            "y must be one label a row for a Dask .*got 2 columns",
        ),
        ((dX.rechunk((1050, 4)), dy), ValueError, "X must have two dimensions and all columns in each chunk"),
        ((dX, dy.rechunk(((1000, 1100),))), ValueError, "y must have a label for each row of each partition of X"),
    ]:
        with pytest.raises(error, match=match):
            clf.fit(*arguments[:2], **dict(*arguments[2:]))
    with pytest.raises(ValueError, match="focal_gamma must be a number >= 0"):
        FocalDaskXGBClassifier(-1.0, **QUIET).fit(dX, dy)
    assert not hasattr(clf, "classes_") or not clf.__sklearn_is_fitted__()


def test_the_private_names_of_xgboosts_dask_that_are_used_are_there():
    for cls, name in [
        (xgb_dask.DaskXGBClassifier, "_fit_async"),
        (xgb_dask.DaskScikitLearnBase, "_predict_async"),
        (xgb_dask.DaskScikitLearnBase, "_client_sync"),
    ]:
        assert hasattr(cls, name), f"{cls.__name__} has no {name} any more: FocalDaskXGBClassifier needs another way"
