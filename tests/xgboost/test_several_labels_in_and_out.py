"""Several labels per row: containers, errors, and what becomes of a fitted model."""

import copy
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_classifier_multioutput

xgb = pytest.importorskip("xgboost", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.metrics import focal_loss  # noqa: E402
from skfocal.xgboost import FocalObjective, FocalXGBClassifier  # noqa: E402

ONE = {"n_jobs": 1}
STRATEGIES = ("one_output_per_tree", "multi_output_tree")
L, GAMMA = 3, (1.0, 2.0, 0.5)


def margin(booster, X):
    return booster.predict(xgb.DMatrix(X), output_margin=True)


# What goes in


def test_labels_of_any_container_are_the_same(labels):
    pd = pytest.importorskip("pandas")
    X, Y, w = labels
    fit = lambda y: FocalXGBClassifier(n_estimators=3, **ONE).fit(X, y, sample_weight=w)  # noqa: E731
    expected = fit(Y).decision_function(X)
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    containers = [
        Y.tolist(), list(Y), Y.astype(bool), Y.astype(np.uint8), Y.astype(float), Y.astype(object),
        np.asfortranarray(Y), frame, frame.astype("Int8"), frame.astype({"a": bool}), csr_matrix(Y),
    ]  # fmt: skip
    for container in containers:
        assert_array_equal(fit(container).decision_function(X), expected)
    pl = pytest.importorskip("polars")
    for container in (pl.DataFrame(Y), pl.LazyFrame(pl.DataFrame(Y))):
        assert_array_equal(fit(container).decision_function(X), expected)


def test_one_column_is_one_label(labels):
    X, Y, _ = labels
    expected = FocalXGBClassifier(n_estimators=3, **ONE).fit(X, Y[:, 0])
    clf = FocalXGBClassifier(n_estimators=3, **ONE)
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        clf.fit(X, Y[:, :1])
    assert_array_equal(clf.decision_function(X), expected.decision_function(X))
    assert clf.predict_proba(X).shape == (len(X), 2)


def test_a_model_is_refitted_to_another_number_of_labels(labels):
    X, Y, _ = labels
    clf = FocalXGBClassifier(n_estimators=3, **ONE).fit(X, Y)
    one = clf.fit(X, np.array(["no", "yes"])[Y[:, 0]])
    assert one.predict_proba(X).shape == (len(X), 2)
    assert one.predict(X).tolist()[0] in ("no", "yes")
    assert isinstance(one.focal_loss_, FocalLoss)
    assert clf.fit(X, Y[:, :2]).predict_proba(X).shape == (len(X), 2)
    assert_array_equal(clf.classes_, [0, 1])


def test_a_fit_that_goes_on(labels):
    X, Y, _ = labels
    whole = FocalXGBClassifier(1.0, n_estimators=6, **ONE).fit(X, Y)
    first = FocalXGBClassifier(1.0, n_estimators=3, **ONE).fit(X, Y)
    second = clone(first).fit(X, Y, xgb_model=first)
    assert_allclose(second.decision_function(X), whole.decision_function(X), atol=1e-5)
    for y, known in ((Y[:, :2], first), (Y[:, 0], first.get_booster())):
        match = "xgb_model must be of as many labels per row as y, [12], got a model of 3"
        with pytest.raises(ValueError, match=match):
            clone(first).fit(X, y, xgb_model=known)


WRONG = [
    ("Y", {"focal_gamma": (1.0, 2.0)}, "focal_gamma must be one for all labels .*: got 2 entries for 3 labels"),
    ("Y", {"focal_alpha": (0.1, 0.2)}, "focal_alpha must be one for all labels .*: got 2 entries for 3 labels"),
    ("Y", {"focal_alpha": (0.1, 0.2, 3.0)}, r"focal_alpha must have numbers in \(0, 1\) for several labels.*got 3.0"),
    (
        "Y",
        {"focal_alpha": [{1: 2.0}, {2: 1.0}, {}]},
        r"focal_alpha must have labels of y as keys, one of \[0, 1\], got 2",
    ),
    ("Y", {"focal_alpha": ["balanced", "even", None]}, "focal_alpha must be 'balanced' or 'effective'"),
    ("Y + 1", {}, r"y must hold zeros and ones where it has several columns, one per label, got \[2\]"),
    ("Y * 2 - 1", {}, r"y must hold zeros and ones .*got \[-1\].*MultiOutputClassifier"),
    ("np.where(Y, 1.0, np.nan)", {}, r"y must hold zeros and ones .*got \[nan\]"),
    ("np.where(Y, 'yes', 'no')", {}, r"y must hold zeros and ones .*got \['(yes|no)'\]"),
    ("np.where(Y, 1, None)", {}, r"y must hold zeros and ones .*got \[None\]"),
    ("Y[:-1]", {}, "inconsistent numbers of samples"),
    ("np.zeros_like(Y)", {}, "y must hold two classes in one of its 3 columns at least, got one in each"),
    ("Y[:, :, np.newaxis]", {}, r"y should be a 1d array of labels, .* got shape \(600, 3, 1\)"),
]


@pytest.mark.parametrize(("y", "parameters", "message"), WRONG, ids=[f"{y} {i}" for i, (y, *_) in enumerate(WRONG)])
def test_wrong_labels_and_parameters(labels, y, parameters, message):
    X, Y, _ = labels
    with pytest.raises(ValueError, match=message):
        FocalXGBClassifier(n_estimators=2, **parameters, **ONE).fit(X, eval(y, {"Y": Y, "np": np}))


def test_parameters_of_several_labels_are_refused_for_one(labels):
    X, Y, _ = labels
    for alpha in ([{1: 2.0}, {1: 3.0}], ["balanced", None]):
        with pytest.raises(TypeError, match="focal_alpha must be None, a number"):
            FocalXGBClassifier(1.0, alpha, **ONE).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="focal_gamma must be a number or one per class: got 3 entries for 2 classes"):
        FocalXGBClassifier((1.0, 2.0, 3.0), **ONE).fit(X, Y[:, 0])


