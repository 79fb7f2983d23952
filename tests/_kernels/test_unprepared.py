"""Loss and derivatives from unchecked labels: the kernels in C, which check them, compared with the checks in NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal import FocalLoss, _kernels

METHODS = ("loss", "gradient", "gradient_hessian")
TYPES = ["?", *"bhilqBHILQ", *"efdg", ">i4", ">f8"]


def problem(n_scores, dtype=np.float64, n=1003):
    """Rows for several of the C code's chunks and a remainder."""
    rng = np.random.default_rng(n_scores)
    shape = (n,) if n_scores == 1 else (n, n_scores)
    return rng.integers(max(2, n_scores), size=n), (3 * rng.normal(size=shape)).astype(dtype), rng.uniform(0.1, 2, n)


@pytest.mark.parametrize(
    "loss", [FocalLoss(g, a) for g in (0.0, 2.0, (0.5, 1.3)) for a in (None, 0.9, (0.2, 3.0))], ids=str
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_scores", [1, 2])
def test_equals_the_loss_on_data_that_was_laid_out(n_scores, dtype, weighted, loss, compiled):
    y, raw, weight = problem(n_scores, dtype)
    weight = weight if weighted else None
    data = loss.on(y, n_scores, weight, dtype)
    assert_array_equal(loss.loss(y, raw, weight), data.loss(raw))
    assert_array_equal(loss.gradient(y, raw, weight), data.loss_gradient(raw)[1])
    for got, expected in zip(loss.gradient_hessian(y, raw, weight), data.gradient_hessian(raw)):
        assert got.dtype == dtype
        assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n_scores", [1, 3])
def test_labels_may_have_any_type_and_layout(n_scores, dtype):
    y, raw, _ = problem(n_scores)
    y = y if dtype != "?" else y % 2
    loss = FocalLoss(1.3)
    expected = [loss.on(y, n_scores).gradient_hessian(raw)[0], loss.on(y, n_scores).loss(raw)]
    labels = y.astype(dtype)
    odd = np.empty(labels.nbytes + 1, np.uint8)[1:].view(dtype)  # at an address that is no multiple of its size
    odd[...] = labels
    for view in (
        labels,
        np.repeat(labels, 3)[::3],
        labels[::-1].copy()[::-1],
        np.stack([labels] * 2, axis=1)[:, :1],
        odd,
    ):
        assert_array_equal(loss.gradient(view, raw), expected[0])
        assert_array_equal(loss.loss(view, raw), expected[1])


@pytest.mark.parametrize("dtype", [t for t in TYPES if t not in ("e", "g", ">i4", ">f8")])
def test_the_usual_types_need_no_check_in_numpy(dtype, compiled, monkeypatch):
    y, raw, weight = problem(1)
    monkeypatch.setattr("skfocal.loss.check_y_true", None)
    FocalLoss(2.0, 0.3).gradient_hessian(y.astype(dtype), raw, weight)


def error_of(run):
    try:
        run()
    except Exception as error:
        return type(error), str(error)
    return None


def wrong_labels():
    """A legal type each, and one label that is no class of three."""
    for dtype in "bhilq":
        yield dtype, -1
        yield dtype, np.iinfo(dtype).min
        yield dtype, 3
    for dtype in "BHILQ":
        yield dtype, 3
        yield dtype, np.iinfo(dtype).max
    for dtype in "efdg":
        for value in (
            -1,
            -0.5,
            0.5,
            2.5,
            3,
            np.nan,
            np.inf,
            -np.inf,
            np.finfo(dtype).max,
            np.finfo(dtype).smallest_subnormal,
        ):
            yield dtype, value
    for dtype in "fdg":
        for value in (2**31, 2**32, -(2**31), 2**63, 2**64):  # what a narrower integer takes for 0
            yield dtype, value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_scores", [1, 3])
def test_a_wrong_label_is_named_wherever_it_stands(n_scores, method, monkeypatch):
    _, raw, _ = problem(n_scores)
    run = getattr(FocalLoss(2.0), method)
    for i, (dtype, value) in enumerate(wrong_labels()):
        y = np.zeros(len(raw), dtype)
        y[37 * i % len(y)] = value
        with pytest.raises(
            ValueError, match=rf"y_true must hold class indices 0 .. {max(1, n_scores - 1)}, got"
        ) as error:
            run(y, raw)
        assert str(error.value).endswith(f"got {y[37 * i % len(y)].item()!r}")
        with monkeypatch.context() as patch:
            patch.setattr(_kernels, "compiled", None)
            assert error_of(lambda y=y: run(y, raw)) == (ValueError, str(error.value))


def test_int8_labels_of_more_classes_than_int8_counts():
    raw = np.zeros((2, 300))
    assert FocalLoss(0.0).gradient(np.array([127, 255], "B"), raw).argmin(axis=1).tolist() == [127, 255]
    with pytest.raises(ValueError, match=r"class indices 0 .. 299, got -1"):
        FocalLoss(0.0).gradient(np.array([127, -1], "b"), raw)


def test_a_bool_that_is_neither_0_nor_1_is_true():
    y = np.array([0, 2], np.uint8).view(bool)
    assert_array_equal(FocalLoss().gradient(y, np.zeros(2)), FocalLoss().gradient([False, True], np.zeros(2)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_scores", [1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_that_is_not_finite_is_refused_wherever_it_stands(dtype, value, n_scores, method):
    y, raw, _ = problem(n_scores, dtype, n=600)
    for at in range(0, raw.size, 97):
        wrong = raw.copy()
        wrong.reshape(-1)[at] = value
        with pytest.raises(ValueError, match="raw_prediction must be finite, got NaN or infinity"):
            getattr(FocalLoss(2.0), method)(y, wrong)


Y, Z = [0, 1, 1], [0.5, -1.0, 2.0]
FAULTS = {
    "y_true": [[0, 1], [[0, 1, 1]], ["a", "b", "c"], [0, 1, 2], [0, 1, np.nan], [0, 1, 1j], None, [], 3],
    "raw_prediction": [
        Z[:1],
        [0.5, np.nan, 1.0],
        ["a", "b", "c"],
        None,
        [],
        1.0,
        np.zeros((3, 0)),
        np.zeros((3, 2, 2)),
    ],
    "sample_weight": [[1.0], [1, 1, -1], [1, 1, np.nan], [0, 0, 0], ["x", "y", "z"], [[1, 1, 1]], [1, 1j, 1]],
    "loss": [FocalLoss((1.0, 2.0, 3.0)), FocalLoss(2.0, (1.0, 2.0, 3.0))],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", FAULTS)
@pytest.mark.parametrize("second", FAULTS)
def test_of_two_faults_the_same_one_is_reported_with_and_without_c(second, first, method, compiled, monkeypatch):
    right = {"y_true": Y, "raw_prediction": Z, "sample_weight": None, "loss": FocalLoss(2.0)}
    for a in FAULTS[first]:
        for b in FAULTS[second]:
            given = {**right, first: a, second: b}
            run = getattr(given.pop("loss"), method)
            in_c = error_of(lambda run=run, given=given: run(**given))
            with monkeypatch.context() as patch:
                patch.setattr(_kernels, "compiled", None)
                assert in_c == error_of(lambda run=run, given=given: run(**given))
            assert in_c is not None
            assert issubclass(in_c[0], (TypeError, ValueError))


def test_losses_beyond_the_largest_number_are_that_number():
    largest = np.finfo(np.float64).max
    y, z = [1, 1, 0], [-largest, 0.0, largest]
    weight = [10.0, 1.0, 0.25]
    assert FocalLoss(2.0).loss(y, z, weight)[[0, 2]].tolist() == [largest, largest / 4]
