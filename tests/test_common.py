"""What all three estimators must do alike: scikit-learn's checks and its tools."""

import copy
import importlib
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

import skfocal
from skfocal._common.labels import encode_labels, index_labels
from skfocal.ensemble import FocalHistGradientBoostingClassifier
from skfocal.linear_model import FocalLogisticRegression, FocalLogisticRegressionCV
from skfocal.metrics import neg_focal_loss_scorer

ESTIMATORS = [FocalLogisticRegression, FocalLogisticRegressionCV, FocalHistGradientBoostingClassifier]
FAST = {
    FocalLogisticRegression: {},
    # Its `score` is by its scoring; these tests expect accuracy of `score`, as of any classifier.
    FocalLogisticRegressionCV: {"Cs": [0.1, 1.0], "cv": 2, "scoring": "accuracy"},
    FocalHistGradientBoostingClassifier: {"max_iter": 10},
}
CHECKED = {FocalLogisticRegressionCV: {"focal_gammas": [0.0, 2.0], "Cs": 4}}
"""What scikit-learn's checks are run with: 8 candidates instead of 40, from the same least to the same largest C."""
GAMMA = {FocalLogisticRegressionCV: "focal_gammas"}
"""Name of the parameter where it isn't ``focal_gamma``: it takes the candidates for gamma."""
for module, name, library, fast in (
    ("skfocal.lightgbm", "FocalLGBMClassifier", "lightgbm", {"n_estimators": 10, "verbosity": -1, "n_jobs": 1}),
    ("skfocal.xgboost", "FocalXGBClassifier", "xgboost", {"n_estimators": 10, "n_jobs": 1}),
):
    try:
        importlib.import_module(library)
    except ImportError:
        # The environment "core" has no booster: then the module says so, and how to get one.
        with pytest.raises(ImportError, match=rf"skfocal\[{library}\]"):
            importlib.import_module(module)
        continue
    estimator = getattr(importlib.import_module(module), name)
    ESTIMATORS.append(estimator)
    FAST[estimator] = fast

each = pytest.mark.parametrize("cls", ESTIMATORS)


def fast(cls, *args, **kwargs):
    return cls(*(candidate(cls, gamma) for gamma in args[:1]), *args[1:], **FAST[cls], **kwargs)


def candidate(cls, gamma):
    """The first parameter for one gamma: that, or a list of candidates."""
    return [gamma] if cls in GAMMA else gamma


def every_check():
    """All of scikit-learn's checks of all estimators, at default parameters but for ``CHECKED``.

    Nothing is expected to fail.
    ``parametrize_with_checks`` of scikit-learn 1.6 gives several checks the same name, which pytest refuses.
    """
    checks = [pair for cls in ESTIMATORS for pair in estimator_checks_generator(cls(**CHECKED.get(cls, {})))]
    return [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{i}-{getattr(check, 'func', check).__name__}")
        for i, (estimator, check) in enumerate(checks)
    ]


@pytest.mark.parametrize(
    "labels",
    [
        [3, 3, 1, 2, 1] * 4,
        [-128, 127] * 300,
        [7, 9, 9, -4] * 20,
        [2**63, 2**64 - 1] * 5,
        [-(2**63), 2**63 - 1] * 5,
        [True, False, False],
        [True, False] * 9,
        [0, 1],
        [1.0, 2.0] * 9,
        [-3.0, 5.0, 0.0] * 9,
        [2.0**24, 2.0**24 + 2, 0.0],
        [2.0**24, 2.0**24 - 1.0, 2.0**24 - 4.0] * 9,
        [2.0**60, 0.0] * 9,
        ["b", "a"] * 9,
    ],
    ids=lambda labels: str(labels[:4]),
)
def test_labels_are_encoded_as_by_numpy(labels):
    y, objects = np.array(labels), np.array(labels, dtype=object)
    with np.errstate(over="ignore"):
        kinds = [
            t
            for t in {"i": "bBhHiIlL", "u": "bBhHiIlL", "f": "efd"}.get(y.dtype.kind, "")
            if (y.astype(t).astype(object) == objects).all()
        ]
    for a in (y, *(y.astype(t) for t in kinds)):
        classes, indices = encode_labels(a)
        expected = np.unique(a, return_inverse=True)
        assert_array_equal(classes, expected[0], strict=True)
        assert_array_equal(indices, expected[1].astype(np.intp), strict=True)
        assert not np.shares_memory(indices, a)
        shuffled = classes[::-1].copy()
        found = index_labels(a, shuffled, "y")
        assert_array_equal(shuffled[found], a, strict=True)
        assert not np.shares_memory(found, a)
        for b in (classes[:1], a[:0]):
            assert_array_equal(index_labels(b, classes, "y"), np.arange(b.shape[0]), strict=True)


