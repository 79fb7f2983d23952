"""Balanced bins of FocalLGBMClassifier: where the bounds lie, what a tree then sees, and what is left to LightGBM."""

import json
import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import average_precision_score

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

from skfocal.lightgbm import FocalLGBMClassifier  # noqa: E402
from skfocal.lightgbm._bins import bins_file, class_bounds  # noqa: E402

QUIET = {"verbosity": -1, "n_jobs": 1, "n_estimators": 20}


def class_quantiles(column, weight, n_bounds):
    """Bounds of a column of one class."""
    return class_bounds(column, np.zeros(len(column), dtype=int), weight, n_bounds)


def bounds_of(X, y, weight=None, params=None, categorical_feature="auto", feature_name="auto"):
    """Bounds by column, None where LightGBM chooses alone."""
    with bins_file(X, y, weight, params or {}, categorical_feature, feature_name) as path:
        found = None
        if path is not None:
            entries = json.loads(Path(path).read_text())
            found = {entry["feature"]: np.array(entry["bin_upper_bound"]) for entry in entries}
    assert path is None or not Path(path).exists()
    return found


def needle(n=20_000, n_rare=16):
    """A class of a few rows within 16 of 20,000 steps of a uniform column, and a column of noise."""
    rng = np.random.default_rng(0)
    X = np.c_[np.arange(n) / n, rng.random(n)]
    y = np.zeros(n, dtype=int)
    y[n // 3 : n // 3 + n_rare] = 1
    order = rng.permutation(n)
    return X[order], y[order]


def test_quantiles_of_equal_weights_have_equal_numbers_of_rows_between_them():
    column = np.random.default_rng(0).normal(size=1000)
    bounds = class_quantiles(column, np.ones(1000), 42)
    # Four bounds are of the edges; 19 are half of the rest.
    assert bounds.shape == (23,)
    quantiles = [*bounds[2:-2]]
    assert_allclose(np.histogram(column, [-np.inf, *quantiles, np.inf])[0], 50, atol=1)


def test_where_a_class_begins_and_ends_but_for_a_hundredth_are_bounds():
    rng = np.random.default_rng(0)
    # 230 rows of a rare class among 2,000: its 2 outliers at each end, then the rows from 5 to 6.
    rare = np.sort(np.r_[-9.0, -8.0, rng.uniform(5, 6, size=226), 20.0, 21.0])
    column = np.r_[rng.uniform(-10, 25, size=2_000), rare]
    y = np.r_[np.zeros(2_000, dtype=int), np.ones(230, dtype=int)]
    values = np.sort(column)
    bounds = bounds_of(column[:, np.newaxis], y)[0]
    for end in (rare[2], rare[-3]):
        at = np.searchsorted(values, end)
        assert 0.5 * values[at - 1] + 0.5 * values[at] in bounds
        assert 0.5 * values[at] + 0.5 * values[at + 1] in bounds
    assert len(bounds) <= 127


def test_edges_of_many_classes_leave_half_of_the_bounds_to_quantiles():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(200), 20)
    X = rng.normal(size=(4000, 1)) + y[:, np.newaxis]
    bounds = bounds_of(X, y)[0]
    assert len(bounds) <= 127
    # 63 quantiles would be as many in each quarter of the rows: those that the rarest classes leave are 32.
    assert np.histogram(bounds, np.quantile(X, [0, 0.25, 0.5, 0.75, 1]))[0].min() >= 6


def test_each_bound_is_halfway_between_two_values_that_follow_each_other():
    column = np.array([3.0, 1.0, 2.0, 2.0, 10.0, np.nan, np.inf, -np.inf])
    assert_array_equal(class_quantiles(column, np.ones(8), 127), [1.5, 2.5, 6.5])
    assert_array_equal(class_quantiles(np.array([-1.7e308, 1.7e308]), np.ones(2), 127), [0.0])
    for nothing in (np.array([]), np.full(5, np.nan), np.ones(5)):
        assert class_quantiles(nothing, np.ones(len(nothing)), 127).shape == (0,)


def test_a_heavy_value_has_a_bound_on_both_sides():
    column, weight = np.arange(1000.0), np.ones(1000)
    weight[500] = 1000.0
    bounds = class_quantiles(column, weight, 20)
    assert 499.5 in bounds
    assert 500.5 in bounds
    assert len(bounds) <= 20


def test_weight_two_is_the_row_twice():
    rng = np.random.default_rng(1)
    column, weight = rng.normal(size=500), rng.integers(1, 4, size=500)
    assert_array_equal(
        class_quantiles(column, weight, 30), class_quantiles(np.repeat(column, weight), np.ones(weight.sum()), 30)
    )


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_classes_share_the_bounds_however_rare(n_classes):
    rng = np.random.default_rng(2)
    counts = 40_000 // 4 ** np.arange(n_classes)
    y = np.repeat(np.arange(n_classes), counts)
    # Class k lies between k and k + 1.
    bounds = bounds_of((y + rng.random(y.shape[0]))[:, np.newaxis], y)[0]
    per_class = np.histogram(bounds, np.arange(n_classes + 1))[0]
    assert len(bounds) <= 127
    assert per_class.min() >= 0.8 * per_class.max()


