"""Gamma and weights however they are given: tensors, zeros, one per label; kept exactly, saved, loaded, moved."""

import copy
import math
import pickle
from pathlib import Path

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

PICKLES = Path(__file__).parents[1] / "data" / "pickles"
# torch.autograd.forward_ad itself calls what torch.jit deprecates.
forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def compiled(function):
    torch.compiler.reset()
    return torch.compile(function, backend="aot_eager", fullgraph=True)


# Tensors


@pytest.mark.parametrize(("given", "number"), [
    (torch.tensor(2.0), 2.0),
    (torch.tensor(0.0), 0.0),
    (torch.tensor(1), 1.0),
    (torch.tensor(0.5, dtype=torch.float64), 0.5),
    (torch.nn.Parameter(torch.tensor(0.5)), 0.5),
    (torch.tensor([0.5, 2.0]), (0.5, 2.0)),
    (torch.tensor([1, 0]), (1.0, 0.0)),
    (np.float32(0.5), 0.5),
    (np.array([0.5, 2.0]), (0.5, 2.0)),
])  # fmt: skip
def test_gamma_may_be_a_tensor(given, number):
    z, y, t = torch.randn(8), torch.rand(8), torch.randint(2, (8,))
    pairs = torch.stack([torch.zeros(8), z], 1)
    for module, function, logits, target in (
        (BinaryFocalLoss, binary_focal_loss, z, y),
        (BinaryFocalLoss, binary_focal_loss, z, t),
        (MulticlassFocalLoss, multiclass_focal_loss, pairs, t),
        (MulticlassFocalLoss, multiclass_focal_loss, pairs, torch.stack([1 - y, y], 1)),
    ):
        expected = module(number)(logits, target)
        assert module(given).gamma == number
        for ours in (module(given)(logits, target), function(logits, target, given)):
            torch.testing.assert_close(ours, expected)
        if isinstance(given, torch.Tensor) and given.dtype == torch.float32:
            torch.testing.assert_close(compiled(function)(logits, target, given), expected)
    class_dim = {"class_dim": 1}
    torch.testing.assert_close(posterior(z, given), posterior(z, number))
    torch.testing.assert_close(posterior(pairs, given, **class_dim), posterior(pairs, number, **class_dim))


@pytest.mark.parametrize("given", [torch.tensor(0.25), torch.tensor(0.25, dtype=torch.float64), np.float64(0.25)])
def test_alpha_may_be_a_tensor_of_one_number(given):
    z, t = torch.randn(8), torch.randint(2, (8,))
    pairs = torch.stack([torch.zeros(8), z], 1)
    expected = binary_focal_loss(z, t, 2.0, (0.75, 0.25), "sum")
    for ours in (
        BinaryFocalLoss(2.0, given, "sum")(z, t),
        MulticlassFocalLoss(2.0, given, "sum")(pairs, t),
        binary_focal_loss(z, t, 2.0, given, "sum"),
        multiclass_focal_loss(pairs, t, 2.0, given, "sum"),
    ):
        torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(posterior(z, 2.0, given), posterior(z, 2.0, (0.75, 0.25)))


