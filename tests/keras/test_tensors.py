"""Shapes, labels, weights and scores that the Keras losses take or refuse, against Keras's own losses and FocalLoss."""

import os

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


# Shapes


def test_labels_of_shape_n_and_scores_of_a_head_with_one_unit():
    y, z = np.array([1.0, 0.0, 1.0, 0.0]), np.array([[9.0], [-9.0], [9.0], [-9.0]])
    # Of (n, n) pairs it would be 4.5.
    expected = keras.losses.BinaryCrossentropy(from_logits=True)(y, z)
    assert round(float(BinaryFocalLoss(0.0)(y, z)), 6) == round(float(expected), 6) == 0.000123


@pytest.mark.parametrize(("y_shape", "z_shape"), [
    ((4,), (4, 1)), ((4, 1), (4,)), ((4, 3), (4, 3, 1)), ((4, 3, 1), (4, 3)), ((4, 3), (4, 3)), ((4, 1, 1), (4, 1)),
    ((1,), (1, 1)),
])  # fmt: skip
def test_ranks_are_aligned_as_in_keras(y_shape, z_shape):
    rng = np.random.default_rng(0)
    y, z = rng.uniform(size=y_shape).astype(np.float32), rng.normal(size=z_shape).astype(np.float32)
    for reduction in ("sum_over_batch_size", None):
        options = {"from_logits": True, "reduction": reduction}
        ours, theirs = BinaryFocalLoss(0.0, **options)(y, z), keras.losses.BinaryCrossentropy(**options)(y, z)
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert_allclose(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs), rtol=1e-5)


def test_each_element_of_a_vector_is_a_row_with_its_weight():
    z, y, weight = np.array([1.0, -2.0, 0.5]), np.array([1.0, 1.0, 0.0]), np.array([1.0, 3.0, 0.0])
    expected = FocalLoss(2.0).loss(y, z) * weight
    assert_allclose(float(BinaryFocalLoss(2.0)(y, z, sample_weight=weight)), expected.mean(), rtol=1e-5)


@pytest.mark.parametrize(("loss", "y", "z", "message"), [
    (BinaryFocalLoss(), (4, 1), (4, 3), r"y_true must have the shape of y_pred, \(4, 3\), got \(4, 1\)"),
    (BinaryFocalLoss(), (4,), (4, 3), r"got \(4,\)"),
    (BinaryFocalLoss(), (3,), (4, 1), r"got \(3, 1\)"),
    (BinaryFocalLoss(), (1,), (4,), r"got \(1, 1\)"),
    (BinaryFocalLoss(), (), (), r"got \(\)"),
    (CategoricalFocalLoss(), (4,), (4, 3), r"y_true must hold one-hot .* got \(4,\). Class indices are for"),
    (CategoricalFocalLoss(), (4, 1), (4, 3), r"got \(4, 1\)"),
    (CategoricalFocalLoss(), (4, 3), (4, 1), r"y_pred must have shape \(..., K\) with K >= 2 classes, got \(4, 1\)"),
    (CategoricalFocalLoss(), (4,), (4, 1), r"with K >= 2 classes, got \(4, 1\)"),
    (SparseCategoricalFocalLoss(), (4, 3), (4, 3), r"indices of shape \(4,\), got .* \(4, 3\). One-hot rows are for"),
    (SparseCategoricalFocalLoss(), (3,), (4, 3), r"indices of shape \(4,\), got shape \(3,\)"),
    (SparseCategoricalFocalLoss(), (4, 2, 1), (4, 3), r"got shape \(4, 2, 1\)"),
    (SparseCategoricalFocalLoss(), (4,), (4, 1), r"with K >= 2 classes, got \(4, 1\)"),
    (BinaryFocalLoss(2.0, [1.0, [1.0, 2.0]]), (4, 3), (4, 3), r"alpha must be .* \(2,\) for y_pred of shape \(4, 3\)"),
])  # fmt: skip
def test_other_shapes_are_refused(loss, y, z, message):
    with pytest.raises(ValueError, match=message):
        loss(np.ones(y), np.zeros(z))


# Labels


@pytest.mark.parametrize("label", [-1, 3, 0.5, np.nan])
def test_labels_that_are_no_class(label):
    y, z = np.array([0.0, label]), np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(ValueError, match=rf"y_true must hold class indices 0 .. 2 or ignore_class, got {label}"):
        SparseCategoricalFocalLoss()(y, z)


def test_labels_that_are_no_class_in_a_graph():
    y, z = np.array([0.0, -1.0]), np.zeros((2, 3), dtype=np.float32)
    loss = in_a_graph(SparseCategoricalFocalLoss(0.0))
    assert np.isnan(float(loss(y, z)))
    assert_allclose(float(loss(y + 1, z)), np.log(3), rtol=1e-6)


