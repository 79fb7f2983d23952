"""
Several labels per row
======================

``FocalXGBClassifier`` can train one model for several labels per row, like ``XGBClassifier``. The table of this page
was made from the data set shuttle, which has one label per row. Each of its states except the most frequent becomes a
column of zeros and ones. Most rows therefore have no label, and no row has two labels. Rows of a real task can have
several. The rarest label has 10 rows.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

from skfocal.xgboost import FocalXGBClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(
    HERE / "data" / "shuttle.csv.gz", delimiter=",", skiprows=1, dtype=str
)
states, counts = np.unique(table[:, -1], return_counts=True)
# A quarter of the rows of the frequent states, and every row of the others.
frequent = np.isin(table[:, -1], states[counts > 1000])
table = table[~frequent | (np.arange(len(table)) % 4 == 0)]
names = states[np.argsort(-counts)][1:]
X, Y = table[:, :-1].astype(float), (table[:, -1:] == names).astype(int)
X_train, X_test, Y_train, Y_test = train_test_split(
    X, Y, test_size=0.5, stratify=table[:, -1], random_state=0
)
n_rows = Y_train.sum(axis=0)
print(f"{len(X_train)} rows to train on; with each label:")
print(", ".join(f"{name} {n}" for name, n in zip(names, n_rows, strict=True)))

# %%
# Four models
# -----------
#
# With ``multi_strategy="one_output_per_tree"``, the default, each label has its own trees. With "multi_output_tree",
# the labels share the trees, and a leaf has one score per label. In both cases, each label has its own class weights,
# start and probabilities.

options = {"n_estimators": 40, "max_depth": 4, "n_jobs": 1}
shared = options | {"multi_strategy": "multi_output_tree"}
models = {
    "log loss, trees per label": XGBClassifier(**options),
    "focal loss, trees per label": FocalXGBClassifier(**options),
    "log loss, shared trees": XGBClassifier(**shared),
    "focal loss, shared trees": FocalXGBClassifier(**shared),
}
precision = {}
for name, model in models.items():
    proba = model.fit(X_train, Y_train).predict_proba(X_test)
    precision[name] = average_precision_score(Y_test, proba, average=None)
    print(
        f"{name:<28} average precision, mean of the labels {precision[name].mean():.3f}"
    )

# %%
# Label by label
# --------------
#
# The models differ only on labels with at most a few dozen rows. On these labels, one or two rows of the test half
# decide the result. The page "Does it help?" has the results of more folds, and the log loss.

figure, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
colors = ["#fdae6b", "#6baed6", "#d94801", "#08519c"]
for i, (name, values) in enumerate(precision.items()):
    ax.bar(
        np.arange(len(names)) + 0.2 * (i - 1.5),
        values,
        0.19,
        label=name,
        color=colors[i],
    )
ticks = [f"{name}\n{n} rows" for name, n in zip(names, n_rows, strict=True)]
ax.set(
    xticks=range(len(names)),
    xticklabels=ticks,
    ylabel="average precision",
    ylim=(0, 1.3),
)
ax.legend(frameon=False, ncols=2, fontsize="small", loc="upper center")
plt.show()

# %%
# Parameters per label
# --------------------
#
# ``focal_gamma`` and ``focal_alpha`` can be sequences with one entry per label. Here the rare labels have a larger
# weight of class 1, and their gamma is 0.

rare = n_rows < 100
clf = FocalXGBClassifier(
    np.where(rare, 0.0, 0.5),
    [{1: 5.0} if is_rare else None for is_rare in rare],
    **options,
)
clf.fit(X_train, Y_train)
print("class weights, a row per label:")
print(clf.class_weights_.round(2))
print(
    f"labels predicted per test row: {np.bincount(clf.predict(X_test).sum(axis=1)).tolist()} rows have 0, 1, ..."
)
