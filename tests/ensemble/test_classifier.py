"""``FocalHistGradientBoostingClassifier``: the parent's trees, the loss, probabilities, weights, labels, parameters."""

import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier
from sklearn.inspection import partial_dependence

from skfocal import FocalLoss
from skfocal.ensemble import FocalHistGradientBoostingClassifier

FEW = {"max_iter": 15, "random_state": 0}


def three_classes(X, y):
    return np.where(X[:, 0] > 1.5, 2, y)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"class_weight": "balanced", "l2_regularization": 2.0},
        {"class_weight": {1: 3.0}, "max_features": 0.4},
        {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 60, "tol": 1e-3},
        {"early_stopping": True, "scoring": "neg_log_loss", "validation_fraction": None},
        {"interaction_cst": "no_interactions", "max_bins": 20},
        {"monotonic_cst": [1, -1]},
        {"categorical_features": [1, 4]},
    ],
    ids=str,
)
def test_gamma_zero_grows_the_trees_of_the_parent(problem, weighted, parameters):
    X, y, w = problem
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    X[:, [1, 4]] = X[:, [1, 4]] // 3
    if "monotonic_cst" in parameters:
        y = y > 0  # monotone scores are for two classes
        parameters = {"monotonic_cst": parameters["monotonic_cst"] + [0] * (X.shape[1] - 2)}
    parameters, weight = FEW | parameters, w if weighted else None
    ours = FocalHistGradientBoostingClassifier(0.0, max_step=None, **{"l2_regularization": 0.0, **parameters}).fit(
        X, y, weight
    )
    parent = HistGradientBoostingClassifier(**parameters).fit(X, y, weight)
    assert_array_equal(ours.decision_function(X), parent.decision_function(X))
    assert_array_equal(ours.predict(X), parent.predict(X))
    assert_allclose(ours.predict_proba(X), parent.predict_proba(X), rtol=0, atol=5e-16)
    assert ours.n_iter_ == parent.n_iter_
    assert_allclose(ours.train_score_, parent.train_score_, rtol=1e-14)
    assert_allclose(ours.validation_score_, parent.validation_score_, rtol=1e-14)
    for mine, theirs in zip(ours.staged_decision_function(X), parent.staged_decision_function(X)):
        assert_array_equal(mine, theirs)


def test_alpha_at_gamma_zero_is_a_weight_of_the_rows(problem):
    X, y, w = problem
    X = X // (X.max(axis=0) / 50)  # few values: each has its bin, whatever the rows weigh
    alpha = np.array([3.0, 1.0, 0.5])[: y.max() + 1]
    ours = FocalHistGradientBoostingClassifier(0.0, alpha, max_step=None, l2_regularization=0.0, **FEW).fit(X, y, w)
    rows = (alpha * (w.sum() / (alpha[y] * w).sum()))[y] * w
    parent = HistGradientBoostingClassifier(**FEW).fit(X, y, rows)
    assert_allclose(ours.decision_function(X), parent.decision_function(X), rtol=1e-5, atol=1e-6)
    off = FocalHistGradientBoostingClassifier(
        0.0, np.ones(y.max() + 1), max_step=None, l2_regularization=0.0, **FEW
    ).fit(X, y)
    assert_array_equal(off.decision_function(X), HistGradientBoostingClassifier(**FEW).fit(X, y).decision_function(X))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, "by class"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", [None, "balanced"])
