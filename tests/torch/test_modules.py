"""What PyTorch does with the losses as modules and functions, their probabilities and their errors."""

import copy
import importlib
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="needs the extra torch", exc_type=ImportError)

from torch.autograd import grad  # noqa: E402

from skfocal import FocalLoss  # noqa: E402
from skfocal.torch import (  # noqa: E402
    BinaryFocalLoss,
    MulticlassFocalLoss,
    binary_focal_loss,
    multiclass_focal_loss,
    posterior,
)

# torch.autograd.forward_ad itself calls what torch.jit deprecates.
forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


CASES = [
    (BinaryFocalLoss(2.0, 0.25), (30,), "hard"),
    (BinaryFocalLoss((0.5, 2.0)), (30,), "soft"),
    (BinaryFocalLoss(0.5, reduction="sum"), (6, 5), "hard"),
    (MulticlassFocalLoss(2.0, [0.5, 1.0, 2.0]), (10, 3), "index"),
    (MulticlassFocalLoss(0.5, reduction="none", label_smoothing=0.1), (10, 3, 2), "index"),
    (MulticlassFocalLoss((0.5, 1.0, 2.0)), (10, 3), "soft"),
]


def case(module, shape, kind, dtype=torch.float32):
    z = (torch.randn(shape) * 3).to(dtype).requires_grad_()
    if kind == "index":
        target = torch.randint(shape[1], shape[:1] + shape[2:])
        target[0] = -100
    else:
        target = torch.rand(shape, dtype=dtype)
        target = target if kind == "soft" else (target < 0.5).to(dtype)
    return copy.deepcopy(module), z, target


@pytest.mark.parametrize(("module", "shape", "kind"), CASES)
def test_compiles_without_a_graph_break(module, shape, kind):
    module, z, target = case(module, shape, kind)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    expected = module(z, target)
    torch.testing.assert_close(compiled(z, target), expected, rtol=1e-5, atol=1e-6)
    gradients = [grad(x.sum(), z)[0] for x in (compiled(z, target), expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("module", "shape", "kind"), CASES)
def test_half_precision_logits_are_computed_in_float32(module, shape, kind, dtype):
    module, z, target = case(module, shape, kind, dtype)
    expected = module(z.float(), target.float() if target.is_floating_point() else target)
    with torch.autocast("cpu", dtype=dtype):
        under_autocast = module(z, target)
    for loss in (under_autocast, module(z, target)):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-7)
        (gradient,) = grad(loss.sum(), z)
        assert gradient.dtype == dtype
        torch.testing.assert_close(gradient, grad(expected.sum(), z, retain_graph=True)[0])


