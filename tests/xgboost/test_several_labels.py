"""Several labels per row, compared with XGBoost's own loss and with a model of each label alone."""

import copy
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import average_precision_score, log_loss, mean_absolute_error, roc_auc_score
from sklearn.model_selection import cross_val_score

xgb = pytest.importorskip("xgboost", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.metrics import focal_loss, neg_focal_loss_scorer  # noqa: E402
from skfocal.xgboost import FocalMetric, FocalObjective, FocalXGBClassifier  # noqa: E402

ONE = {"n_jobs": 1}
FEW = {"n_estimators": 20, "n_jobs": 1}
AS_PARENT = {"focal_gamma": 0.0, "max_step": None, "balanced_bins": False}
STRATEGIES = ("one_output_per_tree", "multi_output_tree")
L = 3


def margin(booster, X):
    return booster.predict(xgb.DMatrix(X), output_margin=True)


# Against the parent


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("parameters", [{}, {"subsample": 0.7, "max_depth": 3, "random_state": 0}])
def test_gamma_zero_grows_the_trees_of_log_loss(labels, strategy, weighted, parameters):
    X, Y, w = labels
    w = w if weighted else None
    parameters = {"multi_strategy": strategy, **FEW, **parameters}
    ours = FocalXGBClassifier(**AS_PARENT, **parameters).fit(X, Y, sample_weight=w)
    theirs = xgb.XGBClassifier(**parameters).fit(X, Y, sample_weight=w)
    assert_allclose(ours.decision_function(X), theirs.predict(X, output_margin=True), rtol=0, atol=1e-5)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-6)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.predict(X).dtype.kind == "i"
    assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.n_classes_ == theirs.n_classes_ == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["logloss", "error", "error@0.3", "rmse", "mae"])
def test_gamma_zero_stops_early_where_log_loss_does(labels, strategy, weighted, name):
    X, Y, w = labels
    keywords = {"sample_weight": w[::2], "sample_weight_eval_set": [w[1::2]]} if weighted else {}

    def fit(cls, **more):
        model = cls(
            early_stopping_rounds=3, learning_rate=0.6, eval_metric=name, multi_strategy=strategy, **ONE, **more
        )
        return model.fit(X[::2], Y[::2], eval_set=[(X[1::2], Y[1::2])], verbose=False, **keywords)

    ours, theirs = fit(FocalXGBClassifier, **AS_PARENT), fit(xgb.XGBClassifier)
    assert ours.best_iteration == theirs.best_iteration < 99
    history = [model.evals_result()["validation_0"][name] for model in (ours, theirs)]
    assert_allclose(*history, rtol=1e-5)
    assert_allclose(ours.decision_function(X), theirs.predict(X, output_margin=True), rtol=0, atol=1e-5)


