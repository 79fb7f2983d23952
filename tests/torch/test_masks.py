"""What does not count or can't be: ignored elements, impossible classes, constants that all scores of a row share.

Each holds eagerly, in a compiled graph, and for class indices, class probabilities and smoothed labels.
"""

import math
from itertools import product

import pytest

torch = pytest.importorskip("torch", reason="needs the extra torch", exc_type=ImportError)

from torch.autograd import grad, gradcheck, gradgradcheck  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from skfocal.torch import (  # noqa: E402
    BinaryFocalLoss,
    MulticlassFocalLoss,
    binary_focal_loss,
    multiclass_focal_loss,
    posterior,
)

INF = math.inf
GAMMAS = (0.0, 0.5, 2.0, (0.5, 2.0, 0.0), torch.tensor(2.0), torch.tensor([0.0, 2.0, 0.3]))
# torch.autograd.forward_ad itself calls what torch.jit deprecates.
forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def as_is(function):
    return function


def compiled(function):
    torch.compiler.reset()
    return torch.compile(function, backend="aot_eager", fullgraph=True)


modes = pytest.mark.parametrize("mode", [as_is, compiled])


def cases(names, eager, in_a_graph):
    """Every case eagerly; some in a compiled graph, which takes a second to make."""
    rows = [pytest.param(as_is, *row, id=f"{row}") for row in eager]
    rows += [pytest.param(compiled, *row, id=f"compiled {row}") for row in in_a_graph]
    return pytest.mark.parametrize(f"mode, {names}", rows)


def value_gradient(function, z, *others, **options):
    z = z.clone().requires_grad_()
    value = function(z, *others, **options)
    return value.detach(), grad(value.sum(), z)[0]


# Ignored rows


@cases(
    "gamma, label_smoothing, reduction",
    product(GAMMAS, (0.0, 0.1), ("mean", "sum", "none")),
    [(0.5, 0.0, "mean"), (0.5, 0.1, "sum"), (GAMMAS[3], 0.0, "none")],
)
def test_an_ignored_row_has_no_gradient_whatever_its_logits_are(mode, gamma, label_smoothing, reduction):
    lowest = torch.finfo(torch.float32).min
    ignored = [[1.0, -INF, 0.0], [lowest, 0.0, 0.0], [-INF] * 3, [math.nan, 0.0, 0.0], [INF, 0.0, 1.0], [lowest] * 3]
    z = torch.cat([torch.tensor(ignored), torch.randn(4, 3)])
    t = torch.tensor([-100] * len(ignored) + [0, 1, 2, 2])
    loss = MulticlassFocalLoss(gamma, [0.5, 1.0, 2.0], reduction, label_smoothing=label_smoothing)
    value, gradient = value_gradient(mode(loss), z, t)
    expected, expected_gradient = value_gradient(loss, z[-4:], t[-4:])
    assert (gradient[:-4] == 0).all()
    torch.testing.assert_close(gradient[-4:], expected_gradient)
    if reduction == "none":
        assert (value[:-4] == 0).all()
        value = value[-4:]
    torch.testing.assert_close(value, expected)


@cases(
    "gamma, ignore_index, reduction, dtype",
    product(
        (0.0, 0.5, (0.5, 2.0)), (-100, -1, 255), ("mean", "sum", "none"), (torch.int64, torch.float64, torch.int16)
    ),
    [(0.5, -1, "mean", torch.int64), ((0.5, 2.0), 255, "none", torch.float64)],
)
def test_an_ignored_element_of_the_binary_loss(mode, gamma, ignore_index, reduction, dtype):
    z = torch.cat([torch.tensor([INF, -INF, math.nan, 3.0]), torch.randn(5)])
    y = torch.tensor([ignore_index] * 4 + [0, 1, 1, 0, 1], dtype=dtype)
    loss = BinaryFocalLoss(gamma, 0.3, reduction, ignore_index=ignore_index, label_smoothing=0.1)
    value, gradient = value_gradient(mode(loss), z, y)
    expected, expected_gradient = value_gradient(loss, z[4:], y[4:])
    assert (gradient[:4] == 0).all()
    torch.testing.assert_close(gradient[4:], expected_gradient)
    torch.testing.assert_close(value[4:] if reduction == "none" else value, expected)
    assert binary_focal_loss(z[:4], y[:4], ignore_index=ignore_index).isnan()  # as torch's mean of no element


