"""skfocal.xgboost: against XGBoost's own log loss, the baked start, both doors, evaluation, errors."""

import copy
import json
import pickle

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import average_precision_score, log_loss

xgb = pytest.importorskip("xgboost", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.xgboost import FocalMetric, FocalObjective, FocalXGBClassifier  # noqa: E402

ONE = {"n_jobs": 1}
AS_PARENT = {"max_step": None, "balanced_bins": False}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("parameters", [{}, {"subsample": 0.7, "max_depth": 3, "random_state": 0}])
def test_gamma_zero_grows_the_trees_of_log_loss(problem, weighted, parameters):
    X, y, w = problem
    w = w if weighted else None
    ours = FocalXGBClassifier(0.0, **AS_PARENT, **ONE, **parameters).fit(X, y, sample_weight=w)
    theirs = xgb.XGBClassifier(**ONE, **parameters).fit(X, y, sample_weight=w)
    assert_allclose(ours.decision_function(X), theirs.predict(X, output_margin=True), rtol=0, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_zero_stops_early_where_log_loss_does(problem, weighted):
    X, y, w = problem
    kwargs = {"sample_weight": w[::2], "sample_weight_eval_set": [w[1::2]]} if weighted else {}
    name = "logloss" if y.max() == 1 else "mlogloss"

    def fit(cls, **more):
        model = cls(early_stopping_rounds=3, learning_rate=0.6, eval_metric=name, **ONE, **more)
        return model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False, **kwargs)

    ours, theirs = fit(FocalXGBClassifier, focal_gamma=0.0, **AS_PARENT), fit(xgb.XGBClassifier)
    assert ours.best_iteration == theirs.best_iteration < 99
    history = [m.evals_result()["validation_0"][name] for m in (ours, theirs)]
    assert_allclose(*history, rtol=1e-5)
    assert_allclose(ours.decision_function(X), theirs.predict(X, output_margin=True), rtol=0, atol=1e-5)


def test_gamma_and_max_step_change_the_model(problem):
    X, y, _ = problem
    models = [
        FocalXGBClassifier(g, max_step=m, n_estimators=20, **ONE).fit(X, y)
        for g, m in ((0.0, 10.0), (1.0, 10.0), (3.0, 10.0), (3.0, 0.5))
    ]
    scores = [m.decision_function(X) for m in models]
    for i in range(3):
        assert np.abs(scores[i] - scores[i + 1]).max() > 0.1


def check_baked(clf, X, tmp_path):
    z = clf.decision_function(X)
    data = xgb.DMatrix(X)
    clf.save_model(tmp_path / "model.json")
    reloaded = xgb.Booster(model_file=tmp_path / "model.json")
    kwargs = {"iteration_range": (0, clf.best_iteration + 1)} if clf.early_stopping_rounds else {}
    assert_allclose(reloaded.predict(data, output_margin=True, **kwargs), z, atol=1e-6)
    contributions = reloaded.predict(data, pred_contribs=True, **kwargs).sum(axis=-1, dtype=np.float64)
    # XGBoost sums contributions in float32: 1e-6 of the scores' size.
    assert_allclose(contributions, z, atol=1e-6 * max(1.0, np.abs(z).max()))
    again = FocalXGBClassifier()
    again.load_model(tmp_path / "model.json")
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(again.predict(X), clf.predict(X))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_start_is_baked_into_the_model(problem, gamma, tmp_path):
    X, y, w = problem
    labels = np.array(["b", "c", "a"])[y]
    clf = FocalXGBClassifier(gamma, "balanced", n_estimators=15, **ONE).fit(X, labels, sample_weight=w)
    check_baked(clf, X, tmp_path)


def test_start_is_baked_if_the_first_iteration_was_best(problem, tmp_path):
    X, y, _ = problem
    rng = np.random.default_rng(0)
    clf = FocalXGBClassifier(2.0, learning_rate=2.0, early_stopping_rounds=3, **ONE)
    clf.fit(X, rng.permutation(y), eval_set=[(X, rng.permutation(y))], verbose=False)
    assert clf.best_iteration <= 3
    check_baked(clf, X, tmp_path)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_start_is_the_model_where_nothing_can_be_split(n_classes, tmp_path):
    y = np.arange(30) % 5 % n_classes
    X = np.ones((30, 2))
    clf = FocalXGBClassifier(2.0, **ONE).fit(X, y)
    check_baked(clf, X, tmp_path)
    # Float32 trees without a split correct the start by up to its rounding.
    assert_allclose(clf.predict_proba(X), np.tile(np.bincount(y) / 30, (30, 1)), atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_alpha(imbalanced, gamma):
    X, y = imbalanced
    share = np.mean(y == 0)

    def fit(alpha, w=None):
        clf = FocalXGBClassifier(gamma, alpha, n_estimators=20, max_depth=3, **ONE)
        return clf.fit(X, y, sample_weight=w).decision_function(X)

    assert_allclose(fit(0.5), fit(None), atol=1e-5)
    assert_allclose(fit(share), fit("balanced"), atol=1e-5)
    weight = np.where(y == 1, 1 / (2 * (1 - share)), 1 / (2 * share))
    assert_allclose(fit(None, weight), fit("balanced"), atol=1e-5)


@pytest.mark.parametrize("with_weights", [False, True])
def test_both_doors_give_the_same_model(problem, with_weights):
    X, y, w = problem
    w = w if with_weights else None
    n_classes = int(y.max()) + 1
    objective = FocalObjective(gamma=1.5)
    params = {"nthread": 1, "objective": "binary:logistic", "base_score": 0.5}
    if n_classes > 2:
        params |= {"objective": "multi:softprob", "num_class": n_classes}
    booster = xgb.train(params, xgb.QuantileDMatrix(X, y, weight=w), 15, obj=objective)
    clf = xgb.XGBClassifier(objective=objective, n_estimators=15, base_score=0.5, **ONE).fit(X, y, sample_weight=w)
    margins = [b.predict(xgb.DMatrix(X), output_margin=True) for b in (booster, clf.get_booster())]
    assert_allclose(*margins, atol=1e-6)
    # The focal classifier trains with the loss scaled to log loss, which reg_lambda's default of 1 tells apart.
    focal = FocalXGBClassifier(1.5, balanced_bins=False, n_estimators=15, base_score=0.5, **ONE)
    focal.fit(X, y, sample_weight=w)
    scaled = FocalObjective(gamma=1.5, scale=FocalLoss(1.5).log_loss_scale(y, w))
    booster = xgb.train(params, xgb.QuantileDMatrix(X, y, weight=w), 15, obj=scaled)
    expected = booster.predict(xgb.DMatrix(X), output_margin=True)
    assert_allclose(focal.get_booster().predict(xgb.DMatrix(X), output_margin=True), expected, atol=1e-5)
    assert np.abs(margins[0] - expected).max() > 0.01


@pytest.mark.parametrize("with_weights", [False, True])
def test_balanced_bins_are_the_quantiles_of_half_balanced_weights(problem, with_weights):
    X, y, w = problem
    w = w if with_weights else np.ones(len(y))
    # By hand: the rows' weights, plus the same total once more with an equal share for each class.
    share = np.bincount(y, weights=w) / w.sum()
    data = xgb.QuantileDMatrix(X, y, weight=w * (1 + 1 / (len(share) * share[y])))
    data.set_weight(w)
    n_classes = len(share)
    params = {"nthread": 1, "objective": "binary:logistic", "base_score": 0.5}
    if n_classes > 2:
        params |= {"objective": "multi:softprob", "num_class": n_classes}
    scaled = FocalObjective(gamma=1.5, scale=FocalLoss(1.5).log_loss_scale(y, w))
    booster = xgb.train(params, data, 15, obj=scaled)
    clf = FocalXGBClassifier(1.5, n_estimators=15, base_score=0.5, eval_metric="focal_loss", **ONE)
    clf.fit(X, y, sample_weight=w, eval_set=[(X, y)], sample_weight_eval_set=[w], verbose=False)
    margin = booster.predict(xgb.DMatrix(X), output_margin=True)
    assert_allclose(clf.get_booster().predict(xgb.DMatrix(X), output_margin=True), margin, atol=1e-5)
    # The training data that is also an evaluation set has its own weights, not those of its bins.
    assert_allclose(clf.evals_result()["validation_0"]["focal_loss"][-1], FocalLoss(1.5)(y, margin, w), rtol=1e-4)


def test_balanced_bins_see_what_plain_bins_cannot():
    rng = np.random.default_rng(0)
    # A dozen positives in a gap between negatives that is a hundredth of a plain bin wide.
    negative = rng.permutation(np.linspace(0, 1, 50_000, endpoint=False))
    gap = negative[100] + (np.arange(12) + 0.5) / 12 / 50_000
    X, y = np.concatenate([negative, gap])[:, np.newaxis], np.repeat([0, 1], [50_000, 12])
    scores = {
        balanced: FocalXGBClassifier(1.0, balanced_bins=balanced, n_estimators=20, **ONE).fit(X, y).decision_function(X)
        for balanced in (False, True)
    }
    assert average_precision_score(y, scores[False]) < 0.2
    assert average_precision_score(y, scores[True]) > 0.9


@pytest.mark.parametrize("tree_method", ["exact", "approx"])
def test_balanced_bins_leave_other_tree_methods_as_they_are(imbalanced, tree_method):
    X, y = imbalanced
    scores = [
        FocalXGBClassifier(balanced_bins=b, tree_method=tree_method, n_estimators=5, **ONE).fit(X, y)
        .decision_function(X) for b in (False, True)
    ]  # fmt: skip
    assert_array_equal(*scores)


def min_child_weight_of(clf):
    """What the booster trained with."""
    config = json.loads(clf.get_booster().save_config())["learner"]["gradient_booster"]
    return float(config["tree_train_param"]["min_child_weight"])


@pytest.mark.parametrize("gamma", [0.5, 2.0, (0.5, 2.0)])
@pytest.mark.parametrize("rows", [[3000, 12], [2000, 5, 1000]])
def test_a_leaf_may_hold_a_quarter_of_the_rarest_class(gamma, rows):
    y = np.repeat(np.arange(len(rows)), rows)
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    gamma = gamma if np.isscalar(gamma) else (*gamma, 1.0)[: len(rows)]
    of_class = gamma if np.isscalar(gamma) else gamma[1]
    with mpmath.workdps(30):  # the loss itself, differentiated at a score of 0, where p = 1/2
        loss = lambda z: -((1 / (1 + mpmath.exp(z))) ** of_class) * mpmath.log(1 / (1 + mpmath.exp(-z)))  # noqa: E731
        in_doubt = float(mpmath.diff(loss, 0, 2))
    # XGBoost doubles the Hessian of several classes.
    per_row = in_doubt * FocalLoss(gamma).log_loss_scale(y) * (1 if len(rows) == 2 else 2)
    for weight in (1.0, 0.5):
        clf = FocalXGBClassifier(gamma, n_estimators=1, **ONE).fit(X, y, sample_weight=np.full(len(y), weight))
        assert_allclose(min_child_weight_of(clf), weight * rows[1] * per_row / 4, rtol=1e-5)
        assert 0.05 < min_child_weight_of(clf) < 1


def test_min_child_weight_is_xgboosts_wherever_the_rarest_class_allows_it(imbalanced):
    X, y = imbalanced
    rare = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:12]])
    for rows, parameters, expected in (
        (slice(None), {}, 1.0),
        (rare, {"focal_gamma": 0.0}, 1.0),
        (rare, {"focal_alpha": "balanced"}, 1.0),
        (rare, {"min_child_weight": 1.0}, 1.0),
        (slice(None), {"min_child_weight": 3.0}, 3.0),
    ):
        clf = FocalXGBClassifier(n_estimators=1, **parameters, **ONE).fit(X[rows], y[rows])
        assert min_child_weight_of(clf) == expected, parameters
        assert clf.get_params()["min_child_weight"] == parameters.get("min_child_weight")


