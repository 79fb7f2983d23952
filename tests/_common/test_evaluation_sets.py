"""Arguments about evaluation sets, and what is said of wrong ones."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal._common.evaluation_sets import EvaluationSets, per_set
from skfocal._common.rows import Rows

X, y = np.zeros((4, 3)), np.array(["a", "b", "a", "b"])


def sets(*pairs):
    return EvaluationSets(pairs, X, y, Rows(X, y, None))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [None, None, None]),
        (["u"], ["u", None, None]),
        (("u", "v", "w"), ["u", "v", "w"]),
        ({2: "w"}, [None, None, "w"]),
        ({}, [None, None, None]),
    ],
    ids=str,
)
def test_what_is_given_belongs_to_the_sets_in_turn(given, expected):
    assert per_set(given, 3, "init") == expected


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({3: "x"}, ValueError, "init must have numbers of evaluation sets as keys, from 0 to 2, got 3"),
        ({"0": "x"}, ValueError, "init must have numbers of evaluation sets as keys, from 0 to 2, got '0'"),
        (["x"] * 4, ValueError, "init must have an entry per evaluation set, got 4 for 3"),
        ("x", TypeError, "init must be a list or a dict with an entry per evaluation set, got str"),
        (np.zeros(3), TypeError, "init must be a list or a dict with an entry per evaluation set, got ndarray"),
    ],
    ids=str,
)
def test_wrong_entries_are_named(given, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        per_set(given, 3, "init")


def test_each_set_may_have_to_have_an_entry():
    two = sets((X, y), (X[:2], y[:2]))
    assert two.weights(None, "w", of_each=True) is None
    first, second = two.weights([None, [1.0, 2.0]], "w", of_each=True)
    assert first is None
    assert_array_equal(second, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^w must have an entry per evaluation set, got 1 for 2$"):
        two.weights([None], "w", of_each=True)


@pytest.mark.parametrize(
    ("table", "labels", "message"),
    [
        (None, ["a"], "eval_set must have data X and labels y, got None for X"),
        ([[1, 2, 3], [4, 5, 6]], ["a"], "eval_set must have one label per row of its X, got 1 for 2"),
        ([[1, 2], [4, 5]], ["a", "b"], "eval_set must have the 3 columns of X, got 2"),
        (X[:2], ["a", "c"], r"y of eval_set must hold labels among \['a', 'b'\], got 'c'"),
        (X[:0], [], "eval_set must have at least one row, got 0"),
    ],
    ids=str,
)
def test_a_wrong_set_is_named(table, labels, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        sets((table, np.array(labels, dtype="U1")))
    with pytest.raises(ValueError, match=f"^{message}$".replace("eval_set", r"eval_set\[1\]")):
        sets((X, y), (table, np.array(labels, dtype="U1")))


@pytest.mark.parametrize("table", [[[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4]], [1, 2], "xy"], ids=str)
def test_a_table_whose_shape_is_not_known_is_left_to_the_library(table):
    known = sets((table, ["b", "a"]))
    assert known.tables == [table]
    assert_array_equal(known.labels[0], [1, 0])


def test_the_training_data_are_recognized_by_identity():
    assert sets((X, y), (X.copy(), y), (X, y.copy())).is_training == [True, False, False]