def test_the_objective_alone_is_the_built_in_one_at_gamma_zero(labels):
    X, Y, w = labels
    data = xgb.DMatrix(X, Y, weight=w)
    objective = FocalObjective(0.0, max_step=None)
    shares = np.average(Y, axis=0, weights=w)
    assert_allclose(objective.base_score(Y, w), shares, rtol=1e-6)
    params = {"objective": "binary:logistic", "base_score": shares.tolist(), "nthread": 1}
    for strategy in STRATEGIES:
        models = [xgb.train(params | {"multi_strategy": strategy}, data, 20, obj=obj) for obj in (objective, None)]
        assert_allclose(*(margin(model, X) for model in models), rtol=0, atol=5e-6)
    clf = xgb.XGBClassifier(objective=objective, n_estimators=20, base_score=shares.tolist(), **ONE)
    expected = xgb.XGBClassifier(n_estimators=20, base_score=shares.tolist(), **ONE).fit(X, Y, sample_weight=w)
    assert_allclose(
        margin(clf.fit(X, Y, sample_weight=w).get_booster(), X), margin(expected.get_booster(), X), rtol=0, atol=5e-6
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_base_margin_is_where_training_starts(labels, strategy):
    X, Y, _ = labels
    start = np.random.default_rng(0).normal(size=Y.shape)
    parameters = {"multi_strategy": strategy, **FEW}
    ours = FocalXGBClassifier(**AS_PARENT, **parameters).fit(X, Y, base_margin=start)
    theirs = xgb.XGBClassifier(**parameters).fit(X, Y, base_margin=start)
    keywords = {"output_margin": True, "base_margin": start}
    assert_allclose(ours.predict(X, **keywords), theirs.predict(X, **keywords), rtol=0, atol=1e-5)


# Against a model of each label alone

GAMMA = (1.0, 2.0, 0.5)
ALPHAS = {
    "none": (None, [None] * L),
    "balanced": ("balanced", ["balanced"] * L),
    "effective": ("effective", ["effective"] * L),
    "number": (0.8, [0.8] * L),
    "array": (np.array([0.4, 0.8, 0.95]), [0.4, 0.8, 0.95]),
    "dict": ({1: 3.0}, [{1: 3.0}] * L),
    "dicts": ([{1: 3.0}, {0: 0.2, 1: 2.0}, {}], [{1: 3.0}, {0: 0.2, 1: 2.0}, {}]),
    "each its own": (["balanced", None, 0.7], ["balanced", None, 0.7]),
}


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gamma", [1.5, GAMMA], ids=["one gamma", "a gamma each"])
def test_each_label_is_the_model_of_it_alone(labels, alpha, weighted, gamma):
    X, Y, w = labels
    w = w if weighted else None
    of_all, of_each = ALPHAS[alpha]
    parameters = {"min_child_weight": 1.0, "n_estimators": 15, **ONE}
    together = FocalXGBClassifier(gamma, of_all, **parameters).fit(X, Y, sample_weight=w)
    for j in range(L):
        gamma_j = gamma if np.isscalar(gamma) else gamma[j]
        alone = FocalXGBClassifier(gamma_j, of_each[j], **parameters).fit(X, Y[:, j], sample_weight=w)
        assert_array_equal(together.decision_function(X)[:, j], alone.decision_function(X))
        assert_array_equal(together.predict(X)[:, j], alone.predict(X))
        assert_array_equal(together.class_weights_[j], alone.class_weights_)
        assert together.focal_loss_[j] == alone.focal_loss_
        for calibration in ("focus", "full", None):
            proba = together.set_params(calibration=calibration).predict_proba(X)
            assert proba.shape == Y.shape
            assert_array_equal(proba[:, j], alone.set_params(calibration=calibration).predict_proba(X)[:, 1])


def test_labels_differ_where_their_parameters_do(labels):
    X, Y, _ = labels
    twice = np.c_[Y[:, 0], Y[:, 0]]
    for parameters in ({"focal_gamma": (0.0, 3.0)}, {"focal_alpha": (0.3, 0.9)}):
        scores = FocalXGBClassifier(n_estimators=5, **parameters, **ONE).fit(X, twice).decision_function(X)
        assert np.abs(scores[:, 0] - scores[:, 1]).max() > 0.1


@pytest.mark.parametrize("calibration", ["focus", "full"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_start_is_the_shares_of_the_labels(labels, calibration, strategy):
    _, Y, w = labels
    X = np.ones((len(Y), 2))  # nothing can be split
    clf = FocalXGBClassifier(2.0, calibration=calibration, multi_strategy=strategy, **ONE).fit(X, Y, sample_weight=w)
    assert_allclose(clf.predict_proba(X[:1])[0], np.average(Y, axis=0, weights=w), atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, "balanced", 0.9])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_label_of_one_class_has_its_prior(labels, gamma, alpha, strategy):
    X, Y, _ = labels
    constant = Y.copy()
    constant[:, 0], constant[:, 2] = 0, 1
    clf = FocalXGBClassifier(gamma, alpha, multi_strategy=strategy, **FEW).fit(X, constant)
    proba = clf.predict_proba(X)
    assert (proba[:, 0] < 1e-4).all()
    assert (proba[:, 2] > 1 - 1e-4).all()
    assert_array_equal(clf.predict(X)[:, [0, 2]], constant[:, [0, 2]])
    assert roc_auc_score(Y[:, 1], proba[:, 1]) > 0.9


# Bins


def test_bins_are_the_quantiles_of_the_mean_of_the_labels_weights():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(3000, 4)), rng.uniform(0.2, 2.0, size=3000)
    Y = (X[:, :2] + rng.normal(size=(3000, 2)) > (1.5, 2.5)).astype(int)
    # By hand: of each label the rows' weights plus the same total with an equal share for each class; then the mean.
    total = np.zeros(3000)
    for j in range(2):
        share = np.bincount(Y[:, j], weights=w) / w.sum()
        total += w * (1 + 1 / (2 * share[Y[:, j]])) / 2
    data = xgb.QuantileDMatrix(X, Y, weight=total)
    data.set_weight(w)
    scales = [FocalLoss(1.5).log_loss_scale(y, w) for y in Y.T]

    def scaled(y, z, w):
        parts = [FocalObjective(1.5, scale=scales[j])(y[:, j], np.ascontiguousarray(z[:, j]), w) for j in range(2)]
        return [np.stack(part, axis=1) for part in zip(*parts, strict=True)]

    params = {"nthread": 1, "objective": "binary:logistic", "base_score": [0.3, 0.2]}
    objective = lambda z, data: scaled(data.get_label(), z, data.get_weight())  # noqa: E731
    expected = margin(xgb.train(params, data, 10, obj=objective), X)
    clf = FocalXGBClassifier(1.5, n_estimators=10, base_score=[0.3, 0.2], min_child_weight=1.0, **ONE)
    assert_allclose(clf.fit(X, Y, sample_weight=w).decision_function(X), expected, rtol=0, atol=1e-5)
    plain = clone(clf).set_params(balanced_bins=False).fit(X, Y, sample_weight=w).decision_function(X)
    assert np.abs(plain - expected).max() > 0.01


def test_labels_that_are_the_same_are_one_model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))  # more values than bins
    y = (X[:, 0] + rng.normal(size=2000) > 2).astype(int)
    for alpha in (None, "balanced"):
        for balanced in (False, True):
            clf = FocalXGBClassifier(1.0, alpha, balanced_bins=balanced, n_estimators=10, **ONE)
            alone = clone(clf).fit(X, y).decision_function(X)
            together = clf.fit(X, np.c_[y, y]).decision_function(X)
            assert_array_equal(together, np.c_[alone, alone])


