"""
The loss
========

This example shows the effect of gamma on the loss of a row, on the gradient, and on the Hessian, by which a booster
divides. Then it shows the effect on the loss of a fitted model.
"""

import matplotlib.pyplot as plt
import numpy as np

from skfocal import FocalLoss
from skfocal.inspection import FocalLossDisplay
from skfocal.linear_model import FocalLogisticRegression

# %%
# The loss against the probability of the true class
# --------------------------------------------------
#
# Gamma 0 is cross-entropy. The larger gamma, the smaller the loss of a row whose true class already has a high
# probability.

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
FocalLossDisplay.from_params(gammas=[0.0, 0.5, 1.0, 2.0, 5.0], ax=ax)
ax.set(ylim=(0, 5), title="focal loss of one row")

# %%
# Its derivatives by the raw score
# --------------------------------
#
# For badly misclassified rows, the gradient of cross-entropy approaches -1. The gradient of the focal loss goes below
# -1 before it approaches -1, and it vanishes faster for correctly classified rows. The Hessian of the focal loss can be
# negative, unlike that of cross-entropy. In the shaded area it is negative, and a Newton step would have the wrong
# direction.

figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
for kind, ax in zip(("gradient", "hessian"), axes, strict=True):
    FocalLossDisplay.from_params(
        [0.0, 0.5, 1.0, 2.0, 5.0], kind=kind, against="margin", ax=ax
    )
    ax.set(title=f"{kind} by the margin")

for gamma in (0.5, 1.0, 2.0, 5.0):
    margin = np.linspace(-8, 0, 8001)
    hessian = FocalLoss(gamma).gradient_hessian(np.ones(8001, dtype=int), margin)[1]
    turn = margin[hessian > 0][0]
    print(
        f"gamma {gamma:g}: negative below the margin {turn:.2f}, which is p_t = {1 / (1 + np.exp(-turn)):.3f}"
    )

# %%
# Which rows make up the loss?
# ----------------------------
#
# The model is trained on data with 3 % positives. In both classes, the hardest rows have a larger share of the focal
# loss than of the cross-entropy of the same scores. Most negatives are easy, and the hardest negatives have nearly all
# of the focal loss of their class.

rng = np.random.default_rng(0)
y = (rng.random(20_000) < 0.03).astype(int)
X = rng.normal(size=(20_000, 5)) + y[:, np.newaxis] * [1.5, 1.0, 0.5, 0.0, 0.0]
model = FocalLogisticRegression(focal_gamma=2.0).fit(X, y)

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
FocalLossDisplay.from_estimator(model, X, y, ax=ax)
ax.set(title="share of the loss that the hardest rows carry")
plt.show()
