"""PyTorch losses against FocalLoss, mpmath and PyTorch's own; one test for each known fault of published code."""

import itertools

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="needs the extra torch", exc_type=ImportError)

from torch.autograd import grad, gradcheck, gradgradcheck  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from skfocal import FocalLoss  # noqa: E402
from skfocal.torch import (  # noqa: E402
    BinaryFocalLoss,
    MulticlassFocalLoss,
    binary_focal_loss,
    multiclass_focal_loss,
    posterior,
)
from skfocal.torch._kernels import BLOCK_BYTES  # noqa: E402

BLOCK_ELEMENTS = BLOCK_BYTES // 8
GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.3, 2.0, 5.0)
MARGINS = np.r_[np.linspace(-100, 100, 401), -700.0, -300.0, 300.0, 700.0, 1e-8, -1e-8]
REDUCTIONS = ("mean", "sum", "none")
# torch.autograd.forward_ad itself calls what torch.jit deprecates.
forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def binary_derivatives(z, y, gamma, alpha, dtype):
    """Loss, gradient and Hessian of each element by one backward pass and a second one through it."""
    z = torch.tensor(z, dtype=dtype, requires_grad=True)
    loss = binary_focal_loss(z, torch.tensor(y, dtype=dtype), gamma, alpha, "none")
    (gradient,) = grad(loss.sum(), z, create_graph=True)
    (hessian,) = grad(gradient.sum(), z)
    return loss.detach().numpy(), gradient.detach().numpy(), hessian.numpy()


@pytest.mark.parametrize("gamma", [*GAMMAS, (0.5, 2.0)])
@pytest.mark.parametrize("alpha", [None, 0.25, (0.5, 3.0)])
@pytest.mark.parametrize("y", [0, 1])
def test_binary_equals_focal_loss_in_float64(gamma, alpha, y):
    labels = np.full(MARGINS.shape, y)
    expected = FocalLoss(gamma, alpha)
    loss, gradient, hessian = binary_derivatives(MARGINS, labels, gamma, alpha, torch.float64)
    expected_gradient, expected_hessian = expected.gradient_hessian(labels, MARGINS)
    tolerance = {"rtol": 1e-12, "atol": 1e-300}
    assert_allclose(loss, expected.loss(labels, MARGINS), **tolerance)
    assert_allclose(gradient, expected_gradient, **tolerance)
    assert_allclose(hessian, expected_hessian, **tolerance)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("y", [0, 1])
def test_binary_equals_focal_loss_in_float32(gamma, y):
    z = np.linspace(-100, 100, 1601).astype(np.float32)
    labels, expected = np.full(z.shape, y), FocalLoss(gamma)
    loss, gradient, hessian = binary_derivatives(z, labels, gamma, None, torch.float32)
    expected_gradient, expected_hessian = expected.gradient_hessian(labels, z.astype(np.float64))
    # Near the smallest normal float32, 1.2e-38, factors underflow.
    tolerance = {"rtol": 1e-5, "atol": 1e-35}
    assert_allclose(loss, expected.loss(labels, z.astype(np.float64)), **tolerance)
    assert_allclose(gradient, expected_gradient, **tolerance)
    # The Hessian passes 0 where its two terms cancel: there relative to the terms.
    p = 1 / (1 + np.exp(-(2.0 * y - 1) * z.astype(np.float64)))
    near_zero = np.abs(expected_hessian) < 1e-2 * (1 - p) ** gamma * p * (1 - p) * (1 + 2 * gamma)
    assert_allclose(hessian[~near_zero], expected_hessian[~near_zero], **tolerance)
    assert_allclose(hessian[near_zero], expected_hessian[near_zero], atol=1e-6)


def rows(n_classes):
    """Logits small, large and confidently wrong, with every class as the true one."""
    rng = np.random.default_rng(n_classes)
    z = np.concatenate([rng.normal(size=(4, n_classes)) * size for size in (1.0, 5.0, 30.0, 100.0)])
    z = np.concatenate([z, np.eye(n_classes) * 40.0, np.zeros((1, n_classes))])
    y = np.tile(np.arange(n_classes), len(z))
    return np.repeat(z, n_classes, axis=0), y


