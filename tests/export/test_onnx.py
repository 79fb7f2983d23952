"""to_onnx against predict and predict_proba, run by onnxruntime."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import skfocal
from skfocal import FocalLoss
from skfocal.calibration import FocalTemperature, FocalTemperatureScaling
from skfocal.export import to_onnx
from skfocal.linear_model import FocalLogisticRegression

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("lightgbm", exc_type=ImportError)
pytest.importorskip("xgboost", exc_type=ImportError)

from skl2onnx.common.data_types import (  # noqa: E402
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

FAST = {
    "FocalHistGradientBoostingClassifier": {"max_iter": 10},
    "FocalLGBMClassifier": {"n_estimators": 10, "verbosity": -1, "n_jobs": 1},
    "FocalXGBClassifier": {"n_estimators": 10, "n_jobs": 1},
    "FocalLogisticRegression": {},
    "FocalLogisticRegressionCV": {"Cs": [0.1, 1.0], "cv": 2},
}
each = pytest.mark.parametrize("name", FAST)
each_booster = pytest.mark.parametrize("name", ["FocalLGBMClassifier", "FocalXGBClassifier"])
each_of_trees = pytest.mark.parametrize("name", [name for name in FAST if "Logistic" not in name])


def step_before(name):
    """A transformer; for trees one that moves no value, by however little, across a threshold."""
    return StandardScaler() if "Logistic" in name else SimpleImputer()


def make(name, *args, **kwargs):
    if name.endswith("CV") and args:
        args = [args[0]], *args[1:]  # the candidates for gamma
    return getattr(skfocal, name)(*args, **FAST[name] | kwargs)


@pytest.fixture(scope="module", params=["binary", "multiclass"])
def rows(request):
    """Standardized float32 columns and texts."""
    X, y = (load_breast_cancer if request.param == "binary" else load_wine)(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32), np.array(["b", "c", "a"])[y]


def session(model, **kwargs):
    exported = to_onnx(model, **kwargs)
    return onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])


def run(model, X, **kwargs):
    started = session(model, **kwargs)
    given = X if isinstance(X, dict) else {started.get_inputs()[0].name: X}
    assert [output.name for output in started.get_outputs()] == ["label", "probabilities"]
    return started.run(None, given)


def assert_same(model, X, atol=1e-5, **kwargs):
    labels, proba = run(model, X, **kwargs)
    assert_allclose(proba, model.predict_proba(X), rtol=0, atol=atol)
    assert_array_equal(labels, model.predict(X).astype(labels.dtype))
    return labels, proba


@each
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 10.0, "per class"])
@pytest.mark.parametrize("calibration", ["focus", "full", None])
def test_probabilities_and_labels(name, gamma, calibration, rows):
    X, labels = rows
    if gamma == "per class":
        gamma = [3.0, 0.0, 1.0][: len(np.unique(labels))]
    clf = make(name, gamma, "balanced", calibration=calibration).fit(X, labels)
    predicted, proba = assert_same(clf, X, atol=1e-6)
    assert proba.dtype == np.float32
    assert predicted[0] in ("a", "b", "c")
    # A posterior that is not the softmax, or the test would show nothing.
    if calibration and gamma != 0.0:
        bare = clf.set_params(calibration=None).predict_proba(X)
        assert np.abs(bare - proba).max() > 0.01


@pytest.mark.parametrize("gamma", [0.0, 0.5, 10.0, 100.0])
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize(("tensor", "dtype", "atol"), [(FloatTensorType, "f4", 1e-6), (DoubleTensorType, "f8", 1e-13)])
def test_scores_of_any_size(gamma, K, tensor, dtype, atol):
    # The score of a row is its one value, or its K values.
    n_scores = 1 if K == 2 else K
    clf = FocalLogisticRegression(gamma).fit(np.eye(K), np.arange(K))
    clf.coef_, clf.intercept_, clf.n_features_in_ = np.eye(n_scores), np.zeros(n_scores), n_scores
    values = np.array([0.0, 1e-8, 0.3, -1.0, 5.0, -16.0, 17.0, 36.0, -37.0, 80.0, -700.0, 700.0], dtype)
    X = values[:, np.newaxis] if K == 2 else np.array(np.meshgrid(*[values] * 3)).reshape(3, -1).T.copy()
    _, proba = run(clf, X, initial_types=[("X", tensor([None, n_scores]))])
    expected = FocalLoss(gamma).predict_proba(X.astype(np.float64))
    assert_allclose(proba, expected, rtol=0, atol=atol)
    assert proba.dtype == dtype


@each
@pytest.mark.parametrize(
    "classes",
    [
        [False, True],
        [-(2**40), 2**40],
        [1.0, 3.0],
        np.array([1, 200], np.uint8),
        ["", "zwölf"],
        np.array(["x", "y"], "O"),
    ],
    ids=lambda classes: str(np.asarray(classes).dtype),
)
def test_labels_of_every_kind_that_onnx_has(name, classes):
    X, y = load_breast_cancer(return_X_y=True)
    X = X[::3].astype(np.float32)
    clf = make(name).fit(X, np.asarray(classes)[y[::3]])
    labels, _ = assert_same(clf, X)
    assert labels.dtype == (np.int64 if clf.classes_.dtype.kind in "biuf" else object)


def test_labels_that_onnx_lacks_are_refused():
    X, y = load_wine(return_X_y=True)
    clf = FocalLogisticRegression().fit(X, np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[D]")[y])
    with pytest.raises(ValueError, match=r"model must have labels that are texts.* of dtype datetime64\[D\]"):
        to_onnx(clf)


@each
def test_double_inputs(name, rows):
    X, labels = rows
    X = X.astype(np.float64) + 1e-9  # no float32
    clf = make(name).fit(X, labels)
    types = [("X", DoubleTensorType([None, X.shape[1]]))]
    _, proba = assert_same(clf, X, atol=1e-13 if "Logistic" in name else 1e-6, initial_types=types)
    assert proba.dtype == np.float64


@each
def test_integers_as_inputs(name):
    X, y = load_breast_cancer(return_X_y=True)
    X = (100 * X).astype(np.int64)
    clf = make(name).fit(X, y)
    assert_same(clf, X, initial_types=[("X", Int64TensorType([None, X.shape[1]]))])


@each
@pytest.mark.parametrize("target_opset", [None, 15, 18, {"": 17, "ai.onnx.ml": 3}, {"": 15, "ai.onnx.ml": 1}])
def test_opsets(name, target_opset, rows):
    X, labels = rows
    clf = make(name, 1.5).fit(X, labels)
    assert_same(clf, X, target_opset=target_opset)
    versions = {entry.domain: entry.version for entry in to_onnx(clf, target_opset=target_opset).opset_import}
    if isinstance(target_opset, dict):
        assert all(version <= target_opset[domain] for domain, version in versions.items())


def test_opset_left_out_is_that_of_skl2onnx(rows):
    X, labels = rows
    exported = to_onnx(make("FocalLGBMClassifier").fit(X, labels))
    versions = {entry.domain: entry.version for entry in exported.opset_import}
    assert versions[""] <= skl2onnx.get_latest_tested_opset_version()


def test_a_model_of_several_labels_is_refused(rows):
    X, labels = rows
    Y = np.c_[labels == labels[0], X[:, 0] > np.median(X[:, 0])]
    with pytest.raises(ValueError, match="model must have one label per row for ONNX, got one with 2"):
        to_onnx(make("FocalXGBClassifier").fit(X, Y))


PARAMETERS = [
    ("FocalHistGradientBoostingClassifier", {"early_stopping": True, "learning_rate": 0.5}),
    ("FocalLGBMClassifier", {"boosting_type": "dart", "drop_rate": 0.5}),
    ("FocalLGBMClassifier", {"zero_as_missing": True}),
    ("FocalLGBMClassifier", {"use_missing": False}),
    ("FocalLGBMClassifier", {"boost_from_average": False}),
    ("FocalXGBClassifier", {"booster": "dart", "rate_drop": 0.5}),
    ("FocalXGBClassifier", {"num_parallel_tree": 3, "subsample": 0.5}),
    ("FocalXGBClassifier", {"missing": 0.0}),
    ("FocalXGBClassifier", {"tree_method": "exact", "balanced_bins": False, "gamma": 1.0}),
    ("FocalXGBClassifier", {"base_score": 0.3}),
]


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS, ids=lambda value: str(value))
def test_missing_values_zeros_and_what_parameters_make_of_them(name, parameters, rows):
    X, labels = rows
    rng = np.random.default_rng(0)
    X = np.where(rng.random(X.shape) < 0.2, np.float32(np.nan), np.where(rng.random(X.shape) < 0.2, np.float32(0.0), X))
    if parameters.get("missing") == 0.0:
        X = np.nan_to_num(X)
    clf = make(name, 1.0, **parameters).fit(X, labels)
    assert_same(clf, X)
    if "missing" not in parameters:
        # Missing where training saw none.
        assert_same(clf, np.where(rng.random(X.shape) < 0.2, np.float32(np.nan), X))


@each_booster
def test_early_stopping(name, rows):
    X, labels = rows
    keywords = {"eval_set": [(X[1::2], labels[1::2])]}
    if name == "FocalLGBMClassifier":
        import lightgbm as lgb

        clf = make(name, n_estimators=100, learning_rate=0.5)
        clf.fit(X[::2], labels[::2], callbacks=[lgb.early_stopping(3, verbose=False)], **keywords)
    else:
        clf = make(name, n_estimators=100, learning_rate=0.5, early_stopping_rounds=3)
        clf.fit(X[::2], labels[::2], verbose=False, **keywords)
        assert clf.best_iteration + 1 < clf.get_booster().num_boosted_rounds()
    assert_same(clf, X)


@each_of_trees
def test_nothing_to_split(name):
    X, y = np.zeros((40, 2), np.float32), np.arange(40) % 4 % 3
    assert_same(make(name).fit(X, y), X)
    assert_same(make(name).fit(X, y > 0), X)


@each_booster
@pytest.mark.parametrize("n_categories", [3, 70])
def test_categories(name, n_categories):
    rng = np.random.default_rng(0)
    kinds = rng.integers(n_categories, size=2000)
    y = ((kinds * 7 % n_categories < n_categories / 3) ^ (rng.random(2000) < 0.1)).astype(int)
    X = np.column_stack([rng.normal(size=2000), kinds]).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    if name == "FocalLGBMClassifier":
        clf = make(name, 1.0, min_data_per_group=5, cat_smooth=1.0).fit(X, y, categorical_feature=[1])
        assert "cat_threshold" in clf.booster_.model_to_string()
    else:
        clf = make(name, 1.0, feature_types=["q", "c"], enable_categorical=True, max_cat_to_onehot=4).fit(X, y)
        assert b"categories" in bytes(clf.get_booster().save_raw("json"))
    assert_same(clf, X)
    unseen = X.copy()
    unseen[::2, 1] = n_categories - 1 if name == "FocalXGBClassifier" else n_categories + 40
    assert_same(clf, unseen)


def test_linear_leaves_are_refused(rows):
    X, labels = rows
    clf = make("FocalLGBMClassifier", linear_tree=True).fit(X, labels)
    with pytest.raises(ValueError, match="model must have constant leaves, got linear_tree=True"):
        to_onnx(clf)


def test_a_tree_for_all_classes_is_refused(rows):
    X, labels = rows
    labels = np.where(X[:, 0] > 1, "d", labels)
    clf = make("FocalXGBClassifier", multi_strategy="multi_output_tree").fit(X, labels)
    with pytest.raises(ValueError, match="must have a tree for each class, got multi_strategy='multi_output_tree'"):
        to_onnx(clf)


def test_categories_of_scikit_learns_booster_are_refused():
    X = np.arange(200).reshape(100, 2) % 5
    clf = make("FocalHistGradientBoostingClassifier", categorical_features=[1]).fit(X, X[:, 0] > 2)
    with pytest.raises(ValueError, match="model must have no categorical features, got some"):
        to_onnx(clf)


# Inside other estimators


@each
def test_pipeline_and_search(name, rows):
    X, labels = rows
    assert_same(make_pipeline(step_before(name), make(name)).fit(X, labels), X)
    search = GridSearchCV(make(name), {"focal_alpha": [None, "balanced"]}, cv=2).fit(X, labels)
    assert_same(search, X)


@each
def test_column_transformer(name):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "kind": rng.choice(["u", "v", "w"], 300)}).astype(
        {"x": np.float32}
    )
    y = np.where((frame["x"] > 0) ^ (frame["kind"] == "v"), "yes", "no")
    encode = ColumnTransformer(
        [("x", step_before(name), ["x"]), ("kind", OneHotEncoder(sparse_output=False), ["kind"])]
    )
    model = make_pipeline(encode, make(name, 1.0)).fit(frame, y)
    with pytest.raises(ValueError, match="initial_types must be given for a model with a ColumnTransformer"):
        to_onnx(model)
    types = [("x", FloatTensorType([None, 1])), ("kind", StringTensorType([None, 1]))]
    given = {"x": frame[["x"]].to_numpy(), "kind": frame[["kind"]].to_numpy().astype(object)}
    labels, proba = run(model, given, initial_types=types)
    assert_allclose(proba, model.predict_proba(frame), atol=1e-5)
    assert_array_equal(labels, model.predict(frame))


@each
@pytest.mark.parametrize("voting", ["soft", "hard"])
@pytest.mark.parametrize("weights", [None, [3.0, 1.0, 1.5]])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_voting(name, voting, weights, rows):
    X, labels = rows
    # "full" moves the decisions of probabilities away from those of predict, which a hard vote is of.
    inner = [
        ("a", make(name, 2.0, np.linspace(1, 9, len(np.unique(labels))), calibration="full")),
        ("b", LogisticRegression()),
        ("c", make_pipeline(step_before(name), make(name, [2.0, 0.0, 0.0][: len(np.unique(labels))]))),
    ]
    vote = VotingClassifier(inner, voting=voting, weights=weights).fit(X, labels)
    if voting == "soft":
        assert_same(vote, X)
    else:
        assert_array_equal(run(vote, X)[0], vote.predict(X))


@each
@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize("method", ["auto", "decision_function", "predict"])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_stacking(name, passthrough, method, rows):
    X, labels = rows
    stack = StackingClassifier(
        [("a", make(name)), ("b", make_pipeline(step_before(name), make(name, 1.0)))],
        make(name, 0.5),
        cv=3,
        passthrough=passthrough,
        stack_method=method,
    ).fit(X, labels)
    assert_same(stack, X)


@each
@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibrated(name, method, ensemble, rows):
    if method == "temperature":
        pytest.importorskip("sklearn", minversion="1.8")
    X, labels = rows
    for inner in (make(name), make_pipeline(step_before(name), make(name))):
        assert_same(CalibratedClassifierCV(inner, method=method, cv=3, ensemble=ensemble).fit(X, labels), X)


def test_isotonic_calibration_is_a_line_between_its_points(rows):
    X, labels = rows
    X = X.astype(np.float64)
    calibrated = CalibratedClassifierCV(FocalLogisticRegression(), method="isotonic", cv=3).fit(X, labels)
    X = np.vstack([X[:-1] * t + X[1:] * (1 - t) for t in np.linspace(0, 1, 7)])
    assert_same(calibrated, X, atol=1e-10, initial_types=[("X", DoubleTensorType([None, X.shape[1]]))])


def test_isotonic_calibration_of_one_point_is_a_constant(rows):
    X, labels = rows
    clf = FocalLogisticRegression(C=1e-12).fit(X, labels)
    X_same, some = np.repeat(X[:1], 30, axis=0), np.resize(np.unique(labels), 30)
    calibrated = CalibratedClassifierCV(FrozenEstimator(clf), method="isotonic").fit(X_same, some)
    assert_same(calibrated, X)


@each_of_trees
def test_isotonic_calibration_of_trees(name, rows):
    X, labels = rows
    calibrated = CalibratedClassifierCV(make(name), method="isotonic", cv=3).fit(X, labels)
    # Trees give the same few scores again and again, with the calibration's steps right at them: where a score is
    # another one in its last digit, the step is on the other side. Most are not.
    off = np.abs(run(calibrated, X)[1] - calibrated.predict_proba(X)).max(axis=1)
    assert np.mean(off < 1e-5) > 0.9


@pytest.mark.parametrize(
    "estimator",
    [
        FocalLogisticRegression(),
        LogisticRegression(),
        LinearSVC(),
        make_pipeline(StandardScaler(), FocalLogisticRegression(0.0)),
        make("FocalLGBMClassifier"),
        GaussianNB(),  # probabilities of float32
        RandomForestClassifier(3, random_state=0),  # some are 0
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("ensemble", [True, False])
def test_focal_temperature_scaling(estimator, ensemble, rows):
    X, labels = rows
    scaled = FocalTemperatureScaling(estimator, cv=3, ensemble=ensemble).fit(X, labels)
    assert_same(scaled, X)
    # Numbers that the test would see if they were left out.
    scaled.calibrators_ = [FocalTemperature(0.5 + i, 1.7 * of.temperature) for i, of in enumerate(scaled.calibrators_)]
    assert_same(scaled, X)


@each
def test_focal_temperature_scaling_of_a_fitted_classifier(name, rows):
    X, labels = rows
    for inner in (make(name), make_pipeline(step_before(name), make(name))):
        fitted = inner.fit(X[::2], labels[::2])
        scaled = FocalTemperatureScaling(FrozenEstimator(fitted)).fit(X[1::2], labels[1::2])
        assert_same(scaled, X)
        assert np.abs(scaled.predict_proba(X) - fitted.predict_proba(X)).max() > 1e-3


def test_focal_temperature_scaling_inside_another(rows):
    X, labels = rows
    inner = [("a", FocalTemperatureScaling(FocalLogisticRegression(), cv=3)), ("b", FocalLogisticRegression())]
    assert_same(VotingClassifier(inner, voting="soft").fit(X, labels), X)


def test_calibration_of_others_is_left_to_skl2onnx(rows):
    X, labels = rows
    inner = [("a", CalibratedClassifierCV(LogisticRegression(), cv=3)), ("b", FocalLogisticRegression())]
    vote = VotingClassifier(inner, voting="soft").fit(X, labels)
    assert_same(vote, X)


def test_what_skl2onnx_knows_of_others_stays(rows):
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    X, labels = rows
    before = {kind: get_converter(alias) for kind, alias in sklearn_operator_name_map.items() if not is_ours(kind)}
    session(VotingClassifier([("a", FocalLogisticRegression())], voting="soft").fit(X, labels))
    after = {kind: get_converter(alias) for kind, alias in sklearn_operator_name_map.items() if not is_ours(kind)}
    assert after == before


def is_ours(kind):
    return kind.__module__.startswith("skfocal")


class Subclass(FocalLogisticRegression):
    pass


def test_subclasses_are_converted(rows):
    X, labels = rows
    assert_same(Subclass().fit(X, labels), X)


def test_what_is_not_fitted_is_refused():
    with pytest.raises(Exception, match="not fitted"):
        to_onnx(FocalLogisticRegression())


RUNNER = """
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
labels, proba = session.run(None, {"X": np.load(folder + "/X.npy")})
np.savez(folder + "/out.npz", labels=labels.astype(str), proba=proba)
"""


@each
def test_it_runs_where_skfocal_and_the_boosters_are_not(name, rows, run_without, tmp_path):
    X, labels = rows
    clf = make(name, 1.0).fit(X, labels)
    (tmp_path / "model.onnx").write_bytes(to_onnx(clf).SerializeToString())
    np.save(tmp_path / "X.npy", X)
    run_without(RUNNER, "skl2onnx")
    out = np.load(tmp_path / "out.npz")
    assert_allclose(out["proba"], clf.predict_proba(X), atol=1e-5)
    assert_array_equal(out["labels"], clf.predict(X))