# The inputs of scikit-learn's checks make the libraries warn: sparse formats that they convert, features without names,
# and for the splitter of FocalLogisticRegressionCV classes with fewer rows than folds.
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix")
@pytest.mark.filterwarnings("ignore:Unknown data type.*trying to convert it to csr_matrix")
@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix for nan or inf")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:The least populated class in y has only")
@pytest.mark.parametrize(("estimator", "check"), every_check())
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@each
def test_gamma_changes_predictions(cls, imbalanced):
    X, y = imbalanced
    scores = [fast(cls, gamma).fit(X, y).decision_function(X) for gamma in (0.0, 2.0)]
    assert np.abs(scores[0] - scores[1]).max() > 0.05


@each
@pytest.mark.parametrize("n_classes", [2, 3])
def test_copies_predict_the_same(cls, n_classes, imbalanced, tmp_path):
    X, y = imbalanced
    y = np.array(["no", "yes", "maybe"])[np.where(X[:, 0] > 1.5, 2, y) if n_classes == 3 else y]
    clf = fast(cls, 1.5, "balanced").fit(X, y)
    joblib.dump(clf, tmp_path / "model.joblib")
    copies = [pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), joblib.load(tmp_path / "model.joblib")]
    for other in copies:
        assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
        assert_array_equal(other.predict(X), clf.predict(X))
    fresh = clone(clf)
    assert fresh.get_params() == clf.get_params()
    assert fresh.get_params()["focal_alpha"] == "balanced"
    assert_array_equal(fresh.fit(X, y).predict_proba(X), clf.predict_proba(X))
    assert_array_equal(clf.classes_, np.unique(y))
    assert_array_equal(clf.classes_[clf.predict_proba(X).argmax(axis=1)], clf.predict(X))
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)


@each
def test_html_links_to_the_api_page(cls, monkeypatch):
    from email.message import Message

    package = Message()
    monkeypatch.setattr("skfocal._common.classifier.metadata", lambda name: package)
    assert fast(cls)._get_doc_link() == ""  # no address is known, none is made up
    package["Project-URL"] = "Documentation, https://docs.example/skfocal/"
    page = f"https://docs.example/skfocal/generated/{cls.__module__}.{cls.__name__}.html"
    assert f'href="{page}"' in fast(cls)._repr_html_()


@each
def test_grid_search_in_a_pipeline(cls, imbalanced):
    X, y = imbalanced
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.02, np.nan, X)
    pipeline = Pipeline([("impute", SimpleImputer()), ("clf", fast(cls))])
    gammas = [candidate(cls, gamma) for gamma in (0.0, 1.0, 2.0)]
    grid = {f"clf__{GAMMA.get(cls, 'focal_gamma')}": gammas, "clf__focal_alpha": [None, "balanced"]}
    search = GridSearchCV(pipeline, grid, scoring="average_precision", cv=3, n_jobs=2).fit(X, y)
    assert len(np.unique(search.cv_results_["mean_test_score"].round(12))) > 3
    assert 0.3 < search.best_score_ <= 1
    by_loss = GridSearchCV(pipeline, grid, scoring=neg_focal_loss_scorer, cv=3, error_score="raise").fit(X, y)
    assert by_loss.best_score_ < 0