@pytest.mark.parametrize("gamma", [*GAMMAS, "per class"])
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_multiclass_equals_focal_loss_in_float64(gamma, n_classes):
    gamma = np.linspace(0.3, 3.0, n_classes).tolist() if gamma == "per class" else gamma
    alpha = np.linspace(0.5, 2.0, n_classes).tolist()
    z, y = rows(n_classes)
    expected = FocalLoss(gamma, alpha)
    logits = torch.tensor(z, requires_grad=True)
    loss = multiclass_focal_loss(logits, torch.tensor(y), gamma, alpha, "none")
    (gradient,) = grad(loss.sum(), logits, create_graph=True)
    hessian = torch.stack([grad(gradient[:, k].sum(), logits, retain_graph=True)[0] for k in range(n_classes)], 1)
    tolerance = {"rtol": 1e-12, "atol": 1e-250}
    assert_allclose(loss.detach().numpy(), expected.loss(y, z), **tolerance)
    assert_allclose(gradient.detach().numpy(), expected.gradient(y, z), **tolerance)
    matrix = expected.on(y, n_classes).hessian_matrix(z)
    diagonal = np.diagonal(matrix, axis1=1, axis2=2)
    assert_allclose(np.diagonal(hessian.numpy(), axis1=1, axis2=2), diagonal, **tolerance)
    size = np.sqrt(np.abs(diagonal))
    size = size[:, :, np.newaxis] * size[:, np.newaxis, :]
    error = np.abs(hessian.numpy() - matrix)
    assert (error <= 1e-12 * (np.abs(matrix) + size) + 1e-250).all()


@pytest.mark.parametrize("gamma", GAMMAS)
def test_multiclass_equals_focal_loss_in_float32(gamma):
    rng = np.random.default_rng(0)
    z, y = rng.uniform(-100, 100, size=(500, 4)).astype(np.float32), rng.integers(4, size=500)
    z[:250] /= 20.0
    expected = FocalLoss(gamma)
    logits = torch.tensor(z, requires_grad=True)
    loss = multiclass_focal_loss(logits, torch.tensor(y), gamma, reduction="none")
    (gradient,) = grad(loss.sum(), logits, create_graph=True)
    diagonal = torch.stack([grad(gradient[:, k].sum(), logits, retain_graph=True)[0][:, k] for k in range(4)], 1)
    expected_gradient, expected_diagonal = expected.gradient_hessian(y, z.astype(np.float64))
    # Rounding a difference of logits near 100 is 4e-6 of its exponential, and gamma multiplies it in q**gamma.
    tolerance = {"rtol": 1e-5 * max(1.0, gamma), "atol": 1e-36}
    assert_allclose(loss.detach().numpy(), expected.loss(y, z.astype(np.float64)), **tolerance)
    assert_allclose(gradient.detach().numpy(), expected_gradient, **tolerance)
    assert_allclose(diagonal.numpy(), expected_diagonal, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.25, 1.0, 2.5])
@pytest.mark.parametrize("u", [-90.0, -3.0, 0.0, 4.0, 90.0])
def test_loss_and_gradient_by_definition_at_80_digits(gamma, u):
    with mpmath.workdps(80):

        def loss(x):
            p = 1 / (1 + mpmath.exp(-x))
            return -((1 - p) ** mpmath.mpf(gamma)) * mpmath.log(p)

        expected = [float(mpmath.diff(loss, mpmath.mpf(u), n)) for n in range(3)]
    by_pair = torch.tensor([[0.0, u]], dtype=torch.float64, requires_grad=True)
    value = multiclass_focal_loss(by_pair, torch.tensor([1]), gamma)
    assert_allclose(
        [x.item() for x in binary_derivatives([u], [1.0], gamma, None, torch.float64)], expected, rtol=1e-11
    )
    assert_allclose(value.item(), expected[0], rtol=1e-12)
    assert_allclose(grad(value, by_pair)[0][0].numpy(), [-expected[1], expected[1]], rtol=1e-12)


# Derivatives by finite differences


