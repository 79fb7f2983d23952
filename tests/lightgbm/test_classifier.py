"""skfocal.lightgbm: against LightGBM's own log loss, the baked start, both doors, evaluation, errors."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import average_precision_score, log_loss

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.lightgbm import FocalLGBMClassifier, FocalMetric, FocalObjective  # noqa: E402

# LightGBM before 4.7 makes up names for the columns of an array: plain models warn at every predict.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier")

QUIET = {"verbosity": -1, "n_jobs": 1}
AS_PARENT = {"max_step": None, "balanced_bins": False, "reg_lambda": 0.0}


def raw(model, X, **kwargs):
    return model.predict(X, raw_score=True, **kwargs)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("parameters", [{}, {"subsample": 0.7, "subsample_freq": 1, "reg_lambda": 1.0}])
def test_gamma_zero_grows_the_trees_of_log_loss(problem, weighted, parameters):
    X, y, w = problem
    w = w if weighted else None
    ours = FocalLGBMClassifier(0.0, **{**AS_PARENT, **QUIET, **parameters}).fit(X, y, w)
    theirs = lgb.LGBMClassifier(**QUIET, **parameters).fit(X, y, w)
    assert_allclose(raw(ours, X), raw(theirs, X), rtol=0, atol=1e-10)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_zero_stops_early_where_log_loss_does(problem, weighted):
    X, y, w = problem
    name = "binary_logloss" if y.max() == 1 else "multi_logloss"
    kwargs = {"sample_weight": w[::2]} if weighted else {}
    if weighted:
        kwargs["eval_sample_weight"] = [w[1::2]]

    def fit(model):
        stop = [lgb.early_stopping(5, verbose=False)]
        # The set as a copy, so that a parent that would see the training data in it cannot.
        return model.fit(X[::2], y[::2], eval_set=[(X[1::2].copy(), y[1::2])], callbacks=stop, **kwargs)

    ours = fit(FocalLGBMClassifier(0.0, **AS_PARENT, metric=name, learning_rate=0.3, **QUIET))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The argument 'eval_set' is deprecated")
        theirs = fit(lgb.LGBMClassifier(learning_rate=0.3, **QUIET))
    assert ours.best_iteration_ == theirs.best_iteration_ < 100
    assert_allclose(ours.evals_result_["valid_0"][name], theirs.evals_result_["valid_0"][name], rtol=1e-6)
    assert_allclose(raw(ours, X), raw(theirs, X), rtol=0, atol=1e-10)


def test_gamma_and_max_step_change_the_model(problem):
    X, y, _ = problem
    models = [
        FocalLGBMClassifier(g, max_step=m, n_estimators=20, **QUIET).fit(X, y)
        for g, m in ((0.0, 10.0), (1.0, 10.0), (3.0, 10.0), (3.0, 0.5))
    ]
    scores = [raw(m, X) for m in models]
    for i in range(3):
        assert np.abs(scores[i] - scores[i + 1]).max() > 0.1


def check_baked(clf, X, n_classes):
    z = clf.decision_function(X)
    reloaded = lgb.Booster(model_str=clf.booster_.model_to_string())
    assert_allclose(reloaded.predict(X, raw_score=True), z, atol=1e-6)
    contributions = clf.predict(X, pred_contrib=True)
    contributions = contributions.reshape(len(X), n_classes if n_classes > 2 else 1, -1).sum(axis=2)
    assert_allclose(contributions, z.reshape(contributions.shape), atol=1e-6)
    assert_array_equal(clf.predict(X, raw_score=True), z)
    assert_array_equal(clf.predict_proba(X, raw_score=True), z)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_start_is_baked_into_the_model(problem, gamma):
    X, y, w = problem
    n_classes = int(y.max()) + 1
    clf = FocalLGBMClassifier(gamma, "balanced", n_estimators=15, **QUIET).fit(X, y, w)
    check_baked(clf, X, n_classes)
    expected = clf.focal_loss_.fit_intercept_only(y, w)
    assert_allclose(clf.intercept_, expected, atol=1e-6)


def test_start_is_baked_if_the_first_iteration_was_best(problem):
    X, y, _ = problem
    rng = np.random.default_rng(0)
    noise = rng.permutation(y)
    clf = FocalLGBMClassifier(2.0, learning_rate=2.0, **QUIET)
    clf.fit(X, noise, eval_set=[(X, rng.permutation(y))], callbacks=[lgb.early_stopping(3, verbose=False)])
    assert clf.best_iteration_ <= 3
    check_baked(clf, X, int(y.max()) + 1)


@pytest.mark.parametrize("parameters", [{"linear_tree": True}, {"boosting_type": "dart"}])
def test_start_is_baked_into_other_trees(problem, parameters):
    X, y, _ = problem
    n_classes = int(y.max()) + 1
    clf = FocalLGBMClassifier(1.0, n_estimators=15, **QUIET, **parameters).fit(X, y)
    start = clf.intercept_
    init = np.full(len(y), start) if n_classes == 2 else np.tile(start, (len(y), 1))
    unbaked = FocalLGBMClassifier(1.0, n_estimators=15, **QUIET, **parameters).fit(X, y, init_score=init)
    z = clf.decision_function(X)
    assert_allclose(z, unbaked.decision_function(X) + start, atol=1e-9)
    assert_array_equal(lgb.Booster(model_str=clf.booster_.model_to_string()).predict(X, raw_score=True), z)


def test_dart_is_reproducible(problem):
    X, y, _ = problem

    def fit(boosting, seed=None):
        clf = FocalLGBMClassifier(1.0, boosting_type=boosting, random_state=seed, n_estimators=15, **QUIET)
        return clf.fit(X, y).decision_function(X)

    # What LightGBM leaves unset is what the last model left in memory: others are trained in between.
    first, seeded = fit("dart"), fit("dart", 7)
    for _ in range(10):
        fit("gbdt")
        assert_array_equal(fit("dart"), first)
        assert_array_equal(fit("dart", 7), seeded)
    assert np.abs(first - seeded).max() > 0


@pytest.mark.parametrize("parameters", [{}, {"balanced_bins": False, "boost_from_average": False}], ids=str)
def test_model_is_complete_when_the_parents_fit_returns(parameters, problem, monkeypatch):
    """MLflow's autolog wraps the parent's ``fit`` and stores what it finds when that returns."""
    X, y, _ = problem
    parents, stored = lgb.LGBMModel.fit, []

    def fit_and_store(self, *args, **kwargs):
        parents(self, *args, **kwargs)
        stored.append(pickle.dumps(self))

    monkeypatch.setattr(lgb.LGBMModel, "fit", fit_and_store)
    clf = FocalLGBMClassifier(2.0, n_estimators=5, **parameters, **QUIET).fit(X, y)
    loaded = pickle.loads(*stored)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.intercept_, clf.intercept_)
    assert loaded.booster_.model_to_string() == clf.booster_.model_to_string()
    assert vars(loaded).keys() == vars(clf).keys() - {"_learned"}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_start_is_the_model_where_nothing_can_be_split(n_classes):
    y = np.arange(30) % 5 % n_classes
    for X in (np.ones((30, 2)), np.random.default_rng(0).normal(size=(30, 2)), np.full((30, 2), np.nan)):
        clf = FocalLGBMClassifier(2.0, **QUIET).fit(X, y)
        check_baked(clf, X, n_classes)
        assert_allclose(clf.predict_proba(X), np.tile(np.bincount(y) / 30, (30, 1)), atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_alpha(imbalanced, gamma):
    X, y = imbalanced
    share = np.mean(y == 0)

    def fit(alpha, w=None):
        return FocalLGBMClassifier(gamma, alpha, n_estimators=20, **QUIET).fit(X, y, w).decision_function(X)

    assert_allclose(fit(0.5), fit(None), atol=1e-12)
    assert_allclose(fit(share), fit("balanced"), atol=1e-8)
    assert_allclose(fit({1: share / (1 - share)}), fit("balanced"), atol=1e-8)
    weight = np.where(y == 1, 1 / (2 * (1 - share)), 1 / (2 * share))
    assert_allclose(fit(None, weight), fit("balanced"), atol=1e-5)
    by_class_weight = FocalLGBMClassifier(gamma, class_weight="balanced", n_estimators=20, **QUIET).fit(X, y)
    assert_allclose(by_class_weight.decision_function(X), fit("balanced"), atol=1e-5)


def test_class_weight_by_label(imbalanced):
    X, y = imbalanced
    labels = np.array(["bad", "good"])[y]
    by_label, by_index = (
        FocalLGBMClassifier(class_weight=cw, n_estimators=10, calibration="full", **QUIET).fit(X, target)
        for cw, target in (({"good": 5.0, "bad": 1.0}, labels), ({1: 5.0, 0: 1.0}, y))
    )
    assert_array_equal(by_label.predict_proba(X), by_index.predict_proba(X))
    assert_allclose(by_label.class_weights_, [1.0, 5.0])
    assert set(by_label.predict(X)) <= {"bad", "good"}


@pytest.mark.parametrize("with_weights", [False, True])
def test_both_doors_give_the_same_model(problem, with_weights):
    X, y, w = problem
    w = w if with_weights else None
    n_classes = int(y.max()) + 1
    objective = FocalObjective(gamma=1.5)
    extra = {"num_class": n_classes} if n_classes > 2 else {}
    params = {"objective": objective, "verbosity": -1, "num_threads": 1, **extra}
    booster = lgb.train(params, lgb.Dataset(X, y, weight=w), 15)
    clf = lgb.LGBMClassifier(objective=objective, n_estimators=15, **QUIET).fit(X, y, sample_weight=w)
    assert_allclose(clf.booster_.predict(X), booster.predict(X), atol=1e-12)
    start = FocalLoss(1.5).fit_intercept_only(y, w)
    init = np.full(len(y), start) if n_classes == 2 else np.tile(start, (len(y), 1))
    params["objective"] = FocalObjective(gamma=1.5, scale=FocalLoss(1.5).log_loss_scale(y, w))
    from_start = lgb.train(params, lgb.Dataset(X, y, weight=w, init_score=init), 15).predict(X) + start
    ours = FocalLGBMClassifier(1.5, balanced_bins=False, reg_lambda=0.0, n_estimators=15, **QUIET).fit(X, y, w)
    assert_allclose(ours.decision_function(X), from_start, atol=1e-6)


def test_objective_and_metric_by_the_loss(problem):
    X, y, w = problem
    data = lgb.Dataset(X, y, weight=w).construct()
    n_classes = int(y.max()) + 1
    z = np.random.default_rng(0).normal(size=len(y) if n_classes == 2 else (len(y), n_classes))
    w = data.get_weight().astype(float)
    g, h = FocalObjective(2.0, max_step=None)(z, data)
    expected_g, expected_h = FocalLoss(2.0).gradient_hessian(y, z, w)
    factor = 1.0 if n_classes == 2 else n_classes / (n_classes - 1)
    assert g.dtype == h.dtype == np.float32
    assert_allclose(g, expected_g, rtol=1e-6)
    assert_allclose(h, np.maximum(factor * expected_h, 1e-16), rtol=1e-6)
    bounded = FocalObjective(2.0, max_step=4.0)(y, z, w)[1]
    assert_allclose(bounded, np.maximum(factor * expected_h, np.abs(expected_g) / 4.0), rtol=1e-6)
    assert (np.abs(g) / bounded <= 4.0 + 1e-5).all()
    assert FocalMetric(2.0)(z, data) == ("focal_loss", pytest.approx(FocalLoss(2.0)(y, z, w)), False)
    assert FocalMetric(2.0)(y, z, w) == FocalMetric(2.0)(z, data)


def test_objective_sees_new_labels_and_weights():
    rng = np.random.default_rng(0)
    X, z, objective = rng.normal(size=(50, 2)), rng.normal(size=50), FocalObjective(1.0)
    data = lgb.Dataset(X, np.zeros(50)).construct()
    objective(z, data)
    y, w = np.arange(50) % 2, rng.uniform(size=50)
    data.set_label(y)
    assert_allclose(objective(z, data)[0], FocalLoss(1.0).gradient(y, z), rtol=1e-6)
    data.set_weight(w)
    assert_allclose(objective(z, data)[0], FocalLoss(1.0).gradient(y, z, w), rtol=1e-6)


def test_copies_leave_the_cache_behind():
    objective = FocalObjective(1.0, 0.3, max_step=5.0)
    size = len(pickle.dumps(objective))
    objective(np.arange(10_000) % 2, np.zeros(10_000))
    assert len(pickle.dumps(objective)) == size < 500
    for other in (pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective)):
        assert other == objective
        assert other._cache is None
        assert_array_equal(other([0, 1], np.zeros(2)), objective([0, 1], np.zeros(2)))


def test_evaluation_by_name_is_on_probabilities(problem):
    X, y, _ = problem
    n_classes = int(y.max()) + 1
    clf = FocalLGBMClassifier(2.0, n_estimators=12, **QUIET)
    clf.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], eval_metric=["logloss", "error"])
    history = clf.evals_result_["valid_0"]
    name = ("binary", "multi")[n_classes > 2]
    assert list(history) == [f"{name}_logloss", f"{name}_error", "focal_loss"]
    assert_allclose(history[f"{name}_logloss"][-1], log_loss(y[1::2], clf.predict_proba(X[1::2])), rtol=1e-6)
    assert_allclose(history[f"{name}_error"][-1], 1 - clf.score(X[1::2], y[1::2]), atol=1e-12)
    assert_allclose(history["focal_loss"][-1], FocalLoss(2.0)(y[1::2], clf.decision_function(X[1::2])), rtol=1e-6)


def test_rank_metrics_and_their_order(imbalanced):
    X, y = imbalanced

    def fit(**kwargs):
        clf = FocalLGBMClassifier(2.0, n_estimators=8, **QUIET, **kwargs)
        return clf.fit(X[::2], y[::2], eval_X=X[1::2], eval_y=y[1::2], eval_metric=["average_precision", "auc"])

    expected = average_precision_score(y[1::2], fit().decision_function(X[1::2]))
    native, ordered = fit().evals_result_["valid_0"], fit(first_metric_only=True).evals_result_["valid_0"]
    assert_allclose(native["average_precision"][-1], expected, rtol=1e-6)
    assert list(ordered) == ["average_precision", "auc", "focal_loss"]
    for name in ordered:
        assert_allclose(ordered[name], native[name], rtol=1e-6)


def test_early_stopping_by_parameter_and_string_labels(imbalanced):
    X, y = imbalanced
    labels = np.array(["no", "yes"])[y]
    clf = FocalLGBMClassifier(2.0, early_stopping_round=3, learning_rate=0.5, **QUIET)
    clf.fit(X[::2], labels[::2], eval_set=[(X[1::2], labels[1::2])])
    assert 1 <= clf.best_iteration_ < 100
    assert_array_equal(clf.predict(X, num_iteration=clf.best_iteration_), clf.predict(X))
    assert_array_equal(clf.classes_, ["no", "yes"])


def test_training_goes_on_from_a_model(imbalanced):
    X, y = imbalanced
    whole = FocalLGBMClassifier(2.0, n_estimators=20, **QUIET).fit(X, y)
    half = FocalLGBMClassifier(2.0, n_estimators=10, **QUIET).fit(X, y)
    both = FocalLGBMClassifier(2.0, n_estimators=10, **QUIET).fit(X, y, init_model=half)
    assert both.booster_.num_trees() == 20
    assert_allclose(both.decision_function(X), whole.decision_function(X), atol=1e-5)
    assert both.intercept_ == 0.0


def test_given_init_score_is_no_part_of_the_model(imbalanced):
    X, y = imbalanced
    init = np.full(len(y), -2.0)
    ours = FocalLGBMClassifier(0.0, **AS_PARENT, n_estimators=10, **QUIET).fit(X, y, init_score=init)
    theirs = lgb.LGBMClassifier(n_estimators=10, **QUIET).fit(X, y, init_score=init)
    assert_allclose(raw(ours, X), raw(theirs, X), atol=1e-10)


def test_categories_and_missing_values(imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X.copy(), columns=[f"c{i}" for i in range(X.shape[1])])
    frame.loc[::7, "c0"] = np.nan
    frame["kind"] = pd.Categorical(np.array(["a", "b", "c"])[(np.arange(len(y)) % 5 + y) % 3])
    clf = FocalLGBMClassifier(2.0, n_estimators=10, **QUIET).fit(frame, y)
    assert_array_equal(clf.feature_names_in_, frame.columns)
    assert clf.feature_importances_[list(frame.columns).index("kind")] > 0
    assert clf.predict_proba(frame).shape == (len(y), 2)
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame.rename(columns={"c0": "other"}))


def test_no_collapse_on_extreme_imbalance():
    rng = np.random.default_rng(0)
    y = (np.arange(40_000) % 2000 == 0).astype(int)
    X = rng.normal(size=(len(y), 3)) + 2.5 * y[:, None]
    clf = FocalLGBMClassifier(1.0, **QUIET).fit(X, y)
    assert average_precision_score(y, clf.decision_function(X)) > 0.5


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"objective": "binary"}, "objective must not be given .* use focal_gamma"),
        ({"application": "binary"}, "application must not be given"),
        ({"is_unbalance": True}, "is_unbalance must not be given .* focal_alpha='balanced'"),
        ({"scale_pos_weight": 5.0}, "scale_pos_weight must not be given .* focal_alpha"),
        ({"num_class": 2}, "num_class must not be given"),
        ({"sigmoid": 2.0}, "sigmoid must not be given"),
        ({"boosting_type": "rf"}, "boosting_type must be"),
        ({"max_step": 0.0}, "max_step must be None or a number > 0, got 0.0"),
        ({"max_step": -1.0}, "max_step must"),
        ({"focal_gamma": -1.0}, "focal_gamma must be a number >= 0"),
        ({"focal_alpha": 2.0}, "focal_alpha must"),
        ({"calibration": "sigmoid"}, "calibration must"),
        ({"balanced_bins": "yes"}, "balanced_bins must be True or False, got 'yes'"),
        ({"class_weight": {0: -1.0}}, "class_weight must"),
        ({"metric": "huber"}, "eval_metric must be a callable or one of .* got 'huber'"),
    ],
)
def test_bad_parameters(parameters, match, imbalanced):
    with pytest.raises(ValueError, match=match):
        FocalLGBMClassifier(**{**QUIET, **parameters}).fit(*imbalanced)


def test_bad_fit_arguments(imbalanced):
    X, y = imbalanced
    clf = FocalLGBMClassifier(**QUIET)
    with pytest.raises(ValueError, match="eval_X and eval_y must be given together"):
        clf.fit(X, y, eval_X=X)
    with pytest.raises(ValueError, match="eval_set must not be given beside"):
        clf.fit(X, y, eval_X=X, eval_y=y, eval_set=[(X, y)])
    with pytest.raises(ValueError, match="y of eval_set must hold labels among"):
        clf.fit(X, y, eval_set=[(X, y + 1)])
    with pytest.raises(TypeError, match="eval_metric must be a name"):
        clf.fit(X, y, eval_metric=3)
    with pytest.raises(TypeError, match="max_step must"):
        FocalObjective(max_step="10")
    with pytest.raises(ValueError, match="n_threads must"):
        FocalObjective(n_threads=0)
    with pytest.raises(ValueError, match=r"scale must be a number > 0, got 0"):
        FocalObjective(scale=0)


def test_a_users_metric_is_handed_probabilities(problem):
    X, y, w = problem

    def two(y_true, prediction):
        return "two", log_loss(y_true, prediction), False

    def three(y_true, prediction, weight):
        return "three", log_loss(y_true, prediction, sample_weight=weight), False

    clf = FocalLGBMClassifier(2.0, n_estimators=5, **QUIET)
    clf.fit(X, y, eval_set=[(X.copy(), y)], eval_sample_weight=[w], eval_metric=[two, three])
    history = clf.evals_result_["valid_0"]
    assert_allclose(history["two"][-1], log_loss(y, clf.predict_proba(X)), rtol=1e-6)
    assert_allclose(history["three"][-1], log_loss(y, clf.predict_proba(X), sample_weight=w), rtol=1e-6)


def test_labels_changed_in_place_and_threads_that_share_an_objective():
    from concurrent.futures import ThreadPoolExecutor

    z, objective = np.linspace(-1, 1, 40), FocalObjective(2.0)
    labels = [(np.arange(40) % k == 0).astype(float) for k in (2, 3, 5)]
    expected = [FocalLoss(2.0).gradient(y, z) for y in labels]
    changing = labels[0].copy()
    for y, gradient in zip(labels, expected):
        changing[:] = y
        assert_allclose(objective(changing, z)[0], gradient, rtol=1e-6)
    with ThreadPoolExecutor(3) as pool:
        for i, result in enumerate(pool.map(lambda i: objective(labels[i % 3], z)[0], range(600))):
            assert_allclose(result, expected[i % 3], rtol=1e-6)
