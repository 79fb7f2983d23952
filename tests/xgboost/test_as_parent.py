"""FocalXGBClassifier where its parent decides what is right: parameters, arguments of fit, data of any kind."""

import inspect
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import average_precision_score

xgb = pytest.importorskip("xgboost", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.xgboost import FocalObjective, FocalXGBClassifier  # noqa: E402

FAST = {"n_jobs": 1, "n_estimators": 20}
AS_PARENT = {"max_step": None, "balanced_bins": False}


@pytest.mark.parametrize("seed", [np.random.RandomState, np.random.default_rng], ids=["RandomState", "Generator"])
def test_a_random_state_that_is_drawn_from_gives_the_parents_trees(seed, problem):
    X, y, _ = problem
    ours = FocalXGBClassifier(0.0, random_state=seed(7), subsample=0.5, **AS_PARENT, **FAST).fit(X, y)
    theirs = xgb.XGBClassifier(random_state=seed(7), subsample=0.5, **FAST).fit(X, y)
    assert_allclose(ours.predict(X, output_margin=True), theirs.predict(X, output_margin=True), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_whose_rows_weigh_nothing_is_treated_as_by_the_parent(n_classes, problem):
    X, y, _ = problem
    y = np.minimum(y, n_classes - 1) if y.max() == 2 else np.where(X[:, 0] > 15, n_classes - 1, y)
    weight = np.where(y == n_classes - 1, 0.0, 1.0)
    ours = FocalXGBClassifier(0.0, **AS_PARENT, **FAST).fit(X, y, sample_weight=weight)
    theirs = xgb.XGBClassifier(**FAST).fit(X, y, sample_weight=weight)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=5e-6)  # of float32 sums
    focal = FocalXGBClassifier(2.0, "balanced", **FAST).fit(X, y, sample_weight=weight)
    assert_array_equal(focal.classes_, np.unique(y))
    assert focal.predict_proba(X)[:, -1].max() < 1e-3


@pytest.mark.parametrize("small", [1e-40, 1e-38, 1e-30, 1e-12])
def test_a_class_whose_rows_weigh_next_to_nothing_is_no_error(small, imbalanced):
    X, y = imbalanced
    clf = FocalXGBClassifier(2.0, **FAST).fit(X, y, sample_weight=np.where(y == 1, small, 1.0))
    assert clf.predict_proba(X)[:, 1].max() < 1e-4


@pytest.mark.parametrize("gamma", [100.0, [100.0, 0.0], [0.0, 100.0], [50.0, 1.0]], ids=str)
@pytest.mark.parametrize("alpha", [None, "balanced", {1: 1e6}], ids=str)
def test_the_largest_gamma_gives_a_model_better_than_the_shares(gamma, alpha, imbalanced):
    X, y = imbalanced
    clf = FocalXGBClassifier(gamma, alpha, calibration="full", **FAST).fit(X, y)
    assert np.isfinite(clf.decision_function(X)).all()
    share = y.mean()
    prior = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert -np.log(np.maximum(clf.predict_proba(X)[np.arange(len(y)), y], 1e-12)).mean() < prior


@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_call_gives_the_optimal_start_to_both_doors(n_classes, problem):
    X, y, w = problem
    y = np.minimum(y, n_classes - 1) if y.max() == 2 else np.where(X[:, 0] > 15, n_classes - 1, y)
    objective = FocalObjective(2.0)
    start = objective.base_score(y, w)
    name = (
        {"objective": "binary:logistic"} if n_classes == 2 else {"objective": "multi:softprob", "num_class": n_classes}
    )
    booster = xgb.train({**name, "base_score": start}, xgb.DMatrix(X, y, weight=w), 1, obj=objective)
    clf = xgb.XGBClassifier(objective=objective, base_score=start, n_estimators=1).fit(X, y, sample_weight=w)
    expected = np.atleast_1d(FocalLoss(2.0).fit_intercept_only(y, w))
    expected = expected if n_classes == 2 else expected - expected.mean()
    nothing = {**name, "base_score": start, "max_depth": 1, "gamma": 1e9}  # no tree can grow
    constant = xgb.train({**nothing, "learning_rate": 1e-30}, xgb.DMatrix(X, y, weight=w), 1, obj=objective)
    margin = constant.predict(xgb.DMatrix(X[:1]), output_margin=True).ravel()
    assert_allclose(margin, expected, atol=2e-6)
    assert_allclose(booster.inplace_predict(X), clf.predict_proba(X)[:, 1] if n_classes == 2 else clf.predict_proba(X))


def test_metrics_are_reported_and_watched_in_the_order_asked_for(imbalanced):
    X, y = imbalanced
    held_out = [(X[1::2], y[1::2])]

    def fit(**parameters):
        clf = FocalXGBClassifier(2.0, learning_rate=0.5, n_estimators=60, n_jobs=1, **parameters)
        return clf.fit(X[::2], y[::2], eval_set=held_out, verbose=False)

    for metrics in (["logloss", "auc"], ["auc", "logloss"], ["aucpr", "focal_loss", "auc", "error"]):
        by_parameter = fit(eval_metric=metrics, early_stopping_rounds=4)
        by_callback = fit(eval_metric=metrics, callbacks=[xgb.callback.EarlyStopping(rounds=4)])
        named = fit(eval_metric=metrics, callbacks=[xgb.callback.EarlyStopping(rounds=4, metric_name=metrics[-1])])
        assert list(by_parameter.evals_result()["validation_0"]) == metrics
        assert by_parameter.evals_result() == by_callback.evals_result() == named.evals_result()
        assert by_parameter.best_iteration == by_callback.best_iteration == named.best_iteration
    assert set(fit(eval_metric=["error", None]).evals_result()["validation_0"]) == {"error"}
    with pytest.raises(AttributeError, match="best_iteration"):
        fit(eval_metric="auc,error").best_iteration  # noqa: B018


def needle(n=4000):
    """Ten rows of a class in a sliver of a column that plain bins can't tell from their neighbors."""
    rng = np.random.default_rng(0)
    X = rng.random((n, 2))
    y = np.zeros(n, int)
    X[:10, 0], y[:10] = 0.5 + 1e-7 * np.arange(10), 1
    return X, y


def containers(X):
    yield "csr", sparse.csr_array(X), True
    yield "lil", sparse.lil_array(X), True
    yield "bsr", sparse.bsr_array(X), True
    yield "coo", sparse.coo_array(X), True
    yield "dok", sparse.dok_array(X), True
    yield "list", X.tolist(), True
    pd, pa, pl = (pytest.importorskip(name) for name in ("pandas", "pyarrow", "polars"))
    yield "pandas", pd.DataFrame(X, columns=["a", "b"]), True
    yield "table", pa.table({"a": X[:, 0], "b": X[:, 1]}), True
    yield "batch", pa.record_batch({"a": X[:, 0], "b": X[:, 1]}), False
    yield "polars", pl.DataFrame({"a": X[:, 0], "b": X[:, 1]}), True
    yield "lazy", pl.LazyFrame({"a": X[:, 0], "b": X[:, 1]}), True


@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix for nan or inf")
@pytest.mark.filterwarnings("ignore:Unknown data type.*trying to convert it to csr_matrix")  # the parent's
@pytest.mark.filterwarnings("ignore:Using the default parameters for the polars")  # the parent's
def test_bins_are_balanced_whatever_the_container_or_it_says_so():
    X, y = needle()
    parameters = {"max_bin": 64, **FAST}
    expected = FocalXGBClassifier(1.0, **parameters).fit(X, y).decision_function(X)
    assert average_precision_score(y, expected) > 0.9
    plain = FocalXGBClassifier(1.0, balanced_bins=False, **parameters).fit(X, y).decision_function(X)
    assert average_precision_score(y, plain) < 0.7
    for name, data, balanced in containers(X):
        clf = FocalXGBClassifier(1.0, **parameters)
        try:
            xgb.XGBClassifier(**FAST).fit(data, y)
        except (TypeError, ValueError, AttributeError):
            if name not in ("batch",):
                raise
            continue  # nor does the parent of this version take it
        if balanced:
            assert_allclose(clf.fit(data, y).decision_function(data), expected, atol=1e-6, err_msg=name)
        else:
            with pytest.warns(UserWarning, match="balanced_bins has no effect on X of type RecordBatch") as seen:
                clf.fit(data, y)
            assert seen[0].filename == __file__


@pytest.mark.parametrize("columns", [[3, 1], [("a", 1), ("a", 2)], ["x", "y"]], ids=["integers", "MultiIndex", "texts"])
def test_a_frame_is_known_by_its_columns_as_by_the_parent(columns, imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    index = pd.MultiIndex.from_tuples(columns) if isinstance(columns[0], tuple) else columns
    frame = pd.DataFrame(X[:, :2], columns=index)
    clf = FocalXGBClassifier(0.0, **AS_PARENT, **FAST).fit(frame, y)
    expected = xgb.XGBClassifier(**FAST).fit(frame, y)
    assert_allclose(clf.predict_proba(frame), expected.predict_proba(frame), atol=1e-6)
    if columns == ["x", "y"]:
        assert_array_equal(clf.feature_names_in_, columns)
        renamed = frame.rename(columns={"x": "z"})
        with pytest.raises(ValueError, match="feature names"):
            clf.predict_proba(renamed)
        unchecked = clf.predict_proba(renamed, validate_features=False)
        assert_allclose(unchecked, expected.predict_proba(renamed, validate_features=False), atol=1e-6)
    else:
        assert not hasattr(clf, "feature_names_in_")
    clf.fit(X[:, :2], y)
    assert not hasattr(clf, "feature_names_in_")


def test_names_of_several_kinds_are_the_parents_texts(imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X[:, :3], columns=["a", 1, (2, 3)])
    clf = FocalXGBClassifier(0.0, **AS_PARENT, **FAST).fit(frame, y)
    expected = xgb.XGBClassifier(**FAST).fit(frame, y)
    assert_allclose(clf.predict_proba(frame), expected.predict_proba(frame), atol=1e-6)
    assert_array_equal(clf.feature_names_in_, expected.feature_names_in_)
    assert clf.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict_proba(frame[[1, "a", (2, 3)]])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_one_column_may_be_a_series(library, imbalanced):
    module = pytest.importorskip(library)
    X, y = imbalanced
    column = module.Series(X[:, 0], name="a") if library == "pandas" else module.Series("a", X[:, 0])
    clf = FocalXGBClassifier(**FAST).fit(column, y)
    assert_allclose(clf.predict_proba(column), FocalXGBClassifier(**FAST).fit(X[:, :1], y).predict_proba(X[:, :1]))


def test_lazy_labels_are_collected(imbalanced):
    pl = pytest.importorskip("polars")
    X, y = imbalanced
    clf = FocalXGBClassifier(**FAST).fit(X, pl.LazyFrame({"y": y}).collect().to_series())
    with pytest.warns(match="column-vector"):
        lazy = FocalXGBClassifier(**FAST).fit(X, pl.LazyFrame({"y": y}))
    assert_array_equal(clf.predict_proba(X), lazy.predict_proba(X))


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"alpha": 0.9}, "alpha must not be given .* did you mean focal_alpha"),
        ({"focal_alpha": 3.0}, r"focal_alpha must be in \(0, 1\) .* got 3.0: .* {label: 3}"),
        ({"focal_gamma": 150.0}, "focal_gamma must be at most 100, got 150.0"),
        ({"focal_gamma": [200.0, 1.0]}, "focal_gamma must be at most 100"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(parameters, match, imbalanced):
    with pytest.raises(ValueError, match=match):
        FocalXGBClassifier(**{**FAST, **parameters}).fit(*imbalanced)


def test_gamma_is_xgboosts_own(imbalanced):
    X, y = imbalanced
    ours = FocalXGBClassifier(0.0, gamma=3.0, **AS_PARENT, **FAST).fit(X, y)
    theirs = xgb.XGBClassifier(gamma=3.0, **FAST).fit(X, y)
    assert_allclose(ours.predict(X, output_margin=True), theirs.predict(X, output_margin=True), atol=1e-5)


def test_training_goes_on_from_a_model_of_the_same_labels_only(imbalanced):
    X, y = imbalanced
    ab, xy, abc = (np.array(labels) for labels in (["a", "b"], ["x", "y"], ["a", "b", "c"]))
    half = FocalXGBClassifier(**FAST).fit(X, ab[y])
    FocalXGBClassifier(**FAST).fit(X, ab[y], xgb_model=half)
    with pytest.raises(ValueError, match=r"xgb_model must be of .* \['x', 'y'\], got a model of \['a', 'b'\]"):
        FocalXGBClassifier(**FAST).fit(X, xy[y], xgb_model=half)
    three = FocalXGBClassifier(**FAST).fit(X, abc[np.where(X[:, 0] > 1, 2, y)])
    with pytest.raises(ValueError, match=r"got a model of \['a', 'b', 'c'\]: give rows of all classes"):
        FocalXGBClassifier(**FAST).fit(X, ab[y], xgb_model=three)


def test_signature_repr_and_parameters_are_those_of_the_parent_beside_ours():
    parameters = inspect.signature(FocalXGBClassifier).parameters
    assert list(parameters)[:5] == ["focal_gamma", "focal_alpha", "max_step", "calibration", "balanced_bins"]
    assert set(xgb.XGBClassifier().get_params()) <= set(parameters)
    assert (
        repr(FocalXGBClassifier(focal_gamma=1.25, max_depth=3)) == "FocalXGBClassifier(focal_gamma=1.25, max_depth=3)"
    )
    assert repr(FocalXGBClassifier()) == "FocalXGBClassifier()"
    defaults = FocalXGBClassifier().get_params()
    own = FocalXGBClassifier.focal_parameters
    theirs = xgb.XGBClassifier().get_params()
    assert {name: value for name, value in defaults.items() if name not in (*own, "missing")} == {
        name: value for name, value in theirs.items() if name != "missing"
    }


def test_the_objective_is_the_name_of_the_link(problem):
    X, y, _ = problem
    clf, theirs = FocalXGBClassifier(**FAST), xgb.XGBClassifier(**FAST).fit(X, y)
    before = clf.get_params()
    assert clf.fit(X, y).objective == theirs.objective
    assert json.loads(clf.get_booster().save_config())["learner"]["objective"]["name"] == theirs.objective
    assert clf.get_params() == before


def test_a_plain_model_that_goes_on_from_a_focal_one_does_not_pass_for_one(imbalanced, tmp_path):
    X, y = imbalanced
    clf = FocalXGBClassifier(**FAST).fit(X, y)
    clf.save_model(tmp_path / "focal.json")
    more = xgb.XGBClassifier(**FAST).fit(X, y, xgb_model=clf.get_booster())
    more.save_model(tmp_path / "plain.json")
    with pytest.raises(ValueError, match=r"fname must be a model saved by FocalXGBClassifier"):
        FocalXGBClassifier().load_model(tmp_path / "plain.json")


def test_a_refused_load_leaves_the_estimator_as_it_was(imbalanced, tmp_path):
    X, y = imbalanced
    labels = np.array(["no", "yes"])[y]
    clf = FocalXGBClassifier(**FAST).fit(X, labels)
    expected, before = clf.predict_proba(X), vars(clf).copy()
    plain = xgb.XGBClassifier(**FAST).fit(X[:, :3], y)
    plain.save_model(tmp_path / "plain.json")
    for name in ("missing.json", "plain.json"):
        with pytest.raises(ValueError, match=r"fname must be a model saved by FocalXGBClassifier") as raised:
            clf.load_model(tmp_path / name)
        assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=r"fname must be a model saved by .* bytearray") as raised:
        clf.load_model(plain.get_booster().save_raw())
    assert len(str(raised.value)) < 200
    assert vars(clf) == before
    assert_array_equal(clf.predict_proba(X), expected)
    assert set(clf.predict(X)) <= {"no", "yes"}
    assert_array_equal(clf.fit(X, labels).predict_proba(X), expected)


