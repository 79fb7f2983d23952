"""ONNX and PMML files of earlier releases still give the same predictions. tests/data/exported/make.py wrote them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_wine

FILES = Path(__file__).parents[1] / "data" / "exported"
EXPECTED = json.loads((FILES / "expected.json").read_text())
each = pytest.mark.parametrize("name", EXPECTED)


def rows_of(name):
    load = load_breast_cancer if name.endswith("binary") else load_wine
    return load(return_X_y=True)[0][::40, :6].astype(np.float32)


@each
def test_onnx(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(FILES / f"{name}.onnx", providers=["CPUExecutionProvider"])
    labels, proba = session.run(None, {"X": rows_of(name)})
    assert_allclose(proba, EXPECTED[name]["proba"], rtol=0, atol=1e-5)
    assert labels.tolist() == EXPECTED[name]["labels"]


@each
def test_pmml(name):
    pd = pytest.importorskip("pandas")
    jpmml_evaluator = pytest.importorskip("jpmml_evaluator")
    if shutil.which("java") is None:
        pytest.skip("jpmml-evaluator is a program in Java, which is not installed")
    evaluator = jpmml_evaluator.make_evaluator(str(FILES / f"{name}.pmml")).verify()
    X = rows_of(name).astype(np.float64)
    out = evaluator.evaluateAll(pd.DataFrame(X, columns=[f"x{i}" for i in range(6)]))
    proba = out[[f"probability({label})" for label in EXPECTED[name]["classes"]]]
    assert_allclose(proba, EXPECTED[name]["proba"], rtol=0, atol=1e-5)
    assert out["y"].tolist() == EXPECTED[name]["labels"]