@forward_mode
def test_gammas_and_alphas_in_a_batch_of_models():
    z, y = torch.randn(3, 5, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    gammas = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    alphas = torch.tensor([[0.5, 1.0], [1.0, 3.0], [2.0, 0.0]], dtype=torch.float64)
    settings = [(z[i], y, gammas[i].item(), alphas[i].tolist()) for i in range(3)]
    together = torch.vmap(binary_focal_loss, (0, None, 0, 0))(z, y, gammas, alphas)
    torch.testing.assert_close(together, torch.stack([binary_focal_loss(*s) for s in settings]))
    gradients = torch.vmap(torch.func.grad(binary_focal_loss), (0, None, 0, 0))(z, y, gammas, alphas)
    torch.testing.assert_close(gradients, torch.stack([torch.func.grad(binary_focal_loss)(*s) for s in settings]))
    Z, t = torch.randn(3, 5, 2, dtype=torch.float64), torch.randint(2, (5,))
    together = torch.vmap(multiclass_focal_loss, (0, None, 0, 0))(Z, t, gammas, alphas)
    settings = [(Z[i], t, gammas[i].item(), alphas[i].tolist()) for i in range(3)]
    torch.testing.assert_close(together, torch.stack([multiclass_focal_loss(*s) for s in settings]))
    modules = [BinaryFocalLoss(2.0, a, pos_weight=[1.0, 2.0]) for a in (0.2, 0.5, 0.7)]
    _, buffers = torch.func.stack_module_state(modules)

    def call(buffers, z):
        return torch.func.functional_call(modules[0], buffers, (z, torch.ones(4, 2)))

    z = torch.randn(3, 4, 2)
    expected = torch.stack([module(x, torch.ones(4, 2)) for module, x in zip(modules, z)])
    torch.testing.assert_close(torch.vmap(call)(buffers, z), expected)


# A class without weight


@pytest.mark.parametrize("alpha", [[0.0, 1.0, 1.0, 1.0], torch.tensor([0.0, 1.0, 0.5, 2.0]), (0, 0, 3, 0)])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_class_may_weigh_nothing_as_in_cross_entropy(alpha, label_smoothing, reduction):
    z = torch.randn(30, 4, requires_grad=True)
    t = torch.randint(4, (30,))
    weight = torch.tensor(alpha, dtype=torch.float32) if not isinstance(alpha, torch.Tensor) else alpha
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    for target in (t, torch.softmax(torch.randn(30, 4), 1)):
        expected = F.cross_entropy(z, target, weight, **options)
        for ours in (
            MulticlassFocalLoss(0.0, alpha, **options)(z, target),
            multiclass_focal_loss(z, target, 0.0, alpha, **options),
        ):
            torch.testing.assert_close(ours, expected)
            torch.testing.assert_close(grad(ours.sum(), z)[0], grad(expected.sum(), z, retain_graph=True)[0])


def test_a_class_without_weight_is_left_out_even_where_it_is_impossible():
    z = torch.tensor([[-math.inf, 0.0, 1.0], [0.5, 0.0, 1.0]], requires_grad=True)
    loss = multiclass_focal_loss(z, torch.tensor([0, 2]), 2.0, [0.0, 1.0, 1.0])
    expected = multiclass_focal_loss(z[1:], torch.tensor([2]), 2.0)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(grad(x, z)[0] for x in (loss, expected)))


@pytest.mark.parametrize("alpha", [(0.0, 1.0), torch.tensor([1.0, 0.0])])
def test_a_class_of_two_without_weight(alpha):
    z, y = torch.randn(20, requires_grad=True), (torch.rand(20) < 0.5).float()
    counted = y == torch.as_tensor(alpha)[1]
    for ours in (BinaryFocalLoss(2.0, alpha, "sum")(z, y), binary_focal_loss(z, y, 2.0, alpha, "sum")):
        expected = binary_focal_loss(z[counted], y[counted], 2.0, reduction="sum")
        torch.testing.assert_close(ours, expected)
        torch.testing.assert_close(*(grad(x, z)[0] for x in (ours, expected)))


# Weights by label