EVALUATION = [
    ([("X", "y2d")], ValueError, "y of eval_set should be a 1d array"),
    ([("X", "short")], ValueError, "eval_set must have one label per row"),
    ([("narrow", "y")], ValueError, "eval_set must have the 8 columns of X, got 3"),
    ([("none", "empty")], ValueError, "eval_set must have at least one row, got 0"),
    ([("X", None)], ValueError, "y of eval_set must hold labels among .* got None"),
    ("X", TypeError, "eval_set must be a list of pairs"),
]


@pytest.mark.parametrize(("eval_set", "error", "match"), EVALUATION)
def test_wrong_evaluation_sets_are_refused_before_training(eval_set, error, match, imbalanced, monkeypatch):
    X, y = imbalanced
    known = {"X": X, "y": y, "y2d": np.c_[y, y], "short": y[:-1], "narrow": X[:, :3], "none": X[:0], "empty": y[:0]}
    if isinstance(eval_set, list):
        eval_set = [tuple(known.get(part) for part in pair) for pair in eval_set]
    monkeypatch.setattr(xgb.XGBClassifier, "fit", None)  # nothing may get there
    with pytest.raises(error, match=match):
        FocalXGBClassifier(**FAST).fit(X, y, eval_set=eval_set)


def test_evaluation_sets_come_in_every_form(imbalanced):
    X, y = imbalanced
    held_out = X[1::2], y[1::2]
    results = [
        FocalXGBClassifier(**FAST).fit(X[::2], y[::2], eval_set=form, verbose=False).evals_result()
        for form in ([held_out], (held_out,), held_out, [list(held_out)])
    ]
    assert results.count(results[0]) == len(results)
    weights = np.random.default_rng(0).random(750)
    clf = FocalXGBClassifier(**FAST)
    clf.fit(X[::2], y[::2], eval_set=[held_out], sample_weight_eval_set=[weights], verbose=False)
    expected = FocalLoss(clf.focal_loss_.gamma)(held_out[1], clf.decision_function(held_out[0]), weights)
    assert clf.evals_result()["validation_0"]["focal_loss"][-1] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"sample_weight_eval_set\[0\] must hold at least one number > 0"):
        clf.fit(X, y, eval_set=[held_out], sample_weight_eval_set=[0.0 * weights])


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.full(1500, 1e39), "sample_weight must be numbers that fit float32, at most"),
        (np.full(1500, 1e-40), "sample_weight must be numbers that fit float32, some of them at least"),
        (np.ones(1500, complex), "sample_weight must be real numbers, got dtype complex128"),
    ],
)
def test_wrong_weights_are_refused(weight, match, imbalanced):
    with pytest.raises((ValueError, TypeError), match=match):
        FocalXGBClassifier(**FAST).fit(*imbalanced, sample_weight=weight)


