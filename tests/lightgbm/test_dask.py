"""FocalDaskLGBMClassifier on a cluster of two processes, against the local classifier."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)
da = pytest.importorskip("dask.array", exc_type=ImportError)
dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)
pd = pytest.importorskip("pandas")

from lightgbm import dask as lgb_dask  # noqa: E402

from skfocal import FocalLoss  # noqa: E402
from skfocal.lightgbm import FocalDaskLGBMClassifier, FocalLGBMClassifier  # noqa: E402

# Dask, its cluster and LightGBM's ports announce what they like.
pytestmark = pytest.mark.filterwarnings("ignore")

QUIET = {"verbosity": -1, "n_estimators": 8}


def problem(n_classes):
    shares = [0.8] + [0.2 / (n_classes - 1)] * (n_classes - 1)
    X, y = make_classification(2100, 8, n_informative=6, n_classes=n_classes, weights=shares, random_state=0)
    order = np.argsort(y, kind="stable") if n_classes == 2 else np.arange(len(y))  # partitions without a positive row
    return X[order], y[order], np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_on_one_partition_it_is_the_local_model(client, spread, n_classes, weighted, gamma):
    X, y, w = problem(n_classes)
    labels = np.array(list("abcd"))[y]
    dX, dy, dw = spread(1, X, labels, w)
    ours = FocalDaskLGBMClassifier(gamma, focal_alpha="balanced", **QUIET).fit(dX, dy, dw if weighted else None)
    local = FocalLGBMClassifier(gamma, focal_alpha="balanced", n_jobs=1, **QUIET)
    local.fit(X, labels, w if weighted else None)
    assert_array_equal(ours.classes_, local.classes_)
    assert_allclose(ours.intercept_, local.intercept_, rtol=1e-6, atol=1e-6)
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

    ours = FocalDaskLGBMClassifier(0.5, **QUIET).fit(dX, dy)
    local = FocalLGBMClassifier(0.5, n_jobs=1, **QUIET).fit(X, labels)
    theirs = lgb_dask.DaskLGBMClassifier(reg_lambda=1.0, **QUIET).fit(dX, di)
    their_local = lgb.LGBMClassifier(reg_lambda=1.0, n_jobs=1, **QUIET).fit(X, y)
    of_parent = distance(theirs.predict_proba(dX).compute(), their_local.predict_proba(X))
    # LightGBM has two outcomes, by which worker is first: of several partitions the parent's distance is one draw.
    assert distance(ours.predict_proba(dX).compute(), local.predict_proba(X)) <= max(3 * of_parent, 0.05)
    # What is global is that of all rows, whatever the partitions.
    assert_allclose(ours.intercept_, local.intercept_, rtol=1e-12)
    assert ours.focal_loss_ == local.focal_loss_


def test_the_local_model_has_the_same_predictions_and_can_be_saved(client, spread, tmp_path):
    X, y, _ = problem(4)
    dX, dy = spread(2, X, np.array(list("abcd"))[y])
    clf = FocalDaskLGBMClassifier(2.0, **QUIET).fit(dX, dy)
    p = clf.predict_proba(dX).compute()
    local = clf.to_local()
    assert type(local) is FocalLGBMClassifier
    assert_allclose(local.predict_proba(X), p, rtol=1e-12)
    clf.save_model(tmp_path / "model.txt")
    assert_allclose(FocalLGBMClassifier().load_model(tmp_path / "model.txt").predict_proba(X), p, rtol=1e-12)
    copied = pickle.loads(pickle.dumps(clf))
    assert_allclose(copied.predict_proba(dX).compute(), p, rtol=1e-12)
    assert_allclose(
        FocalLoss(2.0).predict_proba(lgb.Booster(model_file=str(tmp_path / "model.txt")).predict(X)), p, rtol=1e-9
    )


def test_data_frames_with_categories_and_unknown_lengths(client):
    X, y, _ = problem(2)
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(8)])
    frame["c7"] = pd.Categorical(np.where(X[:, 7] > 0, "u", "v"))
    frame.iloc[::9, 0] = np.nan
    series = pd.Series(np.array(["no", "yes"])[y], name="y")
    dX, dy = dd.from_pandas(frame, npartitions=3), dd.from_pandas(series, npartitions=3)
    clf = FocalDaskLGBMClassifier(**QUIET).fit(dX, dy)
    assert_array_equal(clf.classes_, ["no", "yes"])
    assert clf.to_local().score(frame, series) > 0.9
    assert_allclose(clf.predict_proba(dX).compute(), clf.to_local().predict_proba(frame), rtol=1e-12)
    unknown = dd.from_pandas(frame.drop(columns="c7"), npartitions=3).to_dask_array()
    clf = FocalDaskLGBMClassifier(**QUIET).fit(unknown, dy.to_dask_array())
    assert clf.decision_function(unknown).compute().shape == (len(y),)


def test_partitions_without_rows_change_nothing(client):
    X, y, _ = problem(2)
    frame, series = pd.DataFrame(X).add_prefix("c"), pd.Series(y, name="y")
    parts = [slice(0, 0), slice(0, len(y)), slice(0, 0)]
    dX, dy = (dd.concat([dd.from_pandas(data.iloc[part], npartitions=1) for part in parts]) for data in (frame, series))
    clf = FocalDaskLGBMClassifier(**QUIET).fit(dX, dy)
    assert_allclose(clf.intercept_, FocalLGBMClassifier(n_jobs=1, **QUIET).fit(frame, series).intercept_, rtol=1e-12)


def test_evaluation_sets_are_evaluated(client, spread):
    X, y, _ = problem(2)
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


def test_bad_input_is_named(client, spread):
    X, y, w = problem(2)
    dX, dy, dw = spread(2, X, y, w)
    clf = FocalDaskLGBMClassifier(**QUIET)
    for arguments, error, match in [
        ((X, dy), TypeError, "X must be a Dask Array or DataFrame, got ndarray"),
        ((dX, y), TypeError, "y must be a Dask Array or DataFrame or Series, got ndarray"),
        ((dX, dy.rechunk(300)), ValueError, "y must be in as many partitions as X, 2, got 7"),
        ((dX, dy, -dw), ValueError, "sample_weight must be finite numbers >= 0"),
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
            clf.fit(*arguments)
    with pytest.raises(ValueError, match="focal_gamma must be a number >= 0"):
        FocalDaskLGBMClassifier(-1.0, **QUIET).fit(dX, dy)
    with pytest.raises(ValueError, match="early_stopping_round must not be given"):
        FocalDaskLGBMClassifier(early_stopping_round=3, **QUIET).fit(dX, dy)
    assert not hasattr(clf, "classes_") or not clf.__sklearn_is_fitted__()


def test_the_private_names_of_lightgbms_dask_that_are_used_are_there():
    for name in ("_train", "_get_dask_client", "_predict"):
        assert hasattr(lgb_dask, name), (
            f"lightgbm.dask has no {name} any more: FocalDaskLGBMClassifier needs another way"
        )
    assert hasattr(lgb_dask.DaskLGBMClassifier, "_lgb_dask_to_local")
