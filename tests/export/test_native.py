"""with_native_objective: the parents' classes, their probabilities, and the tools that ask for them."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import skfocal
from skfocal.export import with_native_objective

FAST = {
    "FocalHistGradientBoostingClassifier": {"max_iter": 8},
    "FocalLGBMClassifier": {"n_estimators": 8, "verbosity": -1, "n_jobs": 1},
    "FocalLogisticRegression": {},
    "FocalLogisticRegressionCV": {"Cs": [0.1, 1.0], "cv": 2, "scoring": "accuracy"},
    "FocalXGBClassifier": {"n_estimators": 8, "n_jobs": 1},
}
PARENTS = {
    "FocalHistGradientBoostingClassifier": ("sklearn.ensemble", "HistGradientBoostingClassifier"),
    "FocalLGBMClassifier": ("lightgbm", "LGBMClassifier"),
    "FocalLogisticRegression": ("sklearn.linear_model", "LogisticRegression"),
    "FocalLogisticRegressionCV": ("sklearn.linear_model", "LogisticRegression"),
    "FocalXGBClassifier": ("xgboost", "XGBClassifier"),
}
# LightGBM before 4.7 makes up names for the columns of an array, and misses them at predict.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier")
each = pytest.mark.parametrize("name", FAST)


def parent_of(name):
    module, parent = PARENTS[name]
    return getattr(pytest.importorskip(module, exc_type=ImportError), parent)


def make(name, *args, **kwargs):
    parent_of(name)
    if name.endswith("CV") and args:
        args = [args[0]], *args[1:]  # the candidates for gamma
    return getattr(skfocal, name)(*args, **FAST[name] | kwargs)


@pytest.fixture(scope="module", params=["binary", "multiclass"])
def rows(request):
    X, y = (load_breast_cancer if request.param == "binary" else load_wine)(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32), np.array(["b", "c", "a"])[y]


def raw_of(model, X):
    """Raw scores by the parent's own means."""
    if hasattr(model, "decision_function"):
        return model.decision_function(X)
    name = "raw_score" if "LGBM" in type(model).__name__ else "output_margin"
    return model.predict(X, **{name: True})


@each
def test_it_is_the_parents_own_with_the_bare_link(name, rows):
    X, labels = rows
    clf = make(name, 2.0, "balanced").fit(X, labels)
    expected = clf.predict_proba(X)
    native = with_native_objective(clf)
    assert type(native) is parent_of(name)
    assert_allclose(raw_of(native, X), clf.decision_function(X), atol=1e-6)
    assert_array_equal(clf.predict_proba(X), expected)
    bare = clf.set_params(calibration=None).predict_proba(X)
    assert_allclose(native.predict_proba(X), bare, atol=1e-6)
    assert np.abs(bare - expected).max() > 0.05
    decided = native.predict(X)
    assert_array_equal(clf.classes_[decided] if name == "FocalXGBClassifier" else decided, clf.predict(X))
    assert native.n_features_in_ == X.shape[1]


@each
def test_it_can_be_fitted_as_a_parent(name, rows):
    X, labels = rows
    indices = np.unique(labels, return_inverse=True)[1]
    native = with_native_objective(make(name).fit(X, labels))
    assert native.fit(X, indices).score(X, indices) > 0.9


@each
def test_column_names_stay(name):
    pd = pytest.importorskip("pandas")
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    assert isinstance(X, pd.DataFrame)
    X = X.iloc[:, :5].set_axis(list("vwxyz"), axis=1)
    clf = make(name).fit(X, y)
    native = with_native_objective(clf)
    assert_array_equal(native.feature_names_in_, clf.feature_names_in_)
    assert_allclose(raw_of(native, X), clf.decision_function(X), atol=1e-6)


def test_what_has_no_parent_is_refused():
    X, y = load_wine(return_X_y=True)
    with pytest.raises(TypeError, match="model must be a focal classifier, got LogisticRegression"):
        with_native_objective(LogisticRegression().fit(X > 1, y))
    with pytest.raises(Exception, match="not fitted"):
        with_native_objective(skfocal.FocalLogisticRegression())


def test_the_file_of_lightgbm_says_its_objective(rows, tmp_path):
    X, labels = rows
    K = len(np.unique(labels))
    clf = make("FocalLGBMClassifier").fit(X, labels)
    text = with_native_objective(clf).booster_.model_to_string()
    line = "objective=binary sigmoid:1" if K == 2 else f"objective=multiclass num_class:{K}"
    assert re.findall("^objective=.*$", text, flags=re.MULTILINE) == [line]
    assert "skfocal" not in text
    # Ours does not: a Booster that read the line would give probabilities for raw scores.
    assert not re.findall("^objective=.*$", clf.booster_.model_to_string(), flags=re.MULTILINE)
    with pytest.raises(ValueError, match="one of LightGBM's objective"):
        type(clf).from_booster(with_native_objective(clf).booster_, gamma=2.0)


def test_trees_of_the_best_iteration(rows):
    X, labels = rows
    xgb = pytest.importorskip("xgboost", exc_type=ImportError)
    clf = skfocal.FocalXGBClassifier(n_estimators=60, learning_rate=0.5, early_stopping_rounds=3, n_jobs=1)
    clf.fit(X[::2], labels[::2], eval_set=[(X[1::2], labels[1::2])], verbose=False)
    native = with_native_objective(clf)
    assert_allclose(native.predict(X, output_margin=True), clf.decision_function(X), atol=1e-6)
    assert isinstance(native, xgb.XGBClassifier)


# Tools that look for a class or for the name of an objective


@pytest.mark.parametrize("name", [name for name in FAST if "Logistic" not in name])
def test_treelite(name, rows):
    treelite = pytest.importorskip("treelite")
    X, labels = rows
    clf = make(name, 2.0).fit(X, labels)
    native = with_native_objective(clf)
    if name == "FocalLGBMClassifier":
        model = treelite.frontend.from_lightgbm(native.booster_)
    elif name == "FocalXGBClassifier":
        model = treelite.frontend.from_xgboost(native.get_booster())
    else:
        model = treelite.sklearn.import_model(native)
    scores = treelite.gtil.predict(model, X, pred_margin=True).reshape(clf.decision_function(X).shape)
    assert_allclose(scores, clf.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("name", ["FocalLGBMClassifier", "FocalLogisticRegression"])
def test_m2cgen(name, rows):
    m2cgen = pytest.importorskip("m2cgen")
    X, labels = rows
    X = X.astype(np.float64)
    clf = make(name, 2.0).fit(X, labels)
    native, code = with_native_objective(clf), {}
    exec(m2cgen.export_to_python(native), code)
    expected = clf.decision_function(X) if name == "FocalLogisticRegression" else native.predict_proba(X)
    assert_allclose([code["score"](row) for row in X[:50]], expected[:50], atol=1e-12)


def test_hummingbird(rows):
    hummingbird = pytest.importorskip("hummingbird.ml")
    X, labels = rows
    clf = make("FocalLGBMClassifier", 2.0).fit(X, labels)
    converted = hummingbird.convert(with_native_objective(clf), "torch")
    assert_allclose(converted.predict_proba(X), clf.set_params(calibration=None).predict_proba(X), atol=1e-5)
