"""The benchmarks run, on small data: they are no part of the package, but what it claims rests on them."""

import csv
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_references_of_the_speed_lines_are_the_same_loss(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    kernels = importlib.import_module("lines.kernels")
    for pair, tolerance in (
        (kernels.binary(2.0, np.float64, 1000), 1e-12),
        (kernels.binary(1.3, np.float64, 1000), 1e-12),
        (kernels.binary(2.0, np.float32, 1000), 1e-5),
        (kernels.softmax(1000, 5), 1e-9),
    ):
        for ours, plain in zip(pair[0](), pair[1]()):
            assert_allclose(ours, plain, rtol=tolerance, atol=tolerance)


@pytest.fixture
def two_tiny_sets(tmp_path):
    rng = np.random.default_rng(0)
    for name, n_classes in (("two", 2), ("three", 3)):
        X = rng.normal(size=(150, 4)).astype(np.float32)
        y = np.digitize(X[:, 0] + 0.5 * rng.normal(size=150), [0.2, 1.0][: n_classes - 1]).astype(np.int16)
        X[::7, 1] = np.nan
        X[1::2] = X[::2]  # each row twice: copies may not lie on both sides of a split
        y[1::2] = y[::2]
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)
    return tmp_path


def test_quality_benchmark(two_tiny_sets):
    for module in ("lightgbm", "matplotlib", "pandas", "tqdm"):
        pytest.importorskip(module, reason=f"the benchmark needs {module}")
    out = two_tiny_sets / "out" / "quality.csv"

    def run(*arguments):
        command = [sys.executable, BENCHMARKS / "quality.py", "--data", two_tiny_sets, "--out", out, "--repeats", "1"]
        subprocess.run([*command, "--jobs", "1", *arguments], check=True, capture_output=True, text=True)
        with out.open(newline="") as file:
            return list(csv.DictReader(file))

    models = "Logistic", "Logistic focal 1"
    lines = run("--models", *models)
    assert {line["model"] for line in lines} == set(models)
    assert len(lines) == 2 * 5 * 2
    for line in lines:
        assert 0 < float(line["average_precision"]) <= 1 + 1e-12
        assert float(line["log_loss"]) > 0
        assert float(line["rows"]) == 150
    tuned = {line["data_set"] for line in lines if line["f1_tuned"] != "nan"}
    assert tuned == {"two"}
    # The bare sigmoid of two classes ranks as what predict_proba makes of it; the parent has nothing to undo.
    for line in lines:
        bare = float(line["average_precision_bare"])
        if line["model"] == "Logistic":
            assert np.isnan(bare)
        elif line["data_set"] == "two":
            assert_allclose(bare, float(line["average_precision"]), rtol=1e-12)
        else:
            assert 0 < bare <= 1 + 1e-12

    # What is there is not run again; what was lost is.
    out.write_text("\n".join(out.read_text().splitlines()[:-3]) + "\n")
    again = run("--models", *models)
    assert [line["seconds"] for line in again[:-3]] == [line["seconds"] for line in lines[:-3]]
    assert sorted(line["model"] for line in again) == sorted(line["model"] for line in lines)

    # A file of other columns is not appended to.
    other = out.with_name("other.csv")
    other.write_text("data_set,model\n")
    refused = subprocess.run(
        [sys.executable, BENCHMARKS / "quality.py", "--data", two_tiny_sets, "--out", other],
        capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "--out must name a new file" in refused.stderr
    assert other.read_text() == "data_set,model\n"

    summary = out.with_suffix(".md").read_text()
    assert "2 data sets" in summary
    assert "bare softmax" in summary
    assert "No collapse" in summary
    for picture in ("quality_paired.png", "quality_ranks.png"):
        assert (out.parent / picture).read_bytes().startswith(b"\x89PNG")


def test_folds_keep_equal_rows_together(two_tiny_sets, monkeypatch):
    for module in ("lightgbm", "joblib"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    folds = importlib.import_module("quality_folds")
    path, limits = two_tiny_sets / "two.npz", (1000, 10_000)
    _, y, groups = folds.load(path, *limits)
    seen = np.zeros(len(y), dtype=int)
    for _, _, train, test in folds.splits(path, 1, limits):
        assert not set(groups[train]) & set(groups[test])
        seen[test] += 1
    assert (seen == 1).all()
    assert len(np.unique(groups)) <= len(y) // 2


def test_calibration_error_is_that_of_a_constant(monkeypatch):
    # Says 0.7 of everything and is right half the time: off by 0.2, whatever the bins.
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    folds = importlib.import_module("quality_folds")
    proba = np.tile([0.7, 0.3], (600, 1))
    assert folds.calibration_error(np.tile([0, 1], 300), proba) == pytest.approx(0.2)