@forward_mode
def test_ignored_elements_under_transforms_and_a_second_derivative():
    z, y = torch.randn(6, dtype=torch.float64), torch.tensor([1, 0, -1, 1, -1, 0])
    loss = BinaryFocalLoss(0.5, 0.3, "sum", ignore_index=-1)
    models = torch.stack([z, -z])
    expected = torch.stack([loss(m[y >= 0], y[y >= 0]) for m in models])
    torch.testing.assert_close(torch.vmap(loss, (0, None))(models, y), expected)
    z.requires_grad_()
    assert gradcheck(lambda z: loss(z, y), (z,), check_forward_ad=True)
    assert gradgradcheck(lambda z: loss(z, y), (z,))
    Z, t = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, -100, 2, 1])
    Z[1] = torch.tensor([-INF, math.nan, 0.0])
    per_model = torch.vmap(torch.func.grad(MulticlassFocalLoss(2.0)), (0, None))(torch.stack([Z, 2 * Z]), t)
    assert (per_model[:, 1] == 0).all()
    assert torch.isfinite(per_model).all()
    hessian = torch.func.hessian(lambda z: MulticlassFocalLoss(0.5)(z, t))(Z)
    assert torch.isfinite(hessian).all()
    assert hessian.abs().max() > 0


# Impossible classes


@cases(
    "gamma, dtype",
    product(GAMMAS, (torch.float32, torch.float64, torch.bfloat16, torch.float16)),
    [(0.5, torch.float32), (GAMMAS[3], torch.bfloat16)],
)
def test_logits_of_minus_infinity_are_classes_that_are_not_there(mode, gamma, dtype):
    # Without the third class.
    gamma_of_two = gamma[:2] if isinstance(gamma, tuple) or (torch.is_tensor(gamma) and gamma.dim()) else gamma
    two = torch.tensor([[1.0, 0.0], [-3.0, 2.0], [30.0, -30.0]], dtype=dtype)
    three = torch.cat([two, torch.full((3, 1), -INF, dtype=dtype)], 1)
    t = torch.tensor([0, 0, 1])
    soft = torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5]], dtype=dtype)
    for target_of_two, target_of_three in ((t, t), (soft, torch.cat([soft, torch.zeros(3, 1)], 1))):
        expected = value_gradient(multiclass_focal_loss, two, target_of_two, gamma_of_two, None, "none")
        value, gradient = value_gradient(mode(multiclass_focal_loss), three, target_of_three, gamma, None, "none")
        torch.testing.assert_close(value, expected[0])
        torch.testing.assert_close(gradient[:, :2], expected[1], rtol=1e-5, atol=1e-6 if dtype.itemsize > 2 else 1e-3)
        assert (gradient[:, 2] == 0).all()


@cases("gamma", [(0.0,), (0.5,), (2.0,), (torch.tensor([0.0, 2.0]),)], [(0.5,)])
def test_the_only_possible_class_is_certain(mode, gamma):
    z = torch.tensor([[1.0, -INF]])
    for target in (torch.tensor([0]), torch.tensor([[1.0, 0.0]])):
        value, gradient = value_gradient(mode(multiclass_focal_loss), z, target, gamma)
        assert value == 0
        assert gradient.tolist() == [[0.0, 0.0]]
    # The impossible class as the target: the infinite loss and the gradient of PyTorch's cross-entropy.
    for target in (torch.tensor([1]), torch.tensor([[0.0, 1.0]])):
        value, gradient = value_gradient(mode(multiclass_focal_loss), z, target, gamma)
        expected, expected_gradient = value_gradient(F.cross_entropy, z, torch.tensor([1]))
        assert value == expected == INF
        torch.testing.assert_close(gradient, expected_gradient)


@modes
def test_smoothing_gives_weight_to_an_impossible_class_as_in_pytorch(mode):
    z, t = torch.tensor([[1.0, -INF]]), torch.tensor([0])
    value, gradient = value_gradient(mode(multiclass_focal_loss), z, t, 0.0, label_smoothing=0.1)
    expected, expected_gradient = value_gradient(F.cross_entropy, z, t, label_smoothing=0.1)
    assert value == expected == INF
    torch.testing.assert_close(gradient, expected_gradient)


@forward_mode
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_impossible_classes_have_finite_hessians(gamma):
    z = torch.tensor([[1.0, -INF, 0.3], [-INF, 2.0, -INF]], dtype=torch.float64)
    t = torch.tensor([2, 1])
    loss = MulticlassFocalLoss(gamma, reduction="sum")
    hessian = torch.func.hessian(lambda z: loss(z, t))(z)
    smaller = torch.func.hessian(lambda z: loss(z, t[:1] - 1))(z[:1, ::2])
    torch.testing.assert_close(hessian[0, ::2, 0, ::2], smaller[0, :, 0])
    assert torch.isfinite(hessian).all()
    assert (hessian[1] == 0).all()
    x = z.clone().requires_grad_()
    (gradient,) = grad(loss(x, t), x, create_graph=True)
    torch.testing.assert_close(grad(gradient[0, 0], x)[0][0], hessian[0, 0, 0])


