"""What a model file says of labels and loss: every kind of label comes back, and what is damaged is refused."""

import enum
import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal import FocalLoss
from skfocal._common.saved_state import SavedState, state_from_text, state_of_others

LABELS = {
    "bool": np.array([False, True]),
    "int8": np.array([-128, 127], np.int8),
    "int64": np.array([-(2**63), 2**63 - 1]),
    "uint64": np.array([2**63, 2**64 - 1], np.uint64),
    "big-endian": np.array([1, 2], ">i4"),
    "float16": np.array([1, 2], np.float16),
    "float32": np.array([0, 16777216], np.float32),
    "float64": np.array([0.0, 1e300]),
    "longdouble": np.array([1, np.longdouble(2) ** 63 + 1], np.longdouble),
    "str": np.array(["", "zwölf", 'a "b"\n: ]']),
    "wider str": np.array(["a", "b"], "<U7"),
    "bytes": np.array([b"a", b"\xff\n"]),
    "object": np.array(["no", "yes"], object),
    "datetime64[D]": np.array(["1969-12-31", "2024-02-29"], "M8[D]"),
    "datetime64[ns]": np.array(["2024-02-29T23:59:59.123456789", "2100-01-01"], "M8[ns]"),
    "datetime64[25s]": np.array(["2020-01-01", "2021-01-01"], "M8[25s]"),
    "timedelta64[s]": np.array([-5, 2**40], "m8[s]"),
    "timedelta64[D]": np.array([1, 2], "m8[D]"),
    "StringDType": np.array(["a", "long enough for the heap"], np.dtypes.StringDType()),
    "StringDType with NaN": np.array(["a", "b"], np.dtypes.StringDType(na_object=np.nan)),
    "StringDType with None": np.array(["a", "b"], np.dtypes.StringDType(na_object=None)),
}


def state(classes=("a", "b"), gamma=2.0, alpha=None, calibration="focus", **more):
    labels = np.asarray(classes)
    return SavedState(labels, FocalLoss(gamma, alpha), np.ones(labels.shape[0]), calibration, more)


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_with_their_dtype(kind):
    text = state(LABELS[kind]).to_text()
    assert text.isascii()
    assert text.isprintable()  # one line, whatever the labels
    back = state_from_text(text).classes
    assert_array_equal(back, LABELS[kind])
    assert back.dtype == LABELS[kind].dtype
    assert back.tolist() == LABELS[kind].tolist()


@pytest.mark.parametrize("gamma", [0.0, 0.1, (0.5, 2.0)])
@pytest.mark.parametrize("alpha", [None, 0.3, (1 / 3, 1e-300)])
@pytest.mark.parametrize("calibration", ["focus", "full", None])
def test_the_loss_comes_back_to_the_last_digit(gamma, alpha, calibration):
    before = state(gamma=gamma, alpha=alpha, calibration=calibration, start=0.1)
    after = state_from_text(before.to_text(), more=("start",))
    assert (after.loss, after.calibration, after.more) == (before.loss, calibration, {"start": 0.1})
    assert_array_equal(after.class_weights, before.class_weights)


class Color(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


def test_labels_that_are_no_plain_texts_are_refused():
    with pytest.raises(ValueError, match=r"labels of a model file must be .* got .*red.* of type Color: a pickle"):
        state(np.array([Color.RED, Color.BLUE], object)).to_text()
    with pytest.raises(ValueError, match=r"got 1 of type int"):
        state(np.array(["a", 1], object)).to_text()


DAMAGED = {
    "no JSON": lambda known: "{",
    "no object": lambda known: "[]",
    "no format": lambda known: {k: v for k, v in known.items() if k != "format"},
    "no classes": lambda known: {k: v for k, v in known.items() if k != "classes"},
    "another dtype": lambda known: known | {"classes": {"dtype": "<i8", "values": ["a", "b"]}},
    "no dtype": lambda known: known | {"classes": {"dtype": "<Q7", "values": ["a", "b"]}},
    "other classes": lambda known: known | {"classes": {"dtype": "<U1", "values": ["a"]}},
    "gamma": lambda known: known | {"gamma": -1.0},
    "gammas": lambda known: known | {"gamma": [1.0, 2.0, 3.0]},
    "alpha": lambda known: known | {"alpha": "x"},
    "calibration": lambda known: known | {"calibration": "some"},
    "weights": lambda known: known | {"class_weights": [1.0]},
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_is_refused_in_a_few_words(kind):
    damaged = DAMAGED[kind](json.loads(state().to_text()))
    with pytest.raises(ValueError, match=r"^what it says of its labels and its loss is damaged$"):
        state_from_text(damaged if isinstance(damaged, str) else json.dumps(damaged))


def test_what_more_is_needed_has_to_be_there():
    with pytest.raises(ValueError, match="is damaged"):
        state_from_text(state(start=1.0).to_text(), more=("start", "feature_names"))


def test_a_later_format_is_named():
    later = json.loads(state().to_text()) | {"format": 99}
    with pytest.raises(ValueError, match="its format is 99, this version of skfocal reads 1"):
        state_from_text(json.dumps(later))


def test_what_the_owner_of_a_booster_says_is_checked():
    taken = state_of_others(["no", "yes"], 2, 2.0, 0.25, "full")
    assert_array_equal(taken.class_weights, [0.75, 0.25])
    assert state_of_others(None, 3, 2.0, None, None).classes.tolist() == [0, 1, 2]
    for arguments, match in [
        ((["a"], 2, 2.0, None, "focus"), "classes must have 2 labels, one per class of booster, got 1"),
        ((["a", "a"], 2, 2.0, None, "focus"), r"classes must have distinct labels, got \['a', 'a'\]"),
        ((None, 2, -1.0, None, "focus"), "gamma must be a number >= 0"),
        ((None, 3, (1.0, 2.0), None, "focus"), "gamma must have one entry per class: got 2 entries for 3 classes"),
        ((None, 3, 1.0, 0.3, "focus"), "a single number is for two classes"),
        ((None, 2, 1.0, None, "none"), "calibration must be"),
    ]:
        with pytest.raises(ValueError, match=match):
            state_of_others(*arguments)
