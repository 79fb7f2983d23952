"""The same seed gives the same bytes of the saved model, in every process, with one thread and with two."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

MODELS = {
    "FocalLogisticRegression": "",
    "FocalLogisticRegressionCV": "Cs=3, cv=2",
    "FocalHistGradientBoostingClassifier": "max_iter=5, random_state=3",
    "FocalLGBMClassifier": "n_estimators=5, verbosity=-1, n_jobs=1, random_state=3, subsample=0.7, subsample_freq=1",
    "FocalXGBClassifier": "n_estimators=5, n_jobs=1, random_state=3, subsample=0.7",
}
# LightGBM writes the number of threads among the parameters.
BYTES = {
    "FocalLGBMClassifier": "re.sub(r'(?m)^.num_threads: .*$', '', clf.booster_.model_to_string()).encode()",
    "FocalXGBClassifier": "bytes(clf.get_booster().save_raw('ubj'))",
}
LIBRARY = {"FocalLGBMClassifier": "lightgbm", "FocalXGBClassifier": "xgboost"}


def digest(name, parameters, n_rows=400, n_classes=2, of=None, **environment):
    code = f"""
import hashlib, pickle, re
import numpy as np, skfocal
rng = np.random.default_rng(0)
X = rng.normal(size=({n_rows}, 5))
y = (X[:, 0] + rng.normal(size={n_rows}) > 1).astype(int) + ({n_classes} > 2) * (X[:, 1] > 1)
clf = skfocal.{name}({"[1.5, 0.0]" if name.endswith("CV") else "1.5"}, {parameters}).fit(X, y)
print(hashlib.sha256({of or BYTES.get(name, "pickle.dumps(clf)")}).hexdigest())
"""
    run = [sys.executable, "-c", code]
    return subprocess.run(
        run, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=300
    ).stdout


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_bytes_in_every_process(name):
    pytest.importorskip(LIBRARY.get(name, "sklearn"))
    first, second = (digest(name, MODELS[name], PYTHONHASHSEED=seed) for seed in ("0", "1"))
    assert first
    assert first == second


# LightGBM promises it with deterministic=True and one layout of its histograms, the others at all times.
ON_THREADS = {
    "FocalHistGradientBoostingClassifier": "max_iter=10, random_state=3",
    "FocalLGBMClassifier": "n_estimators=10, verbosity=-1, random_state=3, deterministic=True, force_row_wise=True",
    "FocalXGBClassifier": "n_estimators=10, random_state=3",
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ON_THREADS)
def test_two_threads_give_the_bytes_of_one(name, n_classes):
    pytest.importorskip(LIBRARY.get(name, "sklearn"))
    digests = set()
    for n in ("1", "2"):
        n_jobs = f", n_jobs={n}" if name in LIBRARY else ""
        # scikit-learn's pickle, of its own booster too, has the number of threads in it: the scores are compared.
        of = None if name in LIBRARY else "clf.decision_function(X).tobytes()"
        digests.add(digest(name, ON_THREADS[name] + n_jobs, 5000, n_classes, of, OMP_NUM_THREADS=n))
    assert len(digests) == 1