@forward_mode
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, (1.3, 3.0)])
def test_gradcheck_binary(gamma, reduction):
    z = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    hard = (torch.rand(3, 4) < 0.5).double()
    soft = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)

    def by_logits(z):
        return binary_focal_loss(z, hard, gamma, 0.3, reduction)

    def by_both(z, y):
        return binary_focal_loss(z, y, gamma, (2.0, 0.5), reduction)

    assert gradcheck(by_logits, (z,), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(by_logits, (z,), check_batched_grad=True)
    assert gradcheck(by_both, (z, soft), check_forward_ad=True)
    assert gradgradcheck(by_both, (z, soft))


@forward_mode
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, (1.3, 3.0, 0.2)])
def test_gradcheck_multiclass(gamma, reduction):
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0, 2, -100, 1, 1])
    soft = torch.rand(5, 3, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)

    def by_index(z, label_smoothing=0.0):
        return multiclass_focal_loss(z, t, gamma, alpha, reduction, label_smoothing=label_smoothing)

    def by_both(z, y):
        return multiclass_focal_loss(z, y, gamma, alpha, reduction)

    assert gradcheck(by_index, (z,), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(by_index, (z,), check_batched_grad=True)
    assert gradcheck(lambda z: by_index(z, 0.1), (z,))
    assert gradcheck(by_both, (z, soft))
    assert gradgradcheck(by_both, (z, soft))


# gamma = 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (7, 1), (3, 4), (2, 3, 4, 5), (0,), (2 * BLOCK_ELEMENTS + 9,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gamma_zero_is_binary_cross_entropy(dtype, shape, reduction):
    z = (torch.randn(shape, dtype=dtype) * 4).requires_grad_()
    hard, soft = (torch.rand(shape) < 0.3).to(dtype), torch.rand(shape, dtype=dtype)
    tolerance = {"rtol": 1e-12 if dtype == torch.float64 else 3e-6, "atol": 1e-12 if dtype == torch.float64 else 1e-6}
    for y, alpha in itertools.product((hard, soft), (None, 0.25, (1.0, 5.0))):
        a0, a1 = (1.0, 1.0) if alpha is None else (0.75, 0.25) if alpha == 0.25 else alpha
        # Torch's pos_weight is the ratio of the two; weight scales both.
        options = {"weight": torch.tensor(a0, dtype=dtype), "pos_weight": torch.tensor(a1 / a0, dtype=dtype)}
        expected = F.binary_cross_entropy_with_logits(z, y, reduction=reduction, **options)
        ours = BinaryFocalLoss(0.0, alpha, reduction).to(dtype)(z, y)
        assert ours.shape == expected.shape
        assert ours.dtype == expected.dtype
        torch.testing.assert_close(ours, expected, equal_nan=True, **tolerance)
        gradients = [grad(x.sum(), z)[0] for x in (ours, expected)]
        torch.testing.assert_close(*gradients, equal_nan=True, **tolerance)
        if y is hard:
            torch.testing.assert_close(binary_focal_loss(z, y.bool(), 0.0, alpha, reduction), ours, equal_nan=True)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(3,), (1, 2), (8, 3), (4, 3, 5), (2, 4, 3, 5), (0, 3)])
def test_gamma_zero_is_cross_entropy(shape, label_smoothing, weighted, reduction):
    class_dim = min(1, len(shape) - 1)
    n_classes, outer = shape[class_dim], shape[:class_dim] + shape[class_dim + 1 :]
    z = (torch.randn(shape, dtype=torch.float64) * 3).requires_grad_()
    weight = torch.linspace(0.5, 2.0, n_classes, dtype=torch.float64) if weighted else None
    index = torch.randint(n_classes, outer)
    for ignore_index in (-100, 1, -1):
        some = torch.where(torch.rand(outer) < 0.3, ignore_index, index)
        everything = torch.full(outer, ignore_index)
        soft = torch.rand(shape, dtype=torch.float64)
        for target in (index, some, everything, *([soft] if ignore_index < 0 else [])):
            options = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
            expected = F.cross_entropy(z, target, weight=weight, **options)
            ours = MulticlassFocalLoss(0.0, weight, **options)(z, target)
            assert ours.shape == expected.shape
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14, equal_nan=True)
            gradients = [grad(x.sum(), z)[0] for x in (ours, expected)]
            torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-14, equal_nan=True)


# Published formulas and their known faults


