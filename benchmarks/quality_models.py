"""The arms of ``quality.py``: each library with its default parameters, with its usual cures, and skfocal, part by
part.

The arms of skfocal set each parameter that they depend on, so that a result remains valid when a default changes. Every
gain can be attributed to a part: ``... only bins`` adds one part to the best arm of the library, and ``... without
bins`` removes it from the arm of skfocal.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression

GAMMAS = (0.0, 0.5, 1.0, 2.0)
SEED = 0


@dataclass(frozen=True)
class Model:
    """A way to fit one estimator.

    ``kind`` is "stock" for an arm that a user of the library can run, "ours" for skfocal with all parts, "part" for an
    ablation, and "other" for the rest. ``tier`` is the priority, 1 is the highest. ``make`` takes the number of classes
    and the number of trees.
    """

    family: str
    kind: str
    tier: int
    make: Any
    balanced_by_weight: bool = False
    early_stopping: Any = None
    two_classes_only: bool = False

    def fit(self, X, y, n_classes, trees):
        """A fitted estimator."""
        estimator = self.make(n_classes, trees)
        if self.balanced_by_weight:
            return estimator.fit(X, y, sample_weight=compute_sample_weight("balanced", y))
        if self.early_stopping is None:
            return estimator.fit(X, y)
        # Classes with one row are kept out of the validation part, because otherwise the model would not know them.
        frequent = np.flatnonzero(np.bincount(y)[y] >= 3)
        _, held_out = train_test_split(frequent, test_size=0.2, stratify=y[frequent], random_state=SEED)
        rest = np.setdiff1d(np.arange(len(y)), held_out)
        return self.early_stopping(estimator, X[rest], y[rest], X[held_out], y[held_out])


class _LossWithoutScale(FocalLoss):
    def scale_of_totals(self, class_totals):
        return 1.0


def without_scale(classifier):
    """The classifier without the scale of the loss, for which there is no public parameter."""

    class WithoutScale(classifier):
        def _build_loss(self, *args):
            loss = super()._build_loss(*args)
            return _LossWithoutScale(loss.gamma, loss.alpha)

    return WithoutScale


def by_rarest_class(*args, **parameters):
    """A ``FocalLGBMClassifier`` with ``min_child_weight`` by the rule of ``FocalXGBClassifier``."""
    from skfocal.lightgbm import FocalLGBMClassifier
    from skfocal.xgboost._start import default_min_child_weight

    class ByRarestClass(FocalLGBMClassifier):
        def _build_loss(self, classes, y, weight, outer_weights):
            loss = super()._build_loss(classes, y, weight, outer_weights)
            totals = np.bincount(y, weights=weight)
            n_classes = len(totals)
            factor = loss.scale_of_totals(totals) * (n_classes / (n_classes - 1.0) if n_classes > 2 else 1.0)
            self._least = default_min_child_weight(loss, totals, factor)
            return loss

        def _process_params(self, stage):
            return super()._process_params(stage) | {"min_child_weight": self._least}

    return ByRarestClass(*args, **parameters)


def early_stopped(make):
    """The same model with at most a thousand trees. The number is chosen on a validation part."""
    return lambda n_classes, trees, **parameters: make(n_classes, 1000, **parameters)


def at_tuned_threshold(make):
    """The same model with the decision threshold that has the best macro F1 on three inner folds."""
    return lambda n_classes, trees: TunedThresholdClassifierCV(
        make(n_classes, trees), scoring="f1_macro", cv=3, random_state=SEED
    )  # fmt: skip


def lightgbm_models():
    """LightGBM with its default parameters, with its cures, and skfocal."""
    try:
        import lightgbm as lgb

        from skfocal.lightgbm import FocalLGBMClassifier
    except ImportError:
        return {}
    common = {"n_jobs": 1, "verbosity": -1, "random_state": SEED}

    def parent(n_classes, trees, **parameters):
        return lgb.LGBMClassifier(n_estimators=trees, **common, **parameters)

    def ours(n_classes, trees, gamma, classifier=FocalLGBMClassifier, **parameters):
        full = {"max_step": 4.0, "balanced_bins": True, "reg_lambda": 1.0} | parameters
        return classifier(gamma, n_estimators=trees, **common, **full)

    def stop(estimator, X, y, X_valid, y_valid):
        metric = "binary_logloss" if y.max() == 1 else "multi_logloss"
        callbacks = [lgb.early_stopping(20, first_metric_only=False, verbose=False)]
        return estimator.set_params(metric=metric).fit(X, y, eval_set=[(X_valid, y_valid)], callbacks=callbacks)

    arms = {}

    def add(name, kind, tier, make, **parameters):
        arms[f"LightGBM {name}"] = Model("LightGBM", kind, tier, make, **parameters)

    regularised = partial(parent, reg_lambda=1.0)
    add("as it comes", "stock", 1, parent)
    add("reg_lambda=1", "stock", 1, regularised)
    add("min_child_weight=1", "stock", 1, partial(parent, min_child_weight=1.0))
    add("reg_lambda=1 min_child_weight=1", "stock", 1, partial(regularised, min_child_weight=1.0))
    add("max_delta_step=4", "stock", 1, partial(parent, max_delta_step=4.0))
    add("reg_lambda=1 max_delta_step=1", "stock", 1, partial(regularised, max_delta_step=1.0))
    add("boost_from_average=False", "stock", 1, partial(parent, boost_from_average=False))
    add("class_weight=balanced", "stock", 1, partial(parent, class_weight="balanced"))
    add("reg_lambda=1 boost_from_average=False", "stock", 2, partial(regularised, boost_from_average=False))
    for gamma in GAMMAS:
        add(f"ours gamma {gamma:g}", "ours", 1, partial(ours, gamma=gamma))
    # Candidates for the defaults, and each part removed from skfocal.
    for gamma in (0.0, 0.5, 1.0):
        of_gamma, name = partial(ours, gamma=gamma), f"ours gamma {gamma:g}"
        add(f"{name} min_child_weight=1", "part", 1, partial(of_gamma, min_child_weight=1.0))
        add(f"{name} without bound", "part", 1, partial(of_gamma, max_step=None))
        add(f"{name} without bins", "part", 1, partial(of_gamma, balanced_bins=False))
        add(f"{name} without regularization", "part", 1, partial(of_gamma, reg_lambda=0.0))
        add(f"{name} without start", "part", 2, partial(of_gamma, boost_from_average=False))
        if gamma > 0:
            add(f"{name} without scale", "part", 2, partial(of_gamma, classifier=without_scale(FocalLGBMClassifier)))
    for gamma in (0.0, 0.5, 1.0):
        for step in (1.0, 2.0, 10.0):
            add(f"ours gamma {gamma:g} max_step={step:g}", "part", 1, partial(ours, gamma=gamma, max_step=step))
    add("ours gamma 2 without regularization", "part", 1, partial(ours, gamma=2.0, reg_lambda=0.0))
    for name, parameters in (
        ("reg_lambda=0.3", {"reg_lambda": 0.3}),
        ("reg_lambda=3", {"reg_lambda": 3.0}),
        ("min_child_weight by the rarest class", {"classifier": by_rarest_class}),
    ):
        add(f"ours gamma 1 {name}", "part", 1, partial(of_gamma, **parameters))
    # Each part alone, added to the best stock arm.
    nothing = partial(ours, max_step=None, balanced_bins=False)
    unscaled = without_scale(FocalLGBMClassifier)
    add("only bins", "part", 2, partial(nothing, gamma=0.0, balanced_bins=True))
    add("only bound", "part", 2, partial(nothing, gamma=0.0, max_step=4.0))
    add("only gamma 0.5", "part", 2, partial(nothing, gamma=0.5, classifier=unscaled, boost_from_average=False))
    add("only gamma 1", "part", 2, partial(nothing, gamma=1.0, classifier=unscaled, boost_from_average=False))
    add("only gamma 1 and start", "part", 2, partial(nothing, gamma=1.0, classifier=unscaled))
    add("only gamma 1 and bound", "part", 2, partial(nothing, gamma=1.0, classifier=unscaled, max_step=4.0,
                                                     boost_from_average=False))  # fmt: skip
    # Other questions.
    for gamma in (0.0, 0.5):
        add(f"ours gamma {gamma:g} alpha balanced", "other", 3, partial(ours, gamma=gamma, focal_alpha="balanced"))
        add(f"ours gamma {gamma:g} early stopping", "other", 3, early_stopped(partial(ours, gamma=gamma)),
            early_stopping=stop)  # fmt: skip
    add("reg_lambda=1 early stopping", "other", 3, early_stopped(regularised), early_stopping=stop)
    for name, make in (("reg_lambda=1", regularised), ("ours gamma 0.5", partial(ours, gamma=0.5))):
        add(f"{name} tuned threshold", "other", 4, at_tuned_threshold(make), two_classes_only=True)
    return arms


def xgboost_models():
    """XGBoost with its default parameters, with its cures, and skfocal."""
    try:
        from xgboost import XGBClassifier

        from skfocal.xgboost import FocalXGBClassifier
    except ImportError:
        return {}
    common = {"n_jobs": 1, "random_state": SEED}

    def stopping(trees, n_classes):
        if trees < 1000:
            return {}
        return {"early_stopping_rounds": 20, "eval_metric": "logloss" if n_classes == 2 else "mlogloss"}

    def parent(n_classes, trees, **parameters):
        return XGBClassifier(n_estimators=trees, **common, **stopping(trees, n_classes), **parameters)

    def ours(n_classes, trees, gamma, classifier=FocalXGBClassifier, **parameters):
        full = {"max_step": 4.0, "balanced_bins": True} | stopping(trees, n_classes) | parameters
        return classifier(gamma, n_estimators=trees, **common, **full)

    def stop(estimator, X, y, X_valid, y_valid):
        return estimator.fit(X, y, eval_set=[(X_valid, y_valid)], verbose=False)

    arms = {}

    def add(name, kind, tier, make, **parameters):
        arms[f"XGBoost {name}"] = Model("XGBoost", kind, tier, make, **parameters)

    add("as it comes", "stock", 1, parent)
    add("max_delta_step=1", "stock", 1, partial(parent, max_delta_step=1.0))
    add("balanced weights", "stock", 1, parent, balanced_by_weight=True)
    add("balanced weights max_delta_step=1", "stock", 1, partial(parent, max_delta_step=1.0), balanced_by_weight=True)
    add("base_score=0.5", "stock", 2, partial(parent, base_score=0.5))
    for gamma in GAMMAS:
        add(f"ours gamma {gamma:g}", "ours", 1, partial(ours, gamma=gamma))
    for gamma in (0.0, 0.5, 1.0):
        of_gamma, name = partial(ours, gamma=gamma), f"ours gamma {gamma:g}"
        add(f"{name} without bound", "part", 1, partial(of_gamma, max_step=None))
        add(f"{name} without bins", "part", 1, partial(of_gamma, balanced_bins=False))
        add(f"{name} without start", "part", 2, partial(of_gamma, base_score=0.5))
        if gamma > 0:
            add(f"{name} without scale", "part", 2, partial(of_gamma, classifier=without_scale(FocalXGBClassifier)))
            add(f"{name} without least leaf", "part", 1, partial(of_gamma, min_child_weight=1.0))
    for gamma in (0.0, 0.5, 1.0):
        for step in (1.0, 2.0, 10.0):
            add(f"ours gamma {gamma:g} max_step={step:g}", "part", 1, partial(ours, gamma=gamma, max_step=step))
        add(f"ours gamma {gamma:g} max_delta_step=1", "part", 1, partial(ours, gamma=gamma, max_delta_step=1.0))
    # The rule for min_child_weight applies only to gamma above 0. This arm shows its part of the gain.
    add("ours gamma 0 min_child_weight=0.4", "part", 1, partial(ours, gamma=0.0, min_child_weight=0.4))
    nothing = partial(ours, max_step=None, balanced_bins=False, min_child_weight=1.0)
    unscaled = without_scale(FocalXGBClassifier)
    add("only bins", "part", 2, partial(nothing, gamma=0.0, balanced_bins=True))
    add("only bound", "part", 2, partial(nothing, gamma=0.0, max_step=4.0))
    add("only gamma 0.5", "part", 2, partial(nothing, gamma=0.5, classifier=unscaled, base_score=0.5))
    add("only gamma 1", "part", 2, partial(nothing, gamma=1.0, classifier=unscaled, base_score=0.5))
    add("only gamma 1 and start", "part", 2, partial(nothing, gamma=1.0, classifier=unscaled))
    add("only gamma 1 and bound", "part", 2, partial(nothing, gamma=1.0, classifier=unscaled, max_step=4.0,
                                                     base_score=0.5))  # fmt: skip
    for gamma in (0.0, 0.5):
        add(f"ours gamma {gamma:g} alpha balanced", "other", 3, partial(ours, gamma=gamma, focal_alpha="balanced"))
        add(f"ours gamma {gamma:g} early stopping", "other", 3, early_stopped(partial(ours, gamma=gamma)),
            early_stopping=stop)  # fmt: skip
    add("as it comes early stopping", "other", 3, early_stopped(parent), early_stopping=stop)
    for name, make in (("as it comes", parent), ("ours gamma 0.5", partial(ours, gamma=0.5))):
        add(f"{name} tuned threshold", "other", 4, at_tuned_threshold(make), two_classes_only=True)
    return arms


def hist_gradient_boosting_models():
    """scikit-learn's own booster with its default parameters, with its cure, and skfocal if it is available."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    # The focal class stops early only on request. Here the parent does the same.
    common = {"random_state": SEED, "early_stopping": False}

    def parent(n_classes, trees, **parameters):
        return HistGradientBoostingClassifier(max_iter=trees, **common, **parameters)

    arms = {
        "HistGradientBoosting as it comes": Model("HistGradientBoosting", "stock", 2, parent),
        "HistGradientBoosting l2_regularization=1": Model(
            "HistGradientBoosting", "stock", 2, partial(parent, l2_regularization=1.0)
        ),
        "HistGradientBoosting class_weight=balanced": Model(
            "HistGradientBoosting", "stock", 3, partial(parent, class_weight="balanced")
        ),
    }
    try:
        from skfocal.ensemble import FocalHistGradientBoostingClassifier
    except ImportError:
        return arms

    def ours(n_classes, trees, gamma, **parameters):
        return FocalHistGradientBoostingClassifier(gamma, max_iter=trees, **common, **parameters)

    for gamma in GAMMAS:
        arms[f"HistGradientBoosting ours gamma {gamma:g}"] = Model(
            "HistGradientBoosting", "ours", 2, partial(ours, gamma=gamma, l2_regularization=1.0, max_step=4.0)
        )
    return arms


