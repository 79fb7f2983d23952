"""
Several classes, some of them rare
==================================

Statlog shuttle has seven classes, the states of a radiator. The rarest class has 10 of 58,000 rows. This example uses a
third of the rows, including all rows of the four rare classes. LightGBM with its own log loss collapses on these data;
the focal loss with its bounded step does not. We compare the average precision of each class.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split

from skfocal.lightgbm import FocalLGBMClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(
    HERE / "data" / "shuttle.csv.gz", delimiter=",", skiprows=1, dtype=str
)
classes, counts = np.unique(table[:, -1], return_counts=True)
frequent = np.isin(table[:, -1], classes[counts > 1000])
table = table[~frequent | (np.arange(len(table)) % 3 == 0)]
X, y = table[:, :-1].astype(float), table[:, -1]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)

# %%
# Average precision of each class
# -------------------------------
#
# ``focal_alpha="balanced"`` gives every class the same total weight. It can be combined with gamma. Gamma can be one
# number per class, in the order of ``classes_``. Here the rare classes have gamma 0, so that the weight of their easy
# rows is not reduced.

rare = np.array([np.sum(y_train == name) < 1000 for name in np.unique(y_train)])
options = {"n_estimators": 60, "n_jobs": 1, "verbosity": -1}
models = {
    "log loss": LGBMClassifier(**options),
    "gamma 1": FocalLGBMClassifier(1.0, **options),
    "gamma 1, balanced": FocalLGBMClassifier(1.0, "balanced", **options),
    "gamma 2, rare classes 0": FocalLGBMClassifier(np.where(rare, 0.0, 2.0), **options),
}
precision = {}
for name, model in models.items():
    proba = model.fit(X_train, y_train).predict_proba(X_test)
    precision[name] = [
        average_precision_score(y_test == c, proba[:, k])
        for k, c in enumerate(model.classes_)
    ]
    print(f"{name:<24} macro average precision {np.mean(precision[name]):.3f}")

# %%
# The rarer the class, the more the loss matters
# ----------------------------------------------

order = np.argsort([np.sum(y_train == name) for name in np.unique(y_train)])
names = [
    f"{name}\n{np.sum(y_train == name)} rows" for name in np.unique(y_train)[order]
]
figure, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
for i, (name, values) in enumerate(precision.items()):
    ax.bar(
        np.arange(len(names)) + 0.2 * (i - 1.5),
        np.array(values)[order],
        0.19,
        label=name,
    )
ax.set(
    xticks=range(len(names)),
    xticklabels=names,
    ylabel="average precision",
    ylim=(0, 1.25),
)
ax.legend(frameon=False, ncols=4, fontsize="small", loc="upper center")
plt.show()
