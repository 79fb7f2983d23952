"""Nasty inputs, each estimator beside its parent: a sensible model or an error that says what is wrong.

``nasty_inputs.py`` has the cases. A process runs a group of them; one that crashes or hangs is told by its last line.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import skfocal

pytest.importorskip("pandas")

ESTIMATORS = {
    "FocalLogisticRegression": "sklearn",
    "FocalHistGradientBoostingClassifier": "sklearn",
    "FocalLGBMClassifier": "lightgbm",
    "FocalXGBClassifier": "xgboost",
}
# Where we refuse on purpose what a parent takes: one class has no loss to speak of, and a weight below 0 no minimum;
# column names of several types are refused by scikit-learn, not by XGBoost.
REFUSED = {"one class", "1 rows", "weight negative", "mixed names"}


def fault(case, ours, theirs):
    """What is wrong with the outcome of a case, or ""."""
    if ours == "ok":
        return ""
    if ours.startswith("refused: "):
        return f"{case}: the parent takes it; {ours}" if theirs == "ok" and case not in REFUSED else ""
    if ours.startswith("worse") and theirs.startswith("worse"):
        # Both diverged, the parent by more.
        loss, of_parent = (float(text.split()[4]) for text in (ours, theirs))
        return "" if loss <= of_parent else f"{case}: {ours}, the parent {theirs}"
    # The library's own error, of its own class.
    return "" if ours == theirs and ours.startswith("raised") else f"{case}: {ours}, the parent {theirs or 'not asked'}"


@pytest.mark.parametrize("group", ["rows", "values", "dtypes", "frames", "labels", "parameters"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_sensible_model_or_a_telling_error(name, group):
    pytest.importorskip(ESTIMATORS[name])
    assert hasattr(skfocal, name)
    run = [sys.executable, str(Path(__file__).with_name("nasty_inputs.py")), name, group]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    outcomes = [line for line in lines if "ours" in line]
    assert outcomes
    assert not [text for line in outcomes if (text := fault(**line))]
