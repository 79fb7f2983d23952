"""The private names of scikit-learn that the loss comes in by: that they are there, and what happens when not."""

import inspect

import numpy as np
import pytest
import sklearn
from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss
from sklearn.ensemble import HistGradientBoostingClassifier

from skfocal import FocalLoss
from skfocal.ensemble import FocalHistGradientBoostingClassifier
from skfocal.ensemble._loss import TrainingLoss
from skfocal.ensemble._parent import BoosterOfAnyLoss

CHANGED = (
    f"scikit-learn {sklearn.__version__} has changed {{}}, a private name that skfocal/ensemble/_parent.py reaches: "
    "see what took its place"
)


@pytest.mark.parametrize(
    ("name", "arguments"), [("_finalize_sample_weight", ["sample_weight", "y"]), ("_get_loss", ["sample_weight"])]
)
def test_hooks_of_the_booster(name, arguments):
    hook = getattr(HistGradientBoostingClassifier, name, None)
    assert hook is not None, CHANGED.format(name)
    assert list(inspect.signature(hook).parameters)[1:] == arguments, CHANGED.format(name)
    assert name in vars(BoosterOfAnyLoss)


@pytest.mark.parametrize("loss", [HalfBinomialLoss, HalfMultinomialLoss])
def test_members_of_the_log_loss(loss):
    calls = {
        "__call__": ["y_true", "raw_prediction", "sample_weight", "n_threads"],
        "fit_intercept_only": ["y_true", "sample_weight"],
        "gradient_hessian": ["y_true", "raw_prediction", "sample_weight", "gradient_out", "hessian_out", "n_threads"],
    }
    for name, arguments in calls.items():
        there = inspect.signature(getattr(loss, name)).parameters
        assert set(arguments) <= set(there), CHANGED.format(f"{loss.__name__}.{name}")
    assert isinstance(
        HistGradientBoostingClassifier(max_iter=1).fit([[0.0]] * 4, [0, 1, 0, 1])._loss, HalfBinomialLoss
    ), CHANGED.format("HistGradientBoostingClassifier._loss")


def test_members_that_the_booster_uses_are_those_that_the_loss_has(problem, monkeypatch):
    X, y, w = problem
    asked = set()

    class Recorder:
        def __init__(self, loss):
            self.__dict__["loss"] = loss

        def __getattr__(self, name):
            asked.add(name)
            return getattr(self.loss, name)

        def __call__(self, **arguments):
            asked.add("__call__")
            return self.loss(**arguments)

    own = HistGradientBoostingClassifier._get_loss
    monkeypatch.setattr(
        HistGradientBoostingClassifier, "_get_loss", lambda self, sample_weight: Recorder(own(self, sample_weight))
    )
    HistGradientBoostingClassifier(max_iter=3, early_stopping=True, verbose=2).fit(X, y, w)
    ours = TrainingLoss(FocalLoss(), 1, 4.0, 1.0, None)
    missing = {name for name in asked if not hasattr(ours, name)}
    assert not missing, CHANGED.format(f"what it asks a loss for ({missing})")
    assert {"gradient_hessian", "fit_intercept_only", "__call__", "init_gradient_and_hessian"} <= asked


def test_a_member_that_is_missing_is_named():
    with pytest.raises(AttributeError, match=r"scikit-learn .* asks the loss of .* for 'curvature': this version"):
        TrainingLoss(FocalLoss(), 1, 4.0, 1.0, None).curvature  # noqa: B018


def fit_as_if(change):
    """The parent's fit of a release that no longer calls what ``change`` takes away."""
    original = HistGradientBoostingClassifier.fit

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        change(self)
        return original(self, X, y, sample_weight)

    return fit


@pytest.mark.parametrize("name", ["_finalize_sample_weight", "_get_loss", "init_gradient_and_hessian"])
def test_a_fit_with_another_loss_is_handed_out_by_no_release(name, imbalanced, monkeypatch):
    X, y = imbalanced
    own = HistGradientBoostingClassifier.__dict__

    def without_hook(estimator):
        # As if fit called another method: the instance's goes first.
        setattr(estimator, name, lambda *args, **kwargs: own[name](estimator, *args, **kwargs))

    def without_loss(estimator):
        monkeypatch.setattr(TrainingLoss, "init_gradient_and_hessian", lambda self, **shape: (
            np.empty(shape["n_samples"], np.float32), np.empty(shape["n_samples"], np.float32)
        ))  # fmt: skip

    change = without_loss if name == "init_gradient_and_hessian" else without_hook
    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", fit_as_if(change))
    clf = FocalHistGradientBoostingClassifier(2.0, max_iter=2)
    with pytest.raises(RuntimeError, match=rf"scikit-learn .* did not call {name} .* Install an earlier scikit-learn"):
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")
    assert not [attribute for attribute in vars(clf) if attribute.startswith("_")]