def test_rows_of_no_weight_have_no_say():
    rng = np.random.default_rng(3)
    X, y = rng.random((300, 2)), rng.integers(2, size=300)
    weight = rng.integers(0, 2, size=300).astype(float)
    kept = weight > 0
    for j, bounds in bounds_of(X, y, weight).items():
        assert_array_equal(bounds, bounds_of(X[kept], y[kept])[j])


def test_trees_find_a_few_rows_that_plain_bins_cannot_see():
    X, y = needle()
    new = np.c_[np.linspace(0, 1, 30_001), np.full(30_001, 0.5)]
    truth = (new[:, 0] >= 20_000 // 3 / 20_000) & (new[:, 0] <= (20_000 // 3 + 15) / 20_000)
    plain, balanced = (
        average_precision_score(truth, FocalLGBMClassifier(balanced_bins=b, **QUIET).fit(X, y).decision_function(new))
        for b in (False, True)
    )
    assert plain < 0.5
    assert balanced > 0.9


def test_the_model_keeps_no_trace_of_the_file():
    X, y = needle(2000)
    first, second = (FocalLGBMClassifier(**QUIET).fit(X, y) for _ in range(2))
    text = first.booster_.model_to_string()
    assert text == second.booster_.model_to_string()
    assert "[forcedbins_filename: ]" in text
    assert "forcedbins_filename" not in first.booster_.params
    assert "forcedbins_filename" not in first.get_params()
    assert not [name for name in vars(first) if "bins" in name and name != "balanced_bins"]
    assert_array_equal(pickle.loads(pickle.dumps(first)).predict_proba(X), first.predict_proba(X))


@pytest.mark.parametrize(
    "parameters", [{}, {"boosting_type": "dart"}, {"linear_tree": True}, {"max_bin": 2}, {"max_bin": 3}]
)
def test_it_trains_with_other_parameters_and_goes_on_from_a_model(parameters):
    X, y = needle(3000)
    clf, plain = (FocalLGBMClassifier(balanced_bins=b, **QUIET, **parameters).fit(X, y) for b in (True, False))
    more = FocalLGBMClassifier(**QUIET).fit(X, y, init_model=clf)
    assert np.isfinite(clf.decision_function(X)).all()
    # With two bins LightGBM grows nothing at all.
    assert clf.booster_.num_trees() == plain.booster_.num_trees() == (1 if parameters.get("max_bin") == 2 else 20)
    assert more.booster_.num_trees() == clf.booster_.num_trees() + 20


@pytest.mark.parametrize(
    ("params", "most"),
    [
        ({}, (255, 255)),
        ({"max_bin": 31}, (31, 31)),
        ({"max_bins": "9"}, (9, 9)),
        ({"max_bin_by_feature": [63, 21]}, (63, 21)),
        ({"max_bin_by_feature": "255,3"}, (255, 3)),
        ({"max_bin_by_feature": []}, (255, 255)),
    ],
)
def test_max_bin_holds_column_by_column(params, most):
    X, y = needle(5000)
    bounds = bounds_of(X, y, params=params)
    table = FocalLGBMClassifier(**QUIET, **params).fit(X, y).booster_.trees_to_dataframe()
    for j, n_bins in enumerate(most):
        assert n_bins // 6 <= len(bounds[j]) <= n_bins // 2
        assert table["threshold"][table["split_feature"] == f"Column_{j}"].nunique() < n_bins


@pytest.mark.parametrize("folder", ["a b", "a=b", "ü#,'"])
def test_any_temporary_directory_will_do(folder, tmp_path, monkeypatch):
    X, y = needle(2000)
    expected = FocalLGBMClassifier(**QUIET).fit(X, y).booster_.model_to_string()
    (tmp_path / folder).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    monkeypatch.chdir(tmp_path / folder)  # from here no blank is in the way
    assert FocalLGBMClassifier(**QUIET).fit(X, y).booster_.model_to_string() == expected
    assert not list((tmp_path / folder).iterdir())


@pytest.mark.parametrize(("folder", "why"), [("a b", "no name with a blank"), ("missing", "No such file")])
def test_without_a_file_it_says_so_and_leaves_the_bins_to_lightgbm(folder, why, tmp_path, monkeypatch):
    X, y = needle(2000)
    (tmp_path / "a b").mkdir()
    plain = FocalLGBMClassifier(balanced_bins=False, **QUIET).fit(X, y)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    with pytest.warns(UserWarning, match=f"balanced_bins needs a file .* which can't be: .*{why}.* set TMPDIR") as seen:
        clf = FocalLGBMClassifier(**QUIET).fit(X, y)
    assert seen[0].filename == __file__
    assert_array_equal(clf.decision_function(X), plain.decision_function(X))


def test_what_has_no_bounds_is_binned_by_lightgbm(tmp_path):
    X, y = needle(3000)
    assert bounds_of(sparse.csr_array(X), y) is None
    assert bounds_of(X, y, params={"forcedbins_filename": "mine"}) is None
    assert bounds_of(np.ones((3000, 2)), y) is None
    assert bounds_of([["a", "b"]] * 3000, y) is None
    assert bounds_of(X, y, params={"max_bin": "many"}) is None
    assert bounds_of(X[:, 0], y) is None
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([{"feature": 0, "bin_upper_bound": [0.25, 0.75]}]))
    mine = FocalLGBMClassifier(forcedbins_filename=str(path), **QUIET).fit(X, y)
    plain = FocalLGBMClassifier(forcedbins_filename=str(path), balanced_bins=False, **QUIET).fit(X, y)
    assert f"[forcedbins_filename: {path}]" in mine.booster_.model_to_string()
    assert_array_equal(mine.decision_function(X), plain.decision_function(X))


