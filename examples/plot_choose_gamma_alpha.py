"""
Choosing gamma and alpha
========================

Both parameters are chosen like any other: by cross-validation, in a pipeline. As a rule of thumb for where to look,
``focal_alpha`` is the share of the *other* class (so that both weigh the same, which is ``"balanced"``) or none at all,
and ``focal_gamma`` lies between 0.5 and 5; 0 is log loss.

The data are those of the hypothyroid set: 3,163 patients, 4.8 % ill, missing values.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline

from skfocal.lightgbm import FocalLGBMClassifier

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(HERE / "data" / "hypothyroid.csv.gz", delimiter=",", skiprows=1, dtype=str)
X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
y = (table[:, -1] == "pos").astype(int)
print(f"{len(y)} rows, {y.mean():.1%} positive: the rule of thumb for alpha is {1 - y.mean():.2f}")

# %%
# A grid over both, scored twice
# ------------------------------
#
# ``focal_alpha`` as a number is the weight of class 1; class 0 has the rest, so 0.5 is "no class weights". Average
# precision asks for ranking, log loss for probabilities; the search refits for the first.

gammas = [0.0, 0.5, 1.0, 2.0, 5.0]
alphas = [0.25, 0.5, 0.75, 0.95]
model = make_pipeline(
    SimpleImputer(strategy="median"), FocalLGBMClassifier(n_estimators=60, learning_rate=0.05, n_jobs=1, verbosity=-1)
)
search = GridSearchCV(
    model,
    {"focallgbmclassifier__focal_gamma": gammas, "focallgbmclassifier__focal_alpha": alphas},
    scoring=["average_precision", "neg_log_loss"],
    refit="average_precision",
    cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=0),
).fit(X, y)
print("best by average precision:", search.best_params_, f"{search.best_score_:.4f}")

# %%
# The grid as a picture
# ---------------------
#
# Ranking changes little over most of the grid; class weights cost log loss, since ``predict_proba`` undoes what gamma
# did but keeps what alpha asked for (``calibration="full"`` undoes both). The spread over the folds, in the titles,
# tells how much of the differences to believe.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
titles = {"average_precision": "average precision", "neg_log_loss": "log loss"}
for axis, (name, title) in zip(axes, titles.items(), strict=True):
    mean = np.abs(search.cv_results_[f"mean_test_{name}"]).reshape(len(alphas), len(gammas))
    spread = np.median(search.cv_results_[f"std_test_{name}"])
    image = axis.imshow(mean, cmap="viridis" if name == "average_precision" else "viridis_r", aspect="auto")
    axis.set(xticks=range(len(gammas)), xticklabels=gammas, xlabel="focal_gamma")
    axis.set(yticks=range(len(alphas)), yticklabels=alphas, ylabel="focal_alpha", title=f"{title} (± {spread:.3f})")
    middle = (mean.min() + mean.max()) / 2
    for i, j in np.ndindex(mean.shape):
        light = (mean[i, j] < middle) == (name == "average_precision")
        axis.text(j, i, f"{mean[i, j]:.3f}", ha="center", va="center", color="white" if light else "black")
    figure.colorbar(image, ax=axis)
plt.show()