def in_a_graph(loss):
    """The loss as the backend compiles it: no value can be looked at."""
    if BACKEND == "jax":
        import jax

        return jax.jit(loss)
    import torch

    torch.compiler.reset()
    compiled = torch.compile(loss.call, backend="aot_eager")
    return lambda y, z: compiled(torch.tensor(y), torch.tensor(z)).mean()


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None, "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_class", [-1, 0])
def test_ignore_class_is_that_of_keras(ignore_class, weighted, reduction, value_gradient):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(8, 3)).astype(np.float32), rng.integers(3, size=8)
    y[[1, 5]] = ignore_class
    weight = rng.uniform(0.5, 2.0, size=8).astype(np.float32) if weighted else None
    options = {"from_logits": True, "ignore_class": ignore_class, "reduction": reduction}
    ours, theirs = SparseCategoricalFocalLoss(0.0, **options), keras.losses.SparseCategoricalCrossentropy(**options)
    for target in (y, y[:, np.newaxis]):
        value, expected = (keras.ops.convert_to_numpy(loss(target, z, sample_weight=weight)) for loss in (ours, theirs))
        assert_allclose(value, expected, rtol=1e-5)
    # Whatever the logits of such rows are.
    z[1], z[5] = [-np.inf] * 3, [np.nan, np.inf, 0.0]
    z = z[y == y[1]] if ignore_class == 0 else z[[1, 5]]
    _, gradient = value_gradient(SparseCategoricalFocalLoss(2.0, ignore_class=ignore_class), np.full(len(z), y[1]), z)
    assert (gradient == 0).all()


def test_ignored_labels_of_the_binary_loss(value_gradient):
    z = np.array([[1.0, np.nan], [np.inf, -np.inf], [-2.0, 0.5]], dtype=np.float32)
    y = np.array([[1, -1], [-1, -1], [0, 1]])
    values, gradient = value_gradient(BinaryFocalLoss(2.0, ignore_class=-1), y, z)
    one = FocalLoss(2.0)
    rows = [one.loss([1], [1.0])[0], 0.0, one.loss([0, 1], [-2.0, 0.5]).mean()]
    assert_allclose(values, rows, rtol=1e-5)
    assert_allclose(gradient[0], [one.gradient([1], [1.0])[0], 0.0], rtol=1e-5)
    assert (gradient[1] == 0).all()
    assert_allclose(float(BinaryFocalLoss(2.0, ignore_class=-1)(y, z)), (rows[0] + rows[2]) / 2, rtol=1e-5)
    p = np.array([[0.9, 0.0]], dtype=np.float32)
    values = BinaryFocalLoss(0.0, from_logits=False, ignore_class=-1, label_smoothing=0.1)(np.array([[1, -1]]), p)
    assert_allclose(float(values), -0.95 * np.log(0.9) - 0.05 * np.log(0.1), rtol=1e-5)


def test_labels_above_256_are_exact_in_half_precision():
    z, y = np.eye(300, dtype=np.float32)[[257, 299]] * 50, np.array([257, 299])
    for dtype in ("bfloat16", "float16", "mixed_float16"):
        assert float(SparseCategoricalFocalLoss(dtype=dtype)(y, z)) < 1e-6


# Weights


def test_a_class_may_weigh_nothing_and_parameters_may_be_tensors():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(4, size=20)
    alpha, gamma = np.array([0.0, 1.0, 0.5, 2.0]), np.array([0.5, 1.0, 2.0, 3.0])
    expected = (FocalLoss(gamma, alpha + 1).loss(y, z) * (alpha / (alpha + 1))[y]).mean()
    for convert in (list, np.asarray, keras.ops.convert_to_tensor):
        loss = SparseCategoricalFocalLoss(convert(gamma), convert(alpha))
        assert_allclose(float(loss(y, z)), expected, rtol=1e-5)
        assert loss.get_config()["alpha"] == alpha.tolist()
    assert BinaryFocalLoss(keras.ops.convert_to_tensor(2.0), (0.0, 1.0)).get_config()["gamma"] == 2.0


