"""One fold of ``quality.py``: read, split, train, measure. It is a module so that processes can import it."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np
import quality_models
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, log_loss
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

KEY = ("data_set", "model", "trees", "noise", "repeat", "fold")
MEASURES = ("average_precision", "average_precision_bare", "log_loss", "log_loss_bare", "log_loss_full", "brier",
            "calibration_error", "f1", "balanced_accuracy", "seconds")  # fmt: skip
COLUMNS = (*KEY, "family", "kind", "rows", "classes", "minority", "rarest", *MEASURES)
FOLDS = 5


@dataclass(frozen=True)
class Task:
    """One model on one fold of one data set. ``limits`` are the maximum numbers of rows and cells of the data set."""

    path: Path
    model: str
    trees: int
    noise: float
    repeat: int
    fold: int
    limits: tuple

    @property
    def data_set(self):
        """Name of the data set in the result."""
        return self.path.name.split(".")[0]

    @property
    def key(self):
        """Key of its line in the result, as strings."""
        return tuple(str(getattr(self, name)) for name in KEY)


@lru_cache(maxsize=256)
def load(path, max_rows, max_cells):
    """X, y and the group of each row (identical rows form a group), subsampled by class.

    There are at most ``min(max_rows, max_cells / columns)`` rows. Classes with fewer distinct rows than folds are
    removed, because they could not occur in each fold.
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


@lru_cache(maxsize=256)
def splits(path, repeat, limits):
    """``(train, test)`` of each fold."""
    X, y, groups = load(path, *limits)
    return list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat).split(X, y, groups))


def flipped(y, share, seed):
    """Labels, of which a share is replaced by another class, with equal probabilities."""
    random, n_classes = np.random.default_rng(seed), y.max() + 1
    rows = random.choice(len(y), round(share * len(y)), replace=False)
    y = y.copy()
    y[rows] = (y[rows] + random.integers(1, n_classes, len(rows))) % n_classes
    return y


def calibration_error(y, proba, n_bins=15):
    """Expected calibration error of the probability of the predicted class, in bins of equal size."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, n_bins)
    return sum(abs(confidence[b].mean() - right[b].mean()) * len(b) for b in bins if len(b)) / len(y)


def macro_average_precision(y, proba):
    """Average precision of the second of two classes. With more classes, the mean over the classes that occur, each
    against the rest.
    """
    if proba.shape[1] == 2:
        return average_precision_score(y, proba[:, 1])
    return np.mean([average_precision_score(y == k, proba[:, k]) for k in np.unique(y)])


def run(task):
    """One line of the result, for one model that is trained on one fold."""
    warnings.simplefilter("ignore")
    X, y, _ = load(task.path, *task.limits)
    train, test = splits(task.path, task.repeat, task.limits)[task.fold]
    n_classes, of_class = y.max() + 1, np.bincount(y)
    model = quality_models.MODELS[task.model]
    # All rows of a rare class can be in the test part if they are identical. XGBoost needs labels without gaps.
    known, y_train = np.unique(y[train], return_inverse=True)
    if task.noise:
        y_train = flipped(y_train, task.noise, (task.repeat, task.fold))
    start = perf_counter()
    fitted = model.fit(X[train], y_train, len(known), task.trees)
    seconds = perf_counter() - start

    def of_all_classes(p):
        if p is None:
            return None
        full = np.zeros((len(test), n_classes))
        full[:, known] = p
        return full

    def loss_of(p):
        return np.nan if p is None else log_loss(truth, p, labels=np.arange(n_classes))

    truth, decision = y[test], known[fitted.predict(X[test])]
    proba = of_all_classes(fitted.predict_proba(X[test]))
    bare = of_all_classes(quality_models.proba_with(fitted, X[test], None))
    one_hot = np.eye(n_classes)[truth]
    return {
        **dict(zip(KEY, task.key, strict=True)), "family": model.family, "kind": model.kind,
        "rows": len(y), "classes": n_classes, "minority": round(of_class.min() / len(y), 6), "rarest": of_class.min(),
        "average_precision": macro_average_precision(truth, proba),
        "average_precision_bare": np.nan if bare is None else macro_average_precision(truth, bare),
        "log_loss": loss_of(proba), "log_loss_bare": loss_of(bare),
        "log_loss_full": loss_of(of_all_classes(quality_models.proba_with(fitted, X[test], "full"))),
        "brier": ((proba - one_hot) ** 2).sum(axis=1).mean(),
        "calibration_error": calibration_error(truth, proba), "f1": f1_score(truth, decision, average="macro"),
        "balanced_accuracy": balanced_accuracy_score(truth, decision), "seconds": seconds,
    }  # fmt: skip
