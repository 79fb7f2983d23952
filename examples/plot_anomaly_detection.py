"""
Anomaly detection with labels
=============================

If some anomalies are labeled, a classifier that is trained on them is better than a detector without labels, provided
that the classifier does not collapse on the imbalanced data. In this example the rare states of the shuttle's radiators
are the anomalies, with a share of 1 % and of 0.1 % of the rows. We compare ``IsolationForest``, LightGBM with its
default parameters, and LightGBM with the focal loss. The measures are the average precision and the precision of the
first k alerts, where k is the number of true anomalies.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from skfocal.lightgbm import FocalLGBMClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(
    HERE / "data" / "shuttle.csv.gz", delimiter=",", skiprows=1, dtype=str
)
X_all, state = table[:, :-1].astype(float), table[:, -1]
# "Rad.Flow" is the normal state. All states except for it and the two other frequent states are anomalies.
anomaly = ~np.isin(state, ["Rad.Flow", "High", "Bypass"])
normal = np.flatnonzero(state == "Rad.Flow")
rng = np.random.default_rng(0)


def at_share(share):
    """Normal rows and randomly drawn anomalies, which make up a ``share`` of all rows."""
    found = np.flatnonzero(anomaly)
    n = min(len(found), int(share * len(normal) / (1 - share)))
    kept_normal = rng.choice(normal, int(n * (1 - share) / share), replace=False)
    rows = np.r_[kept_normal, rng.choice(found, n, replace=False)]
    return X_all[rows], anomaly[rows].astype(int)


def precision_at_k(y, score):
    """Share of true anomalies among the first k alerts, where k is the number of anomalies."""
    first = np.argsort(-score, kind="stable")[: y.sum()]
    return y[first].mean()


# %%
# Three detectors at two shares
# -----------------------------

scores, threshold = {}, {}
for share in (0.01, 0.001):
    X, y = at_share(share)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.5, stratify=y, random_state=0
    )
    print(
        f"\n{share:.1%} anomalies: {y_train.sum()} to learn from, {y_test.sum()} to find in {len(y_test)} rows"
    )
    forest = IsolationForest(random_state=0).fit(X_train)
    models = {
        "IsolationForest": -forest.score_samples(X_test),
        "LightGBM": LGBMClassifier(n_jobs=1, verbosity=-1)
        .fit(X_train, y_train)
        .predict_proba(X_test)[:, 1],
    }
    focal = TunedThresholdClassifierCV(
        FocalLGBMClassifier(1.0, n_jobs=1, verbosity=-1), scoring="f1", cv=3
    )
    focal.fit(X_train, y_train)
    models["focal LightGBM"] = focal.predict_proba(X_test)[:, 1]
    for name, score in models.items():
        print(f"  {name:<16} average precision {average_precision_score(y_test, score):.3f}, "
              f"precision at k {precision_at_k(y_test, score):.3f}")  # fmt: skip
    print(f"  F1 of the focal model at 0.5: {f1_score(y_test, models['focal LightGBM'] > 0.5):.3f}, at the tuned "
          f"threshold {focal.best_threshold_:.3f}: {f1_score(y_test, focal.predict(X_test)):.3f}")  # fmt: skip
    scores[share], threshold[share] = (models, y_test), focal.best_threshold_

# %%
# Alerts per day
# --------------
#
# The picture shows what a threshold means for the people who check the alerts. If there are 10,000 rows per day, how
# many alerts are there, and how many of them are correct? The line marks the threshold that
# ``TunedThresholdClassifierCV`` has chosen for F1.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
colors = {"IsolationForest": "0.5", "LightGBM": "#d94801", "focal LightGBM": "#08519c"}
for axis, (share, (models, y_test)) in zip(axes, scores.items(), strict=True):
    per_day = 10_000 / len(y_test)
    for name, score in models.items():
        right = np.cumsum(y_test[np.argsort(-score, kind="stable")])
        alerts = np.arange(1, len(right) + 1)
        axis.plot(alerts * per_day, right * per_day, label=name, color=colors[name])
    n_alerts = (models["focal LightGBM"] >= threshold[share]).sum() * per_day
    axis.axvline(
        n_alerts,
        color=colors["focal LightGBM"],
        linestyle=":",
        label="tuned threshold of the focal model",
    )
    a_day = share * 10_000
    axis.plot([0, a_day], [0, a_day], color="0.8", linewidth=1, zorder=0)
    axis.set(
        xlim=(0, 4 * a_day),
        ylim=(0, 1.1 * a_day),
        title=f"{share:.1%} anomalies, 10,000 rows a day",
    )
    axis.set(xlabel="alerts a day", ylabel="right alerts a day")
axes[0].legend(frameon=False, loc="lower right")
plt.show()
