"""Boosters compared with their parents, and the floor: the parent with an objective that computes nothing."""

from functools import partial

import numpy as np
from sklearn.datasets import make_classification

from skfocal import FocalLoss

CACHE = {}


def size(quick, n_classes=2):
    """Numbers of rows and rounds of a training, for ``--quick`` or for the full size."""
    full = 1_000_000 if n_classes == 2 else 200_000
    return (full // 10, 20) if quick else (full, 50)


def tall(n, n_classes=2):
    """A table like HIGGS: n x 28, float32."""
    if (n, n_classes) not in CACHE:
        X, y = make_classification(n, 28, n_informative=12, n_classes=n_classes, flip_y=0.05, random_state=0)
        CACHE[n, n_classes] = X.astype(np.float32), y
    return CACHE[n, n_classes]


class Recorded:
    """An objective that always returns the first result of the focal objective. It measures the cost of the calls."""

    def __init__(self, objective):
        self.objective, self.result = objective, None

    def __call__(self, y_true, y_pred):
        if self.result is None:
            self.result = self.objective(y_true, y_pred)
        return self.result

    def __deepcopy__(self, memo):
        return Recorded(self.objective)


def fits(focal, parent, objective, gamma, quick, n_jobs, n_classes=2, **parameters):
    """Fits of a focal classifier, of its parent, and the floor."""
    n, rounds = size(quick, n_classes)
    X, y = tall(n, n_classes)
    parameters["n_estimators"] = rounds
    # With gamma 0 both have the same trees.
    extra = {"max_step": None} if gamma == 0 else {}
    ours = focal(gamma, n_jobs=n_jobs, balanced_bins=gamma != 0, **extra, **parameters)
    theirs = parent(n_jobs=n_jobs, **parameters)
    floor = parent(n_jobs=n_jobs, objective=Recorded(objective(gamma, **extra)), **parameters)
    return partial(ours.fit, X, y), partial(theirs.fit, X, y), partial(floor.fit, X, y)


def native_lightgbm(quick, n_jobs):
    """``lgb.train`` with skfocal's objective and with the built-in objective, including the data set."""
    import lightgbm as lgb

    from skfocal.lightgbm import FocalObjective

    n, rounds = size(quick)
    X, y = tall(n)

    def train(objective):
        parameters = {"objective": objective, "verbosity": -1, "num_threads": n_jobs}
        lgb.train(parameters, lgb.Dataset(X, y), rounds)

    return partial(train, FocalObjective(2.0)), partial(train, "binary")


def predictions(focal, parent, quick, **parameters):
    """predict_proba of a focal classifier and of its parent, on the same trees and with the correction for gamma 2."""
    n, parameters["n_estimators"] = size(quick)
    X, y = tall(n)
    ours = focal(0.0, max_step=None, balanced_bins=False, **parameters).fit(X[:50_000], y[:50_000])
    theirs = parent(**parameters).fit(X[:50_000], y[:50_000])
    np.testing.assert_allclose(ours.predict_proba(X[:1000]), theirs.predict_proba(X[:1000]), rtol=1e-4)
    ours.focal_loss_ = FocalLoss(2.0)
    return partial(ours.predict_proba, X), partial(theirs.predict_proba, X)


def small(focal, parent, n, **parameters):
    """Fits of a small table, as in a grid search. Each class has its default parameters. The floor is as in `fits`."""
    X, y = make_classification(n, 20, n_informative=8, weights=[0.9], random_state=0)
    ours, theirs = focal(n_jobs=1, **parameters), parent(n_jobs=1, **parameters)
    floor = parent(n_jobs=1, objective=plain_log_loss, **parameters)
    return partial(ours.fit, X, y), partial(theirs.fit, X, y), partial(floor.fit, X, y)


def plain_log_loss(y_true, y_pred):
    """Log loss in a few lines of NumPy, which shows the cost of any custom objective."""
    p = 1.0 / (1.0 + np.exp(-y_pred))
    return p - y_true, np.maximum(p * (1.0 - p), 1e-16)


def small_lines(focal, parent, **parameters):
    """Lines of small fits with default parameters."""
    return [
        (
            f"{focal.__name__}, {n:,} x 20, 100 trees, all defaults, 1 thread",
            1.10,
            lambda quick, n=n: small(focal, parent, n, **parameters),
        )
        for n in (2_000, 8_000)
    ]


def lightgbm_lines():
    """Lines of LightGBM, or no lines if it is not installed."""
    try:
        from lightgbm import LGBMClassifier

        from skfocal.lightgbm import FocalLGBMClassifier, FocalObjective
    except ImportError:
        return []
    classes = FocalLGBMClassifier, LGBMClassifier

    def fit(gamma, threads, n_classes=2):
        # The parent's penalty, which differs from the default of skfocal, so that the trees have the same size.
        return lambda quick: fits(
            *classes, FocalObjective, gamma, quick, threads, n_classes, verbosity=-1, reg_lambda=0.0
        )

    def train(threads):
        return lambda quick: native_lightgbm(quick, threads)

    return [
        ("FocalLGBMClassifier, gamma 0, same trees, 1 thread", 1.00, fit(0.0, 1)),
        ("FocalLGBMClassifier, gamma 0, same trees, 2 threads", 1.00, fit(0.0, 2)),
        *small_lines(*classes, verbosity=-1),
        ("lgb.train, gamma 2, 1 thread", 1.00, train(1)),
        ("lgb.train, gamma 2, 2 threads", 1.05, train(2)),
        ("FocalLGBMClassifier, gamma 2, 5 classes, 200k rows, 2 threads", 1.05, fit(2.0, 2, 5)),
        (
            "FocalLGBMClassifier.predict_proba, gamma 2, same trees",
            1.05,
            lambda quick: predictions(*classes, quick, verbosity=-1, reg_lambda=0.0),
        ),
    ]


def xgboost_lines():
    """Lines of XGBoost, or no lines if it is not installed."""
    try:
        from xgboost import XGBClassifier

        from skfocal.xgboost import FocalObjective, FocalXGBClassifier
    except ImportError:
        return []
    classes = FocalXGBClassifier, XGBClassifier

    def fit(threads, n_classes=2):
        return lambda quick: fits(*classes, FocalObjective, 2.0, quick, threads, n_classes, max_depth=6)

    return [
        ("FocalXGBClassifier, gamma 2, 1 thread", 1.05, fit(1)),
        ("FocalXGBClassifier, gamma 2, 2 threads", 1.05, fit(2)),
        *small_lines(*classes),
        ("FocalXGBClassifier, gamma 2, 5 classes, 200k rows, 2 threads", 1.05, fit(2, 5)),
        (
            "FocalXGBClassifier.predict_proba, gamma 2, same trees",
            1.05,
            lambda quick: predictions(*classes, quick, max_depth=6),
        ),
    ]


LINES = [*lightgbm_lines(), *xgboost_lines()]