def test_weights_by_label():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 3)).astype(np.float32), rng.uniform(size=(20, 3)).astype(np.float32)
    loss = BinaryFocalLoss(2.0, [0.5, [3.0, 0.0, 1.0]])
    ones, zeros = np.ones(20, dtype=int), np.zeros(20, dtype=int)
    one = FocalLoss(2.0)
    by_label = [
        a1 * y[:, k] * one.loss(ones, z[:, k]) + 0.5 * (1 - y[:, k]) * one.loss(zeros, z[:, k])
        for k, a1 in enumerate((3.0, 0.0, 1.0))
    ]
    assert_allclose(float(loss(y, z)), np.mean(by_label), rtol=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert_allclose(float(again(y, z)), np.mean(by_label), rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_float64_gets_numbers_as_they_were_given():
    z, y, several = np.array([0.3, -1.7]), np.array([1, 0]), np.array([[0.3, -1.7, 0.0], [2.0, 1.0, -1.0]])
    options = {"dtype": "float64", "reduction": None}
    expected = FocalLoss(0.7, 0.7).loss(y, z), FocalLoss(0.7, [0.7, 1.1, 0.3]).loss(y, several)
    binary = BinaryFocalLoss(0.7, 0.7, **options)(y, z)
    classes = SparseCategoricalFocalLoss(0.7, [0.7, 1.1, 0.3], **options)(y, several)
    of_p = BinaryFocalLoss(0.7, 0.7, from_logits=False, **options)(y, 1 / (1 + np.exp(-z)))
    zero = BinaryFocalLoss(0.7, from_logits=False, **options)(np.ones(1), np.zeros(1))
    for value, right in zip((binary, classes, of_p), (*expected, expected[0])):
        assert_allclose(keras.ops.convert_to_numpy(value), right, rtol=1e-14)
    assert np.isfinite(keras.ops.convert_to_numpy(zero)).all()
    certain = BinaryFocalLoss(2.0, **options)(np.array([1.0, 0.0]), np.array([np.inf, -np.inf]))
    assert keras.ops.convert_to_numpy(certain).tolist() == [0.0, 0.0]


# Scores


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, (0.0, 0.5, 2.0)])
def test_scores_of_minus_infinity_are_classes_that_are_not_there(gamma, value_gradient):
    two = np.array([[1.0, 0.0], [-3.0, 2.0], [30.0, -30.0]], dtype=np.float32)
    three = np.c_[two, np.full(3, -np.inf, dtype=np.float32)]
    y = np.array([0, 0, 1])
    soft = np.array([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    gamma_of_two = gamma[:2] if isinstance(gamma, tuple) else gamma
    for name, target_of_two, target in (
        (SparseCategoricalFocalLoss, y, y),
        (CategoricalFocalLoss, soft, np.c_[soft, np.zeros(3, dtype=np.float32)]),
    ):
        values, gradient = value_gradient(name(gamma), target, three)
        expected, expected_gradient = value_gradient(name(gamma_of_two), target_of_two, two)
        assert_allclose(values, expected, rtol=1e-6)
        assert_allclose(gradient, np.c_[expected_gradient, np.zeros(3)], rtol=1e-5, atol=1e-6)
    only = np.array([[1.0, -np.inf, -np.inf]], dtype=np.float32)
    values, gradient = value_gradient(SparseCategoricalFocalLoss(gamma), np.array([0]), only)
    assert values == 0
    assert (gradient == 0).all()
    values, gradient = value_gradient(SparseCategoricalFocalLoss(gamma), np.array([1]), only)
    assert values == np.inf
    assert gradient.tolist() == [[1.0, -1.0, 0.0]]


@pytest.mark.parametrize("c", [1.0, 1e4, 1e6, 1e8, -1e8])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_constant_for_all_scores_changes_nothing(c, label_smoothing, value_gradient):
    z, y = np.full((1, 3), c, dtype=np.float32), np.array([1])
    for loss, target in (
        (SparseCategoricalFocalLoss(0.0, label_smoothing=label_smoothing), y),
        (CategoricalFocalLoss(0.0, label_smoothing=label_smoothing), np.eye(3, dtype=np.float32)[y]),
    ):
        values, gradient = value_gradient(loss, target, z)
        assert_allclose(values, np.log(3), rtol=1e-6)
        share = label_smoothing / 3
        assert_allclose(gradient, [[1 / 3 - share, 2 * share - 2 / 3, 1 / 3 - share]], rtol=1e-5)


def test_the_largest_scores_of_two_classes(value_gradient):
    largest = np.finfo(np.float32).max
    z = np.array([-1e30, -largest, largest, -largest, largest, np.inf, -np.inf], dtype=np.float32)
    y = np.array([1, 1, 1, 0, 0, 1, 0])
    values, gradient = value_gradient(BinaryFocalLoss(0.5), y, z)
    assert_allclose(values, [1e30, largest, 0, 0, largest, 0, 0], rtol=1e-6)
    assert gradient[:5].tolist() == [-1, -1, 0, 0, 1]
    assert np.isfinite(gradient).all()
