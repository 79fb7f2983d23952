"""Model files of FocalLGBMClassifier: what comes back, what plain LightGBM makes of them, what is refused."""

import doctest
import importlib
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.lightgbm import FocalLGBMClassifier, FocalObjective  # noqa: E402

QUIET = {"verbosity": -1, "n_jobs": 1}
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
    return FocalLGBMClassifier(*args, **{"n_estimators": 10, **QUIET, **kwargs}).fit(X, y)


def assert_same(again, clf, X):
    assert_array_equal(again.classes_, clf.classes_, strict=True)
    assert_array_equal(again.decision_function(X), clf.decision_function(X))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(again.predict(X), clf.predict(X), strict=True)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.txt"


@pytest.mark.parametrize(("kind", "calibration"), [*zip(LABELS, ["focus", "full", None] * 3)])
def test_a_file_is_the_whole_model(problem, kind, calibration, file):
    X, y, _ = problem
    labels = LABELS[kind][y]
    if kind == "bool":
        labels = y > 0
    K = len(np.unique(labels))
    gamma, alpha = ([0.5, 2.0, 1.0][:K], "balanced")
    clf = fit(X, labels, gamma, alpha, calibration=calibration, class_weight="balanced")
    assert clf.save_model(file) is clf
    again = FocalLGBMClassifier()
    assert again.load_model(str(file)) is again
    assert_same(again, clf, X)
    assert again.focal_loss_ == clf.focal_loss_
    assert_array_equal(again.class_weights_, clf.class_weights_)
    assert_array_equal(again.intercept_, clf.intercept_)
    assert type(again.intercept_) is type(clf.intercept_)
    assert again.calibration == calibration
    for name in ("n_classes_", "n_features_in_", "n_features_", "n_iter_", "best_iteration_", "feature_name_"):
        assert getattr(again, name) == getattr(clf, name), name
    assert_array_equal(again.feature_importances_, clf.feature_importances_)
    assert repr(again.objective_).startswith("FocalObjective(")
    with pytest.raises(AttributeError, match="X had no column names in fit"):
        again.feature_names_in_  # noqa: B018


def test_a_loaded_model_can_do_what_a_fitted_one_can(problem, file):
    X, y, _ = problem
    clf = fit(X, np.array(["b", "c", "a"])[y], 1.0)
    again = FocalLGBMClassifier(1.0, n_estimators=10, **QUIET).load_model(clf.save_model(file) and file)
    assert_same(pickle.loads(pickle.dumps(again)), clf, X)
    again.save_model(file)
    assert_same(FocalLGBMClassifier().load_model(file), clf, X)
    more = FocalLGBMClassifier(1.0, n_estimators=5, **QUIET).fit(X, np.array(["b", "c", "a"])[y], init_model=again)
    assert more.n_iter_ == 15
    refitted = again.fit(X, np.array(["b", "c", "a"])[y])
    assert_same(refitted, clf, X)
    assert clone(again).get_params() == again.get_params()
    assert again.predict(X[:5], pred_leaf=True).shape[0] == 5


def test_column_names_and_categories_come_back(imbalanced, file):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X, columns=[f"c {i}" for i in range(X.shape[1])])
    frame["kind"] = pd.Categorical(np.where(X[:, 0] > 0.5, "x", "y: é"))
    clf = fit(frame, y)
    again = FocalLGBMClassifier().load_model(clf.save_model(file) and file)
    assert_same(again, clf, frame)
    assert_array_equal(again.feature_names_in_, clf.feature_names_in_)
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(frame.rename(columns={"c 1": "other"}))


def test_the_best_iteration_comes_back(imbalanced, file):
    X, y = imbalanced
    clf = FocalLGBMClassifier(1.0, learning_rate=0.3, **QUIET)
    clf.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], callbacks=[lgb.early_stopping(5, verbose=False)])
    assert 2 < clf.best_iteration_ < 100
    for num_iteration in (None, -1):
        clf.save_model(file, num_iteration)
        again = FocalLGBMClassifier().load_model(file)
        assert again.best_iteration_ == clf.best_iteration_
        assert_same(again, clf, X)
    again = FocalLGBMClassifier().load_model(clf.save_model(file, 2) and file)
    assert again.booster_.current_iteration() == 2
    assert_array_equal(again.decision_function(X), clf.decision_function(X, num_iteration=2))


@pytest.mark.parametrize("parameters", [{"linear_tree": True}, {"boosting_type": "dart"}, {"balanced_bins": False}])
@pytest.mark.parametrize("keywords", [{}, {"init_score": True}])
def test_other_models_come_back(problem, parameters, keywords, file):
    X, y, _ = problem
    if keywords:
        keywords = {"init_score": np.zeros(len(y) if y.max() == 1 else (len(y), 3))}
    clf = FocalLGBMClassifier(1.0, n_estimators=8, **QUIET, **parameters).fit(X, y, **keywords)
    assert_same(FocalLGBMClassifier().load_model(clf.save_model(file) and file), clf, X)


