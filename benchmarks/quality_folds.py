"""What ``quality.py`` does with one fold: read, split, train, measure. A module, so that processes can import it."""

import warnings
from functools import lru_cache
from time import perf_counter

import numpy as np
import quality_models
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, log_loss
from sklearn.model_selection import StratifiedGroupKFold, TunedThresholdClassifierCV, train_test_split

KEY = ("data_set", "model", "repeat", "fold")
MEASURES = ("average_precision", "average_precision_bare", "log_loss", "log_loss_bare", "brier", "calibration_error",
            "f1", "f1_tuned", "balanced_accuracy", "seconds")  # fmt: skip
COLUMNS = (*KEY, "family", "rows", "classes", "minority", "chosen_gamma", *MEASURES)
FOLDS = 5


@lru_cache(maxsize=2)
def load(path, max_rows, max_cells):
    """X, y and the group of equal rows, subsampled by class to ``min(max_rows, max_cells / columns)`` rows.

    Classes of fewer distinct rows than there are folds are left out: they could not be in each.
    """
    if path.suffix == ".npz":
        data = np.load(path)
        X, y = data["X"].astype(np.float64), data["y"].astype(int)
    else:
        table = np.loadtxt(path, delimiter=",", skiprows=1, dtype=str)
        X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
        y = np.unique(table[:, -1], return_inverse=True)[1]
    size = int(min(max_rows, max_cells // X.shape[1]))
    if len(y) > size:
        rare = np.bincount(y)[y] < 2
        kept, _ = train_test_split(np.flatnonzero(~rare), train_size=size, stratify=y[~rare], random_state=0)
        X, y = X[kept], y[kept]
    groups = np.unique(np.nan_to_num(X, nan=-1e300), axis=0, return_inverse=True)[1].ravel()
    distinct = np.array([len(np.unique(groups[y == k])) for k in range(y.max() + 1)])
    often = distinct[y] >= FOLDS
    return X[often], np.unique(y[often], return_inverse=True)[1], groups[often]


def splits(path, repeats, limits):
    """``(repeat, fold, train, test)``."""
    X, y, groups = load(path, *limits)
    for repeat in range(repeats):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat)
        for fold, (train, test) in enumerate(folds.split(X, y, groups)):
            yield repeat, fold, train, test


def calibration_error(y, proba, n_bins=15):
    """Expected calibration error of the probability of the predicted class, in bins of equal size."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, n_bins)
    return sum(abs(confidence[b].mean() - right[b].mean()) * len(b) for b in bins if len(b)) / len(y)


def macro_average_precision(y, proba):
    """Of the second of two classes; else the mean over the classes that occur, each against the rest."""
    if proba.shape[1] == 2:
        return average_precision_score(y, proba[:, 1])
    return np.mean([average_precision_score(y == k, proba[:, k]) for k in np.unique(y)])


def decision_at_tuned_threshold(estimator, X, y, X_test):
    """Of two classes, the threshold with the best macro F1 on inner folds; None if there is none to choose."""
    search = TunedThresholdClassifierCV(estimator, scoring="f1_macro", cv=3, random_state=0)
    try:
        return search.fit(X, y).predict(X_test)
    except ValueError as error:
        # Of a dozen rows of the rare class an inner fold may have too few for a single split.
        if "constant predictions" not in str(error):
            raise
        return None


def run(path, model, repeat, fold, train, test, limits):
    """One line of the result: one model, trained on one fold."""
    warnings.simplefilter("ignore")
    X, y, _ = load(path, *limits)
    n_classes = y.max() + 1
    spec = quality_models.MODELS[model]
    start = perf_counter()
    # Equal rows of a rare class may all lie in the test part; XGBoost wants labels without gaps.
    known, y_train = np.unique(y[train], return_inverse=True)
    fitted = spec.fit(X[train], y_train, len(known))
    seconds = perf_counter() - start

    def of_all_classes(p):
        full = np.zeros((len(test), n_classes))
        full[:, known] = p
        return full

    proba = of_all_classes(fitted.predict_proba(X[test]))
    bare = quality_models.bare_proba(fitted, X[test])
    bare = None if bare is None else of_all_classes(bare)
    truth, decision = y[test], known[fitted.predict(X[test])]
    one_hot = np.eye(n_classes)[truth]
    tuned = np.nan
    if n_classes == 2 and spec.tune_threshold:
        at_tuned = decision_at_tuned_threshold(spec.make(2), X[train], y_train, X[test])
        tuned = f1_score(truth, decision if at_tuned is None else at_tuned, average="macro")
    return {
        "data_set": path.name.split(".")[0], "model": model, "repeat": repeat, "fold": fold, "family": spec.family,
        "rows": len(y), "classes": n_classes, "minority": round(np.bincount(y).min() / len(y), 6),
        "chosen_gamma": quality_models.chosen_gamma(fitted),
        "average_precision": macro_average_precision(truth, proba),
        "average_precision_bare": np.nan if bare is None else macro_average_precision(truth, bare),
        "log_loss": log_loss(truth, proba, labels=np.arange(n_classes)),
        "log_loss_bare": np.nan if bare is None else log_loss(truth, bare, labels=np.arange(n_classes)),
        "brier": ((proba - one_hot) ** 2).sum(axis=1).mean(),
        "calibration_error": calibration_error(truth, proba),
        "f1": f1_score(truth, decision, average="macro"), "f1_tuned": tuned,
        "balanced_accuracy": balanced_accuracy_score(truth, decision), "seconds": seconds,
    }  # fmt: skip
