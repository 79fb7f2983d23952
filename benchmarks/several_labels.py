"""XGBoost with several labels per row: FocalXGBClassifier compared with XGBClassifier, on two real tables.

    python benchmarks/several_labels.py [--data DIR] [--folds 5] [--trees 100]

The original tables have one label per row. Each class except the most frequent becomes a column of zeros and ones. Rows
of the most frequent class have no label, and no row has two labels, so the labels exclude each other. Of shuttle, a
third of the rows of the frequent classes and all rows of the rare classes are used. Identical rows are always on the
same side of a split. The script prints a table in Markdown.
"""

import argparse
from pathlib import Path

import numpy as np
from quality_folds import load
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.multioutput import MultiOutputClassifier
from xgboost import XGBClassifier

from skfocal.xgboost import FocalXGBClassifier

EXAMPLES = Path(__file__).parent.parent / "examples" / "data"
VECTOR = {"multi_strategy": "multi_output_tree"}
ARMS = {
    "XGBClassifier": lambda **o: XGBClassifier(**o),
    "XGBClassifier, `base_score=0.5`": lambda **o: XGBClassifier(base_score=0.5, **o),
    "FocalXGBClassifier": lambda **o: FocalXGBClassifier(**o),
    "FocalXGBClassifier, a fit per label": lambda **o: MultiOutputClassifier(FocalXGBClassifier(**o)),
    "FocalXGBClassifier, `focal_gamma=0`": lambda **o: FocalXGBClassifier(0.0, **o),
    "FocalXGBClassifier, `balanced_bins=False`": lambda **o: FocalXGBClassifier(balanced_bins=False, **o),
    "FocalXGBClassifier, `max_step=None`": lambda **o: FocalXGBClassifier(max_step=None, **o),
    "XGBClassifier, vector leaves": lambda **o: XGBClassifier(**VECTOR, **o),
    "XGBClassifier, vector leaves, `base_score=0.5`": lambda **o: XGBClassifier(base_score=0.5, **VECTOR, **o),
    "FocalXGBClassifier, vector leaves": lambda **o: FocalXGBClassifier(**VECTOR, **o),
    "FocalXGBClassifier, vector leaves, `focal_gamma=0`": lambda **o: FocalXGBClassifier(0.0, **VECTOR, **o),
    "FocalXGBClassifier, vector leaves, `balanced_bins=False`": lambda **o: FocalXGBClassifier(
        balanced_bins=False, **VECTOR, **o
    ),
}


def named(texts):
    """The arms with these names. If a text is no name, all arms whose names contain the text."""
    return [arm for arm in ARMS if any(arm == text or (text not in ARMS and text in arm) for text in texts)]


def as_labels(X, y, group):
    """The table with a column of zeros and ones for each class except the most frequent. The rarest class is last."""
    counts = np.bincount(y)
    if len(y) > 50_000:
        kept = (counts[y] < 1000) | (np.arange(len(y)) % 3 == 0)
        X, y, group = X[kept], y[kept], group[kept]
    classes = np.argsort(-counts, kind="stable")[1:]
    return X, y, group, (y[:, np.newaxis] == classes).astype(int)


def positive(model, X):
    """P(label=1), (n, n_labels)."""
    proba = model.predict_proba(X)
    return np.transpose([p[:, 1] for p in proba]) if isinstance(proba, list) else proba


def measure(model, X, y, group, Y, n_folds):
    """Average precision and log loss of each fold and label, both (n_folds, n_labels)."""
    precision, loss = [], []
    for train, test in StratifiedGroupKFold(n_folds, shuffle=True, random_state=0).split(X, y, group):
        p = positive(model.fit(X[train], Y[train]), X[test]).astype(float)
        precision.append([average_precision_score(*pair) for pair in zip(Y[test].T, p.T, strict=True)])
        loss.append([log_loss(*pair, labels=[0, 1]) for pair in zip(Y[test].T, p.T, strict=True)])
    return np.array(precision), np.array(loss)


def main(arguments=None):
    """Measure every arm on every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=EXAMPLES, help="a folder of .npz or .csv.gz files")
    parser.add_argument("--sets", nargs="+", default=["page_blocks", "shuttle"])
    parser.add_argument("--arms", nargs="+", default=[""], help="only these, or those whose names contain these")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--trees", type=int, default=100)
    options = parser.parse_args(arguments)
    for name in options.sets:
        (path,) = options.data.glob(f"{name}.*")
        X, y, group, Y = as_labels(*load(path, 10**6, 10**9))
        rarest = Y.sum(axis=0) < 100
        print(f"\n{name}: {len(y):,} rows, rows per label {Y.sum(axis=0).tolist()}\n")
        print("| | AP, mean of labels | folds won/lost | AP, labels below 100 rows | log loss, ratio |")
        print("| --- | --- | --- | --- | --- |")
        first = None
        for arm in named(options.arms):
            model = ARMS[arm](n_estimators=options.trees, n_jobs=1, random_state=0)
            precision, loss = measure(model, X, y, group, Y, options.folds)
            first = first or (precision, loss)
            difference = (precision - first[0]).mean(axis=1).round(4)
            won = "" if first[0] is precision else f"{(difference > 0).sum()}/{(difference < 0).sum()}"
            print(f"| {arm} | {precision.mean():.3f} | {won} | {precision[:, rarest].mean():.3f} "
                  f"| {loss.mean() / first[1].mean():.3f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
