"""Focal temperature scaling: the map, its fit, and the meta-estimator."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import LeaveOneOut, ShuffleSplit, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from skfocal import FocalLoss, FocalTemperatureScaling
from skfocal.calibration import FocalTemperature, fit_focal_temperature, scores_of
from skfocal.linear_model import FocalLogisticRegression


def drawn(n_classes, gamma, temperature, n=20_000):
    """Scores, and labels drawn with the probabilities of the paper's map (equation of the focal calibration map)."""
    rng = np.random.default_rng(0)
    z = 3 * rng.normal(size=(n, n_classes))
    p = softmax(z / temperature, axis=1)
    q = 1 - p
    inverse = q**gamma / p - gamma * q ** (gamma - 1) * np.log(p)  # -dFL/dp
    proba = 1 / inverse
    proba /= proba.sum(axis=1, keepdims=True)
    y = (proba.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return (z[:, 1] - z[:, 0] if n_classes == 2 else z), y, proba


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("gamma", "temperature"), [(0.0, 1.0), (0.0, 3.0), (2.0, 1.0), (1.0, 2.0), (3.0, 0.5)])
def test_what_labels_were_drawn_with_is_found(n_classes, gamma, temperature):
    raw, y, proba = drawn(n_classes, gamma, temperature)
    assert_allclose(FocalTemperature(gamma, temperature).predict_proba(raw), proba, rtol=1e-7, atol=1e-9)
    found = fit_focal_temperature(y, raw)
    # The two parameters nearly make up for each other: what is found must be as likely, and give the probabilities.
    fitted = found.predict_proba(raw)
    assert log_loss(y, fitted) <= log_loss(y, proba) + 1e-9
    assert np.abs(fitted - proba).mean() < 0.01


@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_other_parameters_are_better(n_classes):
    raw, y, _ = drawn(n_classes, 1.5, 2.0, n=300)
    weight = np.random.default_rng(1).uniform(0.1, 3.0, 300)
    found = fit_focal_temperature(y, raw, weight)
    least = log_loss(y, found.predict_proba(raw), sample_weight=weight)
    for gamma in np.linspace(0, 10, 21):
        for temperature in found.temperature * np.exp(np.linspace(-2, 2, 41)):
            other = FocalTemperature(gamma, temperature).predict_proba(raw)
            assert least <= log_loss(y, other, sample_weight=weight) + 1e-9


@pytest.mark.parametrize("n_classes", [2, 3])
def test_gamma_zero_is_temperature_scaling(n_classes):
    raw, y, _ = drawn(n_classes, 0.0, 2.0, n=2000)
    proba = FocalTemperature(0.0, 2.5).predict_proba(raw)
    expected = np.c_[expit(-raw / 2.5), expit(raw / 2.5)] if n_classes == 2 else softmax(raw / 2.5, axis=1)
    assert_allclose(proba, expected, rtol=1e-12)
    # At least as good as the best temperature alone.
    z = np.c_[np.zeros(2000), raw] if n_classes == 2 else raw
    best = minimize_scalar(lambda b: -log_softmax(z * b, axis=1)[np.arange(2000), y].mean(), bounds=(0.01, 10)).fun
    assert log_loss(y, fit_focal_temperature(y, raw).predict_proba(raw)) <= best + 1e-9


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scale_and_weights_of_the_rows(n_classes):
    raw, y, _ = drawn(n_classes, 1.0, 2.0, n=400)
    weight = np.random.default_rng(1).integers(1, 4, 400)
    proba = fit_focal_temperature(y, raw, weight.astype(float)).predict_proba(raw)
    repeated = fit_focal_temperature(np.repeat(y, weight), np.repeat(raw, weight, axis=0)).predict_proba(raw)
    assert_allclose(proba, repeated, atol=1e-5)
    scaled = fit_focal_temperature(y, 1e6 * raw, weight.astype(float))
    assert_allclose(scaled.predict_proba(1e6 * raw), proba, atol=1e-5)
    as_float32 = fit_focal_temperature(y, raw.astype(np.float32), weight.astype(float))
    assert as_float32.predict_proba(raw.astype(np.float32)).dtype == np.float32
    assert_allclose(as_float32.predict_proba(raw.astype(np.float32)), proba, atol=1e-4)


