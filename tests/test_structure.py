"""The rooms: which file may import which, lazy names, public paths."""

import ast
import inspect
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import skfocal

PACKAGE = Path(__file__).parents[1] / "skfocal"

# What each room may import of the package beside itself, and of the world beside Python and the core's four libraries.
CORE = ("numpy", "scipy", "sklearn", "threadpoolctl")
FLOORS = {
    "_kernels": (set(), {"numpy", "scipy"}),
    "loss": ({"_kernels"}, {"numpy", "scipy"}),
    "_common": ({"_kernels", "loss"}, {"numpy", "scipy", "sklearn", "threadpoolctl"}),
}
SHARED = {"_kernels", "loss", "_common"}
ROOMS = {
    "metrics": (SHARED, set(CORE)),
    "inspection": (SHARED | {"metrics"}, {*CORE, "matplotlib"}),
    "linear_model": (SHARED | {"metrics"}, {*CORE, "joblib"}),
    "calibration": (SHARED, set(CORE)),
    "ensemble": (SHARED | {"metrics"}, set(CORE)),
    "lightgbm": (SHARED | {"metrics"}, {*CORE, "lightgbm"}),
    "xgboost": (SHARED | {"metrics"}, {*CORE, "xgboost"}),
    "torch": (SHARED, {*CORE, "torch"}),
    "keras": (SHARED, {*CORE, "keras"}),
    # Of the boosters only when a model of theirs is handed in.
    "export": (
        SHARED | {"calibration", "lightgbm", "xgboost"},
        {*CORE, "lightgbm", "xgboost", "onnx", "skl2onnx", "sklearn2pmml"},
    ),
}
MAY_IMPORT = FLOORS | ROOMS
EXTRAS = {"lightgbm", "xgboost", "torch", "keras", "matplotlib", "onnx", "skl2onnx", "sklearn2pmml", "dask"}


def imports_of(path):
    """Modules that a file names in its import statements, wherever in the file they stand; what is for type checkers
    alone counts as well.
    """
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path):
    room = room_of(path)
    rooms, libraries = MAY_IMPORT[room]
    for name in imports_of(path):
        top, *rest = name.split(".")
        if top == "skfocal":
            assert rest[0] == room or rest[0] in rooms, f"{path}: {room} may not import skfocal.{rest[0]}"
        elif top not in sys.stdlib_module_names:
            if top == "dask" and path.name == "_dask.py":  # of the two boosters, and of no other file
                continue
            assert top in libraries, f"{path}: {room} may not import {top}"


def test_no_file_of_a_room_is_imported_from_outside_by_its_private_name():
    for path in FILES:
        for name in imports_of(path):
            top, *rest = name.split(".")
            if top == "skfocal" and rest[0] in ROOMS and rest[0] != room_of(path):
                assert not any(part.startswith("_") for part in rest), f"{path}: {name}"


def run(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_core_imports_no_booster_nor_matplotlib():
    code = (
        "import sys, skfocal, skfocal.linear_model, skfocal.metrics, skfocal.export; dir(skfocal); "
        f"print([m for m in {sorted(EXTRAS)} if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_names_at_the_top_are_those_of_the_rooms():
    for name, (module, library) in skfocal._LAZY.items():
        if find_spec(library) is None:
            assert name not in dir(skfocal)
            with pytest.raises(ImportError, match=rf"skfocal\[{library}\]"):
                getattr(skfocal, name)
            continue
        assert name in dir(skfocal)
        assert getattr(skfocal, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="has no attribute 'focal_lose'"):
        skfocal.focal_lose  # noqa: B018
    assert run("from skfocal import *; print(focal_loss.__name__, FocalLoss.__name__)") == "focal_loss FocalLoss"
    inspect.getmembers(skfocal)  # as help(skfocal) does, whichever extras are here


@pytest.mark.parametrize("room", ["lightgbm", "xgboost"])
def test_without_dask_the_error_names_the_extra(room, monkeypatch):
    module = pytest.importorskip(f"skfocal.{room}", exc_type=ImportError)
    name = {"lightgbm": "FocalDaskLGBMClassifier", "xgboost": "FocalDaskXGBClassifier"}[room]
    monkeypatch.delitem(vars(module), name, raising=False)
    monkeypatch.setitem(sys.modules, f"skfocal.{room}._dask", None)  # its import fails
    with pytest.raises(ImportError, match=rf'{name} needs Dask: python -m pip install "skfocal\[{room},dask\]"'):
        getattr(module, name)


def test_type_checkers_are_told_of_every_lazy_name():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    told = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for alias in statement.names
    }
    assert told == set(skfocal._LAZY)


@pytest.mark.parametrize("room", ["linear_model", "ensemble", "lightgbm", "xgboost", "torch"])
def test_public_classes_and_functions_name_their_public_module(room):
    module = pytest.importorskip(f"skfocal.{room}", exc_type=ImportError)
    for name in module.__all__:
        assert getattr(module, name).__module__ == f"skfocal.{room}"
