"""Pickles of earlier releases load, predict as they did, and can be fitted again. data/pickles/make.py writes them."""

import json
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

PICKLES = Path(__file__).parent / "data" / "pickles"
make = runpy.run_path(str(PICKLES / "make.py"))
STORED = sorted(
    (path.parent / name).relative_to(PICKLES).as_posix()
    for path in PICKLES.rglob("expected.json")
    for name in json.loads(path.read_text())
)


def check(path):
    """Check the pickle ``path``, without its suffix, by the file ``expected.json`` beside it."""
    library = make["library_of"](path.name)
    pytest.importorskip(library or "sklearn", exc_type=ImportError)
    loaded = pickle.loads(path.with_name(f"{path.name}.pkl").read_bytes())
    expected = json.loads(path.with_name("expected.json").read_text())[path.name]
    if "repr" in expected:
        assert repr(loaded) == expected["repr"]
        return
    X, labels = make["rows_of"](path.name)
    assert_allclose(loaded.predict_proba(X[::40]), expected["proba"], rtol=1e-6)
    assert_array_equal(loaded.predict(X[::40]), expected["labels"])
    assert np.mean(loaded.fit(X, labels).predict(X) == labels) > 0.5


# They were written with scikit-learn 1.9.1, LightGBM 4.7.0 and XGBoost 3.2.0, which is no fault of ours.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.filterwarnings("ignore:.*If you are loading a serialized model:UserWarning")
@pytest.mark.parametrize("name", STORED)
def test_pickles_of_earlier_releases(name):
    check(PICKLES / name)


def test_the_script_writes_what_these_tests_read(tmp_path):
    make["main"](tmp_path / "new")
    names = json.loads((tmp_path / "new" / "expected.json").read_text())
    assert len(names) >= 8
    for name in names:
        check(tmp_path / "new" / name)


def test_the_script_does_not_overwrite(tmp_path):
    before = {path: path.read_bytes() for path in PICKLES.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match="must be empty"):
        make["main"](PICKLES)
    assert {path: path.read_bytes() for path in PICKLES.rglob("*") if path.is_file()} == before
