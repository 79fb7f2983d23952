"""The page "Save, load, deploy", with the blocks that need more than the boosters."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "deploy.md"


@pytest.mark.filterwarnings("ignore")  # of MLflow and what it stands on
def test_all_code_of_the_page_runs(tmp_path, monkeypatch):
    for library in ("lightgbm", "skl2onnx", "onnxruntime", "treelite", "skops"):
        pytest.importorskip(library, exc_type=ImportError)
    mlflow = pytest.importorskip("mlflow")
    blocks = re.findall(r"```(?:python|\{code-block\} python)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 10
    monkeypatch.chdir(tmp_path)  # MLflow keeps what it logs in the current folder
    names = {"__name__": "deploy"}
    try:
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), names)
    finally:
        for library in (mlflow.lightgbm, mlflow.xgboost, mlflow.sklearn):  # each on its own: it was asked for by name
            library.autolog(disable=True)
