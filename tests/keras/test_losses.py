"""Keras losses against FocalLoss and Keras's own, on the backend that KERAS_BACKEND names: PyTorch unless set.

On PyTorch, one test more runs this folder on JAX in a process of its own.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip(os.environ["KERAS_BACKEND"], reason="needs a Keras backend", exc_type=ImportError)
keras = pytest.importorskip("keras", reason="needs the extra keras", exc_type=ImportError)

from skfocal import FocalLoss  # noqa: E402
from skfocal.keras import BinaryFocalLoss, CategoricalFocalLoss, SparseCategoricalFocalLoss  # noqa: E402

# PyTorch 2.13 tensors do not take the copy argument that NumPy 2 passes when Keras converts them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

BACKEND = keras.backend.backend()
GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.7)


def test_the_backend_is_the_one_asked_for():
    assert os.environ["KERAS_BACKEND"] == BACKEND


if BACKEND == "torch":

    def test_all_of_this_passes_on_jax():
        pytest.importorskip("jax", reason="needs JAX", exc_type=ImportError)
        quiet = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *quiet, str(Path(__file__).parent)]
        options = {"env": {**os.environ, "KERAS_BACKEND": "jax"}, "capture_output": True, "text": True}
        result = subprocess.run(command, **options)
        assert result.returncode == 0, result.stdout[-5000:]
        last_line = result.stdout.splitlines()[-1]
        assert "passed" in last_line
        assert "skipped" not in last_line


@pytest.mark.parametrize("gamma", [*GAMMAS, (0.5, 2.0)])
@pytest.mark.parametrize("alpha", [None, 0.25, (0.5, 2.0)])
def test_binary_equals_focal_loss(gamma, alpha, value_gradient):
    z = np.linspace(-100, 100, 401).astype(np.float32)[:, np.newaxis]
    for y in (0, 1):
        labels = np.full(401, y)
        loss, gradient = value_gradient(BinaryFocalLoss(gamma, alpha), labels[:, np.newaxis], z)
        expected, exact = FocalLoss(gamma, alpha), z[:, 0].astype(np.float64)
        # float32: 1e-5 relative, and factors underflow near 1.2e-38.
        assert_allclose(loss, expected.loss(labels, exact), rtol=2e-5, atol=1e-35)
        assert_allclose(gradient[:, 0], expected.gradient(labels, exact), rtol=2e-5, atol=1e-35)


@pytest.mark.parametrize("gamma", [*GAMMAS, (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("alpha", [None, (0.5, 2.0, 1.0)])
def test_classes_equal_focal_loss(gamma, alpha, value_gradient):
    rng = np.random.default_rng(0)
    z = (rng.normal(size=(300, 3)) * np.repeat([1.0, 6.0, 60.0], 100)[:, np.newaxis]).astype(np.float32)
    y, expected = rng.integers(3, size=300), FocalLoss(gamma, alpha)
    for loss, target in (
        (SparseCategoricalFocalLoss(gamma, alpha), y),
        (SparseCategoricalFocalLoss(gamma, alpha), y[:, np.newaxis]),
        (CategoricalFocalLoss(gamma, alpha), np.eye(3, dtype=np.float32)[y]),
    ):
        values, gradient = value_gradient(loss, target, z)
        assert_allclose(values, expected.loss(y, z.astype(np.float64)), rtol=5e-5, atol=1e-35)
        # Autograd subtracts probabilities: right to 1e-6 of the largest entry of a row, not of each.
        assert_allclose(gradient, expected.gradient(y, z.astype(np.float64)), rtol=5e-5, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_float64_is_computed_in_float64():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(50, 3)) * 20, rng.integers(3, size=50)
    values = np.asarray(SparseCategoricalFocalLoss(0.5, reduction=None, dtype="float64")(y, z))
    binary = np.asarray(BinaryFocalLoss(0.5, reduction=None, dtype="float64")(y[:, np.newaxis] > 1, z[:, :1]))
    assert values.dtype == binary.dtype == np.float64
    assert_allclose(values, FocalLoss(0.5).loss(y, z), rtol=1e-12)
    assert_allclose(binary, FocalLoss(0.5).loss(y > 1, z[:, 0]), rtol=1e-12)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none", "mean_with_sample_weight"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_zero_is_keras_cross_entropy(weighted, label_smoothing, reduction):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 3)).astype(np.float32) * 3, rng.integers(3, size=20)
    one_hot = np.eye(3, dtype=np.float32)[y]
    weight = rng.uniform(0.5, 2.0, size=20).astype(np.float32) if weighted else None
    options = {"from_logits": True, "label_smoothing": label_smoothing, "reduction": reduction}
    pairs = [
        (BinaryFocalLoss(0.0, **options), keras.losses.BinaryCrossentropy(**options), one_hot),
        (CategoricalFocalLoss(0.0, **options), keras.losses.CategoricalCrossentropy(**options), one_hot),
    ]
    if not label_smoothing:
        del options["label_smoothing"]
        pairs.append(
            (SparseCategoricalFocalLoss(0.0, **options), keras.losses.SparseCategoricalCrossentropy(**options), y)
        )
    for ours, theirs, target in pairs:
        value, expected = (keras.ops.convert_to_numpy(loss(target, z, sample_weight=weight)) for loss in (ours, theirs))
        assert value.shape == expected.shape
        assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_probabilities_give_the_loss_of_their_logits(gamma):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(40, 3)) * 2, rng.integers(3, size=40)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    values = SparseCategoricalFocalLoss(gamma, from_logits=False, reduction=None)(y, p.astype(np.float32))
    assert_allclose(keras.ops.convert_to_numpy(values), FocalLoss(gamma).loss(y, z), rtol=1e-4)
    sigmoid, target = 1 / (1 + np.exp(-z[:, :1])), (y > 1)[:, np.newaxis].astype(np.float32)
    values = BinaryFocalLoss(gamma, 0.3, from_logits=False, reduction=None)(target, sigmoid.astype(np.float32))
    assert_allclose(keras.ops.convert_to_numpy(values), FocalLoss(gamma, 0.3).loss(y > 1, z[:, 0]), rtol=1e-4)


# Known faults


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 1.0, 2.0])
def test_hard_rows_keep_their_gradient_and_easy_rows_have_no_nan(gamma, value_gradient):
    z = np.array([[-25.0], [-60.0], [-1e4], [25.0], [60.0], [200.0], [1e4]], dtype=np.float32)
    values, gradient = value_gradient(BinaryFocalLoss(gamma), np.ones_like(z), z)
    assert_allclose(values[:3], [25.0, 60.0, 1e4], rtol=1e-6)
    assert_allclose(gradient[:3, 0], -1.0, rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert gradient[3, 0] < 0
    Z = np.c_[z, np.zeros_like(z)]
    values, gradient = value_gradient(SparseCategoricalFocalLoss(gamma), np.zeros(7), Z)
    assert_allclose(values[:3], [25.0, 60.0, 1e4], rtol=1e-6)
    assert_allclose(gradient[:3], [[-1.0, 1.0]] * 3, rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert gradient[3, 0] < 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_loss_is_exactly_zero_where_p_is_one(gamma, value_gradient):
    one, certain = np.ones((1, 1), dtype=np.float32), np.array([[0.0, 1.0]], dtype=np.float32)
    assert float(BinaryFocalLoss(gamma)(one, 200.0 * one)) == 0.0
    assert float(BinaryFocalLoss(gamma, from_logits=False)(one, one)) == 0.0
    assert float(SparseCategoricalFocalLoss(gamma)([1], 200.0 * certain)) == 0.0
    # Here the floor that stands in for the other class's p = 0 is left.
    assert float(SparseCategoricalFocalLoss(gamma, from_logits=False)([1], certain)) < 1.2e-38
    for loss, y, p in (
        (BinaryFocalLoss(gamma, from_logits=False), one, np.array([[0.0], [1.0], [0.5]], dtype=np.float32)),
        (
            CategoricalFocalLoss(gamma, from_logits=False),
            np.array([[0.0, 1.0]] * 2, dtype=np.float32),
            np.eye(2, dtype=np.float32),
        ),
    ):
        values, gradient = value_gradient(loss, np.broadcast_to(y, p.shape), p)
        assert np.isfinite(values).all()
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("n_classes", [2, 3, 11])
def test_any_number_of_classes(n_classes):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(30, n_classes)).astype(np.float32), rng.integers(n_classes, size=30)
    alpha = np.linspace(0.5, 2.0, n_classes).tolist()
    assert_allclose(
        float(SparseCategoricalFocalLoss(2.0, alpha)(y, z)), FocalLoss(2.0, alpha).loss(y, z).mean(), rtol=1e-5
    )


def test_half_precision_is_computed_in_float32():
    z = np.array([[-25.0], [5.0], [3.0]], dtype=np.float16)
    values = keras.ops.convert_to_numpy(BinaryFocalLoss(0.5, dtype="float16", reduction=None)(np.ones((3, 1)), z))
    assert_allclose(values, FocalLoss(0.5).loss([1, 1, 1], z[:, 0]), rtol=1e-3)


# Keras's own machinery


def test_the_private_name_by_which_rows_are_left_out_of_a_mean_is_there():
    from skfocal.keras import _tensors

    assert _tensors.set_keras_mask is not None, (
        "keras.src.backend.set_keras_mask is gone: ignore_class needs another way"
    )


def test_without_it_ignore_class_is_an_error(monkeypatch):
    from skfocal.keras import _tensors

    monkeypatch.setattr(_tensors, "set_keras_mask", None)
    with pytest.raises(ImportError, match=f"ignore_class is not supported with Keras {keras.__version__}"):
        SparseCategoricalFocalLoss(ignore_class=-1)
    SparseCategoricalFocalLoss()


@pytest.mark.parametrize("loss", [
    BinaryFocalLoss(0.5, 0.25, label_smoothing=0.1),
    CategoricalFocalLoss((1.0, 2.0, 0.5), (1.0, 2.0, 3.0), from_logits=False, reduction="sum"),
    SparseCategoricalFocalLoss(3.0, name="mine", dtype="float64", ignore_class=-1),
    BinaryFocalLoss(alpha=(0.0, 1.0), ignore_class=255, dtype="bfloat16"),
])  # fmt: skip
def test_serialises(loss):
    for again in (
        type(loss).from_config(loss.get_config()),
        keras.losses.deserialize(keras.losses.serialize(loss)),
    ):
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
        assert (again.gamma, again.alpha, again.name) == (loss.gamma, loss.alpha, loss.name)
        assert again.dtype == loss.dtype


def test_trains_saves_and_loads(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    y = (X @ [1.0, -1.0, 2.0, 0.0] > 0).astype(int) + (X[:, 3] > 1)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.Adam(0.05), SparseCategoricalFocalLoss(2.0, [1.0, 1.0, 2.0]))
    history = model.fit(X, y, epochs=10, batch_size=50, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert_allclose(loaded.evaluate(X, y, verbose=0), model.evaluate(X, y, verbose=0), rtol=1e-6)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: BinaryFocalLoss(-1.0), ValueError, r"gamma must be .* got -1.0"),
    (lambda: BinaryFocalLoss(alpha=2.0), ValueError, r"alpha must be .* got 2.0"),
    (lambda: BinaryFocalLoss(alpha=[1.0, 2.0, 3.0]), ValueError, r"alpha must have one entry per class: got 3"),
    (lambda: CategoricalFocalLoss("two"), TypeError, r"gamma must be .* got 'two'"),
    (lambda: CategoricalFocalLoss(label_smoothing=2.0), ValueError, r"label_smoothing .* got 2.0"),
    (lambda: SparseCategoricalFocalLoss(from_logits=1), TypeError, r"from_logits must be True or False, got 1"),
    (lambda: SparseCategoricalFocalLoss(ignore_class=0.5), TypeError, r"ignore_class must be .* integer, got 0.5"),
    (lambda: BinaryFocalLoss(ignore_class=1), ValueError, r"ignore_class must be None or a number outside .* got 1"),
    (lambda: BinaryFocalLoss(ignore_class="-1"), TypeError, r"ignore_class must be .* got '-1'"),
    (lambda: CategoricalFocalLoss(alpha=[0.0, 0.0]), ValueError, r"alpha must be .* not all of them 0"),
    (lambda: CategoricalFocalLoss([1.0, 2.0], [1.0] * 3), ValueError, r"gamma and alpha .* got 2 and 3"),
    (lambda: SparseCategoricalFocalLoss(alpha=0.25)(np.zeros(1), np.zeros((1, 4))), ValueError,
     r"alpha must be None or one number >= 0 per class for 4 classes, got 0.25"),
    (lambda: SparseCategoricalFocalLoss(alpha=[1.0, 2.0])(np.zeros(1), np.zeros((1, 3))), ValueError,
     r"alpha must have one entry per class: got 2 entries for 3 classes"),
])  # fmt: skip
def test_illegal_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_import_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delitem(sys.modules, "skfocal.keras")
    with pytest.raises(ImportError, match=r"skfocal.keras needs Keras: .*skfocal\[keras\]"):
        importlib.import_module("skfocal.keras")