def test_the_private_names_of_xgboost_that_are_used_are_there(imbalanced):
    """Each is reached from one place; if one is gone, what its comment there says has to be looked at."""
    asked = []

    class Asked(xgb.XGBClassifier):
        def _configure_fit(self, booster, params, feature_weights):
            asked.append("_configure_fit")
            return super()._configure_fit(booster, params, feature_weights)

        def _create_dmatrix(self, ref, **kwargs):
            asked.append(f"_create_dmatrix {ref is None} {sorted({'data', 'label', 'weight'} & set(kwargs))}")
            return super()._create_dmatrix(ref, **kwargs)

    X, y = imbalanced
    model = Asked(**FAST).fit(X, y, eval_set=[(X[:50], y[:50])], verbose=False)
    assert asked == [
        "_configure_fit",
        "_create_dmatrix True ['data', 'label', 'weight']",
        "_create_dmatrix False ['data', 'label', 'weight']",
    ], "skfocal/xgboost/_classifier.py: XGBoost's class makes its data or parameters elsewhere"
    assert isinstance(model._Booster, xgb.Booster), "skfocal/xgboost/_classifier.py: load_model looks for _Booster"


def test_bytes_in_the_other_order_are_the_same_numbers(imbalanced):
    """XGBoost itself reads them as those of this machine's order, and says nothing."""
    X, y = imbalanced
    arrays = {
        "X": X,
        "sample_weight": np.linspace(0.5, 2, len(y)),
        "base_margin": np.linspace(-1, 1, len(y)),
    }

    def scores(dtype):
        X, *_ = given = [array.astype(dtype) for array in arrays.values()]
        clf = FocalXGBClassifier(**FAST)
        keywords = dict(zip(arrays, given)) | {"eval_set": [(X[::2], y[::2])], "base_margin_eval_set": [given[2][::2]]}
        clf.fit(y=y.astype(">i4"), verbose=False, **keywords)
        return clf.decision_function(X, base_margin=given[2]), clf.evals_result()["validation_0"]["focal_loss"]

    (swapped, history), (native, expected) = scores(">f4"), scores("<f4")
    assert_array_equal(swapped, native)
    assert history == expected
