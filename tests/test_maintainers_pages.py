"""The pages for maintainers say what the code does: the picture of the rooms, and the functions that a fit calls."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import skfocal

ROOT = Path(__file__).parents[1]


def test_picture_of_the_rooms_is_that_of_the_test_of_imports(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    drawn = importlib.import_module("draw_rooms").picture()
    assert (ROOT / "docs" / "images" / "rooms.svg").read_text() == drawn, "run python docs/draw_rooms.py"


def test_picture_has_each_room_and_arrows_downwards_only(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    draw_rooms = importlib.import_module("draw_rooms")
    rooms = {path.stem for path in (ROOT / "skfocal").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert set(draw_rooms.rooms()) == rooms - {"__init__", "__pycache__"}
    picture = draw_rooms.picture()
    arrows = re.findall(r"<path d='M\S+ (\S+) C.* (\S+)' fill", picture)
    assert arrows
    assert all(float(start) < float(end) for start, end in arrows)


def test_functions_that_a_fit_travels_through_are_in_the_files_named():
    page = (ROOT / "docs" / "how_a_fit_travels.md").read_text()
    places = re.findall(r"`(\w+)`\s+in\s+\[`(skfocal/[^`]+)`\]\(\.\./([^)]+)\)", page)
    assert len(places) == page.count("](../skfocal/")
    for name, shown, linked in places:
        assert shown == linked
        tree = ast.parse((ROOT / linked).read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in names, f"{linked} has no {name}"


def test_version_is_written_in_the_two_places_that_a_release_changes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "skfocal.__version__"}
    (cited,) = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert cited == skfocal.__version__
