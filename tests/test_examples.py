"""What a newcomer runs: docstring examples, README code, example data."""

import ast
import doctest
import gzip
import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    "skfocal.loss": None,
    "skfocal._common.effective": None,
    "skfocal.metrics": None,
    "skfocal.linear_model": None,
    "skfocal.calibration": None,
    "skfocal.ensemble": None,
    "skfocal.inspection": "matplotlib",
    "skfocal.lightgbm": "lightgbm",
    "skfocal.xgboost": "xgboost",
}
"""Modules whose docstrings have examples, and the library they need."""

PAGES = [
    path
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/guide/*.md"))]
    if "```python" in path.read_text()
]


def blocks_of(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)


@pytest.fixture
def no_window():
    """matplotlib, where it is, draws on no screen and leaves no figure behind."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        yield
        return
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize(("name", "library"), MODULES.items())
def test_docstring_examples(name, library):
    if library is not None:
        pytest.importorskip(library, exc_type=ImportError)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


# What the install of README brings: the extra cpu, skfocal's dependencies and theirs.
INSTALLED = {"skfocal", "numpy", "scipy", "sklearn", "joblib", "threadpoolctl", "lightgbm", "xgboost", "matplotlib"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_of_pages_needs_no_more_than_the_install_of_readme(path):
    for block in blocks_of(path):
        for node in ast.walk(ast.parse(block)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= INSTALLED | sys.stdlib_module_names


# LightGBM before 4.7 makes up names for the columns of an array: plain models warn at every predict.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier")
@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_of_pages_runs(path, monkeypatch):
    for library in ("lightgbm", "xgboost", "matplotlib"):
        pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.chdir(ROOT / "examples")
    # The blocks of a page build on each other, as whoever pastes them in turn finds them.
    names = {"__name__": path.stem}
    for block in blocks_of(path):
        exec(compile(block, path.name, "exec"), names)


@pytest.mark.parametrize(("name", "rows", "counts"), [
    ("shuttle", 58_000, {"Rad.Flow": 45_586, "High": 8_903, "Bypass": 3_267, "Fpv.Open": 171, "Fpv.Close": 50,
                         "Bpv.Open": 13, "Bpv.Close": 10}),
    ("hypothyroid", 3_163, {"neg": 3_012, "pos": 151}),
])  # fmt: skip
def test_example_data_is_what_its_readme_says(name, rows, counts):
    with gzip.open(ROOT / "examples" / "data" / f"{name}.csv.gz", "rt") as file:
        lines = file.read().splitlines()[1:]
    labels = [line.rpartition(",")[2] for line in lines]
    assert len(lines) == rows
    assert {label: labels.count(label) for label in set(labels)} == counts
    readme = (ROOT / "examples" / "data" / "README.md").read_text()
    assert all(f"{label} {count:,}" in readme for label, count in counts.items())


# Plain LightGBM before 4.7 makes up names for the columns of an array, and misses them at predict.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier")
def test_quickstart(monkeypatch, tmp_path, capsys):
    for library in ("lightgbm", "xgboost", "matplotlib"):
        pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")
    importlib.import_module("quickstart").main()
    table = capsys.readouterr().out
    assert (tmp_path / "quickstart.png").stat().st_size > 20_000
    rows = [line for line in table.splitlines() if line.startswith(("shuttle", "hypothyroid"))]
    precision = {(row[:12].strip(), row[13:46].strip()): float(row[46:60]) for row in rows}
    assert len(precision) == 17
    # The focal models do not collapse on classes of a few rows. Whether the others do depends on the number of threads.
    assert precision["shuttle", "FocalLGBM"] > 0.95
    assert precision["shuttle", "FocalXGB"] > 0.95
    assert all("is worse than" in line for line in table.splitlines() if "->" in line)


@pytest.mark.parametrize("installed", [["xgboost"], ["xgboost-cpu"], ["xgboost", "xgboost-cpu"]], ids="+".join)
def test_quickstart_tells_of_xgboost_beside_xgboost_cpu(installed, monkeypatch, tmp_path, capsys):
    for library in ("lightgbm", "xgboost", "matplotlib"):
        pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.syspath_prepend(ROOT / "examples")
    quickstart = importlib.import_module("quickstart")
    for name in installed:
        folder = tmp_path / f"{name.replace('-', '_')}-9.8.7.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.8.7\n")
    monkeypatch.setattr("sys.path", [str(tmp_path)])  # no distribution but these
    quickstart.warn_of_two_xgboosts()
    told = capsys.readouterr().out
    if len(installed) == 1:
        assert told == ""
    else:
        assert "xgboost 9.8.7 and xgboost-cpu 9.8.7 are both installed" in told
        assert "python -m pip uninstall -y xgboost xgboost-cpu" in told
