"""FocalLossDisplay: curves against mpmath and against hand-made rows, and what it does to matplotlib."""

import builtins

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfocal.inspection import FocalLossDisplay
from skfocal.linear_model import FocalLogisticRegression


@pytest.fixture
def plt(monkeypatch):
    """matplotlib.pyplot without a window, in which ``show`` is an error."""
    pyplot = pytest.importorskip("matplotlib.pyplot", exc_type=ImportError)
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda *args, **kwargs: pytest.fail("plt.show was called"))
    yield pyplot
    pyplot.close("all")


class ScoresAsGiven(ClassifierMixin, BaseEstimator):
    """A classifier whose X are its raw scores."""

    def __init__(self, labels=(0, 1)):
        self.labels = labels

    def fit(self, X, y):
        self.classes_ = np.array(self.labels)
        return self

    def decision_function(self, X):
        return np.asarray(X, dtype=float)


def focal(z, gamma, alpha=1):
    """Lin et al.'s equation 5 for the positive class, in the digits of mpmath."""
    p = 1 / (1 + mpmath.exp(-z))
    return -alpha * (1 - p) ** gamma * mpmath.log(p)


@pytest.mark.parametrize("against", ["p_t", "margin"])
@pytest.mark.parametrize(("kind", "order"), [("loss", 0), ("gradient", 1), ("hessian", 2)])
def test_curves_are_the_derivatives_of_the_formula(plt, kind, order, against):
    display = FocalLossDisplay.from_params([0.0, 0.5, 2.0], alpha=0.75, kind=kind, against=against)
    for curve, line, gamma in zip(display.curves, display.lines_, (0, 0.5, 2), strict=True):
        assert_array_equal(line.get_xdata(), curve.x)
        for i in range(20, 500, 60):
            with mpmath.workdps(40):
                x = mpmath.mpf(float(line.get_xdata()[i]))
                z = mpmath.log(x / (1 - x)) if against == "p_t" else x
                expected = mpmath.diff(lambda u: focal(u, gamma, 0.75), z, order)  # noqa: B023
            assert_allclose(line.get_ydata()[i], float(expected), rtol=1e-8, atol=1e-12)


def test_gamma_zero_against_p_t_is_minus_log_p(plt):
    (line,) = FocalLossDisplay.from_params(0).lines_
    x = line.get_xdata()
    assert x[0] > 0
    assert x[-1] < 1
    assert_allclose(line.get_ydata(), -np.log(x), rtol=1e-9)


def test_negative_part_of_the_hessian_is_shaded(plt):
    ax = FocalLossDisplay.from_params([0.0, 2.0], kind="hessian", against="margin").ax_
    none, shaded = ax.collections
    assert len(none.get_paths()) == 0  # cross-entropy is convex
    # The Hessian for gamma 2 changes sign at the margin of -2.8 that the theory page names.
    right_end = max(path.vertices[:, 0].max() for path in shaded.get_paths())
    assert right_end == pytest.approx(-2.8, abs=0.05)
    assert not FocalLossDisplay.from_params([2.0], kind="loss").ax_.collections


def test_share_of_the_hardest_rows_by_hand(plt):
    # p_t of the positives is 1/2, 1/2 and 3/4, of the only negative 1/2; gamma 1.
    scores, y = [0.0, 0.0, np.log(3.0), 0.0], [1, 1, 1, 0]
    display = FocalLossDisplay.from_estimator(ScoresAsGiven().fit(scores, y), scores, y, gamma=1.0)
    curves = {curve.label: curve for curve in display.curves}
    hard, easy = 0.5 * np.log(2), 0.25 * np.log(4 / 3)
    total = 2 * hard + easy
    focal_curve, cross_entropy = curves["class 1, gamma 1"], curves["class 1, cross-entropy"]
    assert_allclose(focal_curve.x, [0, 1 / 3, 2 / 3, 1])
    assert_allclose(focal_curve.y, [0, hard / total, 2 * hard / total, 1])
    total = 2 * np.log(2) + np.log(4 / 3)
    assert_allclose(cross_entropy.y, [0, np.log(2) / total, 2 * np.log(2) / total, 1])
    assert_array_equal(curves["class 0, gamma 1"].x, [0, 1])
    assert [line.get_linestyle() for line in display.lines_] == ["-", "--", "-", "--"]


