"""
Quickstart: focal loss on two imbalanced data sets
==================================================

Trains LightGBM and XGBoost as they come, the three focal estimators of skfocal and a grid search over ``focal_gamma``
in a pipeline, on two data sets that lie beside this script: Statlog shuttle (58,000 rows, 7 classes down to 10 rows)
and hypothyroid (3,163 rows, 4.8 % positive, missing values). Prints one table and saves one picture.

    python -m pip install -e ".[cpu]" && python examples/quickstart.py
"""

from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, f1_score, log_loss, precision_recall_curve
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer
from xgboost import XGBClassifier

from skfocal.lightgbm import FocalLGBMClassifier
from skfocal.linear_model import FocalLogisticRegression
from skfocal.xgboost import FocalXGBClassifier

DATA = Path(__file__).parent / "data"
GAMMA = 1.0


def load(name):
    """Features (n, d), with NaN for a missing value, and labels (n,)."""
    table = np.loadtxt(DATA / f"{name}.csv.gz", delimiter=",", skiprows=1, dtype=str)
    X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
    return X, table[:, -1]


def models(n_classes):
    """Name, estimator and colour of each row of the table."""
    linear = make_pipeline(SimpleImputer(strategy="median"), FocalLogisticRegression(GAMMA, max_iter=1000))
    yield "LightGBM as it comes", LGBMClassifier(verbosity=-1), "#9ecae1"
    yield f"FocalLGBM, gamma {GAMMA:g}", FocalLGBMClassifier(GAMMA, verbosity=-1), "#08519c"
    yield "XGBoost as it comes", XGBClassifier(), "#fdbe85"
    yield f"FocalXGB, gamma {GAMMA:g}", FocalXGBClassifier(GAMMA), "#a63603"
    yield f"FocalLogisticRegression, gamma {GAMMA:g}", linear, "#238b45"
    if n_classes == 2:
        boosted = make_pipeline(SimpleImputer(strategy="median"), FocalLGBMClassifier(verbosity=-1))
        gammas = {"focallgbmclassifier__focal_gamma": [0.0, 0.5, 1.0, 2.0]}
        grid = GridSearchCV(boosted, gammas, scoring="neg_log_loss", cv=5)
        yield "FocalLGBM in a pipeline, gamma by grid search", grid, "#6a51a3"


def main():
    """Train, print and draw."""
    figure, axes = plt.subplots(2, 2, figsize=(10.5, 8.2), layout="constrained")
    print(f"{'data':<12} {'model':<46} {'avg precision':>13} {'macro F1':>9} {'log loss':>9} {'seconds':>8}")
    for row, (data, rare) in enumerate([("hypothyroid", "pos"), ("shuttle", "Fpv.Open")]):
        X, y = load(data)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
        for name, model, colour in models(len(np.unique(y))):
            start = perf_counter()
            # XGBClassifier alone wants the numbers 0 .. K-1 for labels.
            classes, codes = np.unique(y_train, return_inverse=True)
            model.fit(X_train, codes if type(model) is XGBClassifier else y_train)
            seconds = perf_counter() - start
            proba = model.predict_proba(X_test)
            one_hot = LabelBinarizer().fit(classes).transform(y_test)
            scores = proba[:, 1:] if len(classes) == 2 else proba
            precision = average_precision_score(one_hot, scores, average="macro")
            predicted = classes[proba.argmax(axis=1)]
            macro_f1 = f1_score(y_test, predicted, average="macro", zero_division=0.0)
            loss = log_loss(y_test, proba / proba.sum(axis=1, keepdims=True), labels=classes)
            print(f"{data:<12} {name:<46} {precision:>13.4f} {macro_f1:>9.4f} {loss:>9.4f} {seconds:>8.1f}")
            if isinstance(model, GridSearchCV):
                print(f"{'':<12} {'':<4}best: gamma {next(iter(model.best_params_.values())):g}")
            draw(axes[row], y_test == rare, proba[:, list(classes).index(rare)], name, colour)
        share = np.mean(y == rare)
        axes[row, 0].set(title=f"{data}: precision and recall of '{rare}' ({share:.1%} of rows)")
        axes[row, 1].set(title=f"{data}: calibration of '{rare}'")
    for ax in axes[:, 0]:
        ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    for ax in axes[:, 1]:
        ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
        ax.set(xlabel="predicted probability, by tenths (dot: log of the rows)", ylabel="observed share")
    axes[0, 0].legend(loc="lower left", fontsize="small")
    picture = Path("quickstart.png").absolute()
    figure.savefig(picture, dpi=120)
    print(f"\nPicture: {picture}")


def draw(axes, is_rare, score, name, colour):
    """One model's precision-recall and calibration curves for one class."""
    precision, recall, _ = precision_recall_curve(is_rare, score)
    axes[0].step(recall, precision, where="post", label=name, color=colour, linewidth=1.8)
    bins = np.minimum((10 * score).astype(int), 9)
    filled = np.unique(bins)
    predicted = [score[bins == i].mean() for i in filled]
    observed = [is_rare[bins == i].mean() for i in filled]
    rows = [np.sum(bins == i) for i in filled]
    axes[1].plot(predicted, observed, color=colour, linewidth=0.6, alpha=0.6)
    axes[1].scatter(predicted, observed, s=[6 + 12 * np.log(n) for n in rows], color=colour, alpha=0.85, linewidths=0)


if __name__ == "__main__":
    main()
