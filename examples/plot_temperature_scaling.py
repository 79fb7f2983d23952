"""
Calibration on held-out rows
============================

A booster that fits the training rows too closely is overconfident, whatever its loss. ``predict_proba`` of a focal
classifier corrects the effect of gamma, but it cannot know this. ``FocalTemperatureScaling`` fits a temperature and a
gamma to scores of held-out rows. This page compares it with the methods of scikit-learn. A tenth of the labels are
noise.
"""

import matplotlib.pyplot as plt
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skfocal.calibration import FocalTemperatureScaling

X, y = make_classification(
    24_000,
    20,
    n_informative=6,
    n_clusters_per_class=4,
    weights=[0.9],
    flip_y=0.1,
    random_state=0,
)
X_train, X_rest, y_train, y_rest = train_test_split(
    X, y, train_size=4000, stratify=y, random_state=0
)
X_held_out, X_test, y_held_out, y_test = train_test_split(
    X_rest, y_rest, train_size=2000, stratify=y_rest, random_state=0
)

# %%
# A model that is already fitted
# ------------------------------
#
# ``FrozenEstimator`` keeps ``fit`` from training the model again. All methods use the same held-out rows.

model = LGBMClassifier(n_estimators=200, n_jobs=1, verbosity=-1).fit(X_train, y_train)
frozen = FrozenEstimator(model)
methods = {
    "not calibrated": model,
    "sigmoid": CalibratedClassifierCV(frozen, method="sigmoid").fit(
        X_held_out, y_held_out
    ),
    "isotonic": CalibratedClassifierCV(frozen, method="isotonic").fit(
        X_held_out, y_held_out
    ),
    "FocalTemperatureScaling": FocalTemperatureScaling(frozen).fit(
        X_held_out, y_held_out
    ),
}
fitted = methods["FocalTemperatureScaling"].calibrators_[0]
print(f"temperature {fitted.temperature:.2f}, gamma {fitted.gamma:.2f}")

figure, ax = plt.subplots(figsize=(5.8, 5.2), layout="constrained")
ax.plot([0, 0.65], [0, 0.65], color="0.6", linewidth=1, linestyle=":")
for name, method in methods.items():
    p = method.predict_proba(X_test)[:, 1]
    loss = log_loss(y_test, p)
    print(f"{name:<24} log loss {loss:.4f}")
    observed, predicted = calibration_curve(y_test, p, n_bins=12, strategy="quantile")
    ax.plot(
        predicted,
        observed,
        marker="o",
        markersize=4,
        label=f"{name}, log loss {loss:.3f}",
    )
ax.set(
    xlabel="predicted probability",
    ylabel="observed share",
    xlim=(0, 0.65),
    ylim=(0, 0.65),
)
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# Without a held-out part
# -----------------------
#
# If the estimator is not frozen, it is trained on the folds of ``cv``, and each map is fitted to the scores of its
# held-out fold. The probabilities are the means over the folds. All training rows are then used for both purposes.

folds = FocalTemperatureScaling(
    LGBMClassifier(n_estimators=200, n_jobs=1, verbosity=-1), cv=5
)
folds.fit(X_train, y_train)
print(
    f"five folds of the training rows: log loss {log_loss(y_test, folds.predict_proba(X_test)):.4f}"
)
