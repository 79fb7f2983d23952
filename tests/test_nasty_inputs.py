"""Nasty inputs give a sensible model, or an error that says what is wrong. Each estimator is compared with its parent.

The folder ``nasty_inputs`` contains the cases. One process runs all cases of an estimator. If the process crashes or
hangs, its last line of output shows the case.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

pytest.importorskip("pandas")

ESTIMATORS = {
    "FocalLogisticRegression": "sklearn",
    "FocalTemperatureScaling": "sklearn",
    "FocalHistGradientBoostingClassifier": "sklearn",
    "FocalLGBMClassifier": "lightgbm",
    "FocalXGBClassifier": "xgboost",
}
# Where we refuse on purpose what a parent takes.
REFUSED = {
    ("labels", "decimals"): "no labels to scikit-learn",
    ("labels", "row"): "one label",
    ("weights", "negative"): "the loss has no minimum",
    ("weights", "a negative"): "the loss has no minimum",
    ("weights", "none"): "no weights are None",
    ("weights", "1e300"): "to LightGBM, which keeps float32, they are infinite",
    ("dtypes", "dtype StringDType of numbers"): "scikit-learn reads no StringDType; XGBoost does, but no other text",
    ("frames", "mixed names"): "refused by scikit-learn, not by XGBoost",
    ("predictions", "frame, then reordered"): "LightGBM would take a column for another one",
    ("predictions", "frame, then other names"): "LightGBM would take a column for another one",
    ("predictions", "frame, then duplicate names"): "LightGBM would take a column for another one",
    ("evaluation_sets", "a column less"): "LightGBM would read numbers that are not there",
    ("evaluation_sets", "a column more"): "LightGBM would take a column for another one",
    ("evaluation_sets", "empty"): "a mean of no rows",
    ("evaluation_sets", "foreign labels"): "no row of them was trained on",
}
OF_X = (
    r"Input contains|Found array with|Expected 2D array|Complex data not supported|dtype='numeric'|dtype argument|"
    "could not convert string to float:"
)
"""scikit-learn's own words of what it reads as X, which do not name it."""
NAMES = {
    "rows": r"X|y",
    "values": r"X",
    "dtypes": r"X",
    "sparse": r"X",
    "frames": r"X|column names|feature names",
    "labels": r"y|labels",
    "weights": r"sample_weight",
    "parameters": r"focal_gamma|focal_alpha|max_iter",
    "predictions": r"X|column names|feature names",
    "evaluation_sets": r"eval_set|X_val|y_val",
}
"""What an error has to name, group by group."""
OF_CALIBRATION = ("rows", "frames", "labels", "weights")
"""The rest is for the estimator whose scores are calibrated."""


def fault(group, case, ours, theirs):
    """What is wrong with the outcome of a case, or ""."""
    # The library's own words, whatever they are, but for the name of our class.
    is_the_librarys = _without_times(ours).replace("Focal", "") == _without_times(theirs)
    if ours == "ok" or (is_the_librarys and ours.startswith(("refused", "raised"))):
        return ""
    if ours.startswith("refused: "):
        is_of_X = NAMES[group].startswith("X") and re.match(rf"refused: ({OF_X})", ours)
        if not (is_of_X or re.search(rf"\b({NAMES[group]})\b", ours.removeprefix("refused: "), re.IGNORECASE)):
            return f"{case}: names no argument; {ours}"
        is_taken = theirs == "ok" and (group, case) not in REFUSED
        return f"{case}: the parent takes it; {ours}" if is_taken else ""
    if ours.startswith("worse") and theirs.startswith("worse"):
        # Both diverged, the parent by more.
        loss, of_parent = (float(text.split()[4]) for text in (ours, theirs))
        return "" if loss <= of_parent else f"{case}: {ours}, the parent {theirs}"
    return f"{case}: {ours}, the parent {theirs or 'not asked'}"


def _without_times(text):
    """XGBoost's messages begin with the time, and end with addresses."""
    return re.sub(r"\[\d\d:\d\d:\d\d\]|Stack trace.*", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_sensible_model_or_a_telling_error(name):
    pytest.importorskip(ESTIMATORS[name])
    groups = OF_CALIBRATION if name == "FocalTemperatureScaling" else NAMES
    run = [sys.executable, str(Path(__file__).with_name("nasty_inputs")), name, *groups]
    done = subprocess.run(run, capture_output=True, text=True, timeout=600, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"group"')]
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    outcomes = [line for line in lines if "ours" in line]
    assert {line["group"] for line in outcomes} >= {*groups} - {"parameters", "evaluation_sets"}
    faults = [f"{line['group']}: {text}" for line in outcomes if (text := fault(**line))]
    assert not faults, "\n".join(text[:400] for text in faults)
