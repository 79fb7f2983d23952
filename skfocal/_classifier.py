"""What the estimators share: labels, class weights, probabilities, errors. May import ``loss``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from skfocal._kernels.blocks import Array
from skfocal._validation import check_alpha, check_calibration, check_gamma
from skfocal.loss import FocalLoss

PARAMETERS_DOC = """
    focal_gamma : float or array-like of shape (n_classes,), default=2.0
        Focusing parameter, >= 0: how strongly well-classified rows are played down. 0 is log loss. One number,
        or one per class in the order of ``classes_``.
    focal_alpha : None, float, array-like of shape (n_classes,), dict or "balanced", default=None
        Class weights. A number in (0, 1) is the weight of the second class of two, the first weighing the rest
        to 1; an array is in the order of ``classes_``; a dict goes by label, labels left out weigh as much as
        they do with None; "balanced" is inversely proportional to the class frequencies. Whatever the form, it
        is rescaled to a mean of 1 over the training rows, so that 0.5 means "off".
"""

CALIBRATION_DOC = """
    calibration : {"focus", "full"} or None, default="focus"
        What ``predict_proba`` undoes of the loss: "focus" undoes gamma, "full" gamma and the class weights
        (giving the probability in the training population), None nothing (the bare sigmoid or softmax).
"""


class FocalClassifierMixin:
    """Labels in, probabilities out. A subclass fits ``focal_loss_`` and gives raw scores."""

    focal_gamma: Any
    focal_alpha: Any
    calibration: Any
    focal_loss_: FocalLoss
    class_weights_: Array
    classes_: Array

    focal_parameters: ClassVar[tuple[str, ...]] = ("focal_gamma", "focal_alpha", "calibration")

    # What scikit-learn makes the link in an estimator's HTML representation of.
    _doc_link_module = "skfocal"

    @property
    def _doc_link_template(self) -> str:
        base = documentation_url()
        return f"{base}/generated/{{estimator_module}}.{{estimator_name}}.html" if base else ""

    def _check_focal_parameters(self) -> None:
        """What can be known to be wrong without data."""
        check_gamma(self.focal_gamma, "focal_gamma")
        if not isinstance(self.focal_alpha, (str, Mapping)):
            check_alpha(self.focal_alpha, "focal_alpha")
        elif self.focal_alpha != "balanced" and isinstance(self.focal_alpha, str):
            raise ValueError(f"focal_alpha must be 'balanced' if it is a string, got {self.focal_alpha!r}")
        check_calibration(self.calibration)

    def _build_loss(self, classes: Array, y: Array, weight: Array | None, outer_weights: Array) -> FocalLoss:
        """Make ``focal_loss_``, with alpha resolved to one weight per class.

        ``weight`` (n,) are the rows' weights in all, ``outer_weights`` (K,) those of the classes that are in
        ``weight`` already (``class_weight``), which "full" calibration has to undo as well.
        """
        n_classes = classes.shape[0]
        totals = np.bincount(y, weights=weight, minlength=n_classes)
        if np.count_nonzero(totals) < 2:
            only = classes.tolist()[np.argmax(totals)]
            raise ValueError(f"y must hold at least two classes with a positive sample weight, got one class: {only!r}")
        gamma = check_gamma(self.focal_gamma, "focal_gamma")
        if isinstance(gamma, tuple) and len(gamma) != n_classes:
            raise ValueError(
                f"focal_gamma must be a number or one per class: got {len(gamma)} entries for {n_classes} classes"
            )
        alpha = resolve_alpha(self.focal_alpha, classes, totals)
        self.class_weights_ = outer_weights if alpha is None else alpha * outer_weights
        return FocalLoss(gamma, None if alpha is None else tuple(alpha.tolist()))

    def _labels(self, raw: Array) -> Array:
        """The class that the scores decide for."""
        indices = (raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)
        labels: Array = self.classes_[indices]
        return labels

    def _probabilities(self, raw: Array) -> Array:
        # The loss as it was fitted, but for the weights to undo: those of class_weight belong to them.
        loss = FocalLoss(self.focal_loss_.gamma, tuple(self.class_weights_.tolist()))
        return loss.predict_proba(raw, check_calibration(self.calibration))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithm of ``predict_proba``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        proba: Array = self.predict_proba(X)  # type: ignore[attr-defined]
        with np.errstate(divide="ignore"):
            return np.log(proba)


def documentation_url() -> str:
    """``Documentation`` among the URLs of the installed package, without a slash at its end, or nothing."""
    try:
        urls = metadata("skfocal").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named: dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation", "").rstrip("/")


def encode_labels(y: ArrayLike) -> tuple[Array, Array]:
    """Classes in sorted order (K,), and each row's index into them (n,), intp."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    labels = column_or_1d(y, warn=True)
    if labels.shape[0] == 0:
        raise ValueError("y must have at least one label, got 0")
    assert_all_finite(labels, input_name="y")
    classes, indices = _count_integers(labels) or _sort_labels(labels)
    if classes.shape[0] < 2:
        raise ValueError(f"y must hold at least two classes, got one class: {classes.tolist()[0]!r}")
    return classes, indices


