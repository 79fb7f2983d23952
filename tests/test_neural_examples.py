"""What a newcomer to the neural losses runs: docstring examples and the gallery script."""

import doctest
import importlib
import os
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