def test_objective_and_metric_by_the_loss(problem):
    X, y, w = problem
    data = xgb.DMatrix(X, y, weight=w)
    n_classes = int(y.max()) + 1
    z = np.random.default_rng(0).normal(size=len(y) if n_classes == 2 else (len(y), n_classes)).astype(np.float32)
    g, h = FocalObjective(2.0, max_step=None)(z, data)
    expected_g, expected_h = FocalLoss(2.0).gradient_hessian(y, z.astype(float), w)
    factor = 1.0 if n_classes == 2 else 2.0
    assert g.dtype == h.dtype == np.float32
    assert_allclose(g, expected_g, rtol=1e-5, atol=1e-6)
    assert_allclose(h, np.maximum(factor * expected_h, 1e-16), rtol=1e-4, atol=1e-6)
    bounded = FocalObjective(2.0, max_step=4.0)(y, z, sample_weight=w)[1]
    assert (np.abs(g) / bounded <= 4.0 + 1e-4).all()
    name, value = FocalMetric(2.0)(z, data)
    assert name == "focal_loss"
    assert_allclose(value, FocalLoss(2.0)(y, z, w), rtol=1e-5)
    assert_allclose(FocalMetric(2.0)(y, z, sample_weight=w), value, rtol=1e-5)


def test_a_whole_weight_is_the_row_repeated():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(60, 10)), rng.integers(3, size=60), rng.integers(1, 5, size=60)
    weighted = FocalXGBClassifier(2.0, n_estimators=30, **ONE).fit(X, y, sample_weight=w)
    repeated = FocalXGBClassifier(2.0, n_estimators=30, **ONE).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    assert_array_equal(weighted.decision_function(X), repeated.decision_function(X))


