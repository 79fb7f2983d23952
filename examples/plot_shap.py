"""
SHAP values of a focal model
============================

The estimators store their starting score in the booster. An explanation of the booster is therefore an explanation of
the estimator: the base value and the SHAP values of a row add up to its raw score.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import shap

from skfocal.lightgbm import FocalLGBMClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(HERE / "data" / "hypothyroid.csv.gz", delimiter=",", dtype=str)
names, table = table[0, :-1], table[1:]
X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
y = table[:, -1]
clf = FocalLGBMClassifier(
    1.0, n_estimators=60, learning_rate=0.05, n_jobs=1, verbosity=-1
).fit(X, y)

# %%
# The values add up
# -----------------
#
# SHAP values have the unit of ``decision_function``. The probability increases strictly with the score, so that the
# signs and the order of the SHAP values are valid for the probability as well.
#
# Do not use ``model_output="probability"``. It would explain the sigmoid of the scores, which is not the result of
# ``predict_proba``. To explain the probabilities, explain the function: ``shap.Explainer(clf.predict_proba, X)``.

explainer = shap.TreeExplainer(clf.booster_)
values = np.asarray(explainer.shap_values(X))
base = float(np.ravel(explainer.expected_value)[-1])
error = np.abs(base + values.sum(axis=1) - clf.decision_function(X)).max()
print(f"base value {base:.3f}, greatest difference to the raw scores {error:.1e}")

# %%
# Which features matter
# ---------------------

top = np.argsort(np.abs(values).mean(axis=0))[-8:]
rng = np.random.default_rng(0)
figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
for row, k in enumerate(top):
    known = ~np.isnan(X[:, k])
    rank = np.full(len(X), 0.5)
    rank[known] = np.argsort(np.argsort(X[known, k])) / max(1, known.sum() - 1)
    points = ax.scatter(
        values[:, k],
        row + rng.uniform(-0.3, 0.3, len(X)),
        c=rank,
        cmap="coolwarm",
        s=4,
        linewidths=0,
    )
ax.axvline(0.0, color="0.6", linewidth=0.8)
ax.set(
    yticks=range(len(top)),
    yticklabels=names[top],
    xlabel="SHAP value: change of the raw score",
)
figure.colorbar(points, ax=ax, label="rank of the feature's value", ticks=[0, 1])
plt.show()
