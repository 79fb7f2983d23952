"""skfocal.export without the extras that its functions need, and its examples."""

import doctest
import importlib
import sys

import pytest
from sklearn.datasets import load_wine

from skfocal.export import to_onnx
from skfocal.linear_model import FocalLogisticRegression


def test_onnx_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    clf = FocalLogisticRegression().fit(*load_wine(return_X_y=True))
    with pytest.raises(ImportError, match=r'python -m pip install "skfocal\[onnx\]"'):
        to_onnx(clf)


def test_docstring_examples_of_onnx():
    pytest.importorskip("skl2onnx")
    result = doctest.testmod(importlib.import_module("skfocal.export"))
    assert result.attempted > 0
    assert result.failed == 0