def test_copies_leave_the_cache_behind():
    objective = FocalObjective(1.0, 0.3, max_step=5.0)
    size = len(pickle.dumps(objective))
    objective(np.arange(10_000) % 2, np.zeros(10_000))
    assert len(pickle.dumps(objective)) == size < 500
    assert copy.deepcopy(objective) == objective
    assert copy.deepcopy(objective)._cache is None


def test_evaluation_by_name_is_on_probabilities(problem):
    X, y, _ = problem
    names = ["logloss", "error"] if y.max() == 1 else ["mlogloss", "merror"]
    clf = FocalXGBClassifier(2.0, n_estimators=12, eval_metric=[*names, "focal_loss"], **ONE)
    clf.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False)
    history = clf.evals_result()["validation_0"]
    assert list(history) == [*names, "focal_loss"]
    proba = clf.predict_proba(X[1::2]).astype(float)
    assert_allclose(history[names[0]][-1], log_loss(y[1::2], proba / proba.sum(axis=1, keepdims=True)), rtol=1e-5)
    assert_allclose(history[names[1]][-1], 1 - clf.score(X[1::2], y[1::2]), atol=1e-6)
    assert_allclose(history["focal_loss"][-1], FocalLoss(2.0)(y[1::2], clf.decision_function(X[1::2])), rtol=1e-5)
    default = FocalXGBClassifier(2.0, n_estimators=2, **ONE).fit(X, y, eval_set=[(X, y)], verbose=False)
    assert list(default.evals_result()["validation_0"]) == ["focal_loss"]