@each
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_meta_estimators(cls, imbalanced):
    X, y = imbalanced
    labels = np.array(["no", "yes"])[y]
    vote = VotingClassifier([("a", fast(cls, 0.0)), ("b", fast(cls, 2.0))], voting="soft").fit(X, labels)
    assert vote.score(X, labels) > 0.9
    calibrated = CalibratedClassifierCV(fast(cls), cv=3).fit(X, labels)
    assert calibrated.predict_proba(X).shape == (len(y), 2)
    tuned = TunedThresholdClassifierCV(fast(cls), scoring="balanced_accuracy", cv=3).fit(X, labels)
    assert set(tuned.predict(X)) == {"no", "yes"}
    assert make_pipeline(fast(cls)).fit(X, labels).score(X, labels) > 0.9


@each
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(cls, library, imbalanced):
    module = pytest.importorskip(library)
    X, y = imbalanced
    names = [f"c{i}" for i in range(X.shape[1])]
    frame = module.DataFrame({name: X[:, i] for i, name in enumerate(names)})
    target = module.Series("y", y) if library == "polars" else module.Series(y, name="y")
    clf = fast(cls).fit(frame, target)
    assert_array_equal(clf.feature_names_in_, names)
    assert_allclose(clf.predict_proba(frame), fast(cls).fit(X, y).predict_proba(X), atol=1e-6)


@each
def test_sample_weight_is_routed(cls, imbalanced):
    X, y = imbalanced
    w = np.where(np.arange(len(y)) % 2, 1.0, 3.0)
    with config_context(enable_metadata_routing=True):
        clf = fast(cls).set_fit_request(sample_weight=True)
        if cls in GAMMA:  # which is a consumer of its own
            clf.set_params(scoring=get_scorer("accuracy").set_score_request(sample_weight=True))
        pipeline = make_pipeline(clf)
        routed = pipeline.fit(X, y, sample_weight=w)
        scorer = neg_focal_loss_scorer.set_score_request(sample_weight=True)
        result = cross_validate(pipeline, X, y, params={"sample_weight": w}, scoring=scorer, cv=3)
    assert_array_equal(routed.predict_proba(X), fast(cls).fit(X, y, sample_weight=w).predict_proba(X))
    assert not np.allclose(routed.predict_proba(X), fast(cls).fit(X, y).predict_proba(X))
    assert (result["test_score"] < 0).all()


@pytest.mark.parametrize("cls", [cls for cls in ESTIMATORS if "class_weight" in cls().get_params()])
@pytest.mark.parametrize("calibration", ["focus", "full", None])
def test_a_class_weight_of_zero_is_a_sample_weight_of_zero(cls, calibration, imbalanced):
    X, y = imbalanced
    by_class = fast(cls, class_weight={1: 0.0, 0: 2.0}, calibration=calibration).fit(X, y)
    by_row = fast(cls, class_weight={0: 2.0}, calibration=calibration).fit(X, y, sample_weight=(y == 0).astype(float))
    assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), rtol=1e-12)
    assert by_class.predict_proba(X)[:, 1].max() < 0.01
    with pytest.raises(ValueError, match="class_weight must have numbers >= 0 as values, not all of them 0"):
        fast(cls, class_weight={0: 0.0, 1: 0.0}).fit(X, y)


@each
def test_bad_data(cls, imbalanced):
    X, y = imbalanced
    clf = fast(cls)
    with pytest.raises(ValueError, match="y must hold at least two classes, got one class: 1"):
        clf.fit(X, np.ones(len(y), dtype=int))
    with pytest.raises(ValueError, match=r"(?i)y|sample"):
        clf.fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        clf.fit(X, np.where(y == 1, np.nan, 0.0))
    with pytest.raises(ValueError, match="sample_weight must hold at least one number > 0"):
        clf.fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        clf.fit(X, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        clf.fit(X, y, sample_weight=np.where(y == 1, -1.0, 1.0))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, y[:-1])
    three = np.where(X[:, 0] > 1.5, 2, y)
    with pytest.raises(ValueError, match=r"focal_alpha must be .* a single number is for two classes"):
        fast(cls, 2.0, 0.25).fit(X, three)
    with pytest.raises(ValueError, match="focal_gamma must be a number or one per class: got 2 entries for 3"):
        fast(cls, [1.0, 2.0]).fit(X, three)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 8 features"):
        clf.fit(X, y).predict(X[:, :3])


def test_version_of_the_package_is_the_one_installed():
    from importlib.metadata import version

    assert version("skfocal") == skfocal.__version__
