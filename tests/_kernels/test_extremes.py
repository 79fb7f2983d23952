"""K scores as large as the type allows, weights of 0, and equal scores."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfocal import _kernels
from skfocal._kernels import softmax


@pytest.fixture(params=["C", "NumPy"], autouse=True)
def code(request, monkeypatch):
    if request.param == "C":
        request.getfixturevalue("compiled")
    else:
        monkeypatch.setattr(_kernels, "compiled", None)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.3, 20.0])
def test_the_largest_scores_of_several_classes_do_not_overflow(gamma, dtype):
    m = np.finfo(dtype).max
    # Class 0 is surely wrong, by m and by 2*m, surely right by 2*m, and 1 of 2 equals.
    Z, y = np.array([[-m, 0, -m], [-m, m, -m], [m, -m, -m], [m, m, -m]], dtype), np.zeros(4, dtype=np.intp)
    weight = np.array([0.5, 10.0, 10.0, 1.0], dtype)
    half = 0.5**gamma
    with np.errstate(all="raise", under="ignore"):
        loss, gradient = softmax.loss_gradient(Z, y, weight, gamma)
        alone = softmax.loss(Z, y, weight, gamma)
        first, second = softmax.gradient_hessian(Z, y, weight, gamma)
        product = softmax.hessian_product(Z, y, weight, gamma, np.tile(np.array([1, 2, 4], dtype), (4, 1)))
        matrix = softmax.hessian_matrix(Z, y, weight, gamma)
    # The margin times the weight, or the largest number if that is beyond it. At 1 of 2 equals -log p is log 2.
    assert_allclose(loss, [m / 2, m, 0.0, half * np.log(2)], rtol=1e-6)
    assert_array_equal(alone, loss)
    slope = half * (1 + gamma * np.log(2)) / 2
    expected = [[-0.5, 0.5, 0.0], [-10.0, 10.0, 0.0], [0.0, 0.0, 0.0], [-slope, slope, 0.0]]
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-24)
    assert_allclose(first, expected, rtol=1e-6, atol=1e-24)
    curvature = half * ((1 + 2 * gamma) / 2 - gamma * np.log(2) * (1 - gamma) / 2) / 2
    h = np.zeros((4, 3, 3))
    h[3, :2, :2] = curvature * np.array([[1, -1], [-1, 1]])
    assert_allclose(second, h.diagonal(axis1=1, axis2=2), rtol=1e-5, atol=1e-24)
    assert_allclose(matrix, h, rtol=1e-5, atol=1e-24)
    assert_allclose(product, h @ [1, 2, 4], rtol=1e-5, atol=1e-24)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [0.0, 1.3])
def test_a_row_without_weight_has_no_loss_at_the_largest_scores(gamma, dtype):
    m = np.finfo(dtype).max
    Z, y, weight = np.array([[-m, m], [m, 0], [0, m]], dtype), np.array([0, 1, 0]), np.zeros(3, dtype)
    with np.errstate(all="raise", under="ignore"):
        loss, gradient = softmax.loss_gradient(Z, y, weight, gamma)
        results = [loss, gradient, softmax.loss(Z, y, weight, gamma), *softmax.gradient_hessian(Z, y, weight, gamma)]
    for result in results:
        assert_array_equal(result, np.zeros_like(result))


def test_at_gamma_zero_the_hessian_of_a_row_is_the_same_for_either_true_class():
    # p*(1-p) in both cases, to the last bit: otherwise rounding errors decide between splits that are tied. Where a
    # wrong class has more than 3/4, 1 - p is computed from the other classes instead.
    z = np.linspace(-1.09, 1.09, 301)
    Z = np.stack([np.zeros_like(z), z], axis=1)
    of_class_0, of_class_1 = (softmax.gradient_hessian(Z, np.full(301, k), None, 0.0)[1] for k in (0, 1))
    assert_array_equal(of_class_0, of_class_1)