@pytest.mark.parametrize("shape", [(7, 3), (5, 3, 4, 2)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["hard", "soft", "bool"])
def test_pos_weight_of_gamma_zero_is_that_of_bce_with_logits(kind, reduction, shape):
    z = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = torch.rand(shape, dtype=torch.float64)
    y = y if kind == "soft" else (y < 0.5) if kind == "bool" else (y < 0.5).double()
    for pos_weight in (
        torch.tensor(3.0, dtype=torch.float64),
        torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64).reshape(3, *[1] * (len(shape) - 2)),
        torch.rand(shape[1:], dtype=torch.float64),
        torch.rand(shape, dtype=torch.float64),
    ):
        expected = F.binary_cross_entropy_with_logits(z, y.double(), reduction=reduction, pos_weight=pos_weight)
        for ours in (
            BinaryFocalLoss(0.0, None, reduction, pos_weight=pos_weight)(z, y),
            BinaryFocalLoss(0.0, None, reduction, pos_weight=pos_weight.tolist())(z, y),
            binary_focal_loss(z, y, 0.0, None, reduction, pos_weight=pos_weight),
            binary_focal_loss(z, y, 0.0, None, reduction, pos_weight=pos_weight.tolist()),
            binary_focal_loss(z, y, 0.0, torch.stack([torch.ones_like(pos_weight), pos_weight]), reduction),
            2 * BinaryFocalLoss(0.0, 0.5, reduction, pos_weight=pos_weight)(z, y),
        ):
            torch.testing.assert_close(ours, expected)
            torch.testing.assert_close(*(grad(x.sum(), z, retain_graph=True)[0] for x in (ours, expected)))


LABELS = {
    "alpha": ([[0.5, 1.0, 0.0], [2.0, 0.3, 1.0]], None),
    "pos_weight": (None, [3.0, 1.0, 0.0]),
    "both": ((0.25, [2.0, 0.3, 1.0]), [3.0, 1.0, 0.5]),
}


@pytest.mark.parametrize(("alpha", "pos_weight"), LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("gamma", [0.5, 2.0, (1.0, 3.0)])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_each_label_has_the_loss_of_its_own_weights(kind, gamma, alpha, pos_weight):
    z, y = torch.randn(6, 3, dtype=torch.float64), torch.rand(6, 3, dtype=torch.float64)
    y = y if kind == "soft" else (y < 0.5).double()
    loss = BinaryFocalLoss(gamma, alpha, "none", pos_weight=pos_weight, label_smoothing=0.1)
    zeros, ones = np.zeros(6, dtype=int), np.ones(6, dtype=int)
    expected = []
    for label in range(3):
        a0, a1 = (1.0, 1.0) if alpha is None else (x if isinstance(x, float) else x[label] for x in alpha)
        a1 = a1 * (1.0 if pos_weight is None else pos_weight[label])
        one = FocalLoss(gamma)
        share, scores = 0.9 * y[:, label].numpy() + 0.05, z[:, label].numpy()
        expected.append(a1 * share * one.loss(ones, scores) + a0 * (1 - share) * one.loss(zeros, scores))
    expected = torch.tensor(np.stack(expected, 1))
    torch.testing.assert_close(loss(z, y), expected)
    if gamma == 0.5:
        torch.testing.assert_close(compiled(loss)(z, y), expected)
    torch.testing.assert_close(torch.vmap(loss)(z, y), expected)
    torch.testing.assert_close(
        torch.vmap(loss, 1, 1)(z[:, None].expand(6, 2, 3), y[:, None].expand(6, 2, 3))[:, 0], expected
    )
    half = loss(z.half(), y)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected.float(), rtol=1e-2, atol=1e-3)


@forward_mode
@pytest.mark.parametrize(("alpha", "pos_weight"), LABELS.values(), ids=LABELS)
def test_derivatives_with_weights_by_label(alpha, pos_weight):
    z = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    y = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    loss = BinaryFocalLoss(0.5, alpha, pos_weight=pos_weight, label_smoothing=0.1)
    assert gradcheck(loss, (z, y), check_forward_ad=True)
    assert gradgradcheck(loss, (z, y))
    hessian = torch.func.hessian(loss)(z.detach(), y.detach())
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(lambda z: loss(z, y.detach()), z))


