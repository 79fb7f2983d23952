"""FocalLGBMClassifier.fit: evaluation and continuation, beside what LightGBM makes of the same arguments; columns."""

import inspect
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

from skfocal.lightgbm import FocalLGBMClassifier  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names, but LGBMClassifier"),
    pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated"),
]

QUIET = {"verbosity": -1, "n_jobs": 1, "n_estimators": 8}
AS_PARENT = {"max_step": None, "balanced_bins": False, "reg_lambda": 0.0}


def mean_error(y_true, y_pred):
    return "mean_error", float(np.mean((y_pred > 0.5) != y_true)), False


@pytest.mark.parametrize(
    ("eval_metric", "metric"),
    [
        (["auc", "binary_error", "binary_logloss"], None),
        (["binary_error", "auc"], None),
        ("average_precision", ["auc", "binary_logloss"]),
        (["binary_logloss", "auc"], "auc"),
        ([mean_error, "auc", "binary_error"], "binary_logloss"),
        (mean_error, ["binary_logloss", "auc"]),
        (None, ""),
        (None, []),
        ("auc", ""),
        ("auc", []),
        (mean_error, ""),
        (["none", "auc"], ""),
        (["auc", "auc", "binary_error"], None),
    ],
    ids=lambda value: re.sub(r"<function (\w+) at \w+>", r"\1", str(value)),  # the same in all test processes
)
def test_histories_are_in_the_parents_order(eval_metric, metric, imbalanced):
    X, y = imbalanced
    histories = []
    for model in (
        FocalLGBMClassifier(0.0, **AS_PARENT, **QUIET, metric=metric),
        lgb.LGBMClassifier(**QUIET, **({} if metric is None else {"metric": metric})),
    ):
        model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], eval_metric=eval_metric)
        histories.append(model.evals_result_["valid_0"])
    ours, theirs = ({"focal_loss" if n == "binary_logloss" else n: v for n, v in h.items()} for h in histories)
    assert list(ours) == list(theirs)
    for name, values in ours.items():
        assert_allclose(values, theirs[name], rtol=1e-6)


@pytest.mark.parametrize("names", [["auc", "binary_logloss"], ["binary_error", "auc"]])
def test_early_stopping_by_the_first_metric_is_by_the_one_asked_for_first(names, imbalanced):
    X, y = imbalanced
    best = []
    for model in (FocalLGBMClassifier(0.0, **AS_PARENT, **QUIET), lgb.LGBMClassifier(**QUIET)):
        model.set_params(n_estimators=60, learning_rate=0.3, metric=names)
        stop = lgb.early_stopping(5, first_metric_only=True, verbose=False)
        model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], callbacks=[stop])
        best.append(model.best_iteration_)
    assert best[0] == best[1] < 60


