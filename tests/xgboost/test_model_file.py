"""Model files of FocalXGBClassifier: what comes back, files of a run under way, what is refused."""

import doctest
import importlib
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

xgb = pytest.importorskip("xgboost", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.xgboost import FocalObjective, FocalXGBClassifier  # noqa: E402

ONE = {"n_jobs": 1}
DATES = np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "M8[D]")
LABELS = {
    "int": np.array([3, -1, 7]),
    "bool": np.array([True, False, True]),
    "str": np.array(["b", "c", "a"]),
    "object": np.array(["b", "c", "a"], object),
    "float32": np.array([1.0, 0.0, 2.0], np.float32),
    "dates": DATES,
    "time": DATES - DATES[0],
}


def fit(X, y, *args, **kwargs):
    return FocalXGBClassifier(*args, **{"n_estimators": 8, **ONE, **kwargs}).fit(X, y)


def loaded(file, *args, **kwargs):
    clf = FocalXGBClassifier(*args, **kwargs)
    clf.load_model(file)
    return clf


def assert_same(again, clf, X):
    assert_array_equal(again.classes_, clf.classes_, strict=True)
    assert_array_equal(again.decision_function(X), clf.decision_function(X))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(again.predict(X), clf.predict(X), strict=True)


def plain_params(y):
    return {"nthread": 1} | (
        {"objective": "binary:logistic"} if y.max() == 1 else {"objective": "multi:softprob", "num_class": 3}
    )


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.ubj"


@pytest.mark.parametrize(("kind", "calibration"), [*zip(LABELS, ["focus", "full", None] * 3)])
def test_a_file_is_the_whole_model(problem, kind, calibration, tmp_path):
    X, y, _ = problem
    labels = y > 0 if kind == "bool" else LABELS[kind][y]
    gamma = [0.5, 2.0, 1.0][: len(np.unique(labels))]
    clf = fit(X, labels, gamma, "balanced", calibration=calibration)
    file = tmp_path / ("model.ubj" if calibration else "model.json")
    clf.save_model(str(file))
    again = loaded(str(file))
    assert_same(again, clf, X)
    assert again.focal_loss_ == clf.focal_loss_
    assert_array_equal(again.class_weights_, clf.class_weights_)
    assert again.calibration == calibration
    for name in ("n_classes_", "n_features_in_"):
        assert getattr(again, name) == getattr(clf, name), name
    assert_array_equal(again.feature_importances_, clf.feature_importances_)


def test_a_loaded_model_can_do_what_a_fitted_one_can(problem, file):
    X, y, _ = problem
    labels = np.array(["b", "c", "a"])[y]
    clf = fit(X, labels, 1.0)
    clf.save_model(file)
    again = loaded(file, 1.0, n_estimators=8, **ONE)
    assert_same(pickle.loads(pickle.dumps(again)), clf, X)
    again.save_model(file)
    assert_same(loaded(file), clf, X)
    more = FocalXGBClassifier(1.0, n_estimators=5, **ONE).fit(X, labels, xgb_model=again)
    assert more.get_booster().num_boosted_rounds() == 13
    more.save_model(file)
    assert_same(loaded(file), more, X)
    assert_same(again.fit(X, labels), clf, X)


def test_missing_values_and_column_names_come_back(imbalanced, file):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(np.where(X > 1.0, -1.0, X), columns=[f"c{i}" for i in range(X.shape[1])])
    clf = fit(frame, y, missing=-1.0)
    clf.save_model(file)
    again = loaded(file)
    assert again.missing == -1.0
    assert_same(again, clf, frame)
    assert_array_equal(again.feature_names_in_, clf.feature_names_in_)


def test_categories_come_back(imbalanced, file):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    frame["kind"] = pd.Categorical(np.where(X[:, 0] > 0.5, "x", "y"))
    for booster in ("gbtree", "dart"):
        clf = fit(frame, y, enable_categorical=True, booster=booster)
        clf.save_model(file)
        again = loaded(file)
        assert_same(again, clf, frame)
        margin = np.linspace(-1, 1, len(y))
        assert_array_equal(again.predict_proba(frame, base_margin=margin), clf.predict_proba(frame, base_margin=margin))


