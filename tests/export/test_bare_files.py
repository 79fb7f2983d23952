"""Predictions of other tools from the file of a focal model, and from ``with_native_objective``.

They are the table of the page "Save, load, deploy". The raw scores of all tools are correct. The probabilities of a
tool are the bare sigmoid, which is not predict_proba, or the tool has no probabilities.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer

import skfocal
from skfocal.export import with_native_objective

# What some tools and the libraries under them announce of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def fitted(name, library):
    pytest.importorskip(library, exc_type=ImportError)
    X, y = load_breast_cancer(return_X_y=True)
    X = X.astype(np.float32)
    quiet = {"verbosity": -1} if library == "lightgbm" else {}
    return X, getattr(skfocal, name)(2.0, n_estimators=5, n_jobs=1, **quiet).fit(X, y)


@pytest.fixture(scope="module")
def lightgbm():
    return fitted("FocalLGBMClassifier", "lightgbm")


@pytest.fixture(scope="module")
def xgboost():
    return fitted("FocalXGBClassifier", "xgboost")


def assert_bare(proba, clf, X):
    scores = clf.decision_function(X)
    assert_allclose(proba, 1 / (1 + np.exp(-scores)), atol=1e-5)
    assert np.abs(proba - clf.predict_proba(X)[:, 1]).max() > 0.05


def test_plain_xgboost_opens_the_file(xgboost, tmp_path):
    import xgboost as xgb

    X, clf = xgboost
    clf.save_model(tmp_path / "model.json")
    booster = xgb.Booster(model_file=tmp_path / "model.json")
    assert_allclose(booster.predict(xgb.DMatrix(X), output_margin=True), clf.decision_function(X), atol=1e-6)
    assert_bare(booster.predict(xgb.DMatrix(X)), clf, X)


def test_plain_lightgbm_opens_the_file(lightgbm, tmp_path):
    import lightgbm as lgb

    X, clf = lightgbm
    clf.save_model(tmp_path / "model.txt")
    assert_allclose(lgb.Booster(model_file=tmp_path / "model.txt").predict(X), clf.decision_function(X), atol=1e-12)


def test_treelite_opens_both_files(lightgbm, xgboost, tmp_path):
    treelite = pytest.importorskip("treelite")
    X, clf = xgboost
    clf.save_model(tmp_path / "model.json")
    model = treelite.frontend.load_xgboost_model(tmp_path / "model.json")
    assert_bare(treelite.gtil.predict(model, X).ravel(), clf, X)
    assert_allclose(treelite.gtil.predict(model, X, pred_margin=True).ravel(), clf.decision_function(X), atol=1e-5)
    X, clf = lightgbm
    with_native_objective(clf).booster_.save_model(tmp_path / "model.txt")
    model = treelite.frontend.load_lightgbm_model(tmp_path / "model.txt")
    assert_bare(treelite.gtil.predict(model, X).ravel(), clf, X)


def test_mlflow_of_the_bare_booster(xgboost, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    import xgboost as xgb

    X, clf = xgboost
    mlflow.xgboost.save_model(clf.get_booster(), tmp_path / "model", pip_requirements=[])
    assert_bare(mlflow.xgboost.load_model(str(tmp_path / "model")).predict(xgb.DMatrix(X)), clf, X)


def proba_by_onnx(onnx_model, X):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])
    proba = session.run(None, {session.get_inputs()[0].name: X})[1]
    return np.array([row[1] for row in proba])


def test_onnxmltools_of_xgboost(xgboost):
    onnxmltools = pytest.importorskip("onnxmltools")
    from onnxmltools.convert.common.data_types import FloatTensorType

    X, clf = xgboost
    kind = [("X", FloatTensorType([None, X.shape[1]]))]
    native = with_native_objective(clf)
    assert_bare(proba_by_onnx(onnxmltools.convert_xgboost(native, initial_types=kind), X), clf, X)


def test_onnxmltools_of_lightgbm(lightgbm):
    onnxmltools = pytest.importorskip("onnxmltools")
    from onnxmltools.convert.common.data_types import FloatTensorType

    X, clf = lightgbm
    kind = [("X", FloatTensorType([None, X.shape[1]]))]
    native = with_native_objective(clf)
    assert_bare(proba_by_onnx(onnxmltools.convert_lightgbm(native, initial_types=kind, zipmap=False), X), clf, X)


def test_skl2onnx_with_the_converter_of_the_parent(lightgbm):
    pytest.importorskip("onnxmltools")
    skl2onnx = pytest.importorskip("skl2onnx")
    from lightgbm import LGBMClassifier
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    X, clf = lightgbm
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    shapes = calculate_linear_classifier_output_shapes
    skl2onnx.update_registered_converter(
        LGBMClassifier, "LightGbmLGBMClassifier", shapes, convert_lightgbm, options=options
    )
    onnx_model = skl2onnx.to_onnx(
        with_native_objective(clf), X[:1], options={"zipmap": False}, target_opset={"": 15, "ai.onnx.ml": 3}
    )
    assert_bare(proba_by_onnx(onnx_model, X), clf, X)


def test_lleaves(lightgbm, tmp_path):
    lleaves = pytest.importorskip("lleaves")
    if not hasattr(pytest.importorskip("llvmlite.binding"), "PassManagerBuilder"):
        pytest.skip("lleaves 1.3 needs an older llvmlite, such as 0.44, than the numba that SHAP needs")
    X, clf = lightgbm
    with_native_objective(clf).booster_.save_model(tmp_path / "model.txt")
    model = lleaves.Model(model_file=tmp_path / "model.txt")
    model.compile()
    assert_bare(model.predict(X), clf, X)


def test_dtreeviz(lightgbm):
    pytest.importorskip("dtreeviz")
    from dtreeviz.models.lightgbm_decision_tree import ShadowLightGBMTree

    X, clf = lightgbm
    names = [f"x{i}" for i in range(X.shape[1])]
    native = with_native_objective(clf)
    tree = ShadowLightGBMTree(native.booster_, 0, X, clf.predict(X), names, "y", ["a", "b"])
    of_library = native.booster_.dump_model()["tree_info"][0]
    assert len(tree.leaves) == of_library["num_leaves"]


def test_supertree(lightgbm, tmp_path, monkeypatch):
    supertree = pytest.importorskip("supertree")
    X, clf = lightgbm
    names = [f"x{i}" for i in range(X.shape[1])]
    drawn = supertree.SuperTree(with_native_objective(clf), X, clf.predict(X), names, ["a", "b"])
    monkeypatch.chdir(tmp_path)
    drawn.save_json_tree("tree")
    drawn_nodes = (tmp_path / "tree.json").read_text().count("threshold")
    assert drawn_nodes > 1
