"""to_pmml against predict and predict_proba, run by jpmml-evaluator."""

import os
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skfocal
from skfocal import FocalLoss
from skfocal.export import _pmml_document, to_pmml
from skfocal.linear_model import FocalLogisticRegression

pd = pytest.importorskip("pandas")
jpmml_evaluator = pytest.importorskip("jpmml_evaluator")
pytest.importorskip("lightgbm", exc_type=ImportError)
pytest.importorskip("xgboost", exc_type=ImportError)
pytestmark = pytest.mark.skipif(
    shutil.which("java") is None, reason="jpmml-evaluator and sklearn2pmml are programs in Java, which is not installed"
)

FAST = {
    "FocalHistGradientBoostingClassifier": {"max_iter": 8},
    "FocalLGBMClassifier": {"n_estimators": 8, "verbosity": -1, "n_jobs": 1},
    "FocalLogisticRegression": {},
    "FocalXGBClassifier": {"n_estimators": 8, "n_jobs": 1},
}
each = pytest.mark.parametrize("name", FAST)
each_of_trees = pytest.mark.parametrize("name", [name for name in FAST if name != "FocalLogisticRegression"])


def make(name, *args, **kwargs):
    return getattr(skfocal, name)(*args, **FAST[name] | kwargs)


def tolerance(model):
    """XGBoost sums in float32."""
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return 1e-6 if "XGB" in type(model).__name__ else 1e-12


@pytest.fixture(scope="module", params=["binary", "multiclass"])
def rows(request):
    X, y = (load_breast_cancer if request.param == "binary" else load_wine)(return_X_y=True)
    return StandardScaler().fit_transform(X), np.array(["b", "c", "a"])[y]


@pytest.fixture
def run(tmp_path):
    """Labels and probabilities by the file of a model, as the evaluator gives them."""

    def run(model, X, **kwargs):
        path = tmp_path / "model.pmml"
        to_pmml(model, path, **kwargs)
        evaluator = jpmml_evaluator.make_evaluator(str(path)).verify()
        if not hasattr(X, "columns"):
            X = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        out = evaluator.evaluateAll(X)
        names = [f"probability({text_of(label)})" for label in model.classes_]
        assert out.columns.tolist() == [kwargs.get("target_name", "y"), *names]
        return out.iloc[:, 0].to_numpy(), out[names].to_numpy(dtype=np.float64)

    return run


def text_of(label):
    return str(label).lower() if isinstance(label, (bool, np.bool_)) else str(label)


@pytest.fixture
def assert_same(run):
    def assert_same(model, X, **kwargs):
        labels, proba = run(model, X, **kwargs)
        assert_allclose(proba, model.predict_proba(X), rtol=0, atol=tolerance(model))
        assert_array_equal(labels, model.predict(X))

    return assert_same


# Estimators alone


@each
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 10.0, "per class"])
@pytest.mark.parametrize("calibration", ["focus", "full", None])
def test_probabilities_and_labels(name, gamma, calibration, rows, assert_same):
    X, labels = rows
    if gamma == "per class":
        gamma = [3.0, 0.0, 1.0][: len(np.unique(labels))]
    clf = make(name, gamma, "balanced", calibration=calibration).fit(X, labels)
    assert_same(clf, X)
    # A posterior that is not the softmax, or the test would show nothing.
    if calibration and gamma != 0.0:
        proba = clf.predict_proba(X)
        assert np.abs(clf.set_params(calibration=None).predict_proba(X) - proba).max() > 0.01


@pytest.mark.parametrize("gamma", [0.0, 0.5, 10.0, 100.0])
@pytest.mark.parametrize("K", [2, 3])
def test_scores_of_any_size(gamma, K, run):
    # The score of a row is its one value, or its K values.
    n_scores = 1 if K == 2 else K
    clf = FocalLogisticRegression(gamma).fit(np.eye(K), np.arange(K))
    clf.coef_, clf.intercept_, clf.n_features_in_ = np.eye(n_scores), np.zeros(n_scores), n_scores
    values = np.array([0.0, 1e-8, 0.3, -1.0, 5.0, -16.0, 17.0, 36.0, -37.0, 80.0, -700.0, 700.0])
    X = values[:, np.newaxis] if K == 2 else np.array(np.meshgrid(*[values] * 3)).reshape(3, -1).T.copy()
    _, proba = run(clf, X)
    assert_allclose(proba, FocalLoss(gamma).predict_proba(X), rtol=0, atol=1e-13)
    assert proba.max() == 1.0


