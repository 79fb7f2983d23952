"""Derivatives of FocalLoss against PyTorch's automatic ones of the loss as it is written down, in float64."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="needs the extra torch", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402


def by_autodiff(margin, scores, weight, gamma):
    """Loss of a row, its gradient and its Hessian matrix; ``margin`` is the logit of the true class."""

    def loss(z):
        # Not by logsigmoid or logsumexp of all: their derivatives lose the digits of a small p or q.
        u = margin(z)
        larger = -torch.log1p(torch.exp(-u.abs()))
        log_p, log_q = (larger, larger - u) if u > 0 else (larger + u, larger)
        return -weight * torch.exp(gamma * log_q) * log_p

    z = torch.tensor(scores, dtype=torch.float64)
    return (
        loss(z).item(),
        torch.autograd.functional.jacobian(loss, z).numpy(),
        torch.autograd.functional.hessian(loss, z).numpy(),
    )


@pytest.mark.parametrize("seed", range(40))
def test_one_score(seed):
    rng = np.random.default_rng(seed)
    gamma, alpha = tuple(rng.uniform(0, 8, 2)), tuple(10.0 ** rng.uniform(-5, 5, 2))
    z, y, weight = (
        rng.normal(scale=rng.choice([0.1, 3.0, 30.0]), size=12),
        rng.integers(2, size=12),
        rng.exponential(size=12),
    )
    loss = FocalLoss(gamma, alpha)
    gradient, hessian = loss.gradient_hessian(y, z, weight)
    for i, label in enumerate(y):
        sign = 2 * label - 1
        value, first, second = by_autodiff(
            lambda s, sign=sign: sign * s,
            z[i], alpha[label] * weight[i], gamma[label],
        )  # fmt: skip
        size = abs(first) + abs(value)
        assert_allclose(loss.loss(y, z, weight)[i], value, rtol=1e-11)
        assert_allclose(gradient[i], first, rtol=1e-10)
        assert_allclose(hessian[i], second, rtol=1e-8, atol=1e-12 * size)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("seed", range(15))
def test_several_scores(seed, n_classes):
    rng = np.random.default_rng(seed)
    gamma, alpha = tuple(rng.uniform(0, 8, n_classes)), tuple(10.0 ** rng.uniform(-5, 5, n_classes))
    z = rng.normal(scale=rng.choice([0.1, 3.0, 30.0]), size=(8, n_classes))
    y, weight = rng.integers(n_classes, size=8), rng.exponential(size=8)
    loss = FocalLoss(gamma, alpha)
    gradient, hessian = loss.gradient_hessian(y, z, weight)
    data = loss.on(y, n_classes, weight)
    matrices, direction = data.hessian_matrix(z), rng.normal(size=z.shape)
    products = data.hessian_product(z, direction)
    for i, label in enumerate(y):
        others = [k for k in range(n_classes) if k != label]

        def margin(s, label=label, others=others):
            return s[label] - torch.logsumexp(s[others], 0)

        value, first, second = by_autodiff(margin, z[i], alpha[label] * weight[i], gamma[label])
        # An entry of the Hessian that is far below the others has cancelled, on PyTorch's side at least.
        size = np.abs(second).max() + np.abs(first).max()
        assert_allclose(loss.loss(y, z, weight)[i], value, rtol=1e-10)
        assert_allclose(gradient[i], first, rtol=1e-9, atol=1e-12 * size)
        assert_allclose(hessian[i], np.diag(second), rtol=1e-8, atol=1e-11 * size)
        assert_allclose(matrices[i], second, rtol=1e-8, atol=1e-11 * size)
        assert_allclose(products[i], second @ direction[i], rtol=1e-8, atol=1e-10 * size)