def published_sigmoid_focal_loss(logits, target, gamma, alpha):
    """Lin et al. 2017 as object detectors compute it: cross-entropy times (1 - p_t)**gamma times alpha_t."""
    p = torch.sigmoid(logits)
    p_t = p * target + (1 - p) * (1 - target)
    alpha_t = alpha * target + (1 - alpha) * (1 - target)
    return alpha_t * (1 - p_t) ** gamma * F.binary_cross_entropy_with_logits(logits, target, reduction="none")


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 3.7])
def test_equals_the_published_sigmoid_focal_loss_where_that_is_finite(gamma):
    z = torch.linspace(-30, 30, 301, dtype=torch.float64, requires_grad=True)
    for y in (torch.zeros_like(z), torch.ones_like(z)):
        ours, published = binary_focal_loss(z, y, gamma, 0.25, "none"), published_sigmoid_focal_loss(z, y, gamma, 0.25)
        # 1 - p_t has lost its digits beyond logits of about 10; what is left of the loss there is small.
        torch.testing.assert_close(ours, published, rtol=1e-9, atol=1e-12)
        gradients = [grad(x.sum(), z)[0] for x in (ours, published)]
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-7 if gamma < 1 else 1e-12)


def test_negative_class_has_its_term():
    z = torch.linspace(-5, 5, 11, dtype=torch.float64)
    expected = FocalLoss(2.0).loss(np.zeros(11, dtype=int), z.numpy())
    assert expected.max() > 4
    assert_allclose(binary_focal_loss(z, torch.zeros(11), 2.0, reduction="none").numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3, 10, 200])
def test_any_number_of_classes(n_classes):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(300, n_classes)), rng.integers(n_classes, size=300)
    ours = MulticlassFocalLoss(2.0, np.ones(n_classes))(torch.tensor(z), torch.tensor(y))
    assert_allclose(ours.item(), FocalLoss(2.0)(y, z), rtol=1e-12)


def test_alpha_none_is_no_weight():
    z, y = torch.randn(20, dtype=torch.float64), (torch.rand(20) < 0.5).double()
    assert BinaryFocalLoss().alpha is None
    torch.testing.assert_close(BinaryFocalLoss()(z, y), 2 * BinaryFocalLoss(alpha=0.5)(z, y))
    pairs, t = torch.stack([torch.zeros_like(z), z], 1), y.long()
    torch.testing.assert_close(MulticlassFocalLoss()(pairs, t), BinaryFocalLoss()(z, y))


@pytest.mark.parametrize("alpha", [None, 0.25, [0.5, 2.0], torch.tensor([0.5, 2.0])])
def test_alpha_follows_the_logits_to_their_device(alpha):
    # The meta device refuses to mix with tensors on the CPU, as a GPU does.
    z, y, t = torch.empty(6, device="meta"), torch.empty(6, device="meta"), torch.empty(6, device="meta").long()
    for loss in (BinaryFocalLoss(alpha=alpha), BinaryFocalLoss(alpha=alpha).to("meta")):
        assert loss(z, y).device.type == "meta"
    for loss in (MulticlassFocalLoss(alpha=alpha), MulticlassFocalLoss([0.5, 2.0], alpha).to("meta")):
        assert loss(torch.empty(6, 2, device="meta"), t).device.type == "meta"
    assert posterior(z, 2.0, alpha).device.type == "meta"
    assert BinaryFocalLoss(alpha=0.25).to("meta").alpha.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_no_epsilon_the_loss_vanishes_where_p_is_one_and_hard_rows_keep_their_gradient(gamma, dtype):
    z = torch.tensor([800.0, -25.0, -60.0, -800.0], dtype=dtype, requires_grad=True)
    loss = binary_focal_loss(z, torch.ones_like(z), gamma, reduction="none")
    assert loss[0] == 0.0
    torch.testing.assert_close(loss[1:], -z[1:], rtol=1e-6, atol=0)
    assert_allclose(grad(loss.sum(), z)[0][1:].numpy(), -np.ones(3), rtol=1e-6)
    Z = torch.stack([z.detach(), torch.zeros_like(z)], 1).requires_grad_()
    loss = multiclass_focal_loss(Z, torch.zeros(4, dtype=torch.long), gamma, reduction="none")
    assert loss[0] == 0.0
    assert_allclose(grad(loss.sum(), Z)[0][1:].numpy(), [[-1.0, 1.0]] * 3, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 0.99, 1.5, 2.0, 20.0, (0.1, 3.0)])