def test_scores_that_say_nothing_and_scores_that_say_all():
    y = np.repeat([0, 1], 50)
    assert fit_focal_temperature(y, np.zeros(100)) == FocalTemperature(0.0, 1.0)
    flat = fit_focal_temperature(y, np.tile([-1.0, 1.0], 50)).predict_proba(np.array([-1.0, 1.0]))
    assert_allclose(flat, 0.5, atol=1e-3)
    sure = fit_focal_temperature(y, np.where(y == 1, 2.0, -2.0)).predict_proba(np.array([-2.0, 2.0]))
    assert_allclose(sure, np.eye(2), atol=1e-9)


@pytest.fixture(scope="module", params=["binary", "multiclass"])
def named(request):
    """X, y with names for labels, and weights."""
    X, y = (load_breast_cancer if request.param == "binary" else load_wine)(return_X_y=True)
    return X, np.array(["c", "b", "a"])[y], np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))


ESTIMATORS = {
    "linear": make_pipeline(StandardScaler(), FocalLogisticRegression(2.0)),
    "svm": make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
    "svc": SVC(),
    "forest without scores": RandomForestClassifier(20, random_state=0),
    "one against the rest": OneVsRestClassifier(make_pipeline(StandardScaler(), LogisticRegression())),
}


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("ensemble", [True, False])
def test_folds_by_hand(estimator, ensemble, named):
    X, y, _ = named
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    clf = FocalTemperatureScaling(estimator, cv=cv, ensemble=ensemble).fit(X, y)
    codes = np.unique(y, return_inverse=True)[1]
    models, maps, scores = [], [], np.empty(scores_of(clf.estimators_[0], X).shape)
    for train, test in cv.split(X, y):
        models.append(copy.deepcopy(estimator).fit(X[train], y[train]))
        scores[test] = scores_of(models[-1], X[test])
        maps.append(fit_focal_temperature(codes[test], scores[test]))
    if not ensemble:
        models, maps = [copy.deepcopy(estimator).fit(X, y)], [fit_focal_temperature(codes, scores)]
    proba = np.mean([m.predict_proba(scores_of(model, X)) for model, m in zip(models, maps, strict=True)], axis=0)
    assert_allclose(clf.predict_proba(X), proba, atol=1e-6)
    assert_array_equal(clf.classes_, np.unique(y))
    assert_array_equal(clf.predict(X), clf.classes_[clf.predict_proba(X).argmax(axis=1)])
    assert clf.n_features_in_ == X.shape[1]
    assert len(clf.estimators_) == len(clf.calibrators_) == (3 if ensemble else 1)
    assert clf.score(X, y) > 0.6
    if not ensemble and hasattr(estimator, "decision_function"):
        assert_array_equal(clf.predict(X), clf.estimators_[0].predict(X))


def test_a_frozen_estimator_is_not_trained_again(named):
    X, y, w = named
    train, test = np.arange(len(y)) % 2 == 0, np.arange(len(y)) % 2 == 1
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[train], y[train])
    before = pickle.dumps(model)
    clf = FocalTemperatureScaling(FrozenEstimator(model)).fit(X[test], y[test], w[test])
    assert pickle.dumps(model) == before
    codes = np.unique(y, return_inverse=True)[1][test]
    expected = fit_focal_temperature(codes, model.decision_function(X[test]), w[test])
    assert_allclose(clf.predict_proba(X), expected.predict_proba(model.decision_function(X)), atol=1e-6)
    assert len(clf.calibrators_) == 1
    some = np.isin(y, np.unique(y)[:2]) & test
    if len(np.unique(y)) == 3:
        with pytest.raises(ValueError, match=r"a fold's model knows \['a', 'b', 'c'\]"):
            clf.fit(X[some], y[some])