@pytest.mark.parametrize(
    ("classes", "of_file"),
    [
        ([False, True], [False, True]),
        ([-(2**30), 2**30], [-(2**30), 2**30]),
        ([1.0, 3.0], [1.0, 3.0]),
        (np.array([1, 200], np.uint8), [1, 200]),
        (["", "zwölf <&>"], ["", "zwölf <&>"]),
        (np.array(["x", "y"], "O"), ["x", "y"]),
    ],
    ids=lambda classes: str(np.asarray(classes).dtype),
)
def test_labels_of_every_kind_that_pmml_has(classes, of_file, run):
    X, y = load_breast_cancer(return_X_y=True)
    clf = make("FocalLGBMClassifier").fit(X, np.asarray(classes)[y])
    labels, _ = run(clf, X)
    assert labels.tolist() == [of_file[k] for k in np.searchsorted(clf.classes_, clf.predict(X))]
    assert type(labels.tolist()[0]) is type(of_file[0])


PARAMETERS = [
    ("FocalHistGradientBoostingClassifier", {"early_stopping": True, "learning_rate": 0.5}),
    ("FocalLGBMClassifier", {"boosting_type": "dart", "drop_rate": 0.5}),
    ("FocalLGBMClassifier", {"zero_as_missing": True}),
    ("FocalLGBMClassifier", {"use_missing": False}),
    ("FocalXGBClassifier", {"booster": "dart", "rate_drop": 0.5}),
    ("FocalXGBClassifier", {"num_parallel_tree": 3, "subsample": 0.5}),
    ("FocalXGBClassifier", {"missing": 0.0}),
    ("FocalXGBClassifier", {"base_score": 0.3}),
]


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS, ids=lambda value: str(value))
def test_missing_values_zeros_and_what_parameters_make_of_them(name, parameters, rows, assert_same):
    X, labels = rows
    rng = np.random.default_rng(0)
    some = rng.random(X.shape) < 0.2
    X = np.where(some, np.nan, np.where(rng.random(X.shape) < 0.2, 0.0, X))
    if parameters.get("missing") == 0.0:
        X = np.nan_to_num(X)
    clf = make(name, 1.0, **parameters).fit(X, labels)
    assert_same(clf, X)
    if "missing" not in parameters:
        assert_same(make(name, 1.0, **parameters).fit(np.nan_to_num(X), labels), X)  # training saw none


def test_only_missing_or_not_matters(assert_same):
    X = np.where(np.arange(400) % 3, np.nan, 1.0)[:, np.newaxis]
    clf = make("FocalHistGradientBoostingClassifier").fit(X, np.isnan(X[:, 0]) ^ (np.arange(400) % 10 == 0))
    assert np.inf in [node["num_threshold"] for (trees,) in clf._predictors for node in trees.nodes]
    assert_same(clf, X)


@each_of_trees
def test_nothing_to_split(name, assert_same):
    X, y = np.zeros((40, 2)), np.arange(40) % 4 % 3
    assert_same(make(name).fit(X, y), X)
    assert_same(make(name).fit(X, np.where(y > 0, "more", "none")), X)


@pytest.mark.parametrize("name", ["FocalLGBMClassifier", "FocalXGBClassifier"])
@pytest.mark.parametrize("n_categories", [3, 70])
def test_categories(name, n_categories, assert_same):
    rng = np.random.default_rng(0)
    kinds = rng.integers(n_categories, size=2000)
    y = ((kinds * 7 % n_categories < n_categories / 3) ^ (rng.random(2000) < 0.1)).astype(int)
    X = np.column_stack([rng.normal(size=2000), kinds])
    X[rng.random(X.shape) < 0.1] = np.nan
    if name == "FocalLGBMClassifier":
        clf = make(name, 1.0, min_data_per_group=5, cat_smooth=1.0).fit(X, y, categorical_feature=[1])
        assert "cat_threshold" in clf.booster_.model_to_string()
    else:
        clf = make(name, 1.0, feature_types=["q", "c"], enable_categorical=True, max_cat_to_onehot=4).fit(X, y)
        assert b"categories" in bytes(clf.get_booster().save_raw("json"))
    assert_same(clf, X)
    X[::2, 1] = n_categories - 1 if name == "FocalXGBClassifier" else n_categories + 40
    assert_same(clf, X)