def test_early_stopping_watches_the_last_metric(imbalanced):
    X, y = imbalanced

    def fit(*names):
        clf = FocalXGBClassifier(2.0, learning_rate=0.6, eval_metric=list(names), early_stopping_rounds=4, **ONE)
        return clf.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False)

    for names in (("logloss", "aucpr"), ("aucpr", "logloss")):
        clf = fit(*names)
        values = clf.evals_result()["validation_0"][names[-1]]
        best = np.argmax(values) if names[-1] == "aucpr" else np.argmin(values)
        assert clf.best_iteration == best
        assert len(values) == best + 5
        assert clf.early_stopping_rounds == 4
        assert clf.callbacks is None


def test_callable_metrics(imbalanced):
    X, y = imbalanced
    clf = FocalXGBClassifier(n_estimators=3, eval_metric=[average_precision_score, FocalMetric(1.0)], **ONE)
    history = clf.fit(X, y, eval_set=[(X, y)], verbose=False).evals_result()["validation_0"]
    assert list(history) == ["average_precision_score", "focal_loss"]
    z = clf.decision_function(X)
    assert_allclose(history["average_precision_score"][-1], average_precision_score(y, z), rtol=1e-5)


def test_training_goes_on_from_a_model(imbalanced):
    X, y = imbalanced
    whole = FocalXGBClassifier(2.0, n_estimators=20, **ONE).fit(X, y)
    half = FocalXGBClassifier(2.0, n_estimators=10, **ONE).fit(X, y)
    both = FocalXGBClassifier(2.0, n_estimators=10, **ONE).fit(X, y, xgb_model=half)
    assert both.get_booster().num_boosted_rounds() == 20
    assert_allclose(both.decision_function(X), whole.decision_function(X), atol=1e-4)