def test_scores_of_overconfident_models_become_calibrated():
    # Naive copies of a column make a model as overconfident as there are copies: known temperature.
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = rng.random(4000) < expit(2 * x - 1)

    class Overconfident(LogisticRegression):
        def decision_function(self, X):
            return 5.0 * super().decision_function(X)

    model = Overconfident(C=1e6).fit(x[:2000, np.newaxis], y[:2000])
    clf = FocalTemperatureScaling(FrozenEstimator(model)).fit(x[:2000, np.newaxis], y[:2000])
    truth = expit(2 * x - 1)
    assert np.abs(clf.predict_proba(x[:, np.newaxis])[:, 1] - truth).mean() < 0.02
    assert np.abs(expit(model.decision_function(x[:, np.newaxis])) - truth).mean() > 0.1


def test_gamma_of_the_loss_need_not_be_known():
    # Scores trained at gamma 3 are corrected as their own posterior does, by data alone.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 3))
    y = rng.random(6000) < expit(X @ [2.0, -1.0, 0.5] - 1)
    focal = FocalLogisticRegression(3.0, calibration=None).fit(X[:3000], y[:3000])
    clf = FocalTemperatureScaling(FrozenEstimator(focal)).fit(X[:3000], y[:3000])
    own = FocalLoss(3.0).predict_proba(focal.decision_function(X[3000:]))
    assert_allclose(clf.predict_proba(X[3000:]), own, atol=0.03)
    assert np.abs(focal.predict_proba(X[3000:]) - own).max() > 0.15


def test_weights_reach_the_estimator_and_the_map(named):
    X, y, w = named
    clf = FocalTemperatureScaling(LogisticRegression(solver="liblinear") if len(set(y)) == 2 else SVC(), cv=3)
    weighted, plain = clf.fit(X, y, w), FocalTemperatureScaling(clf.estimator, cv=3).fit(X, y)
    train, test = next(iter(StratifiedKFold(3).split(X, y)))
    expected = copy.deepcopy(clf.estimator).fit(X[train], y[train], w[train])
    assert_allclose(weighted.estimators_[0].decision_function(X), expected.decision_function(X))
    codes = np.unique(y, return_inverse=True)[1]
    assert weighted.calibrators_[0] == fit_focal_temperature(codes[test], expected.decision_function(X[test]), w[test])
    assert np.abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4


def test_weights_that_the_estimator_does_not_take_warn(named):
    X, y, w = named
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.warns(UserWarning, match="sample_weight counts in the calibration only: fit of Pipeline does not"):
        FocalTemperatureScaling(pipeline).fit(X, y, w)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), LogisticRegression().set_fit_request(sample_weight=True))
        pipeline[0].set_fit_request(sample_weight=False)
        routed = FocalTemperatureScaling(pipeline).set_fit_request(sample_weight=True).fit(X, y, sample_weight=w)
    train, _ = next(iter(StratifiedKFold(5).split(X, y)))
    X_scaled = StandardScaler().fit(X[train]).transform(X)
    expected = LogisticRegression().fit(X_scaled[train], y[train], w[train])
    assert_allclose(routed.estimators_[0].decision_function(X), expected.decision_function(X_scaled), atol=1e-8)


@pytest.mark.parametrize("library", ["pandas", "polars", "list", "sparse"])
def test_containers(library, named):
    X, y, _ = named
    base = LogisticRegression(max_iter=10_000) if library in ("list", "sparse") else ESTIMATORS["linear"]
    expected = FocalTemperatureScaling(base, cv=3).fit(X[:, :3], y).predict_proba(X[:, :3])
    if library == "list":
        data, labels = X[:, :3].tolist(), y.tolist()
    elif library == "sparse":
        from scipy.sparse import coo_array

        data, labels = coo_array(X[:, :3]), y
    else:
        module = pytest.importorskip(library)
        data, labels = module.DataFrame({f"c{i}": X[:, i] for i in range(3)}), module.Series(y)
    clf = FocalTemperatureScaling(base, cv=3, n_jobs=2 if library == "pandas" else None).fit(data, labels)
    assert_allclose(clf.predict_proba(data), expected, atol=2e-3 if library == "sparse" else 1e-6)
    if library in ("pandas", "polars"):
        assert_array_equal(clf.feature_names_in_, ["c0", "c1", "c2"])