@pytest.mark.parametrize(
    ("categorical_feature", "feature_name", "params"),
    [
        ([1], "auto", {}),
        (["b"], ["a", "b"], {}),
        ("auto", "auto", {"categorical_feature": "1"}),
        ("auto", ["a", "b"], {"cat_feature": "name:b"}),
        ("auto", "auto", {"categorical_column": [1]}),
        ("auto", "auto", {"categorical_column": 1}),
        ("auto", "auto", {"categorical_column": np.int64(1)}),
        # Digits are a position in the parameters, and a name in the argument.
        ("auto", ["1", "0"], {"categorical_feature": "1"}),
        (["0"], ["1", "0"], {}),
    ],
)
def test_categorical_columns_have_no_bounds(categorical_feature, feature_name, params):
    X, y = needle(500)
    assert list(bounds_of(X, y, None, params, categorical_feature, feature_name)) == [0]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_numeric_columns_of_frames_have_the_bounds_of_the_array(library):
    module = pytest.importorskip(library)
    X, y = needle(2000)
    columns = {"a": X[:, 0], "b": X[:, 1].astype(np.float32), "c": (1000 * X[:, 1]).astype(int), "d": X[:, 1] > 0.5}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    expected = bounds_of(np.c_[tuple(columns.values())], y)
    got = bounds_of(frame, y)
    assert list(got) == list(expected) == [0, 1, 2, 3]
    for j in expected:
        assert_array_equal(got[j], expected[j])


def test_objects_that_are_numbers_have_the_bounds_of_numbers():
    X, y = needle(2000)
    X[5, 0] = np.nan
    objects = X.astype(object)
    objects[5, 0] = None
    expected = bounds_of(X, y)
    for same in (objects, objects.tolist()):
        for j, bounds in bounds_of(same, y).items():
            assert_array_equal(bounds, expected[j])


def test_columns_of_a_frame_may_be_called_by_numbers():
    pd = pytest.importorskip("pandas")
    X, y = needle(500)
    frame = pd.DataFrame(X, columns=[1, 0])
    assert list(bounds_of(frame, y, categorical_feature=[1])) == [0]
    assert list(bounds_of(frame, y, categorical_feature=["0"])) == [0]


@pytest.mark.parametrize("wrong", [[1.0], [None], [("a", 1)], [[1]], ["nobody"]])
def test_a_wrong_categorical_feature_is_lightgbms_to_refuse(wrong):
    X, y = needle(500)
    with pytest.raises(TypeError, match=r"Wrong type|unhashable") as balanced:
        FocalLGBMClassifier(**QUIET).fit(X, y, categorical_feature=wrong)
    with pytest.raises(TypeError) as plain:
        FocalLGBMClassifier(balanced_bins=False, **QUIET).fit(X, y, categorical_feature=wrong)
    assert str(balanced.value) == str(plain.value)


def test_missing_values_and_categories_of_a_frame():
    pd = pytest.importorskip("pandas")
    X, y = needle(2000)
    whole = pd.array((1000 * X[:, 1]).astype(int), dtype="Int64")
    whole[::3] = pd.NA
    frame = pd.DataFrame({"a": pd.Categorical((10 * X[:, 1]).astype(int)), "b": whole, "c": X[:, 0]})
    array = np.c_[np.zeros(2000), whole.to_numpy(float, na_value=np.nan), X[:, 0]]
    got, expected = bounds_of(frame, y), bounds_of(array, y)
    assert list(got) == list(expected) == [1, 2]
    for j in expected:
        assert_array_equal(got[j], expected[j])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = FocalLGBMClassifier(n_estimators=5, n_jobs=1).fit(frame, y)
    assert clf.score(frame, y) > 0.99
