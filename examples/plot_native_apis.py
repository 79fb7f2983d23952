"""
LightGBM's and XGBoost's own interfaces
=======================================

The objectives work in ``lgb.train`` and ``xgb.train`` with evaluation sets, sample weights, early stopping and custom
metrics. The estimators do three things automatically that you have to do yourself here: set the starting score, choose
the metric, and convert scores to probabilities.
"""

from pathlib import Path

import lightgbm as lgb
import matplotlib.pyplot as plt
import numpy as np
import xgboost as xgb
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import train_test_split

from skfocal import FocalLoss
from skfocal.lightgbm import FocalMetric as LGBMetric, FocalObjective as LGBObjective
from skfocal.xgboost import FocalMetric as XGBMetric, FocalObjective as XGBObjective

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
table = np.loadtxt(
    HERE / "data" / "hypothyroid.csv.gz", delimiter=",", skiprows=1, dtype=str
)
X = np.where(table[:, :-1] == "", "nan", table[:, :-1]).astype(float)
y = (table[:, -1] == "pos").astype(int)
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)

loss = FocalLoss(gamma=1.0)
start = loss.fit_intercept_only(y_train)
print(
    f"the constant score of least loss: {start:.3f}; the log-odds: {np.log(y.mean() / (1 - y.mean())):.3f}"
)

# %%
# LightGBM
# --------
#
# The start is passed as ``init_score``. LightGBM does not store it in the model, so it has to be added to the raw
# scores again.

train_set = lgb.Dataset(X_train, y_train, init_score=np.full(len(y_train), start))
valid_set = lgb.Dataset(
    X_valid, y_valid, init_score=np.full(len(y_valid), start), reference=train_set
)
history = {}
booster = lgb.train(
    {
        "objective": LGBObjective(gamma=1.0),
        "learning_rate": 0.05,
        "verbosity": -1,
        "num_threads": 1,
    },
    train_set,
    num_boost_round=300,
    valid_sets=[valid_set],
    feval=LGBMetric(gamma=1.0),
    callbacks=[lgb.early_stopping(20, verbose=False), lgb.record_evaluation(history)],
)
scores = {"LightGBM": booster.predict(X_valid, raw_score=True) + start}

# %%
# XGBoost
# -------
#
# Here the start is ``base_score``, and part of the model. ``base_score`` of a custom objective is a raw score.

xgb_history = {}
xgb_booster = xgb.train(
    {
        "base_score": start,
        "learning_rate": 0.05,
        "nthread": 1,
        "disable_default_eval_metric": True,
    },
    xgb.DMatrix(X_train, y_train),
    num_boost_round=300,
    obj=XGBObjective(gamma=1.0),
    evals=[(xgb.DMatrix(X_valid, y_valid), "valid")],
    custom_metric=XGBMetric(gamma=1.0),
    early_stopping_rounds=20,
    evals_result=xgb_history,
    verbose_eval=False,
)
best = slice(0, xgb_booster.best_iteration + 1)
scores["XGBoost"] = xgb_booster.predict(
    xgb.DMatrix(X_valid), output_margin=True, iteration_range=(0, best.stop)
)

# %%
# Probabilities
# -------------

for name, raw in scores.items():
    p, sigmoid = (
        loss.predict_proba(raw)[:, 1],
        loss.predict_proba(raw, calibration=None)[:, 1],
    )
    print(f"{name}: average precision {average_precision_score(y_valid, p):.3f}, log loss {log_loss(y_valid, p):.4f}, "
          f"of the bare sigmoid {log_loss(y_valid, sigmoid):.4f}")  # fmt: skip

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, values, stop in (
    ("LightGBM", history["valid_0"]["focal_loss"], booster.best_iteration),
    ("XGBoost", xgb_history["valid"]["focal_loss"], best.stop),
):
    (line,) = ax.plot(np.arange(1, len(values) + 1), values, label=name)
    ax.axvline(stop, color=line.get_color(), linestyle=":")
ax.set(xlabel="trees", ylabel="focal loss of the evaluation set", yscale="log")
ax.legend(frameon=False)
plt.show()