def _sort_labels(labels: Array) -> tuple[Array, Array]:
    """`encode_labels` of labels of any kind."""
    check_classification_targets(labels)
    try:
        classes, indices = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"y must hold labels of one kind and none missing, got {labels!r}") from error
    return classes, indices.astype(np.intp, copy=False)


def _count_integers(labels: Array) -> tuple[Array, Array] | None:
    """What `_sort_labels` gives, in a tenth of its time; None unless labels are integers and lie close together.

    Closer than half the number of rows: with more classes than that scikit-learn's check has something to say.
    """
    if not (labels.dtype.kind in "iu" and np.can_cast(labels.dtype, np.intp)):
        return None
    low, high = int(labels.min()), int(labels.max())
    if high - low >= labels.shape[0] // 2:
        return None
    indices = np.subtract(labels, low, dtype=np.intp)
    present = np.bincount(indices) > 0
    if not present.all():
        indices = (np.cumsum(present) - 1)[indices]
    return (np.flatnonzero(present) + low).astype(labels.dtype), indices


def resolve_alpha(alpha: Any, classes: Array, totals: Array) -> Array | None:
    """One weight per class with a mean of 1 over the rows, or None for ones.

    ``totals`` (K,) is each class's sum of sample weights.
    """
    if alpha is None:
        return None
    n_classes = classes.shape[0]
    if isinstance(alpha, str):
        weights = np.divide(1.0, totals, out=np.ones(n_classes), where=totals > 0)
    elif isinstance(alpha, Mapping):
        weights = _weights_by_label(alpha, classes)
    else:
        checked = check_alpha(alpha, "focal_alpha")
        if isinstance(checked, float) and n_classes != 2:
            raise ValueError(
                f"focal_alpha must be None, 'balanced', a dict or one number > 0 per class for {n_classes} "
                f"classes, got {alpha!r}: a single number is for two classes"
            )
        if isinstance(checked, tuple) and len(checked) != n_classes:
            raise ValueError(
                f"focal_alpha must have one entry per class: got {len(checked)} entries for {n_classes} classes"
            )
        weights = FocalLoss(0.0, checked).alpha_per_class(n_classes)
    result: Array | None = weights * (totals.sum() / (totals * weights).sum())
    return result


def resolve_class_weight(
    class_weight: Any, classes: Array, indices: Array, sample_weight: Array | None = None
) -> Array:
    """scikit-learn's ``class_weight`` as one weight per class, (K,).

    With ``sample_weight`` "balanced" goes by weighted frequencies: a weight of 2 is then the same as the row twice.
    """
    if isinstance(class_weight, str) and class_weight == "balanced" and sample_weight is not None:
        totals = np.bincount(indices, weights=sample_weight, minlength=classes.shape[0])
        mean = totals.sum() / classes.shape[0]
        balanced: Array = np.divide(mean, totals, out=np.ones_like(totals), where=totals > 0)
        return balanced
    try:
        weights: Array = compute_class_weight(class_weight, classes=classes, y=classes[indices])
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"class_weight must be None, 'balanced' or a dict of labels of y, got {class_weight!r}"
        ) from error
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError(f"class_weight must have numbers > 0 as values, got {class_weight!r}")
    return weights


def _weights_by_label(alpha: Mapping[Any, Any], classes: Array) -> Array:
    index = {label: k for k, label in enumerate(classes.tolist())}
    weights = np.ones(classes.shape[0])
    for label, weight in alpha.items():
        if label not in index:
            raise ValueError(f"focal_alpha must have labels of y as keys, one of {classes.tolist()}, got {label!r}")
        try:
            check_alpha([weight, 1.0])
        except (TypeError, ValueError) as error:
            raise type(error)(f"focal_alpha must have numbers > 0 as values, got {label!r}: {weight!r}") from error
        weights[index[label]] = weight
    return weights