def test_balanced_bins_see_what_plain_bins_cannot():
    rng = np.random.default_rng(0)
    # A dozen positives in a gap between negatives that is a hundredth of a plain bin wide; beside it an easy label.
    negative = rng.permutation(np.linspace(0, 1, 50_000, endpoint=False))
    gap = negative[100] + (np.arange(12) + 0.5) / 12 / 50_000
    X = np.concatenate([negative, gap])[:, np.newaxis]
    Y = np.c_[np.repeat([0, 1], [50_000, 12]), X[:, 0] > 0.5]
    precision = {}
    for balanced in (False, True):
        clf = FocalXGBClassifier(1.0, balanced_bins=balanced, n_estimators=10, max_depth=3, **ONE).fit(X, Y)
        precision[balanced] = average_precision_score(Y[:, 0], clf.decision_function(X)[:, 0])
    assert precision[False] < 0.2
    assert precision[True] > 0.9


def test_min_child_weight_is_that_of_the_label_that_needs_the_smallest():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 2))
    rare, common = np.repeat([0, 1], [1988, 12]), rng.integers(2, size=2000)

    def of(y):
        clf = FocalXGBClassifier(1.0, n_estimators=1, **ONE).fit(X, y)
        config = json.loads(clf.get_booster().save_config())["learner"]["gradient_booster"]
        return float(config["tree_train_param"]["min_child_weight"])

    assert of(np.c_[common, rare]) == of(rare) < of(common) == 1.0


# Evaluation


def test_metrics_of_several_labels(labels):
    X, Y, w = labels

    def macro_auc(y, p, sample_weight=None):
        assert y.shape == p.shape == (300, L)
        return roc_auc_score(y, p, average="macro", sample_weight=sample_weight)

    metrics = ["focal_loss", "logloss", "mae", macro_auc]
    clf = FocalXGBClassifier(GAMMA, "balanced", n_estimators=5, eval_metric=metrics, calibration="full", **ONE)
    clf.fit(X[::2], Y[::2], eval_set=[(X[1::2], Y[1::2])], sample_weight_eval_set=[w[1::2]], verbose=False)
    history = {name: values[-1] for name, values in clf.evals_result()["validation_0"].items()}
    assert list(history) == ["focal_loss", "logloss", "mae", "macro_auc"]
    y, p, w = Y[1::2], clf.predict_proba(X[1::2]).astype(float), w[1::2]
    z = clf.decision_function(X[1::2])
    flat = y.ravel(), p.ravel()
    assert_allclose(history["logloss"], log_loss(*flat, sample_weight=np.repeat(w, L)), rtol=1e-4)
    assert_allclose(history["mae"], mean_absolute_error(*flat, sample_weight=np.repeat(w, L)), rtol=1e-4)
    assert_allclose(history["macro_auc"], macro_auc(y, p, w), rtol=1e-6)
    assert_allclose(
        history["focal_loss"], np.mean([clf.focal_loss_[j](y[:, j], z[:, j], w) for j in range(L)]), rtol=1e-4
    )
    # Alone, it is the loss that is trained.
    clf.set_params(eval_metric=None).fit(X, Y, eval_set=[(X, Y)], verbose=False)
    z = clf.decision_function(X)
    trained = np.mean([clf.focal_loss_[j](Y[:, j], z[:, j]) for j in range(L)])
    assert_allclose(clf.evals_result()["validation_0"]["focal_loss"][-1], trained, rtol=1e-4)


