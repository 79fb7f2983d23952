"""
Without another library: scikit-learn's own booster
===================================================

``FocalHistGradientBoostingClassifier`` is scikit-learn's ``HistGradientBoostingClassifier`` with another loss: nothing
is to be installed beside scikit-learn. The data are hypothyroid: 3,163 patients, 4.8 % of them ill, with missing values
and yes-or-no columns, which the trees take as they are.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import train_test_split

from skfocal.ensemble import FocalHistGradientBoostingClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(HERE / "data" / "hypothyroid.csv.gz", delimiter=",", skiprows=1, dtype=str)
X, y = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float), table[:, -1]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
print(f"{np.mean(y == 'pos'):.1%} of {len(y)} are positive, {np.isnan(X).mean():.0%} of the values are missing")

# %%
# The same trees, and others
# --------------------------
#
# With ``focal_gamma=0`` and ``max_step=None`` the loss is log loss and the trees are those of the parent. ``max_step``
# bounds how far a single row can push a leaf, with log loss as well.

models = {
    "log loss, scikit-learn": HistGradientBoostingClassifier(),
    "gamma 0, no bound": FocalHistGradientBoostingClassifier(0.0, max_step=None),
    "gamma 0": FocalHistGradientBoostingClassifier(0.0),
    "gamma 0.5, the default": FocalHistGradientBoostingClassifier(),
    "gamma 2": FocalHistGradientBoostingClassifier(2.0),
}
for name, model in models.items():
    proba = model.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    precision, loss = average_precision_score(y_test == "pos", proba), log_loss(y_test, proba)
    print(f"{name:<24} average precision {precision:.3f}, log loss {loss:.4f}")
same, parent = models["gamma 0, no bound"], models["log loss, scikit-learn"]
print("the parent's scores, to the last bit:", np.array_equal(same.decision_function(X), parent.decision_function(X)))

# %%
# Round by round
# --------------
#
# ``staged_predict_proba`` gives the probabilities after each round, corrected as ``predict_proba`` corrects them. With
# ``calibration=None`` they are the bare sigmoid of the scores, which is no probability once gamma is above 0.

figure, ax = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
curves = {
    "log loss, scikit-learn": (models["log loss, scikit-learn"], "#9ecae1", "-"),
    "gamma 2": (models["gamma 2"], "#08519c", "-"),
    "gamma 2, calibration=None": (models["gamma 2"], "#08519c", ":"),
}
for name, (model, color, line) in curves.items():
    if name.endswith("None"):
        model.set_params(calibration=None)
    losses = [log_loss(y_test, proba) for proba in model.staged_predict_proba(X_test)]
    ax.plot(np.arange(1, len(losses) + 1), losses, line, color=color, label=name)
ax.set(xlabel="round", ylabel="log loss of the test rows", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
