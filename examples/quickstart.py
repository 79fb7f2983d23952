"""
Quickstart: focal loss on two imbalanced data sets
==================================================

This script trains LightGBM and XGBoost with their default parameters, and again with the one parameter that helps each
of them most on imbalanced tables. Then it trains the focal estimators of skfocal with their default parameters, and a
grid search over ``focal_gamma`` in a pipeline. It prints a table, says what the focal models do worse, and saves a
picture.

The two data sets are in the folder of this script: Statlog shuttle (58,000 rows, 7 classes, the rarest with 10 rows)
and hypothyroid (3,163 rows, 4.8 % positive, missing values).

    python -m pip install -e ".[cpu]" && python examples/quickstart.py

If the environment already has xgboost, install ``-e ".[lightgbm,xgboost,plot]"`` instead. The extra ``cpu`` installs
xgboost-cpu, which replaces the files of xgboost and so disables its GPU support.
"""

# sphinx_gallery_thumbnail_path = "quickstart.png"

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, f1_score, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier, build_info

from skfocal.ensemble import FocalHistGradientBoostingClassifier
from skfocal.lightgbm import FocalLGBMClassifier
from skfocal.linear_model import FocalLogisticRegression
from skfocal.xgboost import FocalXGBClassifier

DATA = Path(__file__).parent / "data"
MEASURES = {"avg precision": 1, "macro F1": 1, "log loss": -1}
"""Measures, and whether a larger (1) or a smaller (-1) value is better. Average precision is the mean over the
classes."""
OPPONENTS = {
    "FocalLGBM": "LightGBM, reg_lambda=1",
    "FocalXGB": "XGBoost, max_delta_step=1",
}
"""The fair opponent of each focal booster."""


def load(name):
    """Features (n, d), with NaN for a missing value, and labels (n,)."""
    table = np.loadtxt(DATA / f"{name}.csv.gz", delimiter=",", skiprows=1, dtype=str)
    X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
    return X, table[:, -1]


def models(n_classes):
    """Name, estimator and color of each row of the table."""
    linear = make_pipeline(
        SimpleImputer(strategy="median"), FocalLogisticRegression(1.0, max_iter=1000)
    )
    yield "LightGBM as it comes", LGBMClassifier(verbosity=-1), "#c6dbef"
    yield (
        "LightGBM, reg_lambda=1",
        LGBMClassifier(reg_lambda=1, verbosity=-1),
        "#6baed6",
    )
    yield "FocalLGBM", FocalLGBMClassifier(verbosity=-1), "#08519c"
    yield "XGBoost as it comes", XGBClassifier(), "#fdd0a2"
    yield "XGBoost, max_delta_step=1", XGBClassifier(max_delta_step=1), "#fd8d3c"
    yield "FocalXGB", FocalXGBClassifier(), "#a63603"
    yield "FocalHistGradientBoosting", FocalHistGradientBoostingClassifier(), "#6a51a3"
    yield "FocalLogisticRegression, gamma 1", linear, "#238b45"
    if n_classes == 2:
        boosted = make_pipeline(
            SimpleImputer(strategy="median"), FocalLGBMClassifier(verbosity=-1)
        )
        gammas = {"focallgbmclassifier__focal_gamma": [0.0, 0.5, 1.0, 2.0]}
        yield (
            "FocalLGBM, gamma by grid search",
            GridSearchCV(boosted, gammas, scoring="neg_log_loss", cv=5),
            "0.4",
        )


