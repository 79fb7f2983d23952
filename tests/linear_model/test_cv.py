"""FocalLogisticRegressionCV compared with GridSearchCV, LogisticRegressionCV and fits that start at the constant."""

import pickle
import warnings
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import f1_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from skfocal.linear_model import FocalLogisticRegression, FocalLogisticRegressionCV
from skfocal.linear_model._candidates import check_takes_weights
from skfocal.linear_model._path import knowing_the_classes
from skfocal.metrics import neg_focal_loss_scorer

PRECISE = {"tol": 1e-9, "max_iter": 10_000}
QUICK = {"Cs": [0.01, 1.0], "focal_gammas": [0.0, 2.0], "cv": 2}


def table(n_classes, n=150):
    X, y = make_classification(n, 5, n_informative=4, n_redundant=0, n_classes=n_classes, flip_y=0.1, random_state=1)
    return X, np.array(["b", "c", "a"])[y]


def theirs(**params):
    """scikit-learn's, its newer attributes where it has them."""
    clf = LogisticRegressionCV(tol=1e-10, max_iter=10_000, **params)
    if "use_legacy_attributes" in clf.get_params():
        clf.set_params(use_legacy_attributes=False, l1_ratios=(0.0,))
    return clf


def scores_and_paths(clf):
    """Of scikit-learn's: (n_folds, n_cs) and (n_folds, n_cs, n_scores, n_features + 1)."""
    if not isinstance(clf.scores_, dict):
        return clf.scores_[:, 0], clf.coefs_paths_[:, 0]
    return next(iter(clf.scores_.values())), np.stack(list(clf.coefs_paths_.values()), axis=2)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("n_classes", "scoring", "params"),
    [
        (2, "neg_log_loss", {}),
        (2, "roc_auc", {"focal_alpha": "balanced", "calibration": "full"}),
        (3, "neg_log_loss", {"class_weight": "balanced"}),
        (3, "f1_macro", {"fit_intercept": False}),
        (3, neg_focal_loss_scorer, {"calibration": None}),
    ],
)
def test_it_chooses_what_grid_search_chooses(n_classes, scoring, params, container):
    X, y = table(n_classes)
    X = container(np.where(np.abs(X) < 0.3, 0.0, X))
    # Not in order: the first of equal candidates is chosen.
    grid = {"C": [1.0, 0.01, 100.0], "focal_gamma": [2.0, 0.0], "l1_ratio": [0.5, 0.0]}
    model = FocalLogisticRegression(**params, **PRECISE)
    search = GridSearchCV(model, grid, scoring=scoring, cv=3, error_score="raise").fit(X, y)
    clf = FocalLogisticRegressionCV(
        grid["focal_gamma"], Cs=grid["C"], l1_ratios=grid["l1_ratio"], scoring=scoring, cv=3, **params, **PRECISE
    ).fit(X, y)
    assert search.best_params_ == {"C": clf.C_, "focal_gamma": clf.focal_gamma_, "l1_ratio": clf.l1_ratio_}
    expected = [search.cv_results_[f"split{i}_test_score"].reshape(3, 2, 2) for i in range(3)]  # C, gamma, l1_ratio
    assert_allclose(clf.scores_, np.moveaxis(expected, 1, -1), atol=1e-7)
    assert_allclose(clf.coef_, search.best_estimator_.coef_, atol=1e-6)
    assert_allclose(clf.intercept_, search.best_estimator_.intercept_, atol=1e-6)
    assert_allclose(clf.predict_proba(X), search.predict_proba(X), atol=1e-7)
    assert_allclose(clf.score(X, y), search.score(X, y), atol=1e-7)
    assert_array_equal(clf.classes_, search.classes_)
    assert clf.scores_.std() > 1e-3


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_gamma_zero_is_logistic_regression_cv(n_classes, refit, fit_intercept):
    X, y = table(n_classes)
    weight = np.random.default_rng(0).uniform(0.2, 3.0, len(y))
    shared = {"Cs": 4, "cv": 3, "refit": refit, "fit_intercept": fit_intercept, "scoring": "neg_log_loss"}
    other = theirs(**shared).fit(X, y, sample_weight=weight)
    clf = FocalLogisticRegressionCV([0.0], **shared, **PRECISE).fit(X, y, sample_weight=weight)
    scores, paths = scores_and_paths(other)
    assert_allclose(clf.Cs_, other.Cs_)
    assert_allclose(clf.scores_[:, 0, 0], scores, atol=1e-6)
    assert_allclose(clf.coefs_paths_[:, 0, 0], paths, rtol=1e-3, atol=1e-4)
    assert_allclose([clf.C_, clf.l1_ratio_], [np.ravel(other.C_)[0], 0.0])
    assert_allclose(clf.coef_, other.coef_, rtol=1e-3, atol=1e-4)
    assert_allclose(clf.intercept_, other.intercept_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("solver", ["lbfgs", "trust-krylov", "trust-exact"])
def test_a_fit_ends_where_it_does_without_a_neighbor(solver):
    X, y = StandardScaler().fit_transform(load_wine().data), load_wine().target
    gammas, Cs = [0.0, 3.0], [1e-3, 1e-1, 10.0]
    l1_ratios = [0.0, 0.4, 1.0] if solver == "lbfgs" else [0.0]
    clf = FocalLogisticRegressionCV(gammas, Cs=Cs, l1_ratios=l1_ratios, solver=solver, cv=2, **PRECISE).fit(X, y)
    for i, (train, _) in enumerate(StratifiedKFold(2).split(X, y)):
        for (g, gamma), (r, ratio), (c, C) in product(*map(enumerate, (gammas, l1_ratios, Cs))):
            cold = FocalLogisticRegression(gamma, C=C, l1_ratio=ratio, **PRECISE).fit(X[train], y[train])
            expected = np.c_[cold.coef_, cold.intercept_]
            assert_allclose(clf.coefs_paths_[i, g, r, c], expected, atol=2e-5)
            if ratio > 0:
                assert_array_equal(clf.coefs_paths_[i, g, r, c] == 0, expected == 0)


def test_neighbors_save_iterations():
    X, y = table(2)
    Cs = np.logspace(-3, 3, 8)
    clf = FocalLogisticRegressionCV([0.0, 2.0], Cs=Cs, cv=2).fit(X, y)
    cold = [
        FocalLogisticRegression(gamma, C=C).fit(X[train], y[train]).n_iter_[0]
        for train, _ in StratifiedKFold(2).split(X, y)
        for gamma in (0.0, 2.0)
        for C in Cs
    ]
    assert clf.n_iter_.sum() < 0.8 * sum(cold)


@pytest.mark.parametrize("refit", [True, False])
def test_shapes_and_what_a_fitted_model_has(refit):
    X, y = table(3)
    gammas = [0.5, [2.0, 0.0, 1.0]]
    clf = FocalLogisticRegressionCV(gammas, "balanced", Cs=2, l1_ratios=[0.0, 0.5], cv=3, refit=refit).fit(X, y)
    assert clf.scores_.shape == clf.n_iter_.shape == (3, 2, 2, 2)
    assert clf.coefs_paths_.shape == (3, 2, 2, 2, 3, 6)
    assert_array_equal(clf.focal_gammas_, [[0.5, 0.5, 0.5], [2.0, 0.0, 1.0]])
    assert_array_equal(clf.l1_ratios_, [0.0, 0.5])
    assert_allclose(clf.Cs_, [1e-4, 1e4])
    assert isinstance(clf.C_, float)
    assert isinstance(clf.l1_ratio_, float)
    assert_array_equal(clf.focal_loss_.gamma_per_class(3), clf.focal_gamma_)
    assert_allclose((clf.class_weights_ * np.bincount(np.unique(y, return_inverse=True)[1])).std(), 0.0, atol=1e-12)
    assert clf.coef_.shape == (3, 5)
    assert clf.intercept_.shape == (3,)
    assert clf.n_features_in_ == 5
    one = FocalLogisticRegressionCV([1.0], Cs=2, cv=3, fit_intercept=False).fit(X, y == "a")
    assert one.coefs_paths_.shape == (3, 1, 1, 2, 1, 5)
    assert_array_equal(one.focal_gammas_, [1.0])
    assert one.focal_gamma_ == 1.0


def test_without_refit_each_fold_chooses_c_for_the_best_gamma():
    X, y = table(2)
    clf = FocalLogisticRegressionCV([0.0, 1.0, 4.0], Cs=[0.01, 0.1, 1.0], cv=4, refit=False).fit(X, y)
    best = max(range(3), key=lambda g: clf.scores_.mean(axis=0)[g].max())
    chosen = [int(np.argmax(clf.scores_[fold, best, 0])) for fold in range(4)]
    assert clf.focal_gamma_ == [0.0, 1.0, 4.0][best]
    assert_allclose(clf.C_, np.mean([[0.01, 0.1, 1.0][c] for c in chosen]))
    mean = np.mean([clf.coefs_paths_[fold, best, 0, c] for fold, c in enumerate(chosen)], axis=0)
    assert_allclose(np.c_[clf.coef_, clf.intercept_], mean)
    assert len(set(chosen)) > 1


def test_processes_change_nothing():
    X, y = table(3)
    one, two = (FocalLogisticRegressionCV(**QUICK, n_jobs=n).fit(X, y) for n in (1, 2))
    assert_array_equal(one.coefs_paths_, two.coefs_paths_)
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert_array_equal(pickle.loads(pickle.dumps(two)).predict_proba(X), one.predict_proba(X))


def test_float32_stays():
    X, y = table(2)
    single, double = (FocalLogisticRegressionCV(**QUICK).fit(X.astype(t), y) for t in (np.float32, np.float64))
    assert single.coef_.dtype == single.coefs_paths_.dtype == np.float32
    assert_allclose(single.scores_, double.scores_, atol=1e-4)


def test_weights_count_in_the_fits_and_in_the_scores():
    X, y = table(2)
    w = np.random.default_rng(0).uniform(0.0, 3.0, len(y))
    clf = FocalLogisticRegressionCV([2.0], Cs=[0.1], cv=3, **PRECISE).fit(X, y, sample_weight=w)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        model = FocalLogisticRegression(2.0, C=0.1, **PRECISE).fit(X[train], y[train], w[train])
        expected = -log_loss(y[test], model.predict_proba(X[test]), sample_weight=w[test])
        assert_allclose(clf.scores_[fold].item(), expected, rtol=1e-6)
    assert_allclose(clf.score(X, y, w), -log_loss(y, clf.predict_proba(X), sample_weight=w))
    assert_allclose(clf.score(X, y), -log_loss(y, clf.predict_proba(X)))


def test_scoring_none_is_accuracy():
    X, y = table(3)
    clf = FocalLogisticRegressionCV(**QUICK, scoring=None).fit(X, y)
    assert clf.score(X, y) == np.mean(clf.predict(X) == y)
    named = FocalLogisticRegressionCV(**QUICK, scoring="accuracy").fit(X, y)
    assert_array_equal(clf.scores_, named.scores_)


# Folds that lack a class


def test_a_class_that_no_training_row_is_of_is_one_whose_rows_weigh_nothing():
    X, y = table(3)
    train, test = np.flatnonzero(y != "c"), np.flatnonzero(y == "c")
    for class_weight in (None, "balanced"):
        params = {"class_weight": class_weight, "focal_alpha": "effective"}
        clf = FocalLogisticRegressionCV([1.0], Cs=[0.1], cv=[(train, test)], **params, **PRECISE).fit(X, y)
        weight = (y != "c").astype(float)
        model = FocalLogisticRegression(1.0, C=0.1, **params, **PRECISE).fit(X, y, weight)
        expected = model.decision_function(X)
        path = clf.coefs_paths_[0, 0, 0, 0]
        found = X @ path[:, :5].T + path[:, 5]
        assert_allclose(found[:, :2] - found[:, :1], expected[:, :2] - expected[:, :1], atol=1e-5)
        assert clf.scores_.item() < -1.0


OWN_LOG_LOSS = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score", OWN_LOG_LOSS], ids=["log", "brier", "own"])
def test_a_metric_of_probabilities_is_told_of_a_class_that_no_held_out_row_is_of(scoring):
    X, y = table(3)
    if scoring == "neg_brier_score":
        y = np.where(y == "c", "a", y)
    is_b = np.flatnonzero(y == "b")
    test = is_b[: len(is_b) // 2]
    train = np.setdiff1d(np.arange(len(y)), test)
    clf = FocalLogisticRegressionCV([1.0], Cs=[0.1], cv=[(train, test)], scoring=scoring, **PRECISE).fit(X, y)
    proba = FocalLogisticRegression(1.0, C=0.1, **PRECISE).fit(X[train], y[train]).predict_proba(X[test])
    b = np.unique(y).tolist().index("b")
    expected = np.mean((1 - proba[:, b]) ** 2) if scoring == "neg_brier_score" else np.mean(-np.log(proba[:, b]))
    assert_allclose(-clf.scores_.item(), expected, rtol=1e-6)


def test_a_metric_of_labels_is_left_as_it_is_where_a_class_is_missing():
    X, y = table(3)
    test = np.flatnonzero(y != "c")[:40]
    train = np.setdiff1d(np.arange(len(y)), test)
    params = {"cv": [(train, test)], "scoring": "f1_weighted"}
    clf = FocalLogisticRegressionCV([1.0], Cs=[0.1], **params).fit(X, y)
    model = FocalLogisticRegression(1.0, C=0.1).fit(X[train], y[train])
    assert_allclose(clf.scores_.item(), f1_score(y[test], model.predict(X[test]), average="weighted"))


def test_a_metric_that_cannot_be_told_of_the_classes_is_left_as_it_is():
    scorer = make_scorer(lambda y, p: float(len(p)), response_method="predict_proba")
    assert knowing_the_classes(scorer, np.array(["a", "b", "c"]), np.array([0, 1])) is scorer
    check_takes_weights(make_scorer(max), "max")  # has no signature


def test_the_private_names_of_a_scorer():
    scorer = get_scorer("neg_log_loss")
    wanted = ("_score_func", "_response_method", "_sign", "_kwargs")
    missing = [name for name in wanted if not hasattr(scorer, name)]
    assert not missing, f"scikit-learn renamed {missing}: see knowing_the_classes in skfocal/linear_model/_path.py"


def test_without_rows_of_each_class_for_five_folds_there_are_fewer():
    X, y = table(2, n=40)
    few = np.r_[np.flatnonzero(y == "b")[:3], np.flatnonzero(y == "c")[:3]]
    assert FocalLogisticRegressionCV([1.0], Cs=2).fit(X[few], y[few]).scores_.shape[0] == 3
    assert FocalLogisticRegressionCV([1.0], Cs=2).fit(X, y).scores_.shape[0] == 5


def test_a_score_that_is_nan_is_the_worst():
    X, y = table(2)

    def scorer(estimator, X, y):
        return np.nan if estimator.C == 1.0 else float(estimator.C)

    clf = FocalLogisticRegressionCV([1.0], Cs=[1.0, 0.1, 0.5], cv=2, scoring=scorer).fit(X, y)
    assert clf.C_ == 0.5
    with pytest.raises(ValueError, match="scoring must give a number for one candidate at least, got NaN"):
        FocalLogisticRegressionCV([1.0], Cs=[1.0], cv=2, scoring=scorer).fit(X, y)


# Metadata routing


def test_groups_and_weights_are_routed():
    X, y = table(2)
    groups, w = np.arange(len(y)) % 3, np.where(np.arange(len(y)) % 2, 1.0, 3.0)
    params = {"Cs": [0.1], "focal_gammas": [1.0]}
    with config_context(enable_metadata_routing=True):
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        clf = FocalLogisticRegressionCV(**params, cv=GroupKFold(3), scoring=scorer)
        clf.set_fit_request(sample_weight=True).fit(X, y, sample_weight=w, groups=groups)
        score = clf.score(X, y, sample_weight=w)
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=False)
        unweighted = FocalLogisticRegressionCV(**params, cv=GroupKFold(3), scoring=scorer)
        unweighted.set_fit_request(sample_weight=True).fit(X, y, sample_weight=w, groups=groups)
    splits = list(LeaveOneGroupOut().split(X, groups=groups))
    expected = FocalLogisticRegressionCV(**params, cv=splits).fit(X, y, sample_weight=w)
    assert_allclose(np.sort(clf.scores_, axis=0), np.sort(expected.scores_, axis=0))
    assert_allclose(clf.coef_, expected.coef_)
    assert score == expected.score(X, y, w)
    assert_allclose(unweighted.coef_, expected.coef_)
    assert np.abs(unweighted.scores_ - clf.scores_).max() > 1e-3
    with pytest.raises(ValueError, match=r"fit takes groups only with .*enable_metadata_routing=True"):
        FocalLogisticRegressionCV(cv=GroupKFold(3)).fit(X, y, groups=groups)


# Errors and warnings


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"focal_gammas": 2.0}, r"focal_gammas must be a sequence of candidates.*, got 2\.0"),
        ({"focal_gammas": []}, "focal_gammas must be a sequence of candidates.*, got none"),
        ({"focal_gammas": {0.0, 1.0}}, "focal_gammas must be a sequence of candidates"),
        ({"focal_gammas": "12"}, "focal_gammas must be a sequence of candidates"),
        ({"focal_gammas": [1.0, -1.0]}, r"each of focal_gammas must be a number >= 0 or one per class, got -1\.0"),
        ({"focal_gammas": [1.0, 101.0]}, "each of focal_gammas must be at most 100, got 101"),
        ({"focal_gammas": [[1.0, 2.0, 3.0]]}, "in focal_gammas, each focal_gamma must be .*: got 3 entries for 2 "),
        ({"Cs": 0}, "Cs must be an integer >= 1, the number of candidates, or .*, got 0"),
        ({"Cs": True}, "Cs must be .*, got True"),
        ({"Cs": []}, "Cs must be .*, got none"),
        ({"Cs": [1.0, 0.0]}, r"Cs must be .*each a number > 0, got \[1\.0, 0\.0\]"),
        ({"Cs": [1.0, np.nan]}, "Cs must be .*each a number > 0, got"),
        ({"Cs": ["1"]}, "Cs must be .*each a number > 0, got"),
        ({"l1_ratios": 0.5}, r"l1_ratios must be a sequence of candidates, each a number in \[0, 1\], got 0\.5"),
        ({"l1_ratios": None}, "l1_ratios must be a sequence of candidates.*, got None"),
        ({"l1_ratios": [0.5, 1.5]}, r"l1_ratios must be .*, got \[0\.5, 1\.5\]"),
        ({"l1_ratios": [0.5], "solver": "trust-exact"}, "l1_ratios must be 0 for solver='trust-exact'"),
        ({"solver": "saga"}, "solver must be one of .*, got 'saga'; use solver='lbfgs'"),
        ({"scoring": "log_loss"}, "scoring must be a name of .*, got 'log_loss'"),
        ({"scoring": ["accuracy"]}, r"scoring must be a name of .*, got \['accuracy'\]"),
        ({"scoring": log_loss}, "scoring must be a name of .*, got <function log_loss"),
        ({"cv": 1}, "cv must be None, an integer >= 2, a splitter or an iterable of .*, got 1"),
        ({"cv": "five"}, "cv must be None, .*, got 'five'"),
        ({"cv": 2.5}, r"cv must be None, .*, got 2\.5"),
        ({"cv": []}, r"cv must be None, .*, got \[\], which has no folds"),
        ({"cv": [([0, 1, 100], [])]}, r"cv must give rows of X to score on, fold 0 has .* of 150 rows"),
        ({"cv": [([0, 1, 150], [3])]}, r"cv must give rows of X to train on, fold 0 has .* of 150 rows"),
        ({"refit": "best"}, "refit must be True or False, got 'best'"),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0, got 0"),
        ({"tol": 0.0}, "tol must be a finite number > 0"),
        ({"calibration": "isotonic"}, "calibration"),
        ({"focal_alpha": 1.5}, "focal_alpha must be in"),
        ({"class_weight": {"x": 1.0}}, "class_weight must be None, 'balanced' or a dict of labels of y"),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],  # an address differs between processes
)  # fmt: skip
def test_bad_parameters_are_told_before_any_fit(params, message, monkeypatch):
    monkeypatch.setattr("skfocal.linear_model._path.minimize", None)
    X, y = table(2)
    clf = FocalLogisticRegressionCV(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")


def test_weights_that_a_fold_or_a_metric_cannot_take(monkeypatch):
    monkeypatch.setattr("skfocal.linear_model._path.minimize", None)
    X, y = table(2)
    splits = [(np.arange(100), np.arange(100, 150)), (np.arange(100, 150), np.arange(100))]
    w = np.r_[np.ones(100), np.zeros(50)]
    with pytest.raises(ValueError, match=r"sample_weight must hold .* among the rows to score on, fold 0 has zeros"):
        FocalLogisticRegressionCV(cv=splits).fit(X, y, sample_weight=w)

    def without(y_true, y_pred):
        return 0.0

    for scoring in (lambda estimator, X, y: 0.0, make_scorer(without)):
        with pytest.raises(ValueError, match="scoring must take sample_weight if fit is given one, got"):
            FocalLogisticRegressionCV(scoring=scoring).fit(X, y, sample_weight=np.ones(150))


@pytest.mark.parametrize(
    ("name", "value", "way"),
    [
        ("C", 1.0, r"write Cs=\[...\]"),
        ("focal_gamma", 1.0, r"write focal_gammas=\[...\]"),
        ("l1_ratio", 1.0, r"write l1_ratios=\[...\]"),
        ("penalty", "l1", r"l1_ratios=\[1\] is 'l1'"),
        ("use_legacy_attributes", False, "leave it out"),
        ("random_state", 0, "nothing is random"),
    ],
)
def test_parameters_of_logistic_regression_cv_are_told_what_to_write(name, value, way):
    with pytest.raises(TypeError, match=f"has no parameter {name}, got {name}={value!r}: .*{way}"):
        FocalLogisticRegressionCV(**{name: value})
    with pytest.raises(ValueError, match=f"has no parameter {name}, got {name}={value!r}: .*{way}"):
        FocalLogisticRegressionCV().set_params(**{name: value})


def test_fits_that_stop_early_warn_once():
    X, y = table(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FocalLogisticRegressionCV([2.0], Cs=[0.1, 1e3], cv=2, max_iter=2, refit=False).fit(X, y)
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    assert "did not converge in 4 of 4 fits on the folds" in str(warning.message)
    assert warning.filename == __file__


def test_select_from_model_keeps_what_l1_left_over():
    X, y = make_classification(300, 12, n_informative=4, random_state=3)
    params = {"focal_gammas": [1.0], "Cs": [0.02, 0.05], "l1_ratios": [1.0], "cv": 2, **PRECISE}
    selected = SelectFromModel(FocalLogisticRegressionCV(**params)).fit(X, y)
    clf = FocalLogisticRegressionCV(**params).fit(X, y)
    assert clf.penalty == "l1"
    assert_array_equal(selected.get_support(), (clf.coef_ != 0).any(axis=0))
    assert 0 < selected.get_support().sum() < 12
    assert FocalLogisticRegressionCV(l1_ratios=[0, 1]).penalty == "elasticnet"
    assert FocalLogisticRegressionCV().penalty == "l2"
