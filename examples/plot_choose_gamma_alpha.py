"""
Choosing gamma and alpha
========================

Both parameters are chosen like other parameters: by cross-validation, in a pipeline. As a rule of thumb, try
``focal_alpha=None``, and the share of the *other* class, with which both classes have the same total weight
(``"balanced"``). Try values of ``focal_gamma`` between 0.5 and 5, and 0, which is log loss.

The data set is hypothyroid: 3,163 patients, of whom 4.8 % are ill, with missing values.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline

from skfocal.lightgbm import FocalLGBMClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(
    HERE / "data" / "hypothyroid.csv.gz", delimiter=",", skiprows=1, dtype=str
)
X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
y = (table[:, -1] == "pos").astype(int)
print(
    f"{len(y)} rows, {y.mean():.1%} positive: the rule of thumb for alpha is {1 - y.mean():.2f}"
)

# %%
# A grid over both, scored twice
# ------------------------------
#
# If ``focal_alpha`` is a number, it is the weight of class 1, and class 0 has the weight ``1 - focal_alpha``. So 0.5
# means no class weights. Average precision measures the ranking, and log loss measures the probabilities. The search
# refits the model with the best average precision.

gammas = [0.0, 0.5, 1.0, 2.0, 5.0]
alphas = [0.25, 0.5, 0.75, 0.95]
model = make_pipeline(
    SimpleImputer(strategy="median"),
    FocalLGBMClassifier(n_estimators=60, learning_rate=0.05, n_jobs=1, verbosity=-1),
)
search = GridSearchCV(
    model,
    {
        "focallgbmclassifier__focal_gamma": gammas,
        "focallgbmclassifier__focal_alpha": alphas,
    },
    scoring=["average_precision", "neg_log_loss"],
    refit="average_precision",
    cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=0),
).fit(X, y)
print("best by average precision:", search.best_params_, f"{search.best_score_:.4f}")

# %%
# The grid as a picture
# ---------------------
#
# The ranking changes little over most of the grid. Class weights increase the log loss, because ``predict_proba``
# corrects for gamma but not for alpha (``calibration="full"`` corrects for both). The titles contain the spread over
# the folds. Differences below the spread are not reliable.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
titles = {"average_precision": "average precision", "neg_log_loss": "log loss"}
for axis, (name, title) in zip(axes, titles.items(), strict=True):
    mean = np.abs(search.cv_results_[f"mean_test_{name}"]).reshape(
        len(alphas), len(gammas)
    )
    spread = np.median(search.cv_results_[f"std_test_{name}"])
    image = axis.imshow(
        mean,
        cmap="viridis" if name == "average_precision" else "viridis_r",
        aspect="auto",
    )
    axis.set(xticks=range(len(gammas)), xticklabels=gammas, xlabel="focal_gamma")
    axis.set(
        yticks=range(len(alphas)),
        yticklabels=alphas,
        ylabel="focal_alpha",
        title=f"{title} (± {spread:.3f})",
    )
    middle = (mean.min() + mean.max()) / 2
    for i, j in np.ndindex(mean.shape):
        light = (mean[i, j] < middle) == (name == "average_precision")
        axis.text(
            j,
            i,
            f"{mean[i, j]:.3f}",
            ha="center",
            va="center",
            color="white" if light else "black",
        )
    figure.colorbar(image, ax=axis)
plt.show()