def test_the_training_data_among_the_sets_are_called_as_by_the_parent(imbalanced):
    X, y = imbalanced
    for keywords in (
        {"eval_set": [(X, y)]},
        {"eval_set": [(X[:300], y[:300]), (X, y)]},
        {"eval_X": X, "eval_y": y},
        {"eval_X": (X, X[:300]), "eval_y": (y, y[:300])},
    ):
        if "eval_X" in keywords and "eval_X" not in lgb.LGBMClassifier.fit.__code__.co_varnames:
            continue  # LightGBM 4.6 has eval_set only
        ours, theirs = (
            list(model(**QUIET).fit(X, y, **keywords).evals_result_)
            for model in (FocalLGBMClassifier, lgb.LGBMClassifier)
        )
        assert ours == theirs


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"eval_sample_weight": {1: "ones"}}, ValueError, "eval_sample_weight must have numbers .* from 0 to 0, got 1"),
        ({"eval_class_weight": {"a": "balanced"}}, ValueError, "eval_class_weight must have numbers .* got 'a'"),
        ({"eval_class_weight": ["heavy"]}, ValueError, r"eval_class_weight\[0\] must be None, 'balanced' or a dict"),
        ({"eval_class_weight": [{7: 1.0}]}, ValueError, r"eval_class_weight\[0\] must have labels of y as keys"),
        ({"eval_class_weight": [{0: -1.0}]}, ValueError, r"eval_class_weight\[0\] must have finite numbers >= 0"),
        ({"eval_class_weight": [{0: np.nan}]}, ValueError, r"eval_class_weight\[0\] must have finite numbers >= 0"),
        ({"eval_init_score": ["short"]}, ValueError, r"eval_init_score\[0\] must be numbers of shape \(750,\)"),
        ({"eval_init_score": ["texts"]}, ValueError, r"eval_init_score\[0\] must be numbers of shape \(750,\)"),
        (
            {"eval_class_weight": ["balanced"] * 2},
            ValueError,
            "eval_class_weight must have an entry per evaluation set",
        ),
        (
            {"eval_init_score": 1},
            TypeError,
            "eval_init_score must be a list or a dict with an entry per evaluation set",
        ),
        ({"init_model": 3}, TypeError, "init_model must be a model, a booster or the path of a model file, got 3"),
        ({"init_model": "three trees an iteration"}, ValueError, "init_model must have 1 trees an iteration"),
    ],
)
def test_wrong_arguments_are_named_before_training(keywords, error, match, imbalanced, monkeypatch):
    X, y = imbalanced
    held_out = X[1::2], y[1::2]
    three = lgb.train(
        {"objective": "multiclass", "num_class": 3, "verbosity": -1}, lgb.Dataset(X, np.arange(len(y)) % 3), 2
    )
    known = {
        "ones": np.ones(750), "short": np.zeros(700), "texts": np.array(["a"] * 750),
        "three trees an iteration": three,
    }  # fmt: skip

    def meant(value):
        return known.get(value, value) if isinstance(value, str) else value

    keywords = {
        name: [meant(v) for v in value]
        if isinstance(value, list)
        else {key: meant(v) for key, v in value.items()}
        if isinstance(value, dict)
        else meant(value)
        for name, value in keywords.items()
    }
    monkeypatch.setattr(lgb.Booster, "update", None)
    with pytest.raises(error, match=match):
        FocalLGBMClassifier(**QUIET).fit(X[::2], y[::2], eval_set=[held_out], **keywords)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_starts_of_evaluation_sets_come_in_both_of_lightgbms_orders(n_classes, imbalanced):
    X, _ = imbalanced
    y = (np.digitize(X[:, 0], [-0.5, 0.5]) if n_classes == 3 else X[:, 0] > 0).astype(int)
    start = np.random.default_rng(0).normal(size=(750, n_classes) if n_classes == 3 else 750)
    histories = []
    for model, given in (
        (FocalLGBMClassifier(0.0, **AS_PARENT, **QUIET, boost_from_average=False), start),
        (FocalLGBMClassifier(0.0, **AS_PARENT, **QUIET, boost_from_average=False), start.ravel(order="F")),
        (lgb.LGBMClassifier(**QUIET, boost_from_average=False), start.ravel(order="F")),
    ):
        model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], eval_init_score=[given])
        histories.append(next(iter(model.evals_result_["valid_0"].values())))
    if n_classes == 3:
        # Three scores are free up to a constant: the parent's start is 0 here, ours the optimum.
        assert_allclose(histories[0], histories[1], rtol=1e-12)
    else:
        assert_allclose(histories[0], histories[2], rtol=1e-6)
        assert_allclose(histories[1], histories[2], rtol=1e-6)


@pytest.mark.parametrize("value", [None, True, "true", "+"], ids=repr)
def test_without_a_word_against_it_training_starts_at_the_optimum(value, imbalanced):
    expected = FocalLGBMClassifier(**QUIET).fit(*imbalanced)
    assert FocalLGBMClassifier(**QUIET, boost_from_average=value).fit(*imbalanced).intercept_ == expected.intercept_ < 0


@pytest.mark.parametrize("value", [False, "False", "FALSE", "-"], ids=repr)
def test_a_flag_is_read_in_letters_of_any_size(value, imbalanced):
    assert FocalLGBMClassifier(**QUIET, boost_from_average=value).fit(*imbalanced).intercept_ == 0.0


def test_pred_early_stop_is_refused_since_lightgbm_would_ignore_it(imbalanced):
    X, y = imbalanced
    with pytest.raises(ValueError, match="pred_early_stop"):
        FocalLGBMClassifier(**QUIET, pred_early_stop=True).fit(X, y)
    clf = FocalLGBMClassifier(**QUIET).fit(X, y)
    for method in (clf.predict, clf.predict_proba, clf.decision_function):
        with pytest.raises(ValueError, match="pred_early_stop"):
            method(X, pred_early_stop=True)


def test_training_goes_on_from_a_file_or_a_booster_as_from_a_model(imbalanced, tmp_path):
    X, y = imbalanced
    first = FocalLGBMClassifier(**QUIET).fit(X, y)
    first.save_model(tmp_path / "model.txt")
    scores = [
        FocalLGBMClassifier(**QUIET).fit(X, y, init_model=given).decision_function(X)
        for given in (first, first.booster_, tmp_path / "model.txt", str(tmp_path / "model.txt"))
    ]
    for other in scores[1:]:
        assert_array_equal(other, scores[0])