def linear_models():
    """Logistic regression with default parameters, with balanced weights, and skfocal, on standardized columns."""

    def pipeline(estimator):
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), estimator)

    def parent(n_classes, trees, **parameters):
        return pipeline(LogisticRegression(max_iter=1000, **parameters))

    def ours(n_classes, trees, gamma, alpha=None):
        return pipeline(FocalLogisticRegression(gamma, alpha, max_iter=1000))

    arms = {
        "Logistic as it comes": Model("Logistic", "stock", 3, parent),
        "Logistic class_weight=balanced": Model("Logistic", "stock", 3, partial(parent, class_weight="balanced")),
    }
    for gamma in (0.5, 1.0, 2.0):
        arms[f"Logistic ours gamma {gamma:g}"] = Model("Logistic", "ours", 3, partial(ours, gamma=gamma))
    return arms


def catboost_models():
    """CatBoost with log loss for comparison, and with its own focal loss, which supports two classes."""
    try:
        from catboost import CatBoostClassifier
    except ImportError:
        return {}
    common = {"thread_count": 1, "random_seed": SEED, "verbose": False, "allow_writing_files": False}

    def log_loss(n_classes, trees, **parameters):
        return CatBoostClassifier(iterations=2 * trees, **common, **parameters)

    def focal(n_classes, trees, gamma):
        # CatBoost chooses its learning rate from the data for log loss, and uses 0.03 for Focal.
        loss = f"Focal:focal_alpha=0.5;focal_gamma={gamma:g}"
        return log_loss(n_classes, trees, loss_function=loss, learning_rate=0.1)

    return {
        "CatBoost as it comes": Model("CatBoost", "stock", 2, log_loss),
        "CatBoost Focal gamma 1": Model("CatBoost", "other", 4, partial(focal, gamma=1.0), two_classes_only=True),
    }


MODELS = {
    **lightgbm_models(),
    **xgboost_models(),
    **hist_gradient_boosting_models(),
    **linear_models(),
    **catboost_models(),
}


def proba_with(fitted, X, calibration):
    """Probabilities of a focal model with another ``calibration``, or None for other models."""
    last = getattr(fitted, "estimator_", fitted)
    last = last[-1] if hasattr(last, "steps") else last
    if not hasattr(last, "calibration"):
        return None
    kept, last.calibration = last.calibration, calibration
    try:
        return fitted.predict_proba(X)
    finally:
        last.calibration = kept
