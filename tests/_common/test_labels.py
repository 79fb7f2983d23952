"""Labels as indices."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal._common.labels import encode_labels, index_labels


@pytest.mark.parametrize("labels", [[True, False], [3, 1], [2.0, 0.0], [np.int8(1), np.bool_(False)]], ids=str)
def test_objects_that_are_numbers_are_numbers(labels):
    objects = np.empty(2, object)
    objects[:] = labels
    classes, indices = encode_labels(objects)
    assert classes.dtype != object
    assert_array_equal(classes, sorted(labels))
    assert_array_equal(indices, [1, 0])


@pytest.mark.parametrize("labels", [[1, "a"], [(0, 1), (1, 0)], [None, "a"], [0.5, 1.5]], ids=str)
def test_an_error_names_what_holds_the_labels(labels):
    objects = np.empty(2, object)
    objects[:] = labels
    with pytest.raises(ValueError, match=r"^labels of mine must hold labels of one kind and none missing"):
        encode_labels(objects, "labels of mine")


def test_objects_that_are_bytes_are_refused_as_by_scikit_learn():
    # Before 1.7 scikit-learn only warned, which is an error in these tests.
    with pytest.raises((ValueError, FutureWarning), match="labels represented as bytes"):
        encode_labels(np.array([b"a", b"b"], object))


@pytest.mark.parametrize("labels", [np.ones(2, dtype) for dtype in ("u1", "i1", "?", "f8")], ids=repr)
def test_labels_are_found_among_classes_beyond_their_dtype(labels):
    assert_array_equal(index_labels(labels, np.array([-1000, 1]), "y"), [1, 1])


@pytest.mark.parametrize("strange", [3, -1, 0.5, np.nan, np.inf, 2.0**60])
@pytest.mark.parametrize("classes", [[0, 1, 5], [0.0, 1.0, 5.0]], ids=str)
def test_an_unknown_number_is_named(classes, strange):
    with pytest.raises(ValueError, match=rf"^labels of mine must hold labels among .*, got {re.escape(str(strange))}"):
        index_labels(np.array([1, 0, strange, 5]), np.array(classes), "labels of mine")