def test_posterior_undoes_weights_by_label():
    z = torch.randn(6, 3, dtype=torch.float64) * 3
    alpha, pos_weight = ((0.25, [2.0, 0.3, 1.0]), [3.0, 1.0, 0.5])
    loss = BinaryFocalLoss(2.0, alpha, pos_weight=pos_weight)
    for label in range(3):
        expected = FocalLoss(2.0, [0.25, alpha[1][label] * pos_weight[label]])
        for calibration in ("focus", "full", None):
            p = expected.predict_proba(z[:, label].numpy(), calibration)[:, 1]
            assert_allclose(loss.posterior(z, calibration)[:, label].numpy(), p, rtol=1e-12)
    without_alpha = BinaryFocalLoss(2.0, pos_weight=3.0)
    p = FocalLoss(2.0, [1.0, 3.0]).predict_proba(z[:, 0].numpy(), "full")[:, 1]
    assert_allclose(without_alpha.posterior(z, "full")[:, 0].numpy(), p, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_smoothed_binary_labels_are_smoothed_targets(reduction):
    z, y = torch.randn(9), (torch.rand(9) < 0.5).float()
    for smoothing in (0.0, 0.2, 1.0):
        soft = y * (1 - smoothing) + smoothing / 2
        ours = BinaryFocalLoss(0.0, None, reduction, label_smoothing=smoothing)(z, y)
        torch.testing.assert_close(ours, F.binary_cross_entropy_with_logits(z, soft, reduction=reduction))
        function = binary_focal_loss(z, y, 2.0, 0.3, reduction, label_smoothing=smoothing)
        torch.testing.assert_close(function, binary_focal_loss(z, soft, 2.0, 0.3, reduction))


# Numbers stay what they are


def moved_from_meta(loss):
    saved = loss.state_dict()
    loss = copy.deepcopy(loss).to("meta").to_empty(device="cpu")
    loss.load_state_dict(saved)
    return loss


MOVES = {
    "as it is": lambda loss: loss,
    "float64": lambda loss: loss.double(),
    "bfloat16": lambda loss: loss.to(torch.bfloat16),
    "float16, float64": lambda loss: loss.half().double(),
    "float64, float32": lambda loss: loss.double().float(),
    "copied": copy.deepcopy,
    "pickled": lambda loss: pickle.loads(pickle.dumps(loss)),
    "from meta": moved_from_meta,
    "in a model": lambda loss: torch.nn.Sequential(loss).double()[0],
    "buffers by hand": lambda loss: loss.register_buffer("alpha", loss.alpha.bfloat16()) or loss,
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_float64_logits_get_numbers_as_they_were_given(move):
    rng = np.random.default_rng(0)
    z, y, Z, t = rng.normal(size=20), rng.integers(2, size=20), rng.normal(size=(20, 3)), rng.integers(3, size=20)
    weights, tensors = [0.7, 1.1, 0.3], [torch.tensor(x) for x in (z, y, Z, t)]
    for loss in (BinaryFocalLoss(2.0, 0.7), BinaryFocalLoss(2.0, (0.3, 0.7))):
        assert_allclose(move(loss)(*tensors[:2]).item(), FocalLoss(2.0, 0.7)(y, z), rtol=1e-15)
    loss = move(MulticlassFocalLoss(2.0, weights, "sum"))
    assert_allclose(loss(*tensors[2:]).item(), FocalLoss(2.0, weights).loss(t, Z).sum(), rtol=1e-14)
    assert_allclose(loss.posterior(tensors[2], "full"), FocalLoss(2.0, weights).predict_proba(Z, "full"), rtol=1e-13)
    # float32 logits get the nearest float32.
    nearest = torch.tensor([0.3, 0.7])
    loss = BinaryFocalLoss(2.0, nearest)
    x = torch.tensor(z, dtype=torch.float32)
    torch.testing.assert_close(move(BinaryFocalLoss(2.0, 0.7))(x, tensors[1]), loss(x, tensors[1]), rtol=0, atol=0)


def test_pos_weight_and_compiled_graphs_are_as_exact():
    z, y = torch.randn(9, dtype=torch.float64), (torch.rand(9) < 0.5).double()
    expected = F.binary_cross_entropy_with_logits(z, y, pos_weight=torch.tensor(0.7, dtype=torch.float64)).item()
    loss = BinaryFocalLoss(0.0, pos_weight=0.7)
    for ours in (loss(z, y), compiled(loss)(z, y), copy.deepcopy(loss).double()(z, y)):
        assert_allclose(ours.item(), expected, rtol=1e-15)
    expected = 0.7 * binary_focal_loss(z, torch.ones_like(z)).item()
    assert_allclose(compiled(BinaryFocalLoss(2.0, 0.7))(z, torch.ones_like(z)).item(), expected, rtol=1e-15)


def test_a_default_dtype_of_float64(monkeypatch):
    torch.set_default_dtype(torch.float64)
    try:
        assert BinaryFocalLoss(2.0, 0.7).alpha.tolist() == [1.0 - 0.7, 0.7]
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_is_loaded_or_written_over_counts_instead_of_the_numbers():
    z, y = torch.randn(9, dtype=torch.float64), torch.ones(9, dtype=torch.float64)
    plain = BinaryFocalLoss(2.0)(z, y)
    loss = BinaryFocalLoss(2.0, 0.7)
    loss.load_state_dict({"alpha": torch.tensor([0.8, 0.2])})
    torch.testing.assert_close(loss(z, y), torch.tensor(0.2).double() * plain, rtol=1e-15, atol=0)
    loss = BinaryFocalLoss(2.0, 0.7).double()
    loss.load_state_dict({"alpha": torch.tensor([0.8, 0.25])})
    torch.testing.assert_close(loss(z, y), 0.25 * plain, rtol=1e-15, atol=0)
    # One that holds the rounding of the same number stands for the number.
    loss.load_state_dict(BinaryFocalLoss(2.0, 0.7).state_dict())
    torch.testing.assert_close(loss(z, y), 0.7 * plain, rtol=1e-15, atol=0)
    loss = BinaryFocalLoss(2.0, 0.7)
    loss.load_state_dict({"alpha": torch.tensor([0.8, 0.25])}, assign=True)
    torch.testing.assert_close(loss(z, y), 0.25 * plain, rtol=1e-15, atol=0)
    loss = BinaryFocalLoss(2.0, 0.7)
    loss.alpha[1] = 0.5
    torch.testing.assert_close(loss(z, y), 0.5 * plain, rtol=1e-15, atol=0)
    torch.testing.assert_close(loss.double()(z, y), 0.5 * plain, rtol=1e-15, atol=0)
    loss.alpha = torch.tensor([[0.25] * 9, [2.0] * 9])
    torch.testing.assert_close(loss(z, y), 2.0 * plain, rtol=1e-15, atol=0)
    by_call = torch.func.functional_call(BinaryFocalLoss(2.0, 0.7), {"alpha": torch.tensor([1.0, 0.5])}, (z, y))
    torch.testing.assert_close(by_call, 0.5 * plain, rtol=1e-15, atol=0)


def test_state_dicts_have_the_names_of_pytorch_and_nothing_new_unless_asked_for():
    assert list(BinaryFocalLoss(2.0, 0.7).state_dict()) == ["alpha"]
    loss = BinaryFocalLoss(pos_weight=[1.0, 2.0])
    assert list(loss.state_dict()) == list(torch.nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)).state_dict())
    loss.load_state_dict({"pos_weight": torch.tensor([3.0, 1.0])})
    assert loss.pos_weight.tolist() == [3.0, 1.0]
    assert loss.to(torch.float64).pos_weight.dtype == torch.float64
    assert BinaryFocalLoss(2.0, 0.7).state_dict()["alpha"].dtype == torch.float32


