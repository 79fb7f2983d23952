"""The example that serves a model by onnxruntime."""

import importlib
import re
from pathlib import Path

import pytest

import skfocal


def test_serve_onnx(monkeypatch, capfd):
    for library in ("skl2onnx", "onnxruntime", "tqdm", "lightgbm"):
        pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    monkeypatch.setenv("PYTHONPATH", str(Path(skfocal.__file__).parents[1]))  # the package under test, there as here
    importlib.import_module("serve_onnx").main(repetitions=2)
    out = capfd.readouterr().out
    rows = dict(re.findall(r"^(model\.\w+) +[\d,]+ +(\d+)$", out, flags=re.MULTILINE))
    assert int(rows["model.onnx"]) == 0
    assert int(rows["model.pkl"]) > 0
    assert float(out.rsplit(" ", 1)[1]) < 1e-5
