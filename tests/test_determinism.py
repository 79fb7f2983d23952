"""The same seed gives the same bytes of the saved model, in every process."""

import os
import subprocess
import sys

import pytest

MODELS = {
    "FocalLogisticRegression": "",
    "FocalLogisticRegressionCV": "Cs=3, cv=2",
    "FocalHistGradientBoostingClassifier": "max_iter=5, random_state=3",
    "FocalLGBMClassifier": "n_estimators=5, verbosity=-1, n_jobs=1, random_state=3, subsample=0.7, subsample_freq=1",
    "FocalXGBClassifier": "n_estimators=5, n_jobs=1, random_state=3, subsample=0.7",
}
BYTES = {
    "FocalLGBMClassifier": "clf.booster_.model_to_string().encode()",
    "FocalXGBClassifier": "bytes(clf.get_booster().save_raw('ubj'))",
}


def digest(name, parameters, **environment):
    code = f"""
import hashlib, pickle
import numpy as np, skfocal
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 5))
y = (X[:, 0] + rng.normal(size=400) > 1).astype(int)
clf = skfocal.{name}({"[1.5, 0.0]" if name.endswith("CV") else "1.5"}, {parameters}).fit(X, y)
print(hashlib.sha256({BYTES.get(name, "pickle.dumps(clf)")}).hexdigest())
"""
    run = [sys.executable, "-c", code]
    return subprocess.run(
        run, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_bytes_in_every_process(name):
    pytest.importorskip({"FocalLGBMClassifier": "lightgbm", "FocalXGBClassifier": "xgboost"}.get(name, "sklearn"))
    first, second = (digest(name, MODELS[name], PYTHONHASHSEED=seed) for seed in ("0", "1"))
    assert first
    assert first == second
