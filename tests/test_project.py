"""What setup.py hands to setuptools; what is said in two places about the project's tools is the same in both."""

import re
import runpy
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.mark.parametrize("tool", ["ruff", "mypy", "codespell"])
def test_pre_commit_has_the_version_of_tox(tool):
    pinned = dict(line.split("==") for line in PYPROJECT["dependency-groups"]["lint"])
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(rf"repo: .*{tool}.*\n    rev: v(.+)\n", hooks) == [pinned[tool]]


@pytest.fixture
def arguments(monkeypatch):
    """Runs setup.py and returns what it hands to setuptools, which need not be installed."""

    def run():
        handed = {}
        fake = SimpleNamespace(setup=handed.update, Extension=lambda name, **_: name)
        monkeypatch.setitem(sys.modules, "setuptools", fake)
        runpy.run_path(str(ROOT / "setup.py"))
        return handed

    return run


def test_the_kernels_are_left_out_on_request(arguments, monkeypatch):
    monkeypatch.delenv("SKFOCAL_COMPILED", raising=False)
    assert arguments()["ext_modules"] == ["skfocal._kernels._compiled"]
    monkeypatch.setenv("SKFOCAL_COMPILED", "0")
    pure = arguments()
    # Either of the two would make the wheel's tag that of one platform.
    assert "ext_modules" not in pure
    assert "options" not in pure


def test_readme_of_the_package_has_no_relative_links(arguments):
    text = arguments()["long_description"]
    address = PYPROJECT["project"]["urls"]["Source"]
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert f"{address}/raw/main/docs/quickstart.png" in links
    assert f"{address}/blob/main/CONTRIBUTING.md" in links
    assert all(link.startswith("https://") for link in links)
    files = [link.removeprefix(address).split("/main/")[1] for link in links if link.startswith(address)]
    assert all((ROOT / file).exists() for file in files)
    # Nothing but links differs.
    relative = re.sub(rf"{re.escape(address)}/(raw|blob)/main/", "", text)
    assert relative == (ROOT / "README.md").read_text("utf-8")