def test_a_network_trains_under_autocast():
    layer = torch.nn.Linear(4, 3)
    x, t = torch.randn(50, 4), torch.randint(3, (50,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = layer(x)
        loss = MulticlassFocalLoss(2.0)(logits, t)
    assert logits.dtype == torch.bfloat16
    loss.backward()
    assert torch.isfinite(layer.weight.grad).all()
    assert_allclose(loss.item(), FocalLoss(2.0)(t.numpy(), logits.detach().float().numpy()), rtol=1e-5)


@forward_mode
@pytest.mark.parametrize(("module", "shape", "kind"), [c for c in CASES if c[0].reduction != "none"])
def test_vmap_and_hessian_of_torch_func(module, shape, kind):
    module, z, target = case(module, shape, kind)
    module, z = module.double(), z.detach().double()
    target = target.double() if target.is_floating_point() else target
    models = torch.stack([z, 2 * z, -z])
    expected = torch.stack([module(x, target) for x in models])
    torch.testing.assert_close(torch.vmap(module, in_dims=(0, None))(models, target), expected)
    torch.testing.assert_close(torch.vmap(module)(models, torch.stack([target] * 3)), expected)
    per_model = torch.vmap(torch.func.grad(module), in_dims=(0, None))(models, target)
    by_loop = [grad(module(x, target), x)[0] for x in (m.requires_grad_() for m in models.clone().unbind())]
    torch.testing.assert_close(per_model, torch.stack(by_loop))
    hessian = torch.func.hessian(module)(z, target)
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(lambda x: module(x, target), z))
    assert hessian.abs().max() > 0
    # Targets alone in a batch, over one vector of logits.
    if kind == "soft":
        torch.testing.assert_close(torch.vmap(module, (None, 0))(z, torch.stack([target] * 2)), expected[[0, 0]])


def test_per_sample_vmap_without_a_batch_dimension():
    z, t, y = torch.randn(6, 3), torch.randint(3, (6,)), (torch.rand(6) < 0.5).float()
    per_row = torch.vmap(MulticlassFocalLoss(2.0))(z, t)
    torch.testing.assert_close(per_row, MulticlassFocalLoss(2.0, reduction="none")(z, t))
    per_element = torch.vmap(torch.func.grad(BinaryFocalLoss(2.0)))(z[:, 0], y)
    x = z[:, 0].clone().requires_grad_()
    torch.testing.assert_close(per_element, grad(BinaryFocalLoss(2.0, reduction="sum")(x, y), x)[0])


def test_state_dict_carries_alpha():
    for source, target in (
        (BinaryFocalLoss(alpha=0.2), BinaryFocalLoss(alpha=0.5)),
        (MulticlassFocalLoss(alpha=[1, 2, 3]), MulticlassFocalLoss(alpha=[1, 1, 1])),
    ):
        assert list(source.state_dict()) == ["alpha"]
        target.load_state_dict(source.state_dict())
        torch.testing.assert_close(target.alpha, source.alpha, rtol=0, atol=0)
    z, y = torch.randn(9), torch.ones(9)
    loaded = BinaryFocalLoss(alpha=0.5)
    loaded.load_state_dict({"alpha": torch.tensor([0.8, 0.2])})
    torch.testing.assert_close(loaded(z, y), 0.2 * BinaryFocalLoss()(z, y))
    assert list(BinaryFocalLoss().state_dict()) == []
    assert not list(BinaryFocalLoss(alpha=0.2).parameters())


def test_alpha_follows_to():
    loss = MulticlassFocalLoss(alpha=[1.0, 2.0])
    assert loss.alpha.dtype == torch.float32
    assert loss.to(torch.float64).alpha.dtype == torch.float64
    assert loss.to("meta").alpha.device.type == "meta"
    assert BinaryFocalLoss(alpha=torch.tensor([0.5, 2.0], dtype=torch.float64)).alpha.dtype == torch.float64


def test_repr_names_the_parameters():
    assert repr(BinaryFocalLoss(1.0, 0.25)) == "BinaryFocalLoss(gamma=1.0, alpha=[0.75, 0.25], reduction='mean')"
    assert "ignore_index=-1, label_smoothing=0.1" in repr(MulticlassFocalLoss(ignore_index=-1, label_smoothing=0.1))


# Probabilities


@pytest.mark.parametrize("calibration", ["focus", "full", None])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0, "per class"])
def test_posterior_equals_focal_loss(gamma, calibration):
    rng = np.random.default_rng(0)
    z = np.r_[rng.normal(size=50) * 5, -800.0, -40.0, 0.0, 40.0, 800.0]
    per_class = [0.5, 2.0] if gamma == "per class" else gamma
    expected = FocalLoss(per_class, 0.1).predict_proba(z, calibration)[:, 1]
    loss = BinaryFocalLoss(per_class, torch.tensor([0.9, 0.1], dtype=torch.float64))
    assert_allclose(loss.posterior(torch.tensor(z), calibration).numpy(), expected, rtol=1e-12, atol=1e-300)
    if calibration == "full":
        assert_allclose(posterior(torch.tensor(z), per_class, 0.1).numpy(), expected, rtol=1e-12, atol=1e-300)
    Z = rng.normal(size=(60, 4)) * np.repeat([1.0, 10.0, 300.0], 20)[:, np.newaxis]
    per_class, alpha = [0.5, 2.0, 1.0, 0.0] if gamma == "per class" else gamma, [1.0, 2.0, 3.0, 0.5]
    expected = FocalLoss(per_class, alpha).predict_proba(Z, calibration)
    loss = MulticlassFocalLoss(per_class, torch.tensor(alpha, dtype=torch.float64))
    assert_allclose(loss.posterior(torch.tensor(Z), calibration).numpy(), expected, rtol=1e-11, atol=1e-300)
    image = torch.tensor(Z).reshape(3, 4, 5, 4).movedim(-1, 1)
    assert_allclose(loss.posterior(image, calibration).movedim(1, -1).reshape(60, 4).numpy(), expected, rtol=1e-11)


