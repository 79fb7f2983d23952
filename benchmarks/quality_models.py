"""The models of ``quality.py``: each family's parent as it comes, balanced, and ours, all with the same parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from skfocal.linear_model import FocalLogisticRegression

GAMMAS = (0.5, 1.0, 2.0)
SEARCHED = (0.0, 0.5, 1.0, 2.0)
SEED = 0


@dataclass
class Model:
    """A way to fit one estimator."""

    family: str
    make: Any
    balanced_by_weight: bool = False
    early_stopping: Any = None
    tune_threshold: bool = False
    two_classes_only: bool = False

    def applies(self, y):
        """Whether it can be trained on these labels."""
        return not self.two_classes_only or y.max() == 1

    def fit(self, X, y, n_classes):
        """A fitted estimator."""
        weight = compute_sample_weight("balanced", y) if self.balanced_by_weight else None
        estimator = self.make(n_classes)
        if self.early_stopping is None:
            return estimator.fit(X, y) if weight is None else estimator.fit(X, y, sample_weight=weight)
        # Classes of one row in the training part would be unknown to it: they stay out of the validation part.
        frequent = np.flatnonzero(np.bincount(y)[y] >= 3)
        _, held_out = train_test_split(frequent, test_size=0.2, stratify=y[frequent], random_state=SEED)
        rest = np.setdiff1d(np.arange(len(y)), held_out)
        return self.early_stopping(estimator, X[rest], y[rest], X[held_out], y[held_out])


def average_precision(estimator, X, y):
    """A scorer: of the second of two classes, else the mean over the classes that occur."""
    proba, classes = estimator.predict_proba(X), estimator.classes_
    if len(classes) == 2:
        return average_precision_score(y == classes[1], proba[:, 1])
    return np.mean([average_precision_score(y == k, proba[:, i]) for i, k in enumerate(classes) if (y == k).any()])


def searched(make):
    """Gamma by an inner search of three folds, for ranking."""
    name = "focal_gamma" if not hasattr(make(0.0), "steps") else "focallogisticregression__focal_gamma"
    folds = StratifiedKFold(3, shuffle=True, random_state=SEED)
    return GridSearchCV(make(1.0), {name: list(SEARCHED)}, scoring=average_precision, cv=folds)


def focal_models(family, make, early_stopping=None):
    """Ours at each gamma, with and without "balanced", with early stopping, and with gamma searched."""
    models = {}
    for gamma in GAMMAS:
        for alpha in (None, "balanced"):
            name = f"{family} focal {gamma:g}" + (" balanced" if alpha else "")
            models[name] = Model(
                family, lambda n, g=gamma, a=alpha: make(g, a), tune_threshold=gamma == 1.0 and alpha is None
            )  # fmt: skip
    # Shown beside the others, no gamma that anybody should start with.
    models[f"{family} gamma 5"] = Model(family, lambda n: make(5.0))
    models[f"{family} focal searched"] = Model(family, lambda n: searched(make))
    if early_stopping:
        models[f"{family} focal 1 early stopping"] = Model(
            family, lambda n: make(1.0, None, True), early_stopping=early_stopping
        )
    return models


def lightgbm_models():
    """LightGBM as it comes and ours."""
    try:
        import lightgbm as lgb

        from skfocal.lightgbm import FocalLGBMClassifier
    except ImportError:
        return {}
    common = {"n_jobs": 1, "verbosity": -1, "random_state": SEED}
    long = {"n_estimators": 1000}

    def parent(n, stops=False, **parameters):
        return lgb.LGBMClassifier(**common, **(long if stops else {}), **parameters)

    def ours(gamma, alpha=None, stops=False):
        return FocalLGBMClassifier(gamma, alpha, **common, **(long if stops else {}))

    def stop(estimator, X, y, X_valid, y_valid):
        metric = "binary_logloss" if y.max() == 1 else "multi_logloss"
        callbacks = [lgb.early_stopping(20, first_metric_only=False, verbose=False)]
        return estimator.set_params(metric=metric).fit(X, y, eval_set=[(X_valid, y_valid)], callbacks=callbacks)

    return {
        "LightGBM": Model("LightGBM", parent, tune_threshold=True),
        "LightGBM balanced": Model(
            "LightGBM", lambda n: parent(n, class_weight="balanced")
        ),
        # What of the gain is the bins': log loss as in the parent, nothing else different.
        "LightGBM balanced bins": Model("LightGBM", lambda n: FocalLGBMClassifier(0.0, max_step=None, **common)),
        "LightGBM early stopping": Model("LightGBM", lambda n: parent(n, True), early_stopping=stop),
        **focal_models("LightGBM", ours, stop),
    }  # fmt: skip


def xgboost_models():
    """XGBoost as it comes and ours."""
    try:
        from xgboost import XGBClassifier

        from skfocal.xgboost import FocalXGBClassifier
    except ImportError:
        return {}
    common = {"n_jobs": 1, "random_state": SEED}
    long = {"n_estimators": 1000, "early_stopping_rounds": 20}

    def parent(n, stops=False):
        metric = {"eval_metric": "logloss" if n == 2 else "mlogloss"} if stops else {}
        return XGBClassifier(**common, **(long if stops else {}), **metric)

    def ours(gamma, alpha=None, stops=False):
        return FocalXGBClassifier(gamma, alpha, **common, **(long if stops else {}))

    def stop(estimator, X, y, X_valid, y_valid):
        estimator.set_params(eval_metric="logloss" if y.max() == 1 else "mlogloss")
        return estimator.fit(X, y, eval_set=[(X_valid, y_valid)], verbose=False)

    return {
        "XGBoost": Model("XGBoost", parent, tune_threshold=True),
        "XGBoost balanced": Model("XGBoost", parent, balanced_by_weight=True),
        "XGBoost balanced bins": Model("XGBoost", lambda n: FocalXGBClassifier(0.0, max_step=None, **common)),
        "XGBoost early stopping": Model("XGBoost", lambda n: parent(n, True), early_stopping=stop),
        **focal_models("XGBoost", ours, stop),
    }


def linear_models():
    """Logistic regression as it comes and ours, on standardised columns."""

    def pipeline(estimator):
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), estimator)

    def parent(n, **parameters):
        return pipeline(LogisticRegression(max_iter=1000, **parameters))

    def ours(gamma, alpha=None):
        return pipeline(FocalLogisticRegression(gamma, alpha, max_iter=1000))

    return {
        "Logistic": Model("Logistic", parent, tune_threshold=True),
        "Logistic balanced": Model("Logistic", lambda n: parent(n, class_weight="balanced")),
        **focal_models("Logistic", ours),
    }


def catboost_models():
    """CatBoost as it comes and with its own focal loss, which is for two classes."""
    try:
        from catboost import CatBoostClassifier
    except ImportError:
        return {}
    common = {"thread_count": 1, "random_seed": SEED, "verbose": False, "allow_writing_files": False, "iterations": 200}

    def focal(n, gamma):
        return CatBoostClassifier(loss_function=f"Focal:focal_alpha=0.5;focal_gamma={gamma:g}", **common)

    models = {"CatBoost": Model("CatBoost", lambda n: CatBoostClassifier(**common))}
    for gamma in GAMMAS:
        make = lambda n, g=gamma: focal(n, g)  # noqa: E731
        models[f"CatBoost Focal {gamma:g}"] = Model("CatBoost", make, two_classes_only=True)
    return models


def histogram_models():
    """scikit-learn's own booster as it comes and ours."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from skfocal.ensemble import FocalHistGradientBoostingClassifier

    common = {"random_state": SEED}

    def parent(n, **parameters):
        return HistGradientBoostingClassifier(**common, **parameters)

    def ours(gamma, alpha=None):
        return FocalHistGradientBoostingClassifier(gamma, alpha, **common)

    return {
        "HistGradientBoosting": Model("HistGradientBoosting", parent, tune_threshold=True),
        "HistGradientBoosting balanced": Model("HistGradientBoosting", lambda n: parent(n, class_weight="balanced")),
        # What of the gain is the bound's: log loss as in the parent, nothing else different.
        "HistGradientBoosting bounded": Model("HistGradientBoosting", lambda n: ours(0.0)),
        **focal_models("HistGradientBoosting", ours),
    }


MODELS = {**lightgbm_models(), **xgboost_models(), **linear_models(), **catboost_models(), **histogram_models()}


def _last(fitted):
    fitted = getattr(fitted, "best_estimator_", fitted)
    return fitted[-1] if hasattr(fitted, "steps") else fitted


def bare_proba(fitted, X):
    """The bare sigmoid or softmax of a focal model's scores; None for other models."""
    last = _last(fitted)
    if not hasattr(last, "calibration"):
        return None
    calibration, last.calibration = last.calibration, None
    try:
        return fitted.predict_proba(X)
    finally:
        last.calibration = calibration


def chosen_gamma(fitted):
    """Gamma of a focal model, as searched; NaN for others."""
    return getattr(_last(fitted), "focal_gamma", np.nan)