@modes
def test_posterior_with_impossible_classes(mode):
    z = torch.tensor([1.0, 0.0, -INF])
    ours = mode(lambda z: posterior(z, 0.0, class_dim=0))(z)
    torch.testing.assert_close(ours, torch.softmax(z, 0))
    assert [round(p, 3) for p in ours.tolist()] == [0.731, 0.269, 0.0]
    p, gradient = value_gradient(mode(lambda z: posterior(z, 2.0, class_dim=0)[:1]), z)
    expected = value_gradient(lambda z: posterior(z[0] - z[1], 2.0)[None], z)
    torch.testing.assert_close(p, expected[0])
    torch.testing.assert_close(gradient, expected[1])


@pytest.mark.parametrize("gamma", [0.0, 0.5, torch.tensor(2.0)], ids=str)
def test_posterior_of_what_is_certain(gamma):
    assert posterior(torch.tensor([[1.0, -INF]]), gamma, class_dim=1).tolist() == [[1.0, 0.0]]
    assert posterior(torch.tensor([-INF, INF]), gamma).tolist() == [0.0, 1.0]


# Sums of all scores


@cases(
    "target, n_classes, c, dtype",
    product(
        ("index", "smoothed", "soft", "one-hot"),
        (2, 3, 1000),
        (0.0, 1.0, 1e4, 1e6, 1e8, -1e8, 1e30),
        (torch.float32, torch.bfloat16, torch.float16),
    ),
    [(target, 3, c, torch.float32) for target in ("index", "smoothed", "soft") for c in (1e4, 1e8)],
)
def test_a_constant_for_all_scores_changes_nothing(mode, target, n_classes, c, dtype):
    c = max(min(c, torch.finfo(dtype).max), torch.finfo(dtype).min)
    z = torch.full((2, n_classes), c, dtype=dtype)
    t = torch.tensor([0, n_classes - 1])
    p, one_hot = torch.full((2, n_classes), 1 / n_classes), F.one_hot(t, n_classes).float()
    y = {"soft": p, "smoothed": 0.9 * one_hot + 0.1 * p}.get(target, one_hot)
    label_smoothing = 0.1 if target == "smoothed" else 0.0
    given = t if target in ("index", "smoothed") else y
    loss = MulticlassFocalLoss(0.0, label_smoothing=label_smoothing)
    value, gradient = value_gradient(mode(loss), z, given)
    torch.testing.assert_close(value, torch.tensor(math.log(n_classes)), rtol=1e-5, atol=0)
    rounding = 1e-2 if dtype.itemsize == 2 else 1e-5
    torch.testing.assert_close(gradient, ((p - y) / 2).to(dtype), rtol=rounding, atol=1e-6)
    torch.testing.assert_close(posterior(z, 2.0, class_dim=1), p, rtol=1e-5, atol=0)


def test_a_constant_for_all_scores_leaves_the_hessian():
    direction = torch.tensor([[1.0, -2.0, 0.5]])
    for target in (torch.tensor([1]), torch.tensor([[0.2, 0.5, 0.3]])):
        products = []
        for c in (0.0, 1e8):
            # Multiples of 8, which float32 keeps at 1e8.
            z = (torch.tensor([[8.0, 0.0, 0.0]]) + c).requires_grad_()
            (gradient,) = grad(multiclass_focal_loss(z, target, 2.0), z, create_graph=True)
            products.append(grad((gradient * direction).sum(), z)[0])
        torch.testing.assert_close(*products)
        assert products[0].abs().max() > 1e-3


# The largest logits of two classes


@cases(
    "gamma, dtype",
    product((0.0, 0.5, 2.0, (0.5, 2.0)), (torch.float32, torch.float64)),
    [(0.5, torch.float32), ((0.5, 2.0), torch.float64)],
)
def test_the_largest_logits(mode, gamma, dtype):
    largest = torch.finfo(dtype).max
    z = torch.tensor([-1e30, -largest, largest, -largest, largest, INF, -INF], dtype=dtype)
    y = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0], dtype=dtype)
    value, gradient = value_gradient(mode(lambda z: binary_focal_loss(z, y, gamma, reduction="none")), z)
    expected = [1e30, largest, 0, 0, largest, 0, 0]
    torch.testing.assert_close(value, torch.tensor(expected, dtype=dtype), rtol=1e-6, atol=0)
    assert gradient.tolist() == [-1, -1, 0, 0, 1, 0, 0]