@pytest.mark.parametrize(("name", "make", "shape"), [
    ("BinaryFocalLoss", lambda: BinaryFocalLoss((0.5, 2.0), 0.7), (6,)),
    ("MulticlassFocalLoss", lambda: MulticlassFocalLoss(1.0, [0.7, 1.0, 2.0], label_smoothing=0.1), (6, 3)),
])  # fmt: skip
def test_modules_pickled_by_an_earlier_version_work(name, make, shape):
    """Written by commit 2bd7c9c, when modules had their weights in the buffer ``alpha`` alone."""
    loaded = pickle.loads((PICKLES / f"torch_{name}.pkl").read_bytes())
    z, y = torch.randn(shape), torch.randint(2, shape[:1])
    y = y if len(shape) > 1 else y.float()
    for calibration in ("focus", "full"):
        torch.testing.assert_close(loaded.posterior(z, calibration), make().posterior(z, calibration))
    torch.testing.assert_close(loaded(z, y), make()(z, y))
    assert repr(loaded) == repr(make())
    assert loaded.double()(z.double(), y).dtype == torch.float64
    make().load_state_dict(loaded.state_dict())


def test_repr_shows_weights_by_label():
    loss = BinaryFocalLoss(1.0, (0.25, [2.0, 0.3]), pos_weight=3.0, label_smoothing=0.1, ignore_index=-1)
    assert repr(loss) == (
        "BinaryFocalLoss(gamma=1.0, alpha=[[0.25, 0.25], [2.0, 0.3]], reduction='mean', pos_weight=3.0, "
        "label_smoothing=0.1, ignore_index=-1)"
    )
    assert "alpha=..." in repr(loss.to("meta"))