def test_early_stopping(rows, assert_same):
    X, labels = rows
    clf = make("FocalXGBClassifier", n_estimators=100, learning_rate=0.5, early_stopping_rounds=3)
    clf.fit(X[::2], labels[::2], verbose=False, eval_set=[(X[1::2], labels[1::2])])
    assert clf.best_iteration + 1 < clf.get_booster().num_boosted_rounds()
    assert_same(clf, X)


def test_names_of_inputs_and_of_the_target(rows, run, assert_same):
    X, labels = rows
    # The first two are names of fields in the file, too.
    frame = pd.DataFrame(X[:, :4], columns=["decision", "p(a)", "a b", "<&>"])
    clf = FocalLogisticRegression().fit(frame, labels)
    assert_same(clf, frame, target_name="kind of it")
    _, proba = run(FocalLogisticRegression().fit(X[:, :4], labels), frame, input_names=list(frame.columns))
    assert_allclose(proba, clf.predict_proba(frame), atol=1e-12)


@each
def test_the_file_offers_no_other_probability(name, rows, tmp_path):
    X, labels = rows
    to_pmml(make(name).fit(X, labels), tmp_path / "model.pmml")
    root = ET.parse(tmp_path / "model.pmml").getroot()
    features = [field.get("feature") for field in root.findall(".//{*}OutputField") if "prob" in field.get("name")]
    assert features == ["transformedValue"] * len(np.unique(labels))
    assert not root.findall(".//*[@normalizationMethod]")
    assert root.findall(".//{*}Node")
    assert not root.findall(".//{*}ScoreDistribution")


# In a pipeline: sklearn2pmml


@pytest.fixture(scope="session")
def converted():
    """Its answers, since one takes seconds."""
    return {}


@pytest.fixture
def sklearn2pmml(monkeypatch, converted):
    pytest.importorskip("sklearn2pmml")
    convert = _pmml_document._converted

    def once(model, *args):
        key = (str(model), *map(str, args))
        if key not in converted:
            converted[key] = convert(model, *args)
        return converted[key]

    monkeypatch.setattr(_pmml_document, "_converted", once)


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": rng.normal(size=300), "w": rng.normal(size=300), "kind": rng.choice(["u", "v", "w"], 300)}
    )
    frame.loc[::7, "w"] = np.nan
    y = np.where((frame["x"] > 0) ^ (frame["kind"] == "v"), "yes", "no")
    return frame, y


@each
@pytest.mark.usefixtures("sklearn2pmml")
def test_column_transformer(name, assert_same):
    frame, y = table()
    encode = ColumnTransformer(
        [
            ("scaled", StandardScaler(), ["x"]),
            ("kind", OneHotEncoder(sparse_output=False), ["kind"]),
            ("filled", make_pipeline(SimpleImputer(), StandardScaler(with_mean=False)), ["w"]),
        ]
    )
    assert_same(make_pipeline(encode, make_pipeline(make(name, 1.0))).fit(frame, y), frame)


@pytest.mark.usefixtures("sklearn2pmml")
def test_pipeline_leaves_missing_values_to_the_trees(assert_same):
    frame, y = table()
    for name in ("FocalLGBMClassifier", "FocalXGBClassifier", "FocalHistGradientBoostingClassifier"):
        missing = {"missing": 0.0} if "XGB" in name else {}
        frame.loc[::5, "x"] = 0.0
        clf = make(name, 1.0, min_child_samples=2) if "LGBM" in name else make(name, 1.0, **missing)
        scaler = ColumnTransformer([("scaled", StandardScaler(with_mean=False), ["x", "w"])])
        assert_same(make_pipeline(scaler, clf).fit(frame, y), frame)


