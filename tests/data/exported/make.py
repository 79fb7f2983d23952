"""Writes the models of this folder, and their predictions to ``expected.json``.

Run it only for a new kind of file: ``python tests/data/exported/make.py NAME``, with the extra ``onnx``. The other
files were written by the release that ``expected.json`` names. The tests check that later releases can still read them.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

import skfocal
from skfocal.export import to_onnx, to_pmml

HERE = Path(__file__).parent
MODELS = {
    "FocalLGBMClassifier_multiclass": ("full", [2.0, 0.0, 1.0], {"n_estimators": 3, "num_leaves": 5, "verbosity": -1}),
    "FocalXGBClassifier_binary": ("focus", 2.0, {"n_estimators": 4, "max_depth": 2}),
    "FocalLogisticRegression_binary": ("full", 3.0, {}),
}
"""By name: calibration, gamma, other parameters."""


def main(names):
    path = HERE / "expected.json"
    expected = json.loads(path.read_text()) if path.exists() else {}
    for name in names or MODELS:
        calibration, gamma, parameters = MODELS[name]
        cls, _, kind = name.partition("_")
        X, y = (load_breast_cancer if kind == "binary" else load_wine)(return_X_y=True)
        X, labels = X[:, :6].astype(np.float32), np.array(["low", "high", "middle"])[y]
        clf = getattr(skfocal, cls)(gamma, "balanced", calibration=calibration, **parameters).fit(X, labels)
        (HERE / f"{name}.onnx").write_bytes(to_onnx(clf).SerializeToString())
        to_pmml(clf, HERE / f"{name}.pmml")
        rows = X[::40]
        expected[name] = {
            "skfocal": skfocal.__version__,
            "classes": clf.classes_.tolist(),
            "proba": clf.predict_proba(rows).tolist(),
            "labels": clf.predict(rows).tolist(),
        }
    path.write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
