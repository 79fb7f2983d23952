"""The private names of XGBoost that are used: that they are there, and that training is right without them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris

xgb = pytest.importorskip("xgboost", exc_type=ImportError)

from skfocal.xgboost import FocalXGBClassifier, _booster_in_training  # noqa: E402
from skfocal.xgboost._booster_in_training import BoosterInTraining, InTraining, raw_scores  # noqa: E402

QUIET = {"n_estimators": 5, "n_jobs": 1}


class Watched(xgb.callback.TrainingCallback):
    """Calls a function of the booster after each round."""

    def __init__(self, function):
        self.function, self.results = function, []

    def after_iteration(self, model, epoch, evals_log):
        self.results.append(self.function(model))
        return False


def test_the_private_names_of_xgboost_that_are_used_are_there(imbalanced):
    asked = []

    class Asked(xgb.XGBClassifier):
        def _configure_fit(self, *args):
            asked.append("_configure_fit")
            return super()._configure_fit(*args)

        def _create_dmatrix(self, ref, **kwargs):
            asked.append("_create_dmatrix")
            return super()._create_dmatrix(ref, **kwargs)

    Asked(**QUIET).fit(*imbalanced)
    assert asked == ["_configure_fit", "_create_dmatrix"], "skfocal/xgboost/_classifier.py: fit calls other methods"
    # It is None as well if the booster has no _assign_dmatrix_features or _validate_features.
    assert _booster_in_training._LIB is not None, "skfocal/xgboost/_booster_in_training.py: training is slower"


@pytest.mark.parametrize(
    "parameters", [{}, {"booster": "dart", "rate_drop": 0.5}, {"early_stopping_rounds": 2}], ids=str
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_model_is_the_same_without_quick_rounds(monkeypatch, n_classes, parameters):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]

    def model():
        clf = FocalXGBClassifier(**{**QUIET, "random_state": 0, **parameters}).fit(
            X, y, eval_set=[(X, y)], verbose=False
        )
        return clf.get_booster().save_raw(), clf.evals_result()

    quick = model()
    monkeypatch.setattr(_booster_in_training, "_LIB", None)
    assert model() == quick


def test_several_labels_have_quick_rounds_too(monkeypatch):
    X, y = load_iris(return_X_y=True)
    Y = np.eye(3, dtype=int)[y]
    quick = FocalXGBClassifier(**QUIET).fit(X, Y).get_booster().save_raw()
    monkeypatch.setattr(_booster_in_training, "_LIB", None)
    assert FocalXGBClassifier(**QUIET).fit(X, Y).get_booster().save_raw() == quick


@pytest.mark.parametrize("n_classes", [2, 3])
def test_quick_scores_are_those_of_the_booster(n_classes):
    X, y = load_iris(return_X_y=True)
    data = xgb.DMatrix(X[y < n_classes], y[y < n_classes])
    objective = {"objective": "multi:softprob", "num_class": 3} if n_classes == 3 else {"objective": "binary:logistic"}
    booster = xgb.train(objective, data, 3)
    for rows in (data, data.slice([0, 7]), data.slice([3])):
        scores = raw_scores(booster, rows)
        assert_array_equal(scores, booster.predict(rows, output_margin=True))
        assert scores.dtype == np.float32
    before = raw_scores(booster, data)
    kept = before.copy()
    raw_scores(booster, data.slice([1]))
    assert_array_equal(before, kept)  # a copy of XGBoost's memory


def test_a_callback_sees_a_booster_like_any_other(imbalanced):
    X, y = imbalanced
    data = xgb.DMatrix(X)

    def look(model):
        same = [
            np.array_equal(model.predict(data, **options), xgb.Booster.predict(model, data, **options))
            for options in ({}, {"output_margin": True}, {"pred_leaf": True}, {"iteration_range": (0, 1)})
        ]
        copies = pickle.loads(pickle.dumps(model)), model.copy(), model[:1]
        assert model.get_dump() == copies[0].get_dump()
        return isinstance(model, xgb.Booster), type(model), same, {type(copy) for copy in copies}

    watched = Watched(look)
    clf = FocalXGBClassifier(**QUIET, callbacks=[watched]).fit(X, y)
    assert watched.results == [(True, BoosterInTraining, [True] * 4, {xgb.Booster})] * 5
    assert type(clf.get_booster()) is xgb.Booster


def test_wrong_columns_and_types_are_refused_in_training_too(imbalanced):
    X, y = imbalanced

    def refused(model):
        model.feature_names = [f"c{i}" for i in range(8)]
        with pytest.raises(ValueError, match="feature names"):
            model.predict(xgb.DMatrix(X), output_margin=True)
        model.feature_names = None
        with pytest.raises(TypeError, match="DMatrix"):
            model.predict(X, output_margin=True)
        return True

    FocalXGBClassifier(**QUIET, callbacks=[watched := Watched(refused)]).fit(X, y)
    assert watched.results == [True] * 5


def test_a_booster_of_another_class_stays_what_it_is():
    class Mine(xgb.Booster):
        pass

    callback = InTraining()
    assert type(callback.after_training(callback.before_training(Mine()))) is Mine


def test_a_round_of_the_built_in_loss_is_the_boosters_own(imbalanced):
    X, y = imbalanced
    data, models = xgb.DMatrix(X, y), []
    for cls in (xgb.Booster, BoosterInTraining):
        booster = xgb.Booster({"objective": "binary:logistic", "nthread": 1}, [data])
        booster.__class__ = cls
        for i in range(3):
            booster.update(data, i)
        models.append(booster.save_raw())
    assert models[0] == models[1]
    with pytest.raises(TypeError, match="Invalid training matrix"):
        booster.update(X, 3)