@pytest.mark.usefixtures("sklearn2pmml")
@pytest.mark.parametrize("in_training", [True, False])
def test_missing_categories(in_training, assert_same):
    """In training they are a category of their own; otherwise the encoder ignores them, and the trees get zeros."""
    frame, y = table()
    known = frame.copy()
    frame.loc[::11, "kind"] = np.nan
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="error" if in_training else "ignore")
    encode = ColumnTransformer([("kind", encoder, ["kind"]), ("scaled", StandardScaler(), ["x", "w"])])
    model = make_pipeline(encode, make("FocalLGBMClassifier", 1.0)).fit(frame if in_training else known, y)
    assert_same(model, frame)


def test_steps_that_do_nothing_need_no_converter(rows, assert_same, monkeypatch):
    monkeypatch.setattr(_pmml_document, "find_spec", lambda name: None)
    X, labels = rows
    assert_same(make_pipeline("passthrough", FocalLogisticRegression()).fit(X, labels), X)


def test_what_the_converter_refuses_is_an_error_with_its_words(tmp_path):
    pytest.importorskip("sklearn2pmml")
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(Nystroem(n_components=2), FocalLogisticRegression()).fit(X, y)
    environment = dict(os.environ)
    with pytest.raises(RuntimeError, match=r"could not convert the steps before the classifier: .*Nystroem"):
        to_pmml(model, tmp_path / "model.pmml")
    assert not list(tmp_path.iterdir())
    assert dict(os.environ) == environment


def test_a_model_of_several_labels_is_refused(rows, tmp_path):
    X, labels = rows
    Y = np.c_[labels == labels[0], X[:, 0] > np.median(X[:, 0])]
    with pytest.raises(ValueError, match="model must have one label per row for PMML, got one with 2"):
        to_pmml(make("FocalXGBClassifier").fit(X, Y), tmp_path / "model.pmml")
    assert not list(tmp_path.iterdir())


COLUMNS = """
<RegressionModel><RegressionTable intercept="0.0">{first}</RegressionTable>
<RegressionTable intercept="{intercept}">{second}</RegressionTable><RegressionTable intercept="0.0"/></RegressionModel>
"""


def test_columns_are_told_by_the_coefficients():
    first = '<NumericPredictor name="b" coefficient="0.1"/><NumericPredictor name="a" coefficient="1.0"/>'
    second = '<NumericPredictor name="b" coefficient="0.2"/><NumericPredictor name="a" coefficient="1.0"/>'
    probe = ET.fromstring(COLUMNS.format(first=first, second=second, intercept="0.0"))
    a, b = _pmml_document._columns(probe, 2)
    assert a.attrib == {"field": "a"}
    assert (b.get("function"), b[0].get("field"), b[1].text) == ("*", "b", "0.1")
    for n_columns, intercept in ((3, "0.0"), (2, "0.5")):  # a column that is nowhere; a shift that was moved
        probe = ET.fromstring(COLUMNS.format(first=first, second=second, intercept=intercept))
        with pytest.raises(RuntimeError, match="in a form that is not known here"):
            _pmml_document._columns(probe, n_columns)
    term = '<PredictorTerm coefficient="1.0"><FieldRef field="a"/><FieldRef field="b"/></PredictorTerm>'
    with pytest.raises(RuntimeError, match="in a form that is not known here"):
        _pmml_document._columns(ET.fromstring(COLUMNS.format(first=term, second=term, intercept="0.0")), 1)


# Elsewhere

RUNNER = """
import jpmml_evaluator
import pandas as pd

evaluator = jpmml_evaluator.make_evaluator(folder + "/model.pmml")
evaluator.evaluateAll(pd.read_csv(folder + "/X.csv")).to_csv(folder + "/out.csv", index=False)
"""


@each
def test_it_runs_where_skfocal_and_the_boosters_are_not(name, run_without, tmp_path):
    X, y = load_wine(return_X_y=True)
    clf = make(name, 1.0).fit(X, np.array(["b", "c", "a"])[y])
    to_pmml(clf, tmp_path / "model.pmml")
    pd.DataFrame(X, columns=[f"x{i}" for i in range(13)]).to_csv(tmp_path / "X.csv", index=False)
    run_without(RUNNER, "sklearn2pmml")
    out = pd.read_csv(tmp_path / "out.csv")
    assert_allclose(out[["probability(a)", "probability(b)", "probability(c)"]], clf.predict_proba(X), atol=1e-5)
    assert_array_equal(out["y"], clf.predict(X))