@pytest.mark.parametrize("save_best", [False, True])
def test_the_best_iteration_comes_back(imbalanced, save_best, file):
    X, y = imbalanced
    stop = xgb.callback.EarlyStopping(rounds=5, save_best=save_best)
    clf = FocalXGBClassifier(1.0, learning_rate=0.5, callbacks=[stop], **ONE)
    clf.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False)
    assert 2 < clf.best_iteration < 90
    clf.save_model(file)
    again = loaded(file)
    assert again.best_iteration == clf.best_iteration
    assert_same(again, clf, X)


# XGBoost 3.4 says so of both.
deprecated = pytest.mark.filterwarnings("ignore:.*booster=(dart|gblinear). is deprecated:UserWarning")


@deprecated
@pytest.mark.parametrize(
    "parameters", [{"booster": "dart", "rate_drop": 0.5}, {"num_parallel_tree": 3, "subsample": 0.5}]
)
def test_other_models_come_back(problem, parameters, file):
    X, y, _ = problem
    clf = fit(X, y, **parameters)
    clf.save_model(file)
    assert_same(loaded(file), clf, X)
    X = np.where(np.median(X, axis=0) < X, np.nan, X)
    assert_same(loaded(file), clf, X)


def test_files_of_a_run_under_way_are_models(problem, tmp_path):
    X, y, _ = problem
    labels = np.array(["b", "c", "a"])[y]

    class Stop(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 6:
                raise KeyboardInterrupt
            return False

    checkpoint = xgb.callback.TrainingCheckPoint(tmp_path, interval=3)
    clf = FocalXGBClassifier(
        1.0, [0.3, 1.0, 2.0][: y.max() + 1], calibration="full", callbacks=[checkpoint, Stop()], **ONE
    )
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_3.ubj", "model_6.ubj"]
    for n_trees in (3, 6):
        # Rounds are counted from 0 in their names.
        expected = clone_without_callbacks(clf, n_estimators=n_trees + 1).fit(X, labels)
        again = loaded(tmp_path / f"model_{n_trees}.ubj")
        assert_same(again, expected, X)
        assert again.calibration == "full"
    # One can go on from it.
    gone_on = clone_without_callbacks(clf, n_estimators=3).fit(X, labels, xgb_model=again)
    assert_array_equal(
        gone_on.predict_proba(X), clone_without_callbacks(clf, n_estimators=10).fit(X, labels).predict_proba(X)
    )


def clone_without_callbacks(clf, **params):
    return FocalXGBClassifier(**clf.get_params() | {"callbacks": None} | params)


def test_what_save_raw_gives_is_a_model(problem):
    X, y, _ = problem
    clf = fit(X, np.array(["b", "c", "a"])[y], 1.0)
    for raw_format in ("json", "ubj"):
        assert_same(loaded(clf.get_booster().save_raw(raw_format)), clf, X)


def test_calibration_in_the_file_is_the_one_set_last(problem, file):
    X, y, _ = problem
    clf = fit(X, y).set_params(calibration=None)
    clf.save_model(file)
    assert_same(loaded(file), clf, X)


def test_a_pickle_of_before_can_be_saved(problem, file):
    X, y, _ = problem
    clf = fit(X, y)
    clf.get_booster().set_attr(skfocal=None, skfocal_trees=None)
    clf.save_model(file)
    assert_same(loaded(file), clf, X)


FURTHER = {
    "more rounds": lambda booster, data, params: xgb.train(params, data, 3, xgb_model=booster),
    "as many rounds": lambda booster, data, params: xgb.train(params, data, 4, xgb_model=booster[:4]),
    "other leaves": lambda booster, data, params: xgb.train(
        {**params, "process_type": "update", "updater": "refresh"}, data, 8, xgb_model=booster
    ),
    "fewer rounds": lambda booster, data, params: booster[:4],
}


@pytest.mark.filterwarnings("ignore:.*You have manually specified the `updater` parameter")
@pytest.mark.parametrize("how", FURTHER)
def test_a_model_trained_further_by_others_is_no_focal_one(problem, how, file):
    X, y, _ = problem
    clf = fit(X, y, learning_rate=0.5)
    further = FURTHER[how](clf.get_booster(), xgb.DMatrix(X, y), plain_params(y))
    further.save_model(file)
    with pytest.raises(ValueError, match="whose trees are no longer those that it trained: see from_booster"):
        FocalXGBClassifier().load_model(file)


@pytest.mark.parametrize("callbacks", [None, []], ids=str)
def test_the_result_of_xgboost_train_is_a_model_before_fit_returns(problem, callbacks, monkeypatch):
    # This is where the loggers of other libraries store it.
    X, y, _ = problem
    files = []

    def watched(*args, **keywords):
        booster = train(*args, **keywords)
        files.append(booster.save_raw())
        return booster

    train = xgb.sklearn.train
    monkeypatch.setattr(xgb.sklearn, "train", watched)
    clf = fit(X, y, callbacks=callbacks)
    assert_same(loaded(files[0]), clf, X)


def test_a_checkpoint_trained_further_by_others_is_no_focal_one(problem, tmp_path):
    X, y, _ = problem
    fit(X, y, callbacks=[xgb.callback.TrainingCheckPoint(tmp_path, interval=3)])
    further = xgb.train(plain_params(y), xgb.DMatrix(X, y), 1, xgb_model=tmp_path / "model_3.ubj")
    with pytest.raises(ValueError, match="whose trees are no longer those that it trained: see from_booster"):
        FocalXGBClassifier().load_model(further.save_raw())


def test_a_focal_model_continued_from_a_plain_one_is_one(problem, file):
    X, y, _ = problem
    plain = xgb.XGBClassifier(n_estimators=3, **ONE).fit(X, y)
    clf = FocalXGBClassifier(n_estimators=3, **ONE).fit(X, y, xgb_model=plain)
    clf.save_model(file)
    assert_same(loaded(file), clf, X)
    with pytest.raises(ValueError, match="which XGBoost trained alone: see from_booster"):
        FocalXGBClassifier().load_model(plain.get_booster().save_raw())


def test_a_refused_file_changes_nothing_and_is_said_in_a_line(problem, file):
    X, y, _ = problem
    clf = fit(X, y, 1.0)
    before, proba = dict(vars(clf)), clf.predict_proba(X)
    good = bytes(clf.get_booster().save_raw("json")).decode()
    plain = xgb.XGBClassifier(n_estimators=3, **ONE).fit(X, y)
    regressor = file.with_name("regressor.json")
    xgb.XGBRegressor(n_estimators=3, **ONE).fit(X, y).save_model(regressor)
    for content, why in [
        (plain.get_booster().save_raw("json"), "which XGBoost trained alone: see from_booster"),
        (regressor.read_bytes(), "which XGBoost can't read: Loading an estimator with different type"),
        (good[: len(good) // 2].encode(), "which XGBoost can't read"),
        (b"x" * 40_000, "which XGBoost can't read"),
        (good.replace(r"\"format\": 1", r"\"format\": 3").encode(), "its format is 3, this version of skfocal reads 1"),
        (good.replace(r"\"gamma\": 1.0", r"\"gamma\": -1").encode(), "its labels and its loss is damaged"),
        (good.replace(r"\"missing\"", r"\"mizzing\"").encode(), "its labels and its loss is damaged"),
        (good.replace(r"\"rounds\": 8", "8").encode(), "whose trees are no longer those that it trained"),
        (
            good.replace(r"\"values\": [0, 1", r"\"values\": [0, 1, 9")
            .replace(r"\"class_weights\": [1.0", r"\"class_weights\": [1.0, 1.0")
            .encode(),
            f"booster must have {y.max() + 2} classes, got {y.max() + 1}",
        ),
    ]:
        for source in (file.with_suffix(".json"), bytearray(content)):
            if not isinstance(source, bytearray):
                source.write_bytes(content)
            with pytest.raises(ValueError, match=r"fname must be a model saved by FocalXGBClassifier\.save_model") as e:
                clf.load_model(source)
            assert why in str(e.value)
            assert len(str(e.value)) < 500
            assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match=r"nowhere\.json.*No such file"):
        clf.load_model(file.with_name("nowhere.json"))
    for source in (bytes(good, "ascii"), 3):
        with pytest.raises(TypeError, match=r"fname must be a path, or a bytearray as of save_raw, got (bytes|int)$"):
            clf.load_model(source)
    assert vars(clf) == before
    assert_array_equal(clf.predict_proba(X), proba)


def test_what_cannot_be_saved_writes_nothing(problem, file):
    X, y, _ = problem
    file.write_text("precious")
    with pytest.raises(Exception, match="not fitted"):
        FocalXGBClassifier().save_model(file)

    class Label(str):
        __slots__ = ()

    clf = fit(X, np.array([Label("b"), Label("c"), Label("a")], object)[y])
    with pytest.raises(ValueError, match=r"labels of a model file must be .* of type Label"):
        clf.save_model(file)
    assert file.read_text() == "precious"
    assert clf.get_booster().attributes() == {}
    continued = fit(X, np.array(["b", "c", "a"])[y])
    clf.fit(X, np.array([Label("b"), Label("c"), Label("a")], object)[y], xgb_model=continued.get_booster())
    assert clf.get_booster().attributes() == {}


@pytest.mark.parametrize("named_objective", [False, True])
def test_a_booster_of_ones_own_becomes_a_classifier(problem, named_objective, file):
    X, y, _ = problem
    K = int(y.max()) + 1
    alpha = [0.5, 1.0, 2.0][:K]
    loss, objective = FocalLoss(1.5, alpha), FocalObjective(1.5, alpha)
    params = {"num_class": K} if K > 2 else {}
    if named_objective:
        params |= plain_params(y) | {"base_score": objective.base_score(y)}
    booster = xgb.train(params | {"nthread": 1}, xgb.DMatrix(X, y), 8, obj=objective)
    labels = ["no", "yes", "maybe"][:K]
    take = FocalXGBClassifier.from_booster
    clf = take(booster, gamma=1.5, alpha=alpha, classes=labels, calibration="full", n_estimators=5, **ONE)
    raw = booster.predict(xgb.DMatrix(X), output_margin=True)
    assert_allclose(clf.decision_function(X), raw, atol=1e-6)
    assert_allclose(clf.predict_proba(X), loss.predict_proba(raw, "full"), atol=1e-6)
    assert clf.classes_.tolist() == labels
    assert booster.attributes() == {}
    assert (clf.focal_gamma, clf.focal_alpha, clf.calibration, clf.n_estimators) == (1.5, alpha, "full", 5)
    clf.save_model(file)
    assert_same(loaded(file), clf, X)
    assert_same(loaded(clf.get_booster().save_raw()), clf, X)
    assert_same(pickle.loads(pickle.dumps(clf)), clf, X)
    assert loaded(file, 1.5, n_estimators=5, **ONE).fit(X, y).score(X, y) > 0.9
    assert clf.fit(X, np.array(labels)[y]).score(X, np.array(labels)[y]) > 0.9


@deprecated
def test_boosters_that_are_no_focal_models_are_refused(problem):
    X, y, _ = problem
    K = int(y.max()) + 1
    focal = fit(X, y)
    take = FocalXGBClassifier.from_booster
    with pytest.raises(TypeError, match=r"booster must be an xgboost\.Booster, got FocalXGBClassifier"):
        take(focal, gamma=1.0)
    with pytest.raises(ValueError, match=f"classes must have {K} labels, one per class of booster, got 4"):
        take(focal.get_booster(), gamma=1.0, classes=list("abcd"))
    with pytest.raises(ValueError, match="focal_gamma must be a number >= 0"):
        take(focal.get_booster(), gamma=-1.0)
    linear = xgb.train({"booster": "gblinear", "nthread": 1}, xgb.DMatrix(X, y > 0), 2)
    with pytest.raises(ValueError, match="booster must be of trees, got one of gblinear"):
        take(linear, gamma=1.0)


def test_docstring_examples():
    result = doctest.testmod(importlib.import_module("skfocal.xgboost._model_file"))
    assert result.attempted > 0
    assert result.failed == 0
