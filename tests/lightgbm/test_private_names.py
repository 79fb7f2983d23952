"""The private names of LightGBM that are used: that they are there."""

import numpy as np
import pytest

lgb = pytest.importorskip("lightgbm", exc_type=ImportError)

# LightGBM 4.6 warns so itself when it predicts an array.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

QUIET = {"verbosity": -1, "n_estimators": 5, "n_jobs": 1}


def test_the_private_names_of_lightgbm_that_are_used_are_there():
    """Each is reached from one place; if one is gone, what its comment there says has to be looked at."""
    X, y = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 2
    booster = lgb.train({"verbosity": -1}, lgb.Dataset(X, y), 1)
    assert hasattr(booster, "_Booster__set_objective_to_none"), "skfocal/lightgbm/_start.py: the flag has another name"
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