def test_everything_is_finite_to_the_third_derivative(gamma, dtype):
    sizes = torch.tensor([0.0, 1e-30, 1e-3, 1.0, 17.0, 37.0, 88.0, 104.0, 746.0, 1e4], dtype=dtype)
    z = torch.cat([-sizes, sizes])
    for y in (0.0, 0.3, 1.0):
        x = z.clone().requires_grad_()
        value = binary_focal_loss(x, torch.full_like(z, y), gamma, 0.3, "none")
        assert torch.isfinite(value).all()
        for _ in range(3):
            (value,) = grad(value.sum(), x, create_graph=True)
            assert torch.isfinite(value).all()
    Z = torch.tensor(list(itertools.product([0.0, 1e4, -1e4, 90.0, 750.0, 1.0], repeat=2)), dtype=dtype)
    direction = torch.tensor([1.0, -0.5], dtype=dtype)
    for target in (torch.zeros(len(Z), dtype=torch.long), torch.full_like(Z, 0.5)):
        x = Z.clone().requires_grad_()
        value = multiclass_focal_loss(x, target, gamma, reduction="none")
        assert torch.isfinite(value).all()
        for _ in range(3):
            (value,) = grad((value * (direction if value.dim() == 2 else 1.0)).sum(), x, create_graph=True)
            assert torch.isfinite(value).all()


def test_easy_rows_keep_the_gradient_of_gamma_below_one():
    z = torch.tensor([20.0, 40.0, 55.0], requires_grad=True)
    (gradient,) = grad(binary_focal_loss(z, torch.ones(3), 0.5, reduction="sum"), z)
    assert (gradient < 0).all()
    assert_allclose(gradient.numpy(), FocalLoss(0.5).gradient([1, 1, 1], z.detach().double().numpy()), rtol=1e-5)


# Soft targets and smoothing


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_soft_targets_are_the_expectation_over_the_classes(gamma):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=40) * 5, rng.uniform(size=40)
    reference = FocalLoss(gamma, 0.3)
    ones, zeros = np.ones(40, dtype=int), np.zeros(40, dtype=int)
    expected = y * reference.loss(ones, z) + (1 - y) * reference.loss(zeros, z)
    ours = binary_focal_loss(torch.tensor(z), torch.tensor(y), gamma, 0.3, "none")
    assert_allclose(ours.numpy(), expected, rtol=1e-12)
    Z, Y, alpha = rng.normal(size=(40, 3)) * 20, rng.dirichlet(np.ones(3), size=40), [0.5, 1.0, 3.0]
    by_class = np.stack([FocalLoss(gamma, alpha).loss(np.full(40, k), Z) for k in range(3)], axis=1)
    ours = multiclass_focal_loss(torch.tensor(Z), torch.tensor(Y), gamma, alpha, "none")
    assert_allclose(ours.numpy(), (Y * by_class).sum(axis=1), rtol=1e-12)
    t = rng.integers(3, size=40)
    expected = 0.9 * by_class[np.arange(40), t] + 0.1 * by_class.mean(axis=1)
    ours = multiclass_focal_loss(torch.tensor(Z), torch.tensor(t), gamma, alpha, "none", label_smoothing=0.1)
    assert_allclose(ours.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [None, 0.2])
@pytest.mark.parametrize("gamma", [0.0, 0.7, 1.0, 2.0])
def test_blocks_change_nothing(gamma, alpha):
    # The first block has hard targets, the second soft ones, the third is not full; strided input besides.
    n = 2 * BLOCK_ELEMENTS + 5
    z = torch.randn(n, 2, dtype=torch.float64).mul_(40)[:, 0].requires_grad_()
    y = (torch.rand(n) < 0.5).double()
    y[BLOCK_ELEMENTS : 2 * BLOCK_ELEMENTS : 3] = 0.3
    alone = torch.cat(
        [binary_focal_loss(part, t, gamma, alpha, "none") for part, t in zip(z.split(50_001), y.split(50_001))]
    )
    together = binary_focal_loss(z, y, gamma, alpha, "none")
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)
    torch.testing.assert_close(binary_focal_loss(z, y, gamma, alpha, "sum"), alone.sum(), rtol=1e-12, atol=0)
    gradients = [grad(x.sum(), z)[0] for x in (together, alone)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=0)