def test_wrong_evaluation_sets(labels):
    X, Y, _ = labels
    for y, message in (
        (Y[:, :2], r"y of eval_set must have shape \(n_samples, 3\), one column per label, got shape \(600, 2\)"),
        (Y[:, 0], r"y of eval_set must have shape \(n_samples, 3\)"),
        (Y + 1, "y of eval_set must hold zeros and ones"),
        (Y[:9], "eval_set must have one label per row of its X, got 9 for 600"),
    ):
        with pytest.raises(ValueError, match=message):
            FocalXGBClassifier(**ONE).fit(X, Y, eval_set=[(X, y)])


def test_wrong_calls_of_the_objective(labels):
    _, Y, _ = labels
    z = np.zeros(Y.shape, np.float32)
    with pytest.raises(ValueError, match=r"gamma must be one for all labels .*: got 2 entries for 3 labels"):
        FocalObjective((1.0, 2.0))(Y, z)
    with pytest.raises(ValueError, match=r"alpha must have numbers in \(0, 1\) for several labels"):
        FocalObjective(1.0, (0.5, 0.5, 2.0))(Y, z)
    with pytest.raises(ValueError, match=r"labels and scores must have the same shape, .* got shapes \(600, 3\) and"):
        FocalObjective()(Y, z[:, :2])
    with pytest.raises(ValueError, match=r"raw_prediction must have the shape of y_true, \(600, 3\), got \(600, 2\)"):
        focal_loss(Y, z[:, :2])
    with pytest.raises(ValueError, match=r"labels must be None or \[0, 1\] for several labels per row"):
        focal_loss(Y, z, labels=[1, 0])