# Errors


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: MulticlassFocalLoss(torch.tensor(-1.0)), ValueError, r"gamma must be a number >= 0 .* got -1.0"),
    (lambda: MulticlassFocalLoss(torch.tensor([1.0, math.nan])), ValueError, r"gamma must be .* got \[1.0, nan\]"),
    (lambda: MulticlassFocalLoss(torch.tensor([[1.0, 2.0]])), TypeError, r"gamma must be .* got \[\[1.0, 2.0\]\]"),
    (lambda: MulticlassFocalLoss(torch.tensor([True, False])), TypeError, r"gamma must hold real .* torch.bool"),
    (lambda: BinaryFocalLoss(torch.ones(3)), ValueError, r"gamma must have one entry per class: got 3 entries for 2"),
    (lambda: BinaryFocalLoss(torch.ones((), device="meta")), TypeError, r"gamma must hold .* device meta"),
    (lambda: MulticlassFocalLoss(torch.ones(2), torch.ones(3)), ValueError, r"gamma and alpha .* got 2 and 3"),
    (lambda: MulticlassFocalLoss(2.0, [0.0, 0.0]), ValueError, r"alpha must be .* not all of them 0, got \[0.0, 0.0\]"),
    (lambda: MulticlassFocalLoss(2.0, [-1.0, 1.0]), ValueError, r"alpha must be .* >= 0 .* got \[-1.0, 1.0\]"),
    (lambda: MulticlassFocalLoss(2.0, [math.inf, 1.0]), ValueError, r"alpha must be .* got \[inf, 1.0\]"),
    (lambda: MulticlassFocalLoss(2.0, [1.0]), ValueError, r"alpha must be .* got \[1.0\]"),
    (lambda: MulticlassFocalLoss(2.0, [[1.0, 2.0]] * 2), TypeError, r"alpha must be .* got \[\[1.0, 2.0\]"),
    (lambda: MulticlassFocalLoss(2.0, "balanced"), TypeError, r"alpha must be .* got 'balanced'"),
    (lambda: MulticlassFocalLoss(2.0, 1.0), ValueError, r"alpha must be .* got 1.0"),
    (lambda: BinaryFocalLoss(2.0, 0.0), ValueError, r"alpha must be None, a number in \(0, 1\) .* got 0.0"),
    (lambda: BinaryFocalLoss(2.0, [[1.0, 2.0], [1.0] * 3]), ValueError, r"alpha must be .* got \[\[1.0, 2.0\], \[1.0,"),
    (lambda: BinaryFocalLoss(2.0, [[1.0, 2.0], [[1.0], 2.0]]), ValueError, r"alpha must be .* got"),
    (lambda: BinaryFocalLoss(2.0, [1.0, "a"]), TypeError, r"alpha must be .* got \[1.0, 'a'\]"),
    (lambda: BinaryFocalLoss(pos_weight=-1.0), ValueError, r"pos_weight must be None, a number > 0, .* got -1.0"),
    (lambda: BinaryFocalLoss(pos_weight="3"), TypeError, r"pos_weight must be .* got '3'"),
    (lambda: BinaryFocalLoss(pos_weight=[]), ValueError, r"pos_weight must be .* got \[\]"),
    (lambda: BinaryFocalLoss(label_smoothing=1.5), ValueError, r"label_smoothing .* \[0, 1\], got 1.5"),
    (lambda: BinaryFocalLoss(ignore_index=1), ValueError, r"ignore_index must be None or a number outside .* got 1"),
    (lambda: BinaryFocalLoss(ignore_index=math.nan), ValueError, r"ignore_index must be .* got nan"),
    (lambda: BinaryFocalLoss(ignore_index="-1"), TypeError, r"ignore_index must be .* got '-1'"),
])  # fmt: skip
def test_illegal_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


