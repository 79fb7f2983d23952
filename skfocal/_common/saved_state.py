"""What a focal classifier adds to its booster, as a line of text in the model file. May import ``labels``, ``loss``.

The line is JSON, so that a program in another language can read the classes, gamma and the weights for ``calibration``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.labels import one_dimensional
from skfocal._kernels.arguments import Calibration, check_calibration
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

FORMAT = 1
"""Increased when an earlier release cannot read the new format."""


@dataclass(frozen=True)
class SavedState:
    """The checked state of a classifier that is saved.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    loss : FocalLoss
        The fitted loss.
    class_weights : ndarray of shape (n_classes,)
    calibration : {"focus", "full"} or None
    more : dict
        State that only the classifier of one library has, in JSON types.
    """

    classes: Array
    loss: FocalLoss
    class_weights: Array
    calibration: Calibration
    more: dict[str, Any]

    def give_to(self, model: Any) -> None:
        """Set the attributes that have the same name in all classifiers. Each library sets labels and calibration
        itself.
        """
        model.focal_loss_, model.class_weights_ = self.loss, self.class_weights

    def to_text(self) -> str:
        """One line of ASCII.

        Raises
        ------
        ValueError
            If a label can't be told from its text.
        """
        known = {
            "format": FORMAT,
            "classes": _encode(self.classes),
            "gamma": self.loss.gamma,
            "alpha": self.loss.alpha,
            "class_weights": self.class_weights.tolist(),
            "calibration": self.calibration,
        }
        return json.dumps(known | self.more, allow_nan=False)


def state_of(model: Any, classes: Array, **more: Any) -> SavedState:
    """The state of a classifier that has a loss. It need not have a booster yet."""
    return SavedState(classes, model.focal_loss_, model.class_weights_, check_calibration(model.calibration), more)


def state_of_others(classes: ArrayLike | None, n_classes: int, gamma: Any, alpha: Any, calibration: Any) -> SavedState:
    """The state of a booster that was trained elsewhere, from the user's description.

    ``classes`` (n_classes,) are the labels of the class indices of its training. None stands for the indices
    themselves.
    """
    loss = FocalLoss(gamma, alpha)
    labels = np.arange(n_classes) if classes is None else one_dimensional(classes, "classes")
    if labels.shape[0] != n_classes:
        raise ValueError(f"classes must have {n_classes} labels, one per class of booster, got {labels.shape[0]}")
    if np.unique(labels).shape[0] != n_classes:
        raise ValueError(f"classes must have distinct labels, got {labels.tolist()}")
    loss.gamma_per_class(n_classes)
    return SavedState(labels, loss, loss.alpha_per_class(n_classes), check_calibration(calibration), {})


def state_from_text(text: str, more: tuple[str, ...] = ()) -> SavedState:
    """What `SavedState.to_text` wrote, ``more`` among it.

    Raises
    ------
    ValueError
        If the text has a later format or is damaged. The message is a short reason.
    """
    try:
        known = json.loads(text)
        number = known.pop("format")
        if number != FORMAT:
            raise _OtherFormatError(f"its format is {number!r}, this version of skfocal reads {FORMAT}")
        classes = _decode(**known.pop("classes"))
        loss = FocalLoss(known.pop("gamma"), known.pop("alpha"))
        class_weights = np.array(known.pop("class_weights"), dtype=np.float64)
        calibration = check_calibration(known.pop("calibration"))
        if not (classes.shape == class_weights.shape == loss.gamma_per_class(classes.shape[0]).shape):
            raise ValueError
        known = {name: known[name] for name in more}
    except _OtherFormatError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError("what it says of its labels and its loss is damaged") from error
    return SavedState(classes, loss, class_weights, calibration, known)


class _OtherFormatError(ValueError):
    pass


# Labels


def _encode(classes: Array) -> dict[str, Any]:
    """Labels in JSON types, (K,), and the dtype that restores the same array."""
    kind, dtype = classes.dtype.kind, classes.dtype.str
    values: list[Any]
    if kind == "f" and classes.dtype.itemsize > 8:
        values = [str(label) for label in classes]  # more digits than JSON's readers keep
    elif kind in "biufU":
        values = classes.tolist()
    elif kind == "S":
        values = [label.decode("latin-1") for label in classes.tolist()]
    elif kind == "M":
        values = np.datetime_as_string(classes).tolist()
    elif kind == "m":
        values = classes.astype(np.int64).tolist()
    elif kind == "T":
        dtype, values = f"StringDType({getattr(classes.dtype, 'na_object', '')})", classes.tolist()
    elif kind == "O" and all(type(label) in (str, np.str_) for label in classes):
        values = [str(label) for label in classes]
    else:
        strange = [label for label in classes.tolist() if type(label) not in (str, np.str_)]
        raise ValueError(
            f"labels of a model file must be texts, numbers, Booleans or dates, got {strange[0]!r} of type "
            f"{type(strange[0]).__name__}: a pickle keeps such labels"
        )
    return {"dtype": dtype, "values": values}


def _decode(dtype: str, values: list[Any]) -> Array:
    if dtype.startswith("StringDType"):
        missing: dict[str, Any] = {"StringDType(nan)": {"na_object": np.nan}, "StringDType(None)": {"na_object": None}}
        return np.array(values, dtype=np.dtypes.StringDType(**missing.get(dtype, {})))
    if np.dtype(dtype).kind == "S":
        values = [label.encode("latin-1") for label in values]
    return np.array(values, dtype=dtype)
