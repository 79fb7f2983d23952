"""SHAP, skops and MLflow with the estimators."""

import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skfocal
from skfocal.export import SKOPS_TRUSTED

FAST = {
    "FocalHistGradientBoostingClassifier": {"max_iter": 5},
    "FocalLGBMClassifier": {"n_estimators": 5, "verbosity": -1, "n_jobs": 1},
    "FocalLogisticRegression": {},
    "FocalXGBClassifier": {"n_estimators": 5, "n_jobs": 1},
}
LIBRARIES = {"FocalLGBMClassifier": "lightgbm", "FocalXGBClassifier": "xgboost"}
each = pytest.mark.parametrize("name", FAST)


def fitted(name, *args, **kwargs):
    pytest.importorskip(LIBRARIES.get(name, "sklearn"), exc_type=ImportError)
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    labels = np.array(["b", "a"])[y]
    return X, labels, getattr(skfocal, name)(*args, **FAST[name] | kwargs).fit(X, labels)


# SHAP


@pytest.mark.parametrize("name", [name for name in FAST if name != "FocalLogisticRegression"])
def test_shap_values_add_up_to_raw_scores(name):
    shap = pytest.importorskip("shap")
    X, _, clf = fitted(name, 2.0)
    explained = shap.TreeExplainer(clf)(X[:20])
    assert_allclose(
        explained.base_values.ravel() + explained.values.sum(axis=1), clf.decision_function(X[:20]), atol=1e-5
    )


def test_shap_stops_where_it_would_take_scores_for_log_odds():
    shap = pytest.importorskip("shap")
    X, _, clf = fitted("FocalLGBMClassifier", 2.0)
    with pytest.raises(Exception, match="Model does not have a known objective or output type"):
        shap.TreeExplainer(clf, data=X[:50], model_output="probability")


def test_shap_values_of_probabilities_add_up_to_probabilities():
    shap = pytest.importorskip("shap")
    X, _, clf = fitted("FocalLGBMClassifier", 2.0)
    explained = shap.Explainer(clf.predict_proba, X[:50])(X[:3])
    sums = explained.base_values + explained.values.sum(axis=1)
    assert_allclose(sums, clf.predict_proba(X[:3]), atol=1e-6)


# skops


@each
def test_skops_files_need_no_more_than_the_types_listed(name, tmp_path):
    skops = pytest.importorskip("skops.io")
    X, _, clf = fitted(name, [0.5, 2.0], "balanced")
    skops.dump(clf, tmp_path / "model.skops")
    assert set(skops.get_untrusted_types(file=tmp_path / "model.skops")) <= set(SKOPS_TRUSTED)
    loaded = skops.load(tmp_path / "model.skops", trusted=SKOPS_TRUSTED)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.predict(X), clf.predict(X))


# MLflow


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield mlflow
    for library in (mlflow.lightgbm, mlflow.xgboost, mlflow.sklearn):  # each on its own: it was asked for by name
        library.autolog(disable=True)


# MLflow and what it stands on announce changes of their own.
mlflows = pytest.mark.filterwarnings("ignore")


@mlflows
@each
def test_mlflow_logs_and_loads(name, mlflow):
    X, _, clf = fitted(name, 2.0)
    flavor = getattr(mlflow, LIBRARIES.get(name, "sklearn"))
    trusted = {} if name == "FocalXGBClassifier" else {"skops_trusted_types": SKOPS_TRUSTED}
    with mlflow.start_run():
        logged = flavor.log_model(clf, name="model", pip_requirements=[], **trusted)
    loaded = flavor.load_model(logged.model_uri)
    assert type(loaded) is type(clf)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.predict(X), clf.predict(X))
    assert_array_equal(mlflow.pyfunc.load_model(logged.model_uri).predict(X), clf.predict(X))


@mlflows
def test_mlflow_autolog_of_lightgbm_leaves_the_model_where_it_uses_cloudpickle(mlflow, monkeypatch):
    """As on Databricks. Elsewhere MLflow uses skops, with a list of types that cannot be extended."""
    flavor = importlib.import_module("mlflow.lightgbm")
    monkeypatch.setattr(flavor, "_get_default_serialization_format", lambda: "cloudpickle")
    mlflow.lightgbm.autolog()
    with mlflow.start_run() as run:
        X, _, clf = fitted("FocalLGBMClassifier", 2.0)
    assert clf.intercept_ != 0  # so that a model without its start has other probabilities
    (logged,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
    loaded = mlflow.lightgbm.load_model(f"models:/{logged.model_id}")
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.predict(X), clf.predict(X))


@mlflows
def test_mlflow_autolog_of_xgboost_leaves_the_model(mlflow):
    mlflow.xgboost.autolog()
    with mlflow.start_run() as run:
        X, _, clf = fitted("FocalXGBClassifier", 2.0)
    (logged,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
    loaded = mlflow.xgboost.load_model(f"models:/{logged.model_id}")
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.predict(X), clf.predict(X))


@mlflows
@each
def test_mlflow_autolog_of_a_pipeline_leaves_the_model(name, mlflow):
    pytest.importorskip(LIBRARIES.get(name, "sklearn"), exc_type=ImportError)
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), getattr(skfocal, name)(1.5, "balanced", **FAST[name]))
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        model.fit(X, y)
    recorded = mlflow.get_run(run.info.run_id)
    logged = {key.rpartition("__")[2]: value for key, value in recorded.data.params.items() if "__focal_" in key}
    assert logged == {"focal_gamma": "1.5", "focal_alpha": "balanced"}
    loaded = mlflow.sklearn.load_model(f"models:/{recorded.outputs.model_outputs[0].model_id}")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@mlflows
def test_mlflow_autolog_of_scikit_learn_leaves_the_model(mlflow):
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        X, _, clf = fitted("FocalHistGradientBoostingClassifier", 2.0)
    recorded = mlflow.get_run(run.info.run_id)
    assert recorded.data.params["focal_gamma"] == "2.0"
    loaded = mlflow.sklearn.load_model(f"models:/{recorded.outputs.model_outputs[0].model_id}")
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