def test_posterior_has_finite_gradients():
    z = torch.tensor([-1e4, -104.0, -20.0, 0.0, 20.0, 104.0, 1e4], requires_grad=True)
    (gradient,) = grad(posterior(z, 0.5).sum(), z)
    assert torch.isfinite(gradient).all()
    assert gradient[3] > 0
    Z = torch.tensor([[0.0, 1e4, 3.0], [0.0, 0.0, 0.0], [300.0, -300.0, 0.0]], requires_grad=True)
    assert torch.isfinite(grad(posterior(Z, 2.0, class_dim=-1)[:, 0].sum(), Z)[0]).all()


# Errors


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: BinaryFocalLoss(-1.0), ValueError, r"gamma must be a number >= 0 or one per class, got -1.0"),
    (lambda: BinaryFocalLoss("2"), TypeError, r"gamma must be .* got '2'"),
    (lambda: BinaryFocalLoss([1.0, 2.0, 3.0]), ValueError, r"gamma must have one entry per class: got 3 .* 2 classes"),
    (lambda: BinaryFocalLoss(alpha=1.5), ValueError, r"alpha must be None, a number in \(0, 1\) .* got 1.5"),
    (lambda: BinaryFocalLoss(alpha=[1.0, 2.0, 3.0]), ValueError, r"alpha must have one entry per class: got 3"),
    (lambda: BinaryFocalLoss(alpha=torch.tensor([1.0, -2.0])), ValueError, r"alpha must be .* got \[1.0, -2.0\]"),
    (lambda: BinaryFocalLoss(reduction="avg"), ValueError, r"reduction must be 'mean', 'sum' or 'none', got 'avg'"),
    (lambda: MulticlassFocalLoss([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, r"gamma and alpha .* got 2 and 3"),
    (lambda: MulticlassFocalLoss(label_smoothing=1.5), ValueError, r"label_smoothing .* \[0, 1\], got 1.5"),
    (lambda: MulticlassFocalLoss(label_smoothing="0"), TypeError, r"label_smoothing .* \[0, 1\], got '0'"),
])  # fmt: skip
def test_illegal_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(("loss", "logits", "target", "error", "message"), [
    (binary_focal_loss, torch.zeros(3), torch.zeros(2), ValueError, r"shaped like logits, \(3,\), got \(2,\)"),
    (binary_focal_loss, torch.zeros(3).long(), torch.zeros(3), TypeError, r"logits must be .* got torch.int64"),
    (binary_focal_loss, [0.0], torch.zeros(1), TypeError, r"logits must be a floating-point tensor, got list"),
    (binary_focal_loss, torch.zeros(1), [0.0], TypeError, r"target must be .* got list"),
    (multiclass_focal_loss, torch.zeros(4, 3), torch.zeros(3).long(), ValueError,
     r"target must be class indices of shape \(4,\) or .* of shape \(4, 3\), got torch.int64 of shape \(3,\)"),
    (multiclass_focal_loss, torch.zeros(4, 3), torch.zeros(4), ValueError, r"got torch.float32 of shape \(4,\)"),
    (multiclass_focal_loss, torch.zeros(4, 1), torch.zeros(4).long(), ValueError, r"K >= 2, got \(4, 1\)"),
    (multiclass_focal_loss, torch.zeros(2, 3), torch.tensor([0, 3]), ValueError, r"class indices 0 .. 2 .*index 3"),
    (multiclass_focal_loss, torch.zeros(2, 3), torch.tensor([0, -1]), ValueError, r"class indices 0 .. 2 .*index -1"),
    (multiclass_focal_loss, torch.zeros(2, 3), torch.zeros(2).bool(), TypeError, r"target must be .* got torch.bool"),
    (MulticlassFocalLoss(alpha=[1.0, 2.0]), torch.zeros(2, 3), torch.zeros(2).long(), ValueError,
     r"alpha must have one entry per class: got shape \(2,\) for 3 classes"),
    (MulticlassFocalLoss([1.0, 2.0]), torch.zeros(2, 3), torch.zeros(2).long(), ValueError,
     r"gamma must have one entry per class: got 2 entries for 3 classes"),
    (MulticlassFocalLoss(ignore_index=1), torch.zeros(2, 3), torch.zeros(2, 3), ValueError, r"ignore_index .* got 1"),
])  # fmt: skip
def test_illegal_tensors(loss, logits, target, error, message):
    with pytest.raises(error, match=message):
        loss(logits, target)


def test_import_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "skfocal.torch")
    with pytest.raises(ImportError, match=r"skfocal.torch needs PyTorch: .*skfocal\[torch\]"):
        importlib.import_module("skfocal.torch")