def test_categories_and_missing_values(imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X.copy(), columns=[f"c{i}" for i in range(X.shape[1])])
    frame.loc[::7, "c0"] = np.nan
    frame["kind"] = pd.Categorical(np.array(["a", "b", "c"])[(np.arange(len(y)) % 5 + y) % 3])
    clf = FocalXGBClassifier(2.0, n_estimators=10, enable_categorical=True, **ONE).fit(frame, y)
    assert_array_equal(clf.feature_names_in_, frame.columns)
    assert clf.feature_importances_[list(frame.columns).index("kind")] > 0
    assert clf.predict_proba(frame).shape == (len(y), 2)


def test_parameters_stay_after_fit(problem):
    X, y, _ = problem
    clf = FocalXGBClassifier(n_estimators=3, eval_metric="focal_loss", **ONE)
    before = clf.get_params()
    after = clf.fit(X, y).get_params()
    assert {k: v for k, v in after.items() if v is not before[k] and v == v} == {}
    expected = clf.predict_proba(X)
    clf.set_params(n_jobs=2)
    assert_array_equal(clf.predict_proba(X), expected)


def test_plain_booster_file_is_no_focal_model(problem, tmp_path):
    X, y, _ = problem
    xgb.XGBClassifier(n_estimators=2).fit(X, y).save_model(tmp_path / "plain.json")
    with pytest.raises(ValueError, match="must be a model saved by FocalXGBClassifier"):
        FocalXGBClassifier().load_model(tmp_path / "plain.json")


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"objective": "reg:squarederror"}, "objective must not be given .* use focal_gamma"),
        ({"scale_pos_weight": 5.0}, "scale_pos_weight must not be given .* focal_alpha"),
        ({"num_class": 2}, "num_class must not be given"),
        ({"booster": "gblinear"}, "booster must be"),
        ({"max_step": 0.0}, "max_step must be None or a number > 0, got 0.0"),
        ({"balanced_bins": "yes"}, "balanced_bins must be True or False, got 'yes'"),
        ({"focal_gamma": -1.0}, "focal_gamma must be a number >= 0"),
        ({"focal_alpha": 2.0}, "focal_alpha must"),
        ({"calibration": "sigmoid"}, "calibration must"),
        ({"eval_metric": "mlogloss"}, "eval_metric must be a callable or one of .* got 'mlogloss'"),
    ],
)
def test_bad_parameters(parameters, match, imbalanced):
    with pytest.raises(ValueError, match=match):
        FocalXGBClassifier(**parameters).fit(*imbalanced)


def test_bad_eval_labels(imbalanced):
    X, y = imbalanced
    with pytest.raises(ValueError, match="y of eval_set must hold labels among"):
        FocalXGBClassifier(n_estimators=1).fit(X, y, eval_set=[(X, y + 1)])


def test_a_users_metric_is_handed_probabilities(problem):
    X, y, _ = problem

    def normalised_log_loss(y_true, prediction):
        assert prediction.min() >= 0
        p = prediction.astype(float)
        return log_loss(y_true, p if p.ndim == 1 else p / p.sum(axis=1, keepdims=True))

    clf = FocalXGBClassifier(2.0, n_estimators=5, eval_metric=[normalised_log_loss, FocalMetric(2.0)], **ONE)
    history = clf.fit(X, y, eval_set=[(X, y)], verbose=False).evals_result()["validation_0"]
    assert_allclose(history["focal_loss"][-1], FocalLoss(2.0)(y, clf.decision_function(X)), rtol=2e-5)
    proba = clf.predict_proba(X).astype(float)
    assert_allclose(
        history["normalised_log_loss"][-1], log_loss(y, proba / proba.sum(axis=1, keepdims=True)), rtol=1e-5
    )


def test_error_beyond_a_threshold(imbalanced):
    X, y = imbalanced
    clf = FocalXGBClassifier(2.0, n_estimators=5, eval_metric="error@0.2", **ONE)
    history = clf.fit(X, y, eval_set=[(X, y)], verbose=False).evals_result()["validation_0"]
    assert_allclose(history["error@0.2"][-1], np.mean((clf.predict_proba(X)[:, 1] > 0.2) != y), atol=1e-6)