def test_bad_arguments(named):
    X, y, w = named
    clf = FocalTemperatureScaling(LogisticRegression(), ensemble="yes")
    with pytest.raises(ValueError, match="ensemble must be True, False or 'auto', got 'yes'"):
        clf.fit(X, y)
    clf.set_params(ensemble=True)
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        clf.fit(X, y, w[1:])
    with pytest.raises(ValueError, match="y must hold at least two classes, got one class: 'a'"):
        clf.fit(X, np.full(len(y), "a"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X[1:], y)
    with pytest.raises(NotFittedError):
        clf.predict_proba(X)
    base = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(ValueError, match="cv must hold out rows of two classes at least for each map, got 1 row"):
        FocalTemperatureScaling(base, cv=LeaveOneOut()).fit(X[::12], y[::12])
    FocalTemperatureScaling(base, cv=LeaveOneOut(), ensemble=False).fit(X[::12], y[::12])
    # As many draws as one likes, of few rows: they are no folds.
    FocalTemperatureScaling(base, cv=ShuffleSplit(30, test_size=0.5, random_state=0)).fit(X[::6], y[::6])
    with pytest.raises(ValueError, match=rf"cv must be able to split y: .*n_splits={len(y)}"):
        FocalTemperatureScaling(base, cv=len(y)).fit(X, y)
    once = np.where(np.arange(len(y)) == 5, "once", y)
    with pytest.raises(ValueError, match=r"cv must leave rows of every class of y, .*'once'\], to train on"):
        FocalTemperatureScaling(base, cv=[(np.arange(6, 170), np.arange(6))]).fit(X, once)


def test_a_decision_function_per_pair_of_classes_is_refused():
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match=r"one per class for more, got \(\d+, 6\) from decision_function of SVC for 4"):
        FocalTemperatureScaling(SVC(decision_function_shape="ovo")).fit(X, np.where(X[:, 0] > 13.9, 3, y))


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(named):
    X, y, _ = named
    clf = FocalTemperatureScaling(LogisticRegression(max_iter=10_000), cv=3).fit(X[:, :4], y)
    before = vars(clf).copy()
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full_like(X, np.nan), np.char.upper(y))
    assert vars(clf) == before
    other = pickle.loads(pickle.dumps(clf))
    assert_array_equal(other.predict_proba(X[:, :4]), clf.predict_proba(X[:, :4]))


def test_ranks_as_well_as_scikit_learns_own_on_real_data():
    X, y = load_breast_cancer(return_X_y=True)
    base = make_pipeline(StandardScaler(), LinearSVC(random_state=0))
    ours = FocalTemperatureScaling(base).fit(X[::2], y[::2]).predict_proba(X[1::2])
    sigmoid = CalibratedClassifierCV(base).fit(X[::2], y[::2]).predict_proba(X[1::2])
    assert log_loss(y[1::2], ours) < 1.3 * log_loss(y[1::2], sigmoid)


class AllRows:
    """One fold that trains on all rows and holds all rows out: what is left of the data is what its weights leave."""

    def split(self, X, y=None, groups=None):
        rows = np.arange(X.shape[0] if hasattr(X, "shape") else len(X))
        yield rows, rows

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


def every_check():
    # With folds drawn from the rows, a row of no weight is not a row left out, in scikit-learn's own either.
    checks = estimator_checks_generator(FocalTemperatureScaling(LogisticRegression(), cv=AllRows()))
    return [
        pytest.param(clf, check, id=f"{i}-{getattr(check, 'func', check).__name__}")
        for i, (clf, check) in enumerate(checks)
    ]


@pytest.mark.parametrize(("clf", "check"), every_check())
def test_scikit_learn_checks(clf, check):
    check(clf)
