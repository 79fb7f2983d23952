"""
Probabilities from focal scores
===============================

Focal loss is not a proper scoring rule: the sigmoid of a score that was trained with it is not a probability. The
effect of gamma and alpha is known in closed form, and ``calibration`` selects which part of it ``predict_proba``
corrects. The data are drawn from a model with known probabilities.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from skfocal.linear_model import FocalLogisticRegression

rng = np.random.default_rng(0)
X = rng.normal(size=(60_000, 4))
truth = 1 / (1 + np.exp(-(X @ [1.2, -0.8, 0.5, 0.0] - 2.0)))
y = (rng.random(len(truth)) < truth).astype(int)
train, test = slice(0, 30_000), slice(30_000, None)
print(
    f"{y.mean():.1%} positive; log loss of the true probabilities: {log_loss(y[test], truth[test]):.4f}"
)

# %%
# One model, three ways from score to probability
# -----------------------------------------------
#
# The model is fitted once, because ``calibration`` affects only ``predict_proba``. With ``focal_alpha="balanced"`` both
# classes have the same total weight. ``None`` is the sigmoid of the scores. ``"focus"`` corrects for gamma; the
# probabilities include the class weights, as with scikit-learn's ``class_weight``. ``"full"`` corrects for both.

model = FocalLogisticRegression(focal_gamma=2.0, focal_alpha="balanced").fit(
    X[train], y[train]
)
figure, ax = plt.subplots(figsize=(5.8, 5.2), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
for calibration, label in (
    (None, "None: sigmoid"),
    ("focus", '"focus"'),
    ("full", '"full"'),
):
    p = model.set_params(calibration=calibration).predict_proba(X[test])[:, 1]
    loss = log_loss(y[test], p)
    print(
        f"calibration={calibration!r:<8} log loss {loss:.4f}, mean probability {p.mean():.3f}"
    )
    observed, predicted = calibration_curve(y[test], p, n_bins=12, strategy="quantile")
    ax.plot(predicted, observed, marker="o", label=f"{label}, log loss {loss:.3f}")
ax.set(
    xlabel="predicted probability", ylabel="observed share", xlim=(0, 1), ylim=(0, 1)
)
ax.legend(frameon=False, loc="upper left")
plt.show()