def test_plain_lightgbm_reads_the_file_without_a_word(problem, file, capfd):
    X, y, _ = problem
    clf = fit(X, y, 2.0, "balanced", calibration="full").save_model(file)
    booster = lgb.Booster(model_file=str(file))
    assert_array_equal(booster.predict(X), clf.decision_function(X))
    loss = FocalLoss(clf.focal_loss_.gamma, tuple(clf.class_weights_))
    assert_array_equal(loss.predict_proba(booster.predict(X), "full"), clf.predict_proba(X))
    assert capfd.readouterr() == ("", "")


def test_what_others_save_is_still_the_model(problem, file):
    X, y, _ = problem
    clf = fit(X, np.array(["b", "c", "a"])[y]).save_model(file)
    lgb.Booster(model_file=str(file)).save_model(file)
    assert_same(FocalLGBMClassifier().load_model(file), clf, X)
    # The booster of a classifier has it too, at any way out.
    clf.booster_.save_model(file)
    assert_same(FocalLGBMClassifier().load_model(file), clf, X)
    file.write_text(pickle.loads(pickle.dumps(clf.booster_)).model_to_string(), encoding="utf-8")
    assert_same(FocalLGBMClassifier().load_model(file), clf, X)


def test_calibration_in_the_file_is_the_one_set_last(problem, file):
    X, y, _ = problem
    clf = fit(X, y).set_params(calibration=None).save_model(file)
    assert_same(FocalLGBMClassifier().load_model(file), clf, X)


def test_a_model_trained_further_by_others_is_no_focal_one(problem, file):
    X, y, _ = problem
    clf = fit(X, y).save_model(file)
    params = {"objective": "binary"} if y.max() == 1 else {"objective": "multiclass", "num_class": 3}
    for start in (str(file), clf.booster_, lgb.Booster(model_file=str(file))):
        further = lgb.train({**params, **QUIET}, lgb.Dataset(X, y), 3, init_model=start)
        further.save_model(file.with_suffix(".further"))
        with pytest.raises(ValueError, match="a model that LightGBM trained last: see from_booster"):
            FocalLGBMClassifier().load_model(file.with_suffix(".further"))
    lgb.LGBMClassifier(n_estimators=3, **QUIET).fit(X, y, init_model=clf).booster_.save_model(file)
    with pytest.raises(ValueError, match="a model that LightGBM trained last: see from_booster"):
        FocalLGBMClassifier().load_model(file)


def test_a_refused_file_changes_nothing_and_is_said_in_a_line(problem, file):
    X, y, _ = problem
    clf = fit(X, y, 1.0)
    clf.save_model(file)
    text = file.read_text(encoding="utf-8")
    before, proba = dict(vars(clf)), clf.predict_proba(X)
    plain = lgb.LGBMClassifier(n_estimators=3, **QUIET).fit(X, y).booster_.model_to_string()
    half = text[: len(text) // 2].encode()
    for content, why in [
        (plain.encode(), "which is a model that LightGBM trained last: see from_booster"),
        (half, "which is no model of LightGBM, or cut off"),
        (b"", "which is no model of LightGBM, or cut off"),
        (b"\xff\xfe", "which is no text"),
        (text.replace('"format": 1', '"format": 2').encode(), "its format is 2, this version of skfocal reads 1"),
        (text.replace('"gamma": 1.0', '"gamma": -1').encode(), "its labels and its loss is damaged"),
        (text.replace('"best_iteration"', '"best"').encode(), "its labels and its loss is damaged"),
        (text.replace("num_class=", "num_clazz=").encode(), "Model file doesn't specify the number of classes"),
        (
            text.replace(
                '"classes": {"dtype": "<i8", "values": [0, 1', '"classes": {"dtype": "<i8", "values": [0, 1, 9'
            )
            .replace('"class_weights": [1.0', '"class_weights": [1.0, 1.0')
            .encode(),
            f"booster must have {len(clf.classes_) + 1} trees an iteration",
        ),
    ]:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"filename must be a model saved by FocalLGBMClassifier\.save_model") as e:
            clf.load_model(file)
        assert why in str(e.value)
        assert len(str(e.value)) < 500
        assert "\n" not in str(e.value)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        clf.load_model(file.with_name("nowhere"))
    with pytest.raises(TypeError, match=r"got int|not int"):
        clf.load_model(3)
    assert vars(clf) == before
    assert_array_equal(clf.predict_proba(X), proba)


