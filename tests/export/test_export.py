"""skfocal.export without the extras that its functions need, and its examples."""

import doctest
import importlib
import sys

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfocal.export import _pmml_document, to_onnx, to_pmml
from skfocal.linear_model import FocalLogisticRegression


def test_onnx_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    clf = FocalLogisticRegression().fit(*load_wine(return_X_y=True))
    with pytest.raises(ImportError, match=r'python -m pip install "skfocal\[onnx\]"'):
        to_onnx(clf)


def test_pmml_of_a_pipeline_says_what_to_install(monkeypatch, tmp_path):
    model = make_pipeline(StandardScaler(), FocalLogisticRegression()).fit(*load_wine(return_X_y=True))
    monkeypatch.setattr(_pmml_document, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'python -m pip install "skfocal\[pmml\]"'):
        to_pmml(model, tmp_path / "model.pmml")
    monkeypatch.setattr(_pmml_document, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="needs Java 11 or later"):
        to_pmml(model, tmp_path / "model.pmml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_names": ["a", "b"]}, r"input_names must be 13 different texts, got \['a', 'b'\]"),
        ({"input_names": ["a"] * 13}, "input_names must be 13 different texts"),
        ({"input_names": range(13)}, "input_names must be 13 different texts"),
        ({"target_name": "x3"}, "target_name must be a text that is no name of an input, got 'x3'"),
        ({"target_name": None}, "target_name must be a text"),
    ],
    ids=["number", "twice", "no texts", "of an input", "none"],
)
def test_pmml_wants_names(arguments, message, tmp_path):
    clf = FocalLogisticRegression().fit(*load_wine(return_X_y=True))
    with pytest.raises(ValueError, match=message):
        to_pmml(clf, tmp_path / "model.pmml", **arguments)


def test_pmml_of_what_is_no_focal_classifier(tmp_path):
    X, y = load_wine(return_X_y=True)
    path = tmp_path / "model.pmml"
    for model in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(TypeError, match="model must be a focal classifier or a Pipeline that ends in one, got"):
            to_pmml(model.fit(X > 1, y), path)
    with pytest.raises(Exception, match="not fitted"):
        to_pmml(FocalLogisticRegression(), path)
    dates = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[D]")[y]
    with pytest.raises(ValueError, match=r"model must have labels that are texts.* of dtype datetime64\[D\]"):
        to_pmml(FocalLogisticRegression().fit(X, dates), path)
    assert not list(tmp_path.iterdir())


def test_docstring_examples_of_onnx():
    pytest.importorskip("skl2onnx")
    result = doctest.testmod(importlib.import_module("skfocal.export"))
    assert result.attempted > 0
    assert result.failed == 0
