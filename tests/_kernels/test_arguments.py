"""Checks and conversion of arguments: what is legal at the bounds, what an error shows, and what is not copied."""

import re
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal import FocalLoss
from skfocal._kernels.arguments import as_raw_prediction, check_gamma, check_sample_weight, check_y_true


def test_a_number_may_be_of_any_type_that_holds_one():
    for gamma in (2, np.float32(2), np.int8(2), Fraction(2), np.array(2.0), np.array(2)):
        assert FocalLoss(gamma).gamma == 2.0
        assert type(FocalLoss(gamma).gamma) is float
    for gamma in (10**400, np.array("2"), np.array(True), 2j):
        with pytest.raises(TypeError, match="gamma must be a number >= 0 or one per class, got"):
            FocalLoss(gamma)


def test_gamma_is_at_most_100():
    assert check_gamma(100) == 100.0
    assert check_gamma([0, 100]) == (0.0, 100.0)
    for gamma in (100.1, [0, 100.1]):
        with pytest.raises(ValueError, match=rf"gamma must be at most 100, got {re.escape(repr(gamma))}"):
            check_gamma(gamma)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.full(20, -1), repr(np.full(20, -1))),
        (np.full(21, -1), "an array of shape (21,)"),
        ("x" * 198, "'" + "x" * 198 + "'"),
        ("x" * 199, "'" + "x" * 199 + "..."),
        ("x" * 1000, "'" + "x" * 199 + "..."),
    ],
    ids=["20 numbers", "21 numbers", "200 letters", "201 letters", "1002 letters"],
)
def test_an_error_shows_the_value_in_at_most_200_letters(value, shown):
    with pytest.raises((TypeError, ValueError)) as error:
        FocalLoss(value)
    assert str(error.value) == f"gamma must be a number >= 0 or one per class, got {shown}"


def test_arrays_of_the_right_type_are_not_copied():
    z, y, w = np.zeros(3), np.zeros(3, np.intp), np.ones(3, np.float32)
    assert np.shares_memory(as_raw_prediction(z), z)
    assert np.shares_memory(check_y_true(y), y)
    assert np.shares_memory(check_sample_weight(w, 3, np.float32), w)


def test_a_column_is_one_number_per_row():
    z, y, w = [0.3, -1.0, 2.0], [0, 1, 1], [1.0, 2.0, 3.0]
    expected = FocalLoss().loss(y, z, w)
    assert_array_equal(FocalLoss().loss(y, np.c_[z], w), expected)
    assert_array_equal(FocalLoss().loss(np.c_[y], z, w), expected)
    assert_array_equal(FocalLoss().loss(y, z, np.c_[w]), expected)
    assert FocalLoss().predict_proba(np.c_[z]).shape == (3, 2)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(3,\), one weight per row, got \(3, 2\)"):
        FocalLoss().loss(y, z, np.c_[w, w])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_weight_is_the_weight_of_every_row(dtype):
    weight = check_sample_weight(2, 3, dtype)
    assert weight.dtype == dtype
    assert_array_equal(weight, [2.0, 2.0, 2.0])


def test_labels_of_an_unknown_number_of_classes():
    assert_array_equal(check_y_true([0, 300.0]), [0, 300])
    for wrong in (-1, 0.5, np.nan):
        with pytest.raises(ValueError, match=rf"class indices 0 .. n_classes - 1, got {wrong}$"):
            check_y_true([0, 300, wrong])


def test_weights_are_real_numbers_that_the_dtype_can_hold():
    with pytest.raises(TypeError, match="sample_weight must be real numbers, got dtype complex128"):
        check_sample_weight([1, 1j], 2, np.float64)
    with pytest.raises(ValueError, match="sample_weight must be finite numbers >= 0"):
        check_sample_weight([1.0, 1e300], 2, np.float32)
    # Their sum has to be finite in float64 only.
    large = np.full(4, 3e38, np.float32)
    assert check_sample_weight(large, 4, np.float32) is large