def test_a_model_without_a_split_gives_the_class_shares(gamma, n_classes, alpha):
    # At the optimal constant the posterior, all weights undone, is the share of each class.
    rng = np.random.default_rng(0)
    y = rng.choice(n_classes, 400, p=[0.9, 0.1] if n_classes == 2 else [0.9, 0.07, 0.03])
    w = rng.uniform(0.5, 2.0, len(y))
    gamma = [2.0, 0.5, 0.0][:n_classes] if gamma == "by class" else gamma
    clf = FocalHistGradientBoostingClassifier(gamma, alpha, calibration="full", class_weight={1: 2.0}, **FEW)
    clf.fit(np.zeros((len(y), 2)), y, w)
    shares = np.bincount(y, w) / w.sum()
    assert_allclose(clf.predict_proba(np.zeros((1, 2)))[0], shares, rtol=1e-6)
    # The weights of the classes are in what "focus" gives; both forms of them make class 1 weigh more.
    assert clf.set_params(calibration="focus").predict_proba(np.zeros((1, 2)))[0, 1] > 1.05 * shares[1]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("max_step", [None, 1.0, 0.3])
@pytest.mark.parametrize("l2", [0.0, 5.0])
def test_a_leaf_is_the_bounded_newton_step_on_the_scale_of_log_loss(n_classes, max_step, l2):
    rng = np.random.default_rng(1)
    x = rng.integers(2, size=3000)
    y = np.where(rng.random(3000) < 0.02 + 0.3 * x, rng.integers(1, n_classes, size=3000), 0)
    w = rng.uniform(0.5, 2.0, 3000)
    clf = FocalHistGradientBoostingClassifier(
        2.0, max_step=max_step, max_iter=1, learning_rate=1.0, l2_regularization=l2, early_stopping=False
    )
    clf.fit(x[:, np.newaxis], y, w)
    loss = FocalLoss(2.0)
    start = np.atleast_1d(loss.fit_intercept_only(y, w))
    start = start if n_classes == 2 else start - start.mean()
    scores = np.full(3000, start[0]) if n_classes == 2 else np.tile(start, (3000, 1))
    gradient, hessian = loss.gradient_hessian(y, scores, w)
    if max_step is not None:
        assert (np.abs(gradient) / max_step > hessian).any()
        hessian = np.maximum(hessian, np.abs(gradient) / max_step)
    else:
        hessian = np.maximum(hessian, 1e-16)
    scale = loss.log_loss_scale(y, w)
    assert scale != 1.0
    for side in (0, 1):
        rows = x == side
        step = -gradient[rows].sum(axis=0) / (hessian[rows].sum(axis=0) + l2 / scale)
        raw = clf.decision_function([[side]])[0]
        assert_allclose(raw, (start + step)[0] if n_classes == 2 else start + step, rtol=2e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_undo_what_calibration_says(n_classes, imbalanced):
    X, y = imbalanced
    y = three_classes(X, y) if n_classes == 3 else y
    clf = FocalHistGradientBoostingClassifier(1.5, "balanced", class_weight={1: 2.0}, **FEW).fit(X, y)
    raw = clf.decision_function(X)
    alpha = len(y) / (n_classes * np.bincount(y))  # of the rows alone: class_weight counts besides
    assert_allclose(clf.class_weights_, alpha * np.array([1.0, 2.0, 1.0])[:n_classes], rtol=1e-12)
    for calibration, loss in {
        "focus": FocalLoss(1.5),
        "full": FocalLoss(1.5, tuple(clf.class_weights_)),
        None: FocalLoss(1.5),
    }.items():
        clf.set_params(calibration=calibration)
        expected = loss.predict_proba(raw, calibration)
        assert_allclose(clf.predict_proba(X), expected, rtol=1e-12)
        assert_allclose(clf.predict_log_proba(X), np.log(expected), rtol=1e-9, atol=1e-12)
        for scores, proba, labels in zip(
            clf.staged_decision_function(X), clf.staged_predict_proba(X), clf.staged_predict(X)
        ):
            assert_allclose(proba, loss.predict_proba(scores, calibration), rtol=1e-12)
            assert_array_equal(labels, scores > 0 if n_classes == 2 else scores.argmax(axis=1))
        assert_array_equal(scores, raw)
        assert_array_equal(proba, clf.predict_proba(X))
        assert_array_equal(labels, clf.predict(X))
    # "full" gives probabilities in the training population; predict follows the scores all the same.
    full = clf.set_params(calibration="full").predict_proba(X)
    focus, share = clf.set_params(calibration="focus").predict_proba(X), np.bincount(y) / len(y)
    assert np.abs(full.mean(axis=0) - share).max() < 0.5 * np.abs(focus.mean(axis=0) - share).max()
    assert (full.argmax(axis=1) != clf.predict(X)).any()


def test_stages_are_the_models_of_fewer_rounds(problem):
    X, y, w = problem
    clf = FocalHistGradientBoostingClassifier(1.0, "balanced", max_iter=4).fit(X, y, w)
    stages = clf.staged_decision_function(X), clf.staged_predict_proba(X), clf.staged_predict(X)
    for rounds, stage in enumerate(zip(*stages, strict=True), start=1):
        fewer = clone(clf).set_params(max_iter=rounds).fit(X, y, w)
        for staged, whole in zip(stage, (fewer.decision_function(X), fewer.predict_proba(X), fewer.predict(X))):
            assert_array_equal(staged, whole)


def test_monotone_scores_and_probabilities(imbalanced):
    X, y = imbalanced
    clf = FocalHistGradientBoostingClassifier(2.0, monotonic_cst=[0, 1, -1] + [0] * 5, **FEW).fit(X, y)
    line = np.linspace(-4, 4, 60)
    for feature, sign in ((1, 1), (2, -1)):
        for row in X[:10]:
            grid = np.tile(row, (60, 1))
            grid[:, feature] = line
            assert (sign * np.diff(clf.decision_function(grid)) >= 0).all()
            assert (sign * np.diff(clf.predict_proba(grid)[:, 1]) >= 0).all()
    with pytest.raises(ValueError, match="monotonic constraints are not supported for multiclass"):
        FocalHistGradientBoostingClassifier(monotonic_cst=[1] + [0] * 7).fit(X, three_classes(X, y))


def test_features_that_may_not_interact(imbalanced):
    X, y = imbalanced
    clf = FocalHistGradientBoostingClassifier(2.0, interaction_cst="no_interactions", **FEW).fit(X, y)
    # A sum of functions of one feature each: mixed differences vanish.
    rng = np.random.default_rng(0)
    a, b = X[rng.permutation(len(X))[:50]], X[rng.permutation(len(X))[:50]]
    both, one, other = a.copy(), a.copy(), a.copy()
    both[:, :4] = b[:, :4]
    one[:, :2], other[:, 2:4] = b[:, :2], b[:, 2:4]
    f = clf.decision_function
    assert_allclose(f(both) + f(a), f(one) + f(other), atol=1e-9)
    assert np.ptp(f(both)) > 0.1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_categories_of_data_frames(library, imbalanced):
    module = pytest.importorskip(library)
    X, y = imbalanced
    names = np.array(["red", "green", "blue", "grey"])[np.random.default_rng(0).integers(4, size=len(y))]
    y = y ^ (names == "blue")
    dtype = "category" if library == "pandas" else module.Categorical
    frame = module.DataFrame({"x": X[:, 0], "color": module.Series("color", names) if library == "polars" else names})
    frame = (
        frame.astype({"color": dtype}) if library == "pandas" else frame.with_columns(module.col("color").cast(dtype))
    )
    clf = FocalHistGradientBoostingClassifier(2.0, **FEW).fit(frame, y)
    assert_array_equal(clf.is_categorical_, [False, True])
    assert clf.score(frame, y) > 0.9
    parent = HistGradientBoostingClassifier(**FEW).fit(frame, y)
    ours = FocalHistGradientBoostingClassifier(0.0, max_step=None, l2_regularization=0.0, **FEW).fit(frame, y)
    assert_array_equal(ours.decision_function(frame), parent.decision_function(frame))


def test_missing_values_tell(imbalanced):
    X, y = imbalanced
    X = np.where((np.arange(X.shape[1]) == 3) & (y == 1)[:, np.newaxis], np.nan, X)
    clf = FocalHistGradientBoostingClassifier(2.0, max_iter=30).fit(X, y)
    assert clf.score(X, y) == 1.0


def test_float32_is_as_good_as_float64(problem):
    X, y, w = problem
    X = X.astype(np.float32)
    clf = FocalHistGradientBoostingClassifier(2.0, **FEW)
    scores = clf.fit(X, y, w.astype(np.float32)).decision_function(X)
    again = clf.fit(X.astype(np.float64), y, w.astype(np.float32).astype(float)).decision_function(X)
    assert_array_equal(scores, again)
    assert scores.dtype == np.float64


@pytest.mark.parametrize("labels", [["a", "b", "c"], [9, -3, 4], [True, False, None], [2.0, 1.0, 0.0]])
def test_labels_of_any_kind(labels, problem):
    X, y, _ = problem
    if labels[2] is None and y.max() == 2:
        labels = ["True", "False", "maybe"]
    labels = np.array(labels[: y.max() + 1])
    order = np.argsort(labels)
    parameters = {"class_weight": {labels[0].item(): 2.0}} | FEW
    clf = FocalHistGradientBoostingClassifier(2.0, {labels[1].item(): 3.0}, **parameters).fit(X, labels[y])
    assert_array_equal(clf.classes_, labels[order])
    weights = np.array([2.0, 3.0, 1.0])[: len(labels)]
    assert_allclose(clf.class_weights_ / clf.class_weights_[-1], (weights / weights[order[-1]])[order], rtol=1e-12)
    rank = np.argsort(order)
    plain = FocalHistGradientBoostingClassifier(
        2.0, {rank[1].item(): 3.0}, class_weight={rank[0].item(): 2.0}, **FEW
    ).fit(X, rank[y])
    assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert_array_equal(clf.predict(X), labels[order][plain.predict(X)])


def test_signature_is_the_parents_with_the_focal_parameters_first():
    ours = inspect.signature(FocalHistGradientBoostingClassifier).parameters
    parent = dict(inspect.signature(HistGradientBoostingClassifier).parameters)
    assert list(ours)[:4] == ["focal_gamma", "focal_alpha", "max_step", "calibration"]
    assert [p.default for p in list(ours.values())[:4]] == [0.5, None, 4.0, "focus"]
    assert [p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD] == ["focal_gamma", "focal_alpha"]
    del parent["loss"]
    rest = {name: p.default for name, p in list(ours.items())[4:]}
    # A parameter that is missing here came with a new scikit-learn, and belongs into the constructor.
    assert rest == {**{name: p.default for name, p in parent.items()}, "l2_regularization": 1.0}
    assert set(FocalHistGradientBoostingClassifier().get_params()) == set(ours)
    assert inspect.signature(FocalHistGradientBoostingClassifier.fit).parameters.keys() >= (
        inspect.signature(HistGradientBoostingClassifier.fit).parameters.keys()
    )
    shown = repr(FocalHistGradientBoostingClassifier(1.0, max_iter=7))
    assert shown == "FocalHistGradientBoostingClassifier(focal_gamma=1.0, max_iter=7)"


@pytest.mark.parametrize("name", ["loss", "gamma", "alpha"])
def test_parameters_that_others_stand_for(name):
    message = rf"{name} must not be given to FocalHistGradientBoostingClassifier: .*focal_gamma|focal_alpha"
    with pytest.raises(TypeError, match=message):
        FocalHistGradientBoostingClassifier(**{name: "log_loss"})
    with pytest.raises(TypeError, match=message):
        FocalHistGradientBoostingClassifier().set_params(**{name: "log_loss"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_estimators'"):
        FocalHistGradientBoostingClassifier(n_estimators=3)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"focal_gamma": -1.0}, ValueError, "focal_gamma must be a number >= 0 or one per class, got -1.0"),
        ({"focal_gamma": "log_loss"}, TypeError, "focal_gamma must be a number >= 0 or one per class, got 'log_loss'"),
        ({"focal_alpha": "equal"}, ValueError, "focal_alpha must be 'balanced' or 'effective' if it is a string"),
        ({"max_step": 0.0}, ValueError, "max_step must be None or a number > 0, got 0.0"),
        ({"calibration": "sigmoid"}, ValueError, "calibration must be 'focus', 'full' or None, got 'sigmoid'"),
        ({"class_weight": {"fraud": 2.0}}, ValueError, "class_weight must be None, 'balanced' or a dict of labels"),
        ({"learning_rate": -0.1}, ValueError, "'learning_rate' parameter"),
    ],
)
def test_bad_parameters(parameters, error, message, imbalanced):
    clf = FocalHistGradientBoostingClassifier(**parameters)
    with pytest.raises(error, match=message):
        clf.fit(*imbalanced)
    assert not hasattr(clf, "classes_")