# Columns


def test_arrow_columns_that_would_end_the_process_are_refused(imbalanced):
    pa = pytest.importorskip("pyarrow")
    X, y = imbalanced
    table = pa.table({f"c{i}": column for i, column in enumerate(X.T)})
    clf = FocalLGBMClassifier(**QUIET).fit(table, y)
    assert_array_equal(clf.predict_proba(table), FocalLGBMClassifier(**QUIET).fit(X, y).predict_proba(X))
    for values, dtype in (
        (pa.array(["a", "b"] * 750), "string"),
        (pa.array(["a", "b"] * 750).dictionary_encode(), "dictionary"),
        (pa.array([0] * 1500, pa.date32()), "date32"),
        (pa.array([[1]] * 1500), "list"),
    ):
        strange = table.set_column(7, "c7", values)
        with pytest.raises(ValueError, match=f"X must have numeric or Boolean columns, got {dtype}.* in column 'c7'"):
            FocalLGBMClassifier(**QUIET).fit(strange, y)
        with pytest.raises(ValueError, match=f"X of eval_set must have numeric .* got {dtype}"):
            FocalLGBMClassifier(**QUIET).fit(table, y, eval_set=[(strange, y)])
        with pytest.raises(ValueError, match="X must have numeric or Boolean columns"):
            clf.predict(strange)


def test_names_that_are_texts_and_numbers_are_taken_as_by_the_parent(imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X, columns=["a", 1, "b", 2, "c", 3, "d", 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = FocalLGBMClassifier(**QUIET).fit(frame, y)
        assert_array_equal(clf.predict_proba(frame), FocalLGBMClassifier(**QUIET).fit(X, y).predict_proba(X))
    assert not hasattr(clf, "feature_names_in_")


# LightGBM 4.7 ends the process at the very call, so a process of its own makes it.
LINEAR_TREES = """
import numpy as np
from scipy import sparse
from skfocal.lightgbm import FocalLGBMClassifier
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 4)); y = (X[:, 0] + rng.normal(size=400) > 0).astype(int)
clf = FocalLGBMClassifier(verbosity=-1, n_jobs=1, n_estimators=5, linear_tree=True)
clf.fit(X, y, eval_set=[(sparse.csc_matrix(X[:200]), y[:200])])
from_columns = clf.evals_result_
clf.fit(X, y, eval_set=[(X[:200], y[:200])])
np.testing.assert_allclose(from_columns["valid_0"]["focal_loss"], clf.evals_result_["valid_0"]["focal_loss"])
"""


def test_linear_trees_are_evaluated_on_sparse_columns():
    subprocess.run([sys.executable, "-W", "error", "-c", LINEAR_TREES], check=True, timeout=120)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
def test_sparse_evaluation_sets(form, imbalanced):
    X, y = imbalanced
    dense = FocalLGBMClassifier(**QUIET).fit(X, y, eval_set=[(X[::2], y[::2])]).evals_result_
    clf = FocalLGBMClassifier(**QUIET).fit(X, y, eval_set=[(form(X[::2]), y[::2])])
    assert clf.evals_result_ == dense


def test_sets_of_unequal_number_are_refused(imbalanced):
    X, y = imbalanced
    if "eval_X" not in inspect.signature(lgb.LGBMClassifier.fit).parameters:
        pytest.skip("LightGBM 4.6 has eval_set only")
    for sets in ({"eval_X": (X, X), "eval_y": (y,)}, {"eval_X": (X,), "eval_y": y}):
        with pytest.raises(ValueError, match="eval_y must be a tuple as long as eval_X"):
            FocalLGBMClassifier(**QUIET).fit(X, y, **sets)
    balanced = FocalLGBMClassifier(**QUIET).fit(X, y, eval_X=X, eval_y=y, eval_class_weight=["balanced"])
    assert len(next(iter(balanced.evals_result_.values()))["focal_loss"]) == 8


def test_names_can_be_set_and_deleted(imbalanced):
    clf = FocalLGBMClassifier(**QUIET).fit(*imbalanced)
    clf.feature_names_in_ = [f"c{i}" for i in range(8)]
    assert clf.feature_names_in_.tolist() == [f"c{i}" for i in range(8)]
    del clf.feature_names_in_
    assert not hasattr(clf, "feature_names_in_")