def test_the_training_data_as_a_set_has_the_weights_of_its_rows(labels):
    X, Y, _ = labels
    weight = np.ones(len(Y))
    clf = FocalXGBClassifier(1.0, "balanced", eval_metric="logloss", n_estimators=3, **ONE)
    clf.fit(X, Y, sample_weight=weight, eval_set=[(X, Y)], sample_weight_eval_set=[weight], verbose=False)
    expected = log_loss(Y.ravel(), clf.predict_proba(X).ravel().astype(float))
    assert_allclose(clf.evals_result()["validation_0"]["logloss"][-1], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["auc", "aucpr", "mlogloss", "merror", "ndcg"])
def test_metrics_of_one_label_are_refused(labels, name):
    X, Y, _ = labels
    with pytest.raises(ValueError, match=f"eval_metric must be a callable or one of .*'error', 'focal_loss'.*'{name}'"):
        FocalXGBClassifier(eval_metric=name, **ONE).fit(X, Y, eval_set=[(X, Y)])


def test_the_objective_by_the_loss(labels):
    X, Y, w = labels
    z = np.random.default_rng(0).normal(size=Y.shape).astype(np.float32)
    data = xgb.DMatrix(X, Y, weight=w)
    alpha = (0.3, 0.6, 0.9)
    objective = FocalObjective(GAMMA, alpha, max_step=None, scale=2.0)
    for _ in range(2):  # the second call finds the labels as they were
        gradient, hessian = objective(z, data)
        assert gradient.dtype == hessian.dtype == np.float32
        for j in range(L):
            of_label = FocalLoss(GAMMA[j], alpha[j])
            g, h = of_label.gradient_hessian(Y[:, j], z[:, j].astype(float), w)
            assert_allclose(gradient[:, j], 2 * g, rtol=1e-5, atol=1e-6)
            assert_allclose(hessian[:, j], np.maximum(2 * h, 1e-16), rtol=1e-4, atol=1e-6)
    for given, again in zip(objective(Y, z, w), (gradient, hessian), strict=True):
        assert_allclose(given, again, rtol=1e-6)
    for twin in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert twin == objective
        assert_array_equal(twin(z, data)[0], gradient)
    mean = np.mean([FocalLoss(GAMMA[j], alpha[j])(Y[:, j], z[:, j], w) for j in range(L)])
    name, value = FocalMetric(GAMMA, alpha)(z, data)
    assert name == "focal_loss"
    assert_allclose([value, FocalMetric(GAMMA, alpha)(Y, z, w)], mean, rtol=1e-6)
    assert_allclose(focal_loss(Y, z, gamma=GAMMA, alpha=alpha, sample_weight=w), mean, rtol=1e-6)
    assert_allclose(objective.base_score(Y, w), expit([
        FocalLoss(GAMMA[j], alpha[j]).fit_intercept_only(Y[:, j], w) for j in range(L)
    ]), rtol=1e-6)  # fmt: skip


def test_the_scorer_takes_several_labels(labels):
    X, Y, _ = labels
    clf = FocalXGBClassifier(n_estimators=5, **ONE)
    scores = cross_val_score(clf, X, Y, cv=3, scoring=neg_focal_loss_scorer, error_score="raise")
    constant = -focal_loss(Y, np.tile([FocalLoss(2.0).fit_intercept_only(y) for y in Y.T], (len(Y), 1)))
    assert (scores > constant).all()