# What comes back


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_save_load_pickle_and_the_bare_booster(labels, strategy, tmp_path):
    X, Y, _ = labels
    clf = FocalXGBClassifier(
        GAMMA, "balanced", calibration="full", multi_strategy=strategy, early_stopping_rounds=2, **ONE
    )
    clf.fit(X[::2], Y[::2], eval_set=[(X[1::2], Y[1::2])], verbose=False)
    for file in ("model.json", "model.ubj"):
        clf.save_model(tmp_path / file)
        again = FocalXGBClassifier()
        again.load_model(tmp_path / file)
        for twin in (again, pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
            assert twin.calibration == "full"
            assert twin.focal_loss_ == clf.focal_loss_
            for method in ("predict", "predict_proba", "decision_function", "predict_log_proba"):
                assert_array_equal(getattr(twin, method)(X), getattr(clf, method)(X))
        bare = xgb.Booster(model_file=tmp_path / file)
        kept = {"iteration_range": (0, clf.best_iteration + 1)}
        raw = bare.predict(xgb.DMatrix(X), output_margin=True, **kept)
        assert_allclose(raw, clf.decision_function(X), atol=1e-6)
    text = json.loads(bare.attr("skfocal"))
    assert text["format"] == 2
    assert [known["gamma"] for known in text["labels"]] == list(GAMMA)


def test_a_damaged_file_is_refused(labels):
    X, Y, _ = labels
    clf = FocalXGBClassifier(1.0, n_estimators=3, **ONE).fit(X, Y)
    good = bytes(clf.get_booster().save_raw("json")).decode()
    one = r"{\"gamma\": 1.0, \"alpha\": null, \"class_weights\": [1.0, 1.0]}"
    assert good.count(one) == L
    for bad, why in (
        (good.replace(one + ", " + one, one), "booster must have 2 labels per row, got 3"),
        (good.replace(one + ", ", ""), "what it says of its labels and its loss is damaged"),
        (good.replace(r"[1.0, 1.0]}", "[1.0]}"), "what it says of its labels and its loss is damaged"),
    ):
        with pytest.raises(ValueError, match=why):
            FocalXGBClassifier().load_model(bytearray(bad.encode()))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_booster_of_ones_own_becomes_a_classifier(labels, strategy):
    X, Y, _ = labels
    objective = FocalObjective(GAMMA, 0.7)
    params = {"objective": "binary:logistic", "base_score": objective.base_score(Y), "multi_strategy": strategy}
    booster = xgb.train(params | {"nthread": 1}, xgb.QuantileDMatrix(X, Y), 10, obj=objective)
    clf = FocalXGBClassifier.from_booster(booster, gamma=GAMMA, alpha=0.7, calibration="full", **ONE)
    raw = margin(booster, X)
    assert_array_equal(clf.decision_function(X), raw)
    expected = [FocalLoss(GAMMA[j], 0.7).predict_proba(raw[:, j].astype(float), "full")[:, 1] for j in range(L)]
    assert_allclose(clf.predict_proba(X), np.transpose(expected), atol=1e-6)
    again = FocalXGBClassifier()
    again.load_model(booster_bytes := clf.get_booster().save_raw())
    assert booster_bytes
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ValueError, match=r"classes must be None or \[0, 1\] for a booster of 3 labels"):
        FocalXGBClassifier.from_booster(booster, gamma=GAMMA, classes=["a", "b"])
    with pytest.raises(ValueError, match="gamma must be one for all labels"):
        FocalXGBClassifier.from_booster(booster, gamma=(1.0, 2.0))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_parents_own_class_with_the_same_trees(labels, strategy):
    from skfocal.export import with_native_objective

    X, Y, _ = labels
    clf = FocalXGBClassifier(1.0, n_estimators=5, calibration=None, multi_strategy=strategy, **ONE).fit(X, Y)
    native = with_native_objective(clf)
    assert type(native) is xgb.XGBClassifier
    assert_allclose(native.predict_proba(X), clf.predict_proba(X), atol=1e-6)
    assert_array_equal(native.predict(X), clf.predict(X))


def test_scikit_learn_knows_that_it_takes_labels():
    tags = get_tags(FocalXGBClassifier())
    assert tags.classifier_tags.multi_label
    assert not tags.target_tags.multi_output  # columns of more than two classes
    check_classifier_multioutput("FocalXGBClassifier", FocalXGBClassifier(n_estimators=10, **ONE))
