"""The private names of LightGBM that are used: that they are there."""

import pickle

import numpy as np
import pytest

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

from skfocal.lightgbm import FocalLGBMClassifier  # noqa: E402
from skfocal.lightgbm._interrupts import BoosterInTraining  # noqa: E402

# LightGBM 4.6 warns so itself when it predicts an array.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

QUIET = {"verbosity": -1, "n_estimators": 5, "n_jobs": 1}


def test_the_private_names_of_lightgbm_that_are_used_are_there():
    """Each is reached from one place; if one is gone, what its comment there says has to be looked at."""
    X, y = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 2
    booster = lgb.train({"verbosity": -1}, lgb.Dataset(X, y), 1)
    assert hasattr(booster, "_Booster__set_objective_to_none"), "skfocal/lightgbm/_start.py: the flag has another name"
    assert hasattr(booster, "_handle"), "skfocal/lightgbm/_interrupts.py: an interrupt at the end of a fit may crash"
    asked = []

    class Asked(lgb.LGBMClassifier):
        def _process_params(self, stage):
            asked.append(stage)
            return super()._process_params(stage)

    model = Asked(**QUIET).fit(X, y)
    model.predict(X)
    assert asked == ["fit", "predict"], "skfocal/lightgbm/_classifier.py: LightGBM collects parameters elsewhere"
    for name in (
        "_objective",
        "_classes",
        "_n_classes",
        "_class_map",
        "_le",
        "_class_weight",
        "_Booster",
        "_other_params",
    ):
        assert hasattr(model, name), f"skfocal/lightgbm/_classifier.py sets {name}, which LightGBM no longer has"


def test_the_model_of_a_booster_in_training_is_replaced_as_by_lightgbm():
    X, y = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
    few, more = (lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(X, y), n) for n in (2, 5))
    expected = few.__deepcopy__().model_from_string(more.model_to_string())
    few.__class__ = BoosterInTraining
    assert few.model_from_string(more.model_to_string()) is few
    assert few.model_to_string() == expected.model_to_string()
    assert few.num_trees() == 5
    np.testing.assert_array_equal(few.predict(X), more.predict(X))
    copied = pickle.loads(pickle.dumps(few))
    assert type(copied) is lgb.Booster
    np.testing.assert_array_equal(copied.predict(X), more.predict(X))


def test_a_fit_ends_with_lightgbms_own_booster():
    X, y = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
    seen = []
    clf = FocalLGBMClassifier(**QUIET).fit(X, y, callbacks=[lambda env: seen.append(type(env.model))])
    assert set(seen) == {BoosterInTraining}
    assert type(clf.booster_) is lgb.Booster


def test_categories_are_those_of_the_models_text(imbalanced):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    frame["a"] = pd.Categorical(np.where(X[:, 0] > 0, "p", "q"))
    ours, theirs = (model(**QUIET).fit(frame, y) for model in (FocalLGBMClassifier, lgb.LGBMClassifier))
    assert ours.booster_.pandas_categorical == theirs.booster_.pandas_categorical == [["p", "q"]]
