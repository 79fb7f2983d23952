"""The benchmarks run, on small data: they are no part of the package, but what it claims rests on them."""

import csv
import importlib
import os
import re
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


def run(script, *arguments):
    """The finished process of a benchmark. The scripts import each other, so their folder has to be on the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def quality(data, out, *arguments):
    return run("quality.py", "--data", data, "--out", out, "--jobs", "1", *arguments)


def lines_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quality_benchmark(two_tiny_sets):
    for module in ("lightgbm", "matplotlib", "pandas", "tqdm"):
        pytest.importorskip(module, reason=f"the benchmark needs {module}")
    out = two_tiny_sets / "out" / "quality.csv"
    models = "Logistic as it comes", "Logistic ours gamma 1", "LightGBM reg_lambda=1", "LightGBM ours gamma 0.5"

    def run(*arguments):
        done = quality(two_tiny_sets, out, "--models", *models, *arguments)
        assert done.returncode == 0, done.stderr
        return lines_of(out)

    lines = run()
    assert {line["model"] for line in lines} == set(models)
    assert len(lines) == 4 * 5 * 2
    for line in lines:
        assert 0 < float(line["average_precision"]) <= 1 + 1e-12
        assert float(line["log_loss"]) > 0
        assert (line["rows"], line["trees"], line["noise"]) == ("150", "100", "0.0")
    # The bare sigmoid of two classes ranks as what predict_proba makes of it; the parent has nothing to undo.
    for line in lines:
        bare = float(line["average_precision_bare"])
        if line["kind"] == "stock":
            assert np.isnan(bare)
        elif line["data_set"] == "two":
            assert_allclose(bare, float(line["average_precision"]), rtol=1e-12)
        else:
            assert 0 < bare <= 1 + 1e-12

    # What is there is not run again; what was lost is.
    out.write_text("\n".join(out.read_text().splitlines()[:-3]) + "\n")
    again = run()
    assert [line["seconds"] for line in again[:-3]] == [line["seconds"] for line in lines[:-3]]
    assert sorted(line["model"] for line in again) == sorted(line["model"] for line in lines)

    # Other numbers of trees and flipped labels are lines of their own, for the folds and sets that are asked for.
    more = run("--folds", "1", "--sets", "two", "--trees", "5", "100", "--noise", "0.1")[len(lines) :]
    keys = [(line["model"], line["trees"], line["noise"], line["fold"], line["data_set"]) for line in more]
    assert sorted(keys) == sorted((model, trees, "0.1", "0", "two") for model in models for trees in ("5", "100"))

    summary = out.with_suffix(".md").read_text()
    assert "2 data sets (1 of two classes, 1 of several)" in summary
    assert "| FocalLGBMClassifier, `reg_lambda=1` | 1 sets of two classes |" in summary
    assert "10% flipped" in summary
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_quality_refuses_a_file_of_other_columns(two_tiny_sets):
    for module in ("matplotlib", "pandas", "tqdm"):
        pytest.importorskip(module)
    other = two_tiny_sets / "other.csv"
    other.write_text("data_set,model\n")
    refused = quality(two_tiny_sets, other)
    assert refused.returncode == 1
    assert "--out must name a new file" in refused.stderr
    assert other.read_text() == "data_set,model\n"


@pytest.fixture
def models(monkeypatch):
    for module in ("lightgbm", "xgboost", "joblib"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("quality_models").MODELS


@pytest.mark.parametrize("family", ["LightGBM", "XGBoost"])
def test_an_ablation_arm_differs_from_ours_in_its_part_alone(models, family):
    parts = {
        "without bins": {"balanced_bins": False},
        "without bound": {"max_step": None},
        "without regularization": {"reg_lambda": 0.0},
        "without start": {"boost_from_average": False} if family == "LightGBM" else {"base_score": 0.5},
    }
    for gamma in ("0", "0.5", "1"):
        ours = models[f"{family} ours gamma {gamma}"].make(2, 100).get_params()
        for name, change in parts.items():
            if family == "XGBoost" and name == "without regularization":
                continue
            assert models[f"{family} ours gamma {gamma} {name}"].make(2, 100).get_params() == ours | change
    ours = models[f"{family} ours gamma 0.5"].make(2, 100).get_params()
    unscaled = models[f"{family} ours gamma 0.5 without scale"].make(2, 100)
    assert unscaled.get_params() == ours
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = (X[:, 0] > 1.0).astype(int)
    scaled = models[f"{family} ours gamma 0.5"].make(2, 100).fit(X, y)
    assert unscaled.fit(X, y).focal_loss_.scale_of_totals([150, 150]) == 1.0
    assert (unscaled.predict_proba(X) != scaled.predict_proba(X)).any()


# LightGBM before 4.7 makes up names for the columns of an array, and misses them at predict.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier")
@pytest.mark.parametrize(("family", "stock"), [("LightGBM", "reg_lambda=1"), ("XGBoost", "as it comes")])
def test_nothing_of_ours_is_the_stock_arm(models, family, stock):
    # The parts are added to what must be the opponent's very model: gamma 0 without bins and bound.
    X = np.random.default_rng(0).normal(size=(600, 4))
    y = (X[:, 0] + X[:, 1] ** 2 > 2.0).astype(int)
    only_bins = models[f"{family} only bins"].make(2, 30).set_params(balanced_bins=False).fit(X, y)
    parent = models[f"{family} {stock}"].make(2, 30).fit(X, y)
    assert_allclose(only_bins.predict_proba(X), parent.predict_proba(X), rtol=1e-5, atol=1e-7)


def test_folds_keep_equal_rows_together(two_tiny_sets, monkeypatch):
    for module in ("lightgbm", "joblib"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    folds = importlib.import_module("quality_folds")
    path, limits = two_tiny_sets / "two.npz", (1000, 10_000)
    _, y, groups = folds.load(path, *limits)
    seen = np.zeros(len(y), dtype=int)
    for train, test in folds.splits(path, 0, limits):
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


def test_flipped_labels_are_a_share_of_other_classes(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    folds = importlib.import_module("quality_folds")
    y = np.repeat([0, 1, 2], [700, 250, 50])
    flipped = folds.flipped(y, 0.1, 0)
    assert (flipped != y).sum() == 100
    assert set(flipped) == {0, 1, 2}
    assert (y[:3] == 0).all()


@pytest.fixture
def report(monkeypatch):
    for module in ("pandas", "matplotlib"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("quality_report")


def result_file(path, arms, columns):
    """A result of two sets and two folds; arms: {model: (kind, average precision, log loss)} on each of the sets."""
    rows = []
    for model, (kind, *of_sets) in arms.items():
        for data_set, (precision, loss) in zip(("easy", "hard"), of_sets, strict=True):
            for fold in (0, 1):
                row = dict.fromkeys(columns, "0.5") | {
                    "data_set": data_set, "model": model, "trees": "100", "noise": "0.0", "repeat": "0",
                    "fold": str(fold), "family": "LightGBM", "kind": kind, "rows": "100", "classes": "2",
                    "minority": "0.1", "rarest": "10", "average_precision": str(precision + 0.01 * fold),
                    "log_loss": str(loss),
                }  # fmt: skip
                rows.append(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_report_compares_with_the_best_stock_arm(report, tmp_path):
    columns = importlib.import_module("quality_folds").COLUMNS
    result_file(tmp_path / "quality.csv", {
        "LightGBM as it comes": ("stock", (0.60, 0.8), (0.10, 0.8)),
        "LightGBM reg_lambda=1": ("stock", (0.80, 0.2), (0.50, 0.4)),
        "LightGBM ours gamma 0": ("ours", (0.81, 0.2), (0.52, 0.4)),
        "LightGBM ours gamma 0.5": ("ours", (0.90, 0.1), (0.48, 0.4)),
    }, columns)  # fmt: skip
    lines = report.read(tmp_path / "quality.csv")
    assert importlib.import_module("quality_statistics").best_stock(lines) == "reg_lambda=1"
    table = report.paired(lines, "ours gamma 0.5", "reg_lambda=1")
    assert_allclose(table.gain, [0.1, -0.02])
    assert_allclose(table.ratio, [0.5, 1.0])
    # The mean of 0.10 and -0.02, half their distance as its error; the root of 0.5 and 1.
    assert report.difference(table.gain) == "+0.040 ± 0.060 (1/1)"
    assert report.geometric(table.ratio) == "0.707 (1.00)"
    # Folds that only one of both has do not count.
    kept = lines[~((lines.arm == "ours gamma 0.5") & (lines.data_set == "easy"))]
    assert list(report.paired(kept, "ours gamma 0.5", "reg_lambda=1").data_set) == ["hard"]
    # 0.605 of 0.905 and 0.105 of 0.525.
    assert "as it comes on easy (0.669), hard (0.200)" in report.collapses(lines, "LightGBM")
    blocks = report.report(tmp_path / "quality.csv")
    page = "Text.\n<!-- answer -->\nold\n<!-- end -->\nMore <!-- unknown -->\nkept\n<!-- end -->\n"
    filled = report.insert(page, blocks)
    assert blocks["answer"] in filled
    assert "old" not in filled
    assert "kept" in filled
    assert report.insert(filled, blocks) == filled


def test_what_is_undone_is_compared_on_common_folds(report):
    pandas = importlib.import_module("pandas")
    of_set = {"data_set": "easy", "repeat": 0, "log_loss_bare": 1.0}
    part = pandas.DataFrame([
        of_set | {"arm": "ours gamma 0.5", "fold": 0, "log_loss": 1.0, "log_loss_full": 1.0},
        of_set | {"arm": "ours gamma 0.5", "fold": 1, "log_loss": 9.0, "log_loss_full": 9.0},
        of_set | {"arm": "ours gamma 0.5 alpha balanced", "fold": 0, "log_loss": 2.0, "log_loss_full": 3.0},
    ])  # fmt: skip
    said = report.undone(part, "LightGBM", "0.5")
    assert "left in 2.000 (2.00)" in said
    assert 'undone by `calibration="full"` 3.000 (3.00)' in said


def test_evidence_page_says_what_the_report_prints(report):
    results, page = BENCHMARKS / "results", (BENCHMARKS.parent / "docs" / "evidence.md").read_text()
    blocks = report.report(results / "evidence.csv.xz") | report.report(results / "evidence_other.csv.xz", "other_")
    named = re.findall(r"<!-- (\w+) -->\n", page)
    named = [name for name in named if name != "end"]
    assert {"answer", "headline", "worse", "ablation", "gamma", "noise", "trees", "other_arms"} <= set(named)
    assert all(blocks[name] for name in named)
    assert report.insert(page, blocks) == page
    # The opponents are what the results say they are.
    statistics = importlib.import_module("quality_statistics")
    lines = statistics.plain(statistics.read(results / "evidence.csv.xz"))
    for family in statistics.LIBRARIES:
        assert statistics.best_stock(statistics.of(lines, family)) == statistics.OPPONENTS[family]


def test_benchmark_of_several_labels(two_tiny_sets):
    pytest.importorskip("xgboost", exc_type=ImportError)
    options = ["--trees", "2", "--folds", "2", "--arms", "XGBClassifier", "FocalXGBClassifier, a fit per"]
    done = run("several_labels.py", "--data", two_tiny_sets, "--sets", "three", *options)
    assert done.returncode == 0, done.stderr
    y = np.load(two_tiny_sets / "three.npz")["y"]
    counts = sorted(np.bincount(y).tolist(), reverse=True)
    assert f"three: 150 rows, rows per label {counts[1:]}" in done.stdout
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if "XGBClassifier" in line]
    assert [row[0].strip() for row in rows] == ["XGBClassifier", "FocalXGBClassifier, a fit per label"]
    assert all(0 < float(row[1]) <= 1 and float(row[4]) > 0 for row in rows)
    assert float(rows[0][4]) == 1.0


def test_benchmark_of_calibration(two_tiny_sets):
    pytest.importorskip("lightgbm", exc_type=ImportError)
    pytest.importorskip("tqdm")
    options = ["--trees", "2", "--folds", "2", "--models", "FocalLGBMClassifier()"]
    done = run("calibration.py", "--data", two_tiny_sets, "--sets", "three", *options)
    assert done.returncode == 0, done.stderr
    assert "`FocalLGBMClassifier()`, 1 data sets" in done.stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    rows = [row for row in rows if len(row) == 5 and row[1][:1].isdigit()]
    arms = ["none, all rows", "none", "sigmoid", "isotonic", "temperature", "`FocalTemperatureScaling`"]
    assert [row[0] for row in rows] in (arms, [arm for arm in arms if arm != "temperature"])  # new in scikit-learn 1.8
    assert rows[0][1] == "1.000 (1.00)"
    assert all(0 < float(row[3]) < 2 and 0 <= float(row[4]) < 1 for row in rows)
