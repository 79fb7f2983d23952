"""FocalLGBMClassifier where its parent decides what is right: parameters, arguments of fit, data of any kind."""

import functools
import inspect
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.lightgbm import FocalLGBMClassifier, FocalObjective  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names, but (LGBMClassifier|Asked)")

QUIET = {"verbosity": -1, "n_jobs": 1, "n_estimators": 20}
AS_PARENT = {"max_step": None, "balanced_bins": False, "reg_lambda": 0.0}


def both(X, y, sample_weight=None, **parameters):
    ours = FocalLGBMClassifier(0.0, **{**AS_PARENT, **QUIET, **parameters}).fit(X, y, sample_weight)
    theirs = lgb.LGBMClassifier(**QUIET, **parameters).fit(X, y, sample_weight)
    return ours, theirs


@pytest.mark.parametrize(
    "parameters",
    [
        {"colsample_bytree": 0.6},
        {"colsample_bytree": 0.6, "feature_fraction_bynode": 0.5, "subsample": 0.5, "subsample_freq": 1},
        {"max_depth": 6},
        {"extra_trees": True, "extra_seed": 3},
        {"data_sample_strategy": "goss"},
        {"linear_tree": True},
        {"use_quantized_grad": True},
        {"boost_from_average": False},
        {"boost_from_average": "false"},
        {"boost_from_average": "-"},
        {"boost_from_average": "true"},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
def test_gamma_zero_grows_the_parents_trees_whatever_the_parameters(problem, parameters):
    X, y, w = problem
    ours, theirs = both(X, y, w, **parameters)
    assert_allclose(ours.predict(X, raw_score=True), theirs.predict(X, raw_score=True), rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", [np.random.RandomState, np.random.default_rng], ids=["RandomState", "Generator"])
def test_a_random_state_that_is_drawn_from_gives_the_parents_trees(seed, problem):
    X, y, _ = problem
    sampling = {"subsample": 0.5, "subsample_freq": 1}
    ours = FocalLGBMClassifier(0.0, random_state=seed(7), **AS_PARENT, **QUIET, **sampling).fit(X, y)
    theirs = lgb.LGBMClassifier(random_state=seed(7), **QUIET, **sampling).fit(X, y)
    assert_allclose(ours.predict(X, raw_score=True), theirs.predict(X, raw_score=True), rtol=0, atol=1e-10)


def test_a_column_too_rare_to_split_is_left_out_as_by_the_parent(imbalanced):
    X, y = imbalanced
    ours, theirs = both(np.c_[X, np.arange(len(y)) < 15], y)
    X = np.c_[X, np.arange(len(y)) % 3]
    assert_allclose(ours.predict(X, raw_score=True), theirs.predict(X, raw_score=True), rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_whose_rows_weigh_nothing_is_treated_as_by_the_parent(n_classes, problem):
    X, y, _ = problem
    y = np.minimum(y, n_classes - 1) if y.max() == 2 else np.where(X[:, 0] > 15, n_classes - 1, y)
    weight = np.where(y == n_classes - 1, 0.0, 1.0)
    ours, theirs = both(X, y, weight)
    # 1e-8: LightGBM takes the share 1e-15 of such a class as a float32.
    assert_allclose(ours.predict(X, raw_score=True), theirs.predict(X, raw_score=True), rtol=0, atol=1e-8)
    focal = FocalLGBMClassifier(2.0, "balanced", **QUIET).fit(X, y, weight)
    assert_array_equal(focal.classes_, np.unique(y))
    assert focal.predict_proba(X)[:, -1].max() < 1e-6


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-36, np.nan], ids=str)
@pytest.mark.parametrize("parameters", [{}, {"boosting_type": "dart"}, {"feature_pre_filter": False}], ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_columns_without_information_give_the_class_shares(value, parameters, n_classes):
    y = np.arange(60) % 5 % n_classes
    clf = FocalLGBMClassifier(2.0, **QUIET, **parameters).fit(np.full((60, 2), value), y)
    assert_allclose(clf.predict_proba(np.full((1, 2), value))[0], np.bincount(y) / 60, atol=1e-6)


def test_a_fit_says_nothing_of_parameters_that_fit(capfd):
    X, y = np.random.default_rng(0).normal(size=(300, 3)), np.arange(300) % 2
    lgb.LGBMClassifier(max_depth=6, n_jobs=1, n_estimators=3, force_col_wise=True).fit(X, y)
    theirs = capfd.readouterr()
    FocalLGBMClassifier(max_depth=6, n_jobs=1, n_estimators=3, force_col_wise=True, balanced_bins=False).fit(X, y)
    ours = capfd.readouterr()
    assert (theirs.out + theirs.err).count("num_leaves") == (ours.out + ours.err).count("num_leaves")


@pytest.mark.parametrize("alias", ["metric", "metrics", "metric_types"])
@pytest.mark.parametrize(
    "metric", ["focal_loss", "multi_logloss", "binary_logloss", "logloss", ["error", "focal_loss"]]
)
def test_a_metric_among_the_parameters_is_of_training_alone(problem, alias, metric):
    X, y, _ = problem
    n_classes = int(y.max()) + 1
    clf = FocalLGBMClassifier(1.0, **QUIET, **{alias: metric}).fit(X, y, eval_set=[(X.copy(), y)])
    plain = FocalLGBMClassifier(1.0, **QUIET).fit(X, y)
    assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert_array_equal(clf.predict(X), plain.predict(X))
    prefixes = ("focal_loss", ("binary", "multi")[n_classes > 2])
    assert all(name.startswith(prefixes) for name in clf.best_score_["valid_0"])


def test_metrics_come_in_every_form_that_the_parent_takes(imbalanced):
    X, y = imbalanced

    def names(eval_metric):
        clf = FocalLGBMClassifier(**QUIET).fit(X, y, eval_set=[(X[:100], y[:100])], eval_metric=eval_metric)
        return set(clf.evals_result_["valid_0"])

    groups = []

    def four(y_true, y_pred, weight, group):
        groups.append((weight, group))
        return "four", float(np.mean((y_pred > 0.5) != y_true)), False

    assert names(["error", None]) == {"binary_error", "focal_loss"}
    assert names("auc,binary_error") == names(["auc", "error"]) == {"auc", "binary_error", "focal_loss"}
    assert names(four) == {"four", "focal_loss"}
    assert groups[0] == (None, None)
    with pytest.raises(TypeError, match=r"eval_metric must be callable with .* of 1 arguments"):
        names(lambda y_true: 0)


@pytest.mark.parametrize("sign", ["pos", "neg"])
@pytest.mark.parametrize("name", ["bagging_fraction", "sub_row", "subsample", "bagging"])
def test_sampling_by_class_is_refused_since_lightgbm_would_ignore_it(sign, name, imbalanced):
    with pytest.raises(ValueError, match=f"{sign}_{name} must not be given .* use subsample"):
        FocalLGBMClassifier(**QUIET, **{f"{sign}_{name}": 0.5}, subsample_freq=1).fit(*imbalanced)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"gamma": 5.0}, ValueError, "gamma must not be given .* did you mean focal_gamma"),
        ({"alpha": 0.9}, ValueError, "alpha must not be given .* did you mean focal_alpha"),
        ({"focal_alpha": 3.0}, ValueError, r"focal_alpha must be in \(0, 1\) .* got 3.0: .* {label: 3}"),
        ({"focal_gamma": 150.0}, ValueError, "focal_gamma must be at most 100, got 150.0"),
        ({"focal_gamma": 1e300}, ValueError, "focal_gamma must be at most 100, got 1e"),
        ({"focal_gamma": [200.0, 1.0]}, ValueError, "focal_gamma must be at most 100"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(parameters, error, match, imbalanced):
    with pytest.raises(error, match=match):
        FocalLGBMClassifier(**{**QUIET, **parameters}).fit(*imbalanced)


@pytest.mark.parametrize("off", [None, False, "false", "-"])
def test_a_refused_flag_may_be_off(off, imbalanced):
    FocalLGBMClassifier(is_unbalance=off, **QUIET).fit(*imbalanced)


@pytest.mark.parametrize("gamma", [100.0, [100.0, 0.0], [0.0, 100.0], [50.0, 1.0]], ids=str)
@pytest.mark.parametrize("alpha", [None, "balanced", {1: 1e6}], ids=str)
def test_the_largest_gamma_gives_a_model_better_than_the_shares(gamma, alpha, imbalanced):
    X, y = imbalanced
    clf = FocalLGBMClassifier(gamma, alpha, calibration="full", **QUIET).fit(X, y)
    assert np.isfinite(clf.decision_function(X)).all()
    share = y.mean()
    prior = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert -np.log(np.maximum(clf.predict_proba(X)[np.arange(len(y)), y], 1e-12)).mean() < prior


def test_class_weight_and_balanced_alpha_multiply(problem):
    X, y, w = problem
    n_classes = int(y.max()) + 1
    factors = np.linspace(1.0, 3.0, n_classes)
    totals = np.bincount(y, weights=w)
    balanced = 1.0 / totals
    balanced *= totals.sum() / (totals * balanced).sum()
    clf = FocalLGBMClassifier(1.0, "balanced", class_weight=dict(enumerate(factors)), **QUIET).fit(X, y, w)
    assert_allclose(clf.class_weights_, balanced * factors, rtol=1e-6)


def test_training_goes_on_from_a_model_of_the_same_labels_only(imbalanced):
    X, y = imbalanced
    ab, xy, abc = (np.array(labels) for labels in (["a", "b"], ["x", "y"], ["a", "b", "c"]))
    half = FocalLGBMClassifier(**QUIET).fit(X, ab[y])
    plain = lgb.LGBMClassifier(**QUIET).fit(X, ab[y])
    for model in (half, plain):
        with pytest.raises(
            ValueError, match=r"init_model must be of the labels of y, \['x', 'y'\], got .*\['a', 'b'\]"
        ):
            FocalLGBMClassifier(**QUIET).fit(X, xy[y], init_model=model)
        FocalLGBMClassifier(**QUIET).fit(X, ab[y], init_model=model)
    three = FocalLGBMClassifier(**QUIET).fit(X, abc[np.where(X[:, 0] > 1, 2, y)])
    with pytest.raises(ValueError, match=r"\['a', 'b'\], got a model of \['a', 'b', 'c'\]: give rows of all classes"):
        FocalLGBMClassifier(**QUIET).fit(X, ab[y], init_model=three)
    with pytest.raises(ValueError, match=r"init_model must have 1 trees an iteration .* got 3"):
        FocalLGBMClassifier(**QUIET).fit(X, ab[y], init_model=three.booster_)


def test_inner_nodes_report_values_with_the_start(problem):
    X, y, _ = problem
    clf = FocalLGBMClassifier(2.0, **QUIET).fit(X, y)
    start = np.atleast_1d(clf.intercept_)
    init = np.full(len(y), start) if len(start) == 1 else np.tile(start, (len(y), 1))
    apart = FocalLGBMClassifier(2.0, **QUIET).fit(X, y, init_score=init)
    nodes = [model.booster_.trees_to_dataframe() for model in (clf, apart)]
    assert nodes[0]["left_child"].notna().sum() > 20
    for k, constant in enumerate(start):
        first = nodes[0]["tree_index"] == k
        assert_allclose(nodes[0]["value"][first], nodes[1]["value"][first] + constant, atol=1e-5)
    later = nodes[0]["tree_index"] >= len(start)
    assert_array_equal(nodes[0]["value"][later], nodes[1]["value"][later])


def test_names_given_beside_an_array_are_the_names_of_the_columns(imbalanced):
    X, y = imbalanced
    names = [f"c{i}" for i in range(X.shape[1])]
    clf = FocalLGBMClassifier(**QUIET)
    with pytest.raises(NotFittedError, match="feature_names_in_"):
        clf.feature_names_in_  # noqa: B018
    clf.fit(X, y, feature_name=names)
    assert_array_equal(clf.feature_names_in_, names)
    assert clf.feature_name_ == names


def test_signature_repr_and_parameters_are_those_of_the_parent_beside_ours(imbalanced):
    parameters = inspect.signature(FocalLGBMClassifier).parameters
    parents = inspect.signature(lgb.LGBMClassifier).parameters
    assert list(parameters)[:5] == ["focal_gamma", "focal_alpha", "max_step", "calibration", "balanced_bins"]
    assert set(parents) <= set(parameters)
    clf = FocalLGBMClassifier(focal_gamma=1.25, num_leaves=7)
    assert repr(clf) == "FocalLGBMClassifier(focal_gamma=1.25, num_leaves=7)"
    assert repr(FocalLGBMClassifier()) == "FocalLGBMClassifier()"
    assert repr(clf.set_params(max_bin=63)) == "FocalLGBMClassifier(focal_gamma=1.25, max_bin=63, num_leaves=7)"
    defaults = FocalLGBMClassifier().get_params()
    own = FocalLGBMClassifier.focal_parameters
    changed = FocalLGBMClassifier.changed_defaults
    assert {name: value for name, value in defaults.items() if name not in own} == {
        **lgb.LGBMClassifier().get_params(),
        **changed,
    }
    assert {name: parameter.default for name, parameter in parameters.items() if name != "kwargs"} == defaults


def test_a_subclass_keeps_the_signature_and_may_add_to_it():
    class Mine(FocalLGBMClassifier):
        pass

    class WithMore(FocalLGBMClassifier):
        def __init__(self, extra=1, **kwargs):
            self.extra = extra
            super().__init__(**kwargs)

    assert inspect.signature(Mine) == inspect.signature(FocalLGBMClassifier)
    assert Mine(num_leaves=5).get_params()["num_leaves"] == 5
    more = WithMore(extra=2, focal_gamma=0.5, num_leaves=5)
    assert (more.get_params()["extra"], more.get_params()["num_leaves"], more.focal_gamma) == (2, 5, 0.5)


EVALUATION = [
    ({"eval_set": [("X", "y2d")]}, ValueError, "y of eval_set should be a 1d array"),
    ({"eval_set": [("X", "short")]}, ValueError, "eval_set must have one label per row"),
    ({"eval_set": [("narrow", "y")]}, ValueError, "eval_set must have the 8 columns of X, got 3"),
    ({"eval_set": [("none", "empty")]}, ValueError, "eval_set must have at least one row, got 0"),
    (
        {"eval_set": [("X", "y"), ("X", "with_none")]},
        ValueError,
        r"y of eval_set\[1\] must hold .* got .None",
    ),
    ({"eval_set": [("X", "texts")]}, ValueError, "y of eval_set must hold labels among"),
    ({"eval_set": [("X", None)]}, ValueError, "y of eval_set must hold labels among .* got None"),
    ({"eval_set": "X"}, TypeError, "eval_set must be a list of pairs"),
    ({"eval_set": [("X", "y", "y")]}, ValueError, "eval_set must be a list of pairs"),
    (
        {"eval_set": [("X", "y")], "eval_sample_weight": [0.0]},
        ValueError,
        r"eval_sample_weight\[0\] must hold at least",
    ),
    ({"eval_set": [("X", "y")], "eval_sample_weight": "zeros"}, TypeError, "eval_sample_weight must be a list"),
]


@pytest.mark.parametrize(("keywords", "error", "match"), EVALUATION)
def test_wrong_evaluation_sets_are_refused_before_training(keywords, error, match, imbalanced, monkeypatch):
    X, y = imbalanced
    known = {
        "X": X, "y": y, "y2d": np.c_[y, y], "short": y[:-1], "narrow": X[:, :3], "none": X[:0], "empty": y[:0],
        "with_none": np.array([None, *y[1:].tolist()], dtype=object), "texts": y.astype(str),
    }  # fmt: skip
    keywords = {
        name: [tuple(known.get(part) for part in pair) if isinstance(pair, tuple) else pair for pair in value]
        if isinstance(value, list)
        else value
        for name, value in keywords.items()
    }

    @functools.wraps(lgb.LGBMModel.fit)
    def nothing_may_get_here(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(lgb.LGBMModel, "fit", nothing_may_get_here)
    with pytest.raises(error, match=match):
        FocalLGBMClassifier(**QUIET).fit(X, y, **keywords)


def test_evaluation_sets_come_in_every_form(imbalanced):
    X, y = imbalanced
    held_out = X[1::2], y[1::2]
    expected = None
    for keywords in (
        {"eval_set": [held_out]},
        {"eval_set": held_out},
        {"eval_set": (held_out,)},
        {"eval_set": [list(held_out)]},
        {"eval_X": held_out[0], "eval_y": held_out[1]},
        {"eval_X": (held_out[0],), "eval_y": (held_out[1],)},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            clf = FocalLGBMClassifier(**QUIET).fit(X[::2], y[::2], **keywords)
        expected = expected or clf.evals_result_
        assert clf.evals_result_ == expected
    assert "training" in FocalLGBMClassifier(**QUIET).fit(X, y, eval_set=[(X, y)]).evals_result_


WEIGHTS = [
    (np.full(1500, 1e39), "sample_weight must be numbers that fit float32, at most"),
    (np.full(1500, 1e-40), "sample_weight must be numbers that fit float32, some of them at least"),
    (np.ones(1500, complex), "sample_weight must be real numbers, got dtype complex128"),
    (np.full(1500, np.nan), "sample_weight must be finite"),
    (np.ones((1500, 2)), "sample_weight must have shape"),
    (["a"] * 1500, "sample_weight must be numeric"),
]


@pytest.mark.parametrize(("weight", "match"), WEIGHTS, ids=[match[-25:] for _, match in WEIGHTS])
def test_wrong_weights_are_refused(weight, match, imbalanced):
    with pytest.raises((ValueError, TypeError), match=match):
        FocalLGBMClassifier(**QUIET).fit(*imbalanced, sample_weight=weight)


def test_a_column_of_weights_is_as_good_as_a_row(imbalanced):
    X, y = imbalanced
    w = np.random.default_rng(0).random(len(y))
    a, b = (FocalLGBMClassifier(**QUIET).fit(X, y, weight).predict_proba(X) for weight in (w, w[:, np.newaxis]))
    assert_array_equal(a, b)


def test_one_dimension_and_missing_labels_are_named(imbalanced):
    X, y = imbalanced
    clf = FocalLGBMClassifier(**QUIET)
    pd = pytest.importorskip("pandas")
    for column in (pd.Series(X[:, 0]), X[:, 0]):
        with pytest.raises(ValueError, match=r"Expected (2D|a 2-dimensional)"):
            clf.fit(column, y)
    dates = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")[y]
    dates[3] = "NaT"
    with pytest.raises(ValueError, match="y must hold no missing label, got NaT"):
        clf.fit(X, dates)


def test_polars_columns_that_would_end_the_process_are_refused(imbalanced):
    pl = pytest.importorskip("polars")
    X, y = imbalanced
    frame = pl.DataFrame(X, schema=[f"c{i}" for i in range(X.shape[1])])
    clf = FocalLGBMClassifier(**QUIET).fit(frame, y)
    columns = {
        "String": ["a", "b"] * 750,
        "Categorical": pl.Series(["a", "b"] * 750, dtype=pl.Categorical),
        "Date": pl.Series([0] * 1500).cast(pl.Date),
        "Decimal": pl.Series(["1.5"] * 1500).cast(pl.Decimal(10, 2)),
        "Duration": pl.Series([0] * 1500).cast(pl.Duration),
        "List": pl.Series([[1]] * 1500),
    }
    for dtype, values in columns.items():
        strange = frame.with_columns(pl.Series("c7", values))
        with pytest.raises(ValueError, match=f"X must have numeric or Boolean columns, got {dtype}.* in column 'c7'"):
            FocalLGBMClassifier(**QUIET).fit(strange, y)
        with pytest.raises(ValueError, match="X must have numeric or Boolean columns"):
            clf.predict(strange)


def test_objectives_are_instances_and_know_no_labels():
    X, y = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 2
    with pytest.raises(TypeError, match="must be an instance, FocalObjective"):
        lgb.train({"objective": FocalObjective, "verbosity": -1}, lgb.Dataset(X, y), 2)
    for alpha in ("balanced", {0: 1.0, 1: 2.0}):
        with pytest.raises(TypeError, match=r"alpha must be None, a number .* focal_alpha of the estimators"):
            FocalObjective(alpha=alpha)


@pytest.mark.parametrize(
    ("labels", "scores", "error", "match"),
    [
        (np.zeros(199), np.zeros(200), ValueError, r"labels must have shape .* got shapes \(199,\) and \(200,\)"),
        (np.zeros(201), np.zeros(200), ValueError, "labels must have shape"),
        (np.zeros(199), np.zeros((200, 3)), ValueError, "labels must have shape"),
        (0.0, np.zeros(200), ValueError, "labels must have shape"),
        (None, np.zeros(200), TypeError, "labels and scores must be numbers"),
        (np.zeros(200), None, TypeError, "labels and scores must be numbers"),
        (np.array(["a"] * 200), np.zeros(200), TypeError, "labels and scores must be numbers"),
        (np.zeros(200), np.array(["a"] * 200), TypeError, "labels and scores must be numbers"),
    ],
)
def test_labels_and_scores_that_do_not_fit_are_named(labels, scores, error, match):
    with pytest.raises(error, match=match):
        FocalObjective(2.0)(labels, scores)


def test_the_scale_of_the_loss_is_that_of_the_documentation(imbalanced):
    X, y = imbalanced
    clf = FocalLGBMClassifier(2.0, **QUIET).fit(X, y)
    assert clf._objective.scale == pytest.approx(FocalLoss(2.0).log_loss_scale(y), rel=1e-6)
