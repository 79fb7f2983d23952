"""What a newcomer to the neural losses runs: docstring examples and the gallery script."""

import doctest
import importlib
import os
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@pytest.mark.parametrize("name", ["torch", "keras"])
def test_docstring_examples(name, monkeypatch):
    if name == "keras" and "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    for library in ("torch", name):
        pytest.importorskip(library, reason=f"needs the extra {name}", exc_type=ImportError)
    result = doctest.testmod(importlib.import_module(f"skfocal.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_code_of_the_page_runs(monkeypatch, capsys):
    """Its blocks are marked py, for tests/test_examples.py runs those marked python, without PyTorch."""
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    for library in ("torch", "keras", "skorch"):
        pytest.importorskip(library, reason=f"needs {library}", exc_type=ImportError)
    names = {"__name__": "neural"}
    for block in re.findall(r"```py\n(.*?)```", (ROOT / "docs" / "guide" / "neural.md").read_text(), flags=re.DOTALL):
        exec(compile(block, "neural.md", "exec"), names)
    out = capsys.readouterr().out
    assert "of p_t 0.0388, expectation 0.3315" in out
    assert "of_soft_p_t: sigmoid 0.953" in out
    assert "binary_focal_loss: sigmoid 0.627, posterior 0.800" in out
    mean, share = (float(x) for x in re.search(r"mean probability (\S+), share of the class (\S+)", out).groups())
    assert abs(mean - share) < 0.01
    assert all(float(x) < 0.2 for x in re.findall(r"^log loss (\S+)", out, flags=re.MULTILINE))


def test_posterior_of_a_network_is_as_good_as_cross_entropy(monkeypatch, tmp_path, capsys):
    for library in ("torch", "matplotlib"):
        pytest.importorskip(library, reason=f"needs the extra {library}", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    log_losses = runpy.run_path(str(ROOT / "examples" / "plot_neural_network.py"))["log_losses"]
    assert "focal, posterior" in capsys.readouterr().out
    assert (tmp_path / "neural_network.png").stat().st_size > 10_000
    cross_entropy = log_losses["cross-entropy, sigmoid"]
    assert cross_entropy < 0.3  # the share of the class alone has 0.43: the network has learnt something
    assert abs(log_losses["focal, posterior"] / cross_entropy - 1) < 0.03
    assert log_losses["focal, sigmoid"] / cross_entropy > 1.1
