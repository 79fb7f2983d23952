"""scikit-learn's own booster with the focal loss, compared with the same booster with log loss."""

from functools import partial

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from lines.boosters import size, tall
from skfocal import FocalLoss
from skfocal.ensemble import FocalHistGradientBoostingClassifier

SAME_TREES = {"focal_gamma": 0.0, "max_step": None, "l2_regularization": 0.0}


def on_threads(n_threads, function, *arguments):
    """Call a function with a number of OpenMP threads, for which the booster has no parameter."""
    with threadpool_limits(n_threads, user_api="openmp"):
        return function(*arguments)


def fits(gamma, n_threads, quick, n_classes=2):
    """Fits of the focal classifier and of its parent, with the same number of rounds."""
    n, rounds = size(quick, n_classes)
    X, y = tall(n, n_classes)
    # With early stopping, the two would stop at different rounds.
    parameters = {"max_iter": rounds, "early_stopping": False}
    focal = SAME_TREES if gamma == 0 else {"focal_gamma": gamma}
    ours = FocalHistGradientBoostingClassifier(**focal, **parameters)
    theirs = HistGradientBoostingClassifier(**parameters)
    return partial(on_threads, n_threads, ours.fit, X, y), partial(on_threads, n_threads, theirs.fit, X, y)


def predictions(quick):
    """predict_proba of both, on the same trees and with the correction for gamma 2."""
    n, rounds = size(quick)
    X, y = tall(n)
    parameters = {"max_iter": rounds, "early_stopping": False}
    ours = FocalHistGradientBoostingClassifier(**SAME_TREES, **parameters).fit(X[:50_000], y[:50_000])
    theirs = HistGradientBoostingClassifier(**parameters).fit(X[:50_000], y[:50_000])
    np.testing.assert_array_equal(ours.decision_function(X[:1000]), theirs.decision_function(X[:1000]))
    ours.focal_loss_ = FocalLoss(2.0)
    return partial(ours.predict_proba, X), partial(theirs.predict_proba, X)


NAME = "FocalHistGradientBoostingClassifier"
LINES = [
    (f"{NAME}, gamma 0, same trees, 1 thread", 1.05, partial(fits, 0.0, 1)),
    (f"{NAME}, gamma 2, 1 thread", 1.05, partial(fits, 2.0, 1)),
    (f"{NAME}, gamma 2, 2 threads", 1.05, partial(fits, 2.0, 2)),
    (f"{NAME}, gamma 2, 5 classes, 200k, 2 threads", 1.05, partial(fits, 2.0, 2, n_classes=5)),
    (f"{NAME}.predict_proba, gamma 2, same trees", 1.05, predictions),
]