FOUR = torch.zeros(2, 4), torch.zeros(2).long()
THREE = torch.zeros(2, 3), torch.zeros(2, 3)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: MulticlassFocalLoss(2.0, 0.25)(*FOUR), r"alpha must be None or one number >= 0 .* 4 .* got 0.25"),
    (lambda: MulticlassFocalLoss(2.0, 0.25).posterior(FOUR[0], "full"), r"for 4 classes, got 0.25: a single number"),
    (lambda: multiclass_focal_loss(*FOUR, 2.0, 0.25), r"for 4 classes, got 0.25: a single number is for two"),
    (lambda: multiclass_focal_loss(*FOUR, torch.ones(3)), r"gamma .* got shape \(3,\) for 4 classes"),
    (lambda: multiclass_focal_loss(*FOUR, [1.0, 2.0]), r"gamma .* got 2 entries for 4 classes"),
    (lambda: multiclass_focal_loss(*FOUR, 2.0, torch.tensor(0.5)), r"alpha .* got shape \(\) for 4 classes"),
    (lambda: binary_focal_loss(*THREE, torch.ones(3)), r"gamma must be one number .* got shape \(3,\) for 2 classes"),
    (lambda: binary_focal_loss(*THREE, 2.0, torch.ones(3)), r"alpha .* got shape \(3,\) for 2 classes.* pos_weight"),
    (lambda: binary_focal_loss(*THREE, 2.0, torch.ones(2, 4)), r"alpha .* got shape \(4,\) for logits of .* \(2, 3\)"),
    (lambda: BinaryFocalLoss(pos_weight=[1.0, 2.0])(*THREE), r"pos_weight .* got shape \(2,\) for .* \(2, 3\)"),
    (lambda: BinaryFocalLoss(pos_weight=torch.ones(1, 2, 3))(*THREE), r"pos_weight .* got shape \(1, 2, 3\)"),
    (lambda: BinaryFocalLoss(2.0, [0.0, 1.0]).posterior(THREE[0], "full"), r"alpha must be > 0 .* got \[0.0, 1.0\]"),
    (lambda: posterior(FOUR[0], 2.0, [0.0, 1.0, 1.0, 1.0], class_dim=1), r"alpha must be > 0 .* got \[\[0.0, 1.0"),
    (lambda: posterior(FOUR[0], 2.0, torch.tensor([0.0, 1.0])), r"alpha must be > 0 for every class"),
])  # fmt: skip
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