def test_pickles_hold_no_training_rows_nor_private_classes(problem):
    X, y, w = problem
    clf = FocalHistGradientBoostingClassifier(2.0, "balanced", early_stopping=True, **FEW).fit(X, y, w)
    dump = pickle.dumps(clf)
    assert b"skfocal.ensemble._" not in dump
    assert b"TrainingLoss" not in dump
    assert not [name for name, value in vars(clf).items() if np.shape(value)[:1] == (len(y),)]


def test_partial_dependence_is_of_the_scores(imbalanced):
    X, y = imbalanced
    clf = FocalHistGradientBoostingClassifier(2.0, **FEW).fit(X, y)
    by_trees = partial_dependence(clf, X, [1], method="recursion", kind="average", grid_resolution=8)
    by_rows = partial_dependence(
        clf, X, [1], method="brute", kind="average", response_method="decision_function", grid_resolution=8
    )
    trend = np.corrcoef(by_trees["average"][0], by_rows["average"][0])[0, 1]
    assert trend > 0.95


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("parameters", [{}, {"class_weight": "balanced"}], ids=str)
def test_a_class_without_weight_keeps_its_place(n_classes, parameters, imbalanced):
    X, y = imbalanced
    y = three_classes(X, y) if n_classes == 3 else y
    weight = np.where(y == n_classes - 1, 0.0, 1.0)
    parent = HistGradientBoostingClassifier(**FEW, **parameters).fit(X, y, weight)
    ours = FocalHistGradientBoostingClassifier(
        0.0, max_step=None, **{"l2_regularization": 0.0, **FEW, **parameters}
    ).fit(X, y, weight)
    assert_array_equal(ours.decision_function(X), parent.decision_function(X))
    for gamma, alpha in ((0.0, "balanced"), (0.5, None), (2.0, "balanced"), (2.0, None)):
        clf = FocalHistGradientBoostingClassifier(gamma, alpha, **FEW, **parameters).fit(X, y, weight)
        assert_array_equal(clf.classes_, np.arange(n_classes))
        assert clf.predict_proba(X)[:, -1].max() < 1e-11
        assert set(clf.predict(X)) == set(range(n_classes - 1))


def test_bagging_of_a_rare_class(imbalanced):
    # Rows that are not drawn weigh nothing. If that are both rows of a class, it stays known.
    X, y = imbalanced
    y = (np.cumsum(y) <= 2) & (y == 1)
    bag = BaggingClassifier(FocalHistGradientBoostingClassifier(max_iter=2), n_estimators=12, random_state=0).fit(X, y)
    drawn = [y[rows].sum() for rows in bag.estimators_samples_]
    assert min(drawn) == 0
    for clf, n_drawn in zip(bag.estimators_, drawn):
        assert_array_equal(clf.classes_, [0, 1])
        assert (clf.predict_proba(X)[:, 1].max() < 1e-11) == (n_drawn == 0)