def main():
    """Train, print and draw."""
    warn_of_two_xgboosts()
    figure, axes = plt.subplots(
        2, 2, figsize=(12, 9), layout="constrained", width_ratios=[1.6, 1]
    )
    print(
        f"{'data':<12} {'model':<33}"
        + "".join(f"{name:>14}" for name in MEASURES)
        + f"{'seconds':>9}"
    )
    for row, (data, rare) in enumerate(
        [("hypothyroid", "pos"), ("shuttle", "Fpv.Open")]
    ):
        X, y = load(data)
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=0
        )
        classes, codes = np.unique(y_train, return_inverse=True)
        drawn = (
            [rare]
            if len(classes) == 2
            else sorted(classes, key=lambda label: -np.sum(y == label))
        )
        table, candidates = {}, list(models(len(classes)))
        for i, (name, model, color) in enumerate(candidates):
            start = perf_counter()
            # XGBClassifier is the only one that needs the labels 0 .. K-1.
            model.fit(X_train, codes if type(model) is XGBClassifier else y_train)
            seconds = perf_counter() - start
            proba = model.predict_proba(X_test)
            precision = {
                k: average_precision_score(
                    y_test == k, proba[:, list(classes).index(k)]
                )
                for k in drawn
            }
            predicted = classes[proba.argmax(axis=1)]
            table[name] = {
                "avg precision": np.mean(list(precision.values())),
                "macro F1": f1_score(
                    y_test, predicted, average="macro", zero_division=0.0
                ),
                "log loss": log_loss(
                    y_test, proba / proba.sum(axis=1, keepdims=True), labels=classes
                ),
            }
            values = "".join(f"{value:>14.4f}" for value in table[name].values())
            print(f"{data:<12} {name:<33}{values}{seconds:>9.1f}")
            if isinstance(model, GridSearchCV):
                print(
                    f"{'':<12} best: gamma {next(iter(model.best_params_.values())):g}"
                )
            width = 0.9 / len(candidates)
            place = np.arange(len(drawn)) - 0.45 + (i + 0.5) * width
            axes[row, 0].bar(place, precision.values(), width, color=color, label=name)
            draw_calibration(
                axes[row, 1],
                y_test == rare,
                proba[:, list(classes).index(rare)],
                name,
                color,
            )
        print_what_got_worse(data, table)
        counts = [f"{label}\n{np.sum(y_test == label):,} rows" for label in drawn]
        axes[row, 0].set_xticks(range(len(drawn)), counts, fontsize="small")
        axes[row, 0].set(
            title=f"{data}: average precision by class",
            ylabel="average precision",
            ylim=(0, 1.02),
        )
        axes[row, 1].set(title=f"calibration of '{rare}', bins of 50 rows or more")
        axes[row, 1].set(xlabel="mean predicted probability", ylabel="observed share")
        axes[row, 1].plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
    # One legend for all pictures: the first picture contains every model, and the colors are the same in all pictures.
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3
    )
    picture = Path("quickstart.png").absolute()
    figure.savefig(picture, dpi=120)
    print(f"\nPicture: {picture}")


def warn_of_two_xgboosts():
    """Warn if both xgboost and xgboost-cpu are installed: the one installed later has replaced the files of the
    other.
    """
    installed = {}
    for name in ("xgboost", "xgboost-cpu"):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            return
    both = " and ".join(f"{name} {number}" for name, number in installed.items())
    gpu = "with" if build_info()["USE_CUDA"] else "without"
    print(
        f"Warning: {both} are both installed. They write the same files, and those found now are {gpu} GPU support.\n"
        "Uninstalling one of the two breaks `import xgboost`. Remove both and install the one you want:\n"
        "    python -m pip uninstall -y xgboost xgboost-cpu\n"
        "    python -m pip install xgboost        # or xgboost-cpu, which has no GPU support\n"
    )


def print_what_got_worse(data, table):
    """Print the measures in which a focal booster is worse than its fair opponent by more than 0.001."""
    for ours, theirs in OPPONENTS.items():
        for measure, sign in MEASURES.items():
            before, after = table[theirs][measure], table[ours][measure]
            if sign * (after - before) < -0.001:
                print(
                    f"{'':<12} {ours} is worse than {theirs}: {measure} {before:.4f} -> {after:.4f}"
                )


def draw_calibration(ax, is_rare, score, name, color):
    """Draw the observed against the predicted share of one class. Bins are tenths of the probability, merged until they
    have 50 rows.
    """
    order = np.argsort(score)
    edges, start = [], 0
    for tenth in range(1, 11):
        stop = np.searchsorted(score[order], tenth / 10, side="right")
        if stop - start >= 50 or tenth == 10:
            edges.append((start, stop))
            start = stop
    if (
        len(edges) > 1 and edges[-1][1] - edges[-1][0] < 50
    ):  # the last is merged with the one before
        edges[-2:] = [(edges[-2][0], edges[-1][1])]
    bins = [order[start:stop] for start, stop in edges]
    predicted, observed = (
        [values[rows].mean() for rows in bins] for values in (score, is_rare)
    )
    ax.plot(
        predicted,
        observed,
        color=color,
        linewidth=1,
        marker="o",
        markersize=4,
        label=name,
    )


if __name__ == "__main__":
    main()
