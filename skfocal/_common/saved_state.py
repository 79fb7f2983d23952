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
from skfocal._common.several_labels import CLASSES, losses_of_labels
from skfocal._kernels.arguments import Calibration, check_calibration
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

FORMAT = 1
"""Increased when an earlier release cannot read the new format."""

FORMAT_OF_LABELS = 2
"""The format of models of several labels per row. A release without several labels per row can't read it."""


@dataclass(frozen=True)
class SavedState:
    """The checked state of a classifier that is saved.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    loss : FocalLoss or tuple of FocalLoss
        The fitted loss. With several labels per row, one loss per label.
    class_weights : ndarray of shape (n_classes,) or (n_labels, 2)
    calibration : {"focus", "full"} or None
    more : dict
        State that only the classifier of one library has, in JSON types.
    """

    classes: Array
    loss: Any
    class_weights: Array
    calibration: Calibration
    more: dict[str, Any]

    @property
    def n_labels(self) -> int:
        """Number of labels per row."""
        return len(self.loss) if isinstance(self.loss, tuple) else 1

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
        is_of_labels = isinstance(self.loss, tuple)
        known: dict[str, Any] = {
            "format": FORMAT_OF_LABELS if is_of_labels else FORMAT,
            "classes": _encode(self.classes),
        }
        if isinstance(self.loss, tuple):
            pairs = zip(self.loss, self.class_weights, strict=True)
            known["labels"] = [_as_dict(loss, weights) for loss, weights in pairs]
        else:
            known |= _as_dict(self.loss, self.class_weights)
        return json.dumps(known | {"calibration": self.calibration} | self.more, allow_nan=False)


def _as_dict(loss: FocalLoss, class_weights: Array) -> dict[str, Any]:
    return {"gamma": loss.gamma, "alpha": loss.alpha, "class_weights": class_weights.tolist()}


def state_of(model: Any, classes: Array, **more: Any) -> SavedState:
    """The state of a classifier that has a loss. It need not have a booster yet."""
    return SavedState(classes, model.focal_loss_, model.class_weights_, check_calibration(model.calibration), more)


def state_of_others(
    classes: ArrayLike | None, n_classes: int, gamma: Any, alpha: Any, calibration: Any, *, n_labels: int = 1
) -> SavedState:
    """The state of a booster that was trained elsewhere, from the user's description.

    ``classes`` (n_classes,) are the labels of the class indices of its training. None stands for the indices
    themselves, which are the only possibility with several labels per row.
    """
    loss = FocalLoss(gamma, alpha)
    if n_labels > 1:
        if classes is not None and not np.array_equal(classes, CLASSES):
            raise ValueError(
                f"classes must be None or [0, 1] for a booster of {n_labels} labels per row, got {classes!r}"
            )
        losses = losses_of_labels(loss, n_labels)
        weights = np.array([of_label.alpha_per_class(2) for of_label in losses])
        return SavedState(CLASSES, losses, weights, check_calibration(calibration), {})
    labels = np.arange(n_classes) if classes is None else one_dimensional(classes, "classes", advice="")
    if labels.shape[0] != n_classes:
        raise ValueError(f"classes must have {n_classes} labels, one per class of booster, got {labels.shape[0]}")
    if np.unique(labels).shape[0] != n_classes:
        raise ValueError(f"classes must have distinct labels, got {labels.tolist()}")
    loss.gamma_per_class(n_classes)
    return SavedState(labels, loss, loss.alpha_per_class(n_classes), check_calibration(calibration), {})


def state_from_text(text: str, more: tuple[str, ...] = (), formats: tuple[int, ...] = (FORMAT,)) -> SavedState:
    """Read the text of `SavedState.to_text`, which must have one of ``formats`` and the entries ``more``.

    Raises
    ------
    ValueError
        If the text has a later format or is damaged. The message is a short reason.
    """
    try:
        known = json.loads(text)
        number = known.pop("format")
        if number not in formats:
            legal = " and ".join(map(str, formats))
            raise _OtherFormatError(f"its format is {number!r}, this version of skfocal reads {legal}")
        classes = _decode(**known.pop("classes"))
        loss: FocalLoss | tuple[FocalLoss, ...]
        if number == FORMAT:
            loss, class_weights = _loss_of_dict(known, classes.shape[0])
        else:
            pairs = [_loss_of_dict(of_label, 2) for of_label in known.pop("labels")]
            loss, class_weights = tuple(pair[0] for pair in pairs), np.array([pair[1] for pair in pairs])
            if len(pairs) < 2 or classes.shape != (2,):
                raise ValueError
        calibration = check_calibration(known.pop("calibration"))
        known = {name: known[name] for name in more}
    except _OtherFormatError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError("what it says of its labels and its loss is damaged") from error
    return SavedState(classes, loss, class_weights, calibration, known)


def _loss_of_dict(known: dict[str, Any], n_classes: int) -> tuple[FocalLoss, Array]:
    loss = FocalLoss(known.pop("gamma"), known.pop("alpha"))
    class_weights = np.array(known.pop("class_weights"), dtype=np.float64)
    if not (class_weights.shape == loss.gamma_per_class(n_classes).shape == (n_classes,)):
        raise ValueError
    return loss, class_weights


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