def test_a_weight_of_two_is_the_row_twice(plt):
    rng = np.random.default_rng(0)
    scores, y = rng.normal(size=40), rng.integers(0, 2, 40)
    weight = np.where(np.arange(40) % 3, 1.0, 2.0)
    clf, twice = ScoresAsGiven().fit(scores, y), np.repeat(np.arange(40), weight.astype(int))
    weighted = FocalLossDisplay.from_estimator(clf, scores, y, gamma=2.0, sample_weight=weight).curves
    repeated = FocalLossDisplay.from_estimator(clf, scores[twice], y[twice], gamma=2.0).curves
    for a, b in zip(weighted, repeated, strict=True):
        assert_allclose(np.interp(a.x, b.x, b.y), a.y, atol=1e-12)


def test_focal_loss_is_carried_by_fewer_rows_in_every_class(plt, problem):
    X, y, _ = problem
    names = np.array(["a", "b", "c"])[y]
    clf = make_pipeline(StandardScaler(), FocalLogisticRegression([1.0, 2.0, 3.0][: len(np.unique(y))]))
    search = GridSearchCV(clf, {"focallogisticregression__C": [1.0]}, cv=2).fit(X, names)
    curves = FocalLossDisplay.from_estimator(search, X, names).curves
    assert [c.label for c in curves[::2]] == [f"class {n}, gamma {i + 1}" for i, n in enumerate(np.unique(names))]
    for focal_curve, cross_entropy in zip(curves[::2], curves[1::2], strict=True):
        assert (np.diff(focal_curve.y) >= 0).all()
        assert (focal_curve.y >= cross_entropy.y - 1e-12).all()
        assert focal_curve.y.max() == pytest.approx(1.0)
        assert (focal_curve.y > cross_entropy.y + 0.02).any()


def test_rows_without_loss_and_classes_without_rows(plt):
    clf = ScoresAsGiven().fit([0.0], [0])
    (focal_curve, cross_entropy) = FocalLossDisplay.from_estimator(clf, [800.0, 900.0], [1, 1], gamma=2.0).curves
    assert_array_equal(focal_curve.y, focal_curve.x)
    assert_array_equal(cross_entropy.y, [0.0, 0.5, 1.0])


def test_draws_where_it_is_told_and_shows_nothing(plt):
    figure, axes = plt.subplots(1, 2)
    display = FocalLossDisplay.from_params([1.0], ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert len(axes[1].lines) == 1
    assert not axes[0].lines
    assert display.plot(axes[0]) is display
    assert display.ax_ is axes[0]
    assert len(plt.get_fignums()) == 1
    display.plot()
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize(("parameters", "error", "message"), [
    ({"kind": "slope"}, ValueError, "kind must be 'loss' or 'gradient' or 'hessian', got 'slope'"),
    ({"against": 1}, ValueError, "against must be 'p_t' or 'margin', got 1"),
    ({"gammas": "2"}, TypeError, "gammas must be a number >= 0 or a sequence of them, got '2'"),
    ({"gammas": None}, TypeError, "gammas must be .*, got None"),
    ({"gammas": [1.0, "2"]}, TypeError, r"gammas must be .*, got \[1.0, '2'\]"),
    ({"gammas": []}, ValueError, r"gammas must be .*, got \[\]"),
    ({"gammas": [1.0, -1.0]}, ValueError, r"gammas must be .*, got \[1.0, -1.0\]"),
    ({"alpha": 1.5}, ValueError, r"alpha must be None, a number in \(0, 1\) .*, got 1.5"),
])  # fmt: skip
def test_errors_of_from_params(parameters, error, message):
    with pytest.raises(error, match=message):
        FocalLossDisplay.from_params(**parameters)


def test_errors_of_from_estimator(imbalanced):
    X, y = imbalanced
    with pytest.raises(ValueError, match=r"gamma must be a number >= 0 .* without focal_loss_, got None for Logistic"):
        FocalLossDisplay.from_estimator(LogisticRegression().fit(X, y), X, y)
    with pytest.raises(TypeError, match="estimator must have a decision_function, got GaussianNB"):
        FocalLossDisplay.from_estimator(GaussianNB().fit(X, y), X, y)
    clf = FocalLogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match=r"y must hold labels among \[0, 1\], got 2"):
        FocalLossDisplay.from_estimator(clf, X, y + 1)
    with pytest.raises(ValueError, match=r"gamma must be a number >= 0 or one per class, got -1.0"):
        FocalLossDisplay.from_estimator(clf, X, y, gamma=-1.0)
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        FocalLossDisplay.from_estimator(clf, X, y, sample_weight=[1.0])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match=r"needs matplotlib: python -m pip install \"skfocal\[plot\]\""):
        FocalLossDisplay.from_params()