def test_what_cannot_be_saved_writes_nothing(problem, file):
    X, y, _ = problem
    file.write_text("precious")
    with pytest.raises(Exception, match="not fitted"):
        FocalLGBMClassifier().save_model(file)

    class Label(str):
        __slots__ = ()

    labels = np.array([Label("b"), Label("c"), Label("a")], object)[y]
    clf = fit(X, labels)
    with pytest.raises(ValueError, match=r"labels of a model file must be .* of type Label"):
        clf.save_model(file)
    assert file.read_text() == "precious"
    assert "skfocal" not in clf.booster_.model_to_string()


@pytest.mark.parametrize("with_start", [False, True])
def test_a_booster_of_ones_own_becomes_a_classifier(problem, with_start, file):
    X, y, _ = problem
    K = int(y.max()) + 1
    loss = FocalLoss(1.5, [0.5, 1.0, 2.0][:K])
    start = loss.fit_intercept_only(y) if with_start else None
    init = None if start is None else np.full(len(y), start) if K == 2 else np.tile(start, (len(y), 1)).ravel("F")
    params = {"objective": FocalObjective(1.5, [0.5, 1.0, 2.0][:K]), "num_class": 1 if K == 2 else K, **QUIET}
    booster = lgb.train(params, lgb.Dataset(X, y, init_score=init), 12)
    text = booster.model_to_string()
    labels = ["no", "yes", "maybe"][:K]
    clf = FocalLGBMClassifier.from_booster(
        booster, gamma=1.5, alpha=[0.5, 1.0, 2.0][:K], classes=labels, start=start, calibration="full", n_jobs=1
    )
    raw = booster.predict(X, raw_score=True) + (0.0 if start is None else start)
    assert_allclose(clf.decision_function(X), raw, atol=1e-12)
    assert_allclose(clf.predict_proba(X), loss.predict_proba(raw, "full"), atol=1e-12)
    assert clf.classes_.tolist() == labels
    assert booster.model_to_string() == text
    assert (clf.focal_gamma, clf.calibration, clf.n_jobs) == (1.5, "full", 1)
    again = FocalLGBMClassifier().load_model(clf.save_model(file) and file)
    assert_same(again, clf, X)
    clf.booster_.save_model(file)
    assert_same(FocalLGBMClassifier().load_model(file), clf, X)
    assert clf.fit(X, np.array(labels)[y]).score(X, np.array(labels)[y]) > 0.9


def test_names_and_best_iteration_of_a_booster_of_ones_own(imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    X = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    train = lgb.Dataset(X[::2], y[::2])
    valid = lgb.Dataset(X[1::2], y[1::2], reference=train)
    params = {"objective": FocalObjective(1.0), **QUIET, "metric": "auc", "learning_rate": 0.5}
    stop = [lgb.early_stopping(3, verbose=False)]
    booster = lgb.train(params, train, 50, valid_sets=[valid], callbacks=stop, keep_training_booster=True)
    clf = FocalLGBMClassifier.from_booster(booster, gamma=1.0)
    assert clf.best_iteration_ == booster.best_iteration < booster.current_iteration()
    assert_array_equal(clf.predict(X, raw_score=True), booster.predict(X, raw_score=True))
    assert clf.feature_names_in_.tolist() == [f"c{i}" for i in range(X.shape[1])]
    assert clf.classes_.tolist() == [0, 1]


def test_boosters_that_are_no_focal_models_are_refused(problem):
    X, y, _ = problem
    K = int(y.max()) + 1
    focal = fit(X, y).booster_
    plain = lgb.LGBMClassifier(n_estimators=3, **QUIET).fit(X, y)
    take = FocalLGBMClassifier.from_booster
    with pytest.raises(
        ValueError, match=r"got one of LightGBM's objective '(binary sigmoid:1|multiclass num_class:3)'"
    ):
        take(plain.booster_, gamma=1.0)
    with pytest.raises(TypeError, match=r"booster must be a lightgbm.Booster, got LGBMClassifier"):
        take(plain, gamma=1.0)
    with pytest.raises(ValueError, match=f"classes must have {K} labels, one per class of booster, got 4"):
        take(focal, gamma=1.0, classes=list("abcd"))
    with pytest.raises(ValueError, match="focal_gamma must be a number >= 0"):
        take(focal, gamma=-1.0)
    for start in (np.inf, [1.0, 2.0, 3.0, 4.0], [[0.0]]):
        with pytest.raises(ValueError, match=r"start must be .* finite number"):
            take(focal, gamma=1.0, start=start)
    with pytest.raises(TypeError, match=r"start must be .* got 'x'"):
        take(focal, gamma=1.0, start="x")
    empty = lgb.Booster({**QUIET, "objective": "none"}, lgb.Dataset(X, y))
    with pytest.raises(ValueError, match="booster must have at least one tree, got 0"):
        take(empty, gamma=1.0)


def test_docstring_examples():
    result = doctest.testmod(importlib.import_module("skfocal.lightgbm._model_file"))
    assert result.attempted > 0
    assert result.failed == 0
