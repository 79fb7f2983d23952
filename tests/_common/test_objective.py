"""What the objectives of both boosters share."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal._common.objective import FocalObjectiveBase

N = 50


@pytest.fixture(params=["lightgbm", "xgboost"])
def objective(request):
    return pytest.importorskip(f"skfocal.{request.param}", exc_type=ImportError).FocalObjective


def drawn(n_classes, dtype, seed):
    rng = np.random.default_rng(seed)
    shape = N if n_classes == 2 else (N, n_classes)
    return rng.integers(n_classes, size=N).astype(np.float32), rng.normal(size=shape).astype(dtype), rng.random(N)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_rounds_of_one_training_are_those_of_many(objective, n_classes, dtype, weighted):
    y, _, weight = drawn(n_classes, dtype, 0)
    of_one = objective(1.5)
    of_one.one_training = True
    for seed in range(1, 4):
        raw = drawn(n_classes, dtype, seed)[1]
        arguments = (y, raw, weight) if weighted else (y, raw)
        results = of_one(*arguments)
        for result, expected in zip(results, objective(1.5)(*arguments), strict=True):
            assert_array_equal(result, expected, strict=True)
    if dtype == objective._dtype or objective._dtype is None:  # the dtype of the library's scores
        assert all(a is b for a, b in zip(of_one(*arguments), results, strict=True))  # the arrays are filled again


def test_rounds_that_are_not_alike_are_computed_anew(objective):
    y, raw, weight = drawn(2, np.float32, 0)
    of_one = objective(1.5)
    of_one.one_training = True
    of_one(y, raw, weight)
    for again in (raw.astype(np.float64), raw.reshape(-1, 1), raw.tolist(), raw[:9]):
        n = len(again)
        for result, expected in zip(of_one(y[:n], again, weight[:n]), objective(1.5)(y[:n], again, weight[:n])):
            assert_array_equal(result, expected)


def test_a_column_of_scores_is_one_score_per_row(objective):
    y, raw, _ = drawn(2, np.float32, 0)
    for result, expected in zip(objective()(y, raw[:, np.newaxis]), objective()(y, raw), strict=True):
        assert_array_equal(result, expected, strict=True)


def test_equal_objectives_have_equal_hashes(objective):
    assert len({objective(1.0), objective(1.0), objective(2.0), objective(1.0, scale=2.0)}) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"gamma": -1}, ValueError, "^gamma must"),
        ({"gamma": "1"}, TypeError, "^gamma must"),
        ({"scale": "1"}, TypeError, "^scale must be a number > 0, got '1'$"),
        ({"scale": 0.0}, ValueError, "^scale must be a number > 0, got 0.0$"),
        ({"n_threads": 1.5}, TypeError, "^n_threads must be an integer >= 1, got 1.5$"),
        ({"n_threads": True}, TypeError, "^n_threads must be an integer >= 1, got True$"),
        ({"n_threads": 0}, ValueError, "^n_threads must be an integer >= 1, got 0$"),
    ],
    ids=str,
)
def test_wrong_arguments(objective, arguments, error, message):
    with pytest.raises(error, match=message):
        objective(**arguments)


def test_the_factor_of_the_hessian_is_the_librarys():
    with pytest.raises(TypeError, match="hessian_factor"):
        FocalObjectiveBase()
