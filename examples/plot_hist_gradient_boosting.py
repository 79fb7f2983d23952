"""
Without another library: scikit-learn's own booster
===================================================

``FocalHistGradientBoostingClassifier`` is scikit-learn's ``HistGradientBoostingClassifier`` with the focal loss. It
needs no library other than scikit-learn. The data set is hypothyroid: 3,163 patients, of whom 4.8 % are ill. It has
missing values and yes-or-no columns, which the trees use without preprocessing.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import train_test_split

from skfocal.ensemble import FocalHistGradientBoostingClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(
    HERE / "data" / "hypothyroid.csv.gz", delimiter=",", skiprows=1, dtype=str
)
X, y = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float), table[:, -1]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
print(
    f"{np.mean(y == 'pos'):.1%} of {len(y)} are positive, {np.isnan(X).mean():.0%} of the values are missing"
)

# %%
# The same trees, and others
# --------------------------
#
# With ``focal_gamma=0`` and ``max_step=None`` the loss is log loss, and the trees are those of the parent class.
# ``max_step`` bounds the influence of a single row on a leaf. It also has an effect with log loss.

models = {
    "log loss, scikit-learn": HistGradientBoostingClassifier(),
    "gamma 0, no bound": FocalHistGradientBoostingClassifier(0.0, max_step=None),
    "gamma 0": FocalHistGradientBoostingClassifier(0.0),
    "gamma 0.5, the default": FocalHistGradientBoostingClassifier(),
    "gamma 2": FocalHistGradientBoostingClassifier(2.0),
}
for name, model in models.items():
    proba = model.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    precision, loss = (
        average_precision_score(y_test == "pos", proba),
        log_loss(y_test, proba),
    )
    print(f"{name:<24} average precision {precision:.3f}, log loss {loss:.4f}")
same, parent = models["gamma 0, no bound"], models["log loss, scikit-learn"]
print(
    "the parent's scores, to the last bit:",
    np.array_equal(same.decision_function(X), parent.decision_function(X)),
)

# %%
# Round by round
# --------------
#
# ``staged_predict_proba`` returns the probabilities after each round, with the same correction as ``predict_proba``.
# With ``calibration=None`` they are the sigmoid of the scores, which is not a probability if gamma is above 0.

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
