"""Calibration on held-out data: `FocalTemperatureScaling` and scikit-learn's methods on the data of ``quality.py``.

    python benchmarks/calibration.py --data DIR ... [--sets NAME ...] [--folds 5] [--trees 100]

Each model is trained on three quarters of the training rows of a fold, and each method is fitted to the scores of the
other quarter. "none" is the same model without a method; "none, all rows" is the model trained on all training rows,
which is what a user without a method would have. The tables are printed in Markdown: ratios of log loss are geometric
means over the data sets, the other measures are means.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import sklearn
from lightgbm import LGBMClassifier
from quality_folds import calibration_error, load, splits
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from skfocal.calibration import FocalTemperatureScaling
from skfocal.lightgbm import FocalLGBMClassifier
from skfocal.linear_model import FocalLogisticRegression

LIMITS = (50_000, 150_000)
QUIET = {"verbosity": -1, "n_jobs": 1, "random_state": 0}
MODELS = {
    "`LGBMClassifier()`": lambda trees: LGBMClassifier(n_estimators=trees, **QUIET),
    "`LGBMClassifier(reg_lambda=1)`": lambda trees: LGBMClassifier(n_estimators=trees, reg_lambda=1, **QUIET),
    "`FocalLGBMClassifier()`": lambda trees: FocalLGBMClassifier(n_estimators=trees, **QUIET),
    "`FocalLGBMClassifier(2.0)`": lambda trees: FocalLGBMClassifier(2.0, n_estimators=trees, **QUIET),
    "`FocalLogisticRegression(2.0)`": lambda _: make_pipeline(
        StandardScaler(), FocalLogisticRegression(2.0, max_iter=1000)
    ),
}
METHODS = {
    "sigmoid": lambda model: CalibratedClassifierCV(model, method="sigmoid"),
    "isotonic": lambda model: CalibratedClassifierCV(model, method="isotonic"),
    # New in scikit-learn 1.8.
    "temperature": lambda model: CalibratedClassifierCV(model, method="temperature"),
    "`FocalTemperatureScaling`": FocalTemperatureScaling,
}
if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8):
    del METHODS["temperature"]
ARMS = ("none, all rows", "none", *METHODS)


def measures(truth, proba, n_classes):
    """Log loss, Brier score and expected calibration error."""
    brier = ((proba - np.eye(n_classes)[truth]) ** 2).sum(axis=1).mean()
    return log_loss(truth, proba, labels=np.arange(n_classes)), brier, calibration_error(truth, proba)


def of_fold(make, X, y, train, test):
    """Measures of each arm on one fold, (n_arms, 3), or None if a part lacks a class."""
    n_classes = y.max() + 1
    try:
        part, held_out = train_test_split(train, test_size=0.25, stratify=y[train], random_state=0)
    except ValueError:  # a class with one row in the training part
        return None
    if any(len(np.unique(y[rows])) < n_classes for rows in (part, held_out)):
        return None
    model = make().fit(X[part], y[part])
    fitted = [make().fit(X[train], y[train]), model]
    fitted += [method(FrozenEstimator(model)).fit(X[held_out], y[held_out]) for method in METHODS.values()]
    return [measures(y[test], each.predict_proba(X[test]).astype(float), n_classes) for each in fitted]


def main(arguments=None):
    """Measure every model on every data set and print a table per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of .npz or .csv.gz files")
    parser.add_argument("--sets", nargs="+", help="only these data sets")
    parser.add_argument("--models", nargs="+", default=[""], help="only models whose names contain one of these")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--trees", type=int, default=100)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    paths = sorted(p for folder in options.data for p in folder.iterdir() if p.name.endswith((".npz", ".csv.gz")))
    paths = [p for p in paths if options.sets is None or p.name.split(".")[0] in options.sets]
    for name, make in MODELS.items():
        if not any(text in name for text in options.models):
            continue
        by_set = []
        for path in tqdm(paths, desc=name):
            X, y, _ = load(path, *LIMITS)
            X = np.nan_to_num(X) if "Logistic" in name else X
            folds = [
                of_fold(lambda: make(options.trees), X, y, *split) for split in splits(path, 0, LIMITS)[: options.folds]
            ]
            folds = [fold for fold in folds if fold is not None]
            if folds:
                by_set.append(np.mean(folds, axis=0))
        of_sets = np.array(by_set)  # (n_sets, n_arms, 3)
        log_ratio = np.log(of_sets[:, :, 0] / of_sets[:, :1, 0])
        print(f"\n{name}, {len(of_sets)} data sets:\n")
        print("| | log loss (worst set) | lower / higher on | Brier | calibration error |")
        print("| --- | --- | --- | --- | --- |")
        for i, arm in enumerate(ARMS):
            ratio = log_ratio[:, i]
            counts = f"{(ratio < 0).sum()} / {(ratio > 0).sum()}" if i else ""
            print(f"| {arm} | {np.exp(ratio.mean()):.3f} ({np.exp(ratio.max()):.2f}) | {counts} "
                  f"| {of_sets[:, i, 1].mean():.4f} | {of_sets[:, i, 2].mean():.4f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
