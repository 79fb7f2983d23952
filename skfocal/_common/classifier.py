"""What the estimators share: their parameters, their loss, probabilities. May import ``loss``, ``labels``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, ClassVar

import numpy as np

from skfocal._common.labels import resolve_alpha
from skfocal._kernels.arguments import check_alpha, check_calibration, check_gamma, is_number
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

PARAMETERS_DOC = """
    focal_gamma : float or array-like of shape (n_classes,), default=2.0
        Focusing parameter, from 0 to 100: how strongly well-classified rows are played down. 0 is log loss. One
        number, or one per class in the order of ``classes_``.
    focal_alpha : dict, "balanced", "effective", array-like of shape (n_classes,), float or None, default=None
        Class weights. A dict goes by label, ``{"fraud": 10.0}``; labels that it does not name weigh 1. "balanced" is
        inversely proportional to the class frequencies, "effective" to the effective numbers of
        `skfocal.effective_number_weights`. An array is in the order of ``classes_``. A number in (0, 1) is the weight
        of the second of two classes **in sorted order** ("ok" of "fraud" and "ok"), the first weighing the rest to 1.
        Whatever the form, the weights are rescaled to a mean of 1 over the training rows, so that the number 0.5 means
        no weighting.
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
        if is_number(self.focal_alpha) and self.focal_alpha >= 1:
            raise ValueError(
                f"focal_alpha must be in (0, 1) if it is one number, the weight of the second class, got "
                f"{self.focal_alpha!r}: to weigh a class {self.focal_alpha:g} times the other, name it in a dict, "
                f"{{label: {self.focal_alpha:g}}}"
            )
        if not isinstance(self.focal_alpha, (str, Mapping)):
            check_alpha(self.focal_alpha, "focal_alpha")
        elif isinstance(self.focal_alpha, str) and self.focal_alpha not in ("balanced", "effective"):
            raise ValueError(
                f"focal_alpha must be 'balanced' or 'effective' if it is a string, got {self.focal_alpha!r}"
            )
        check_calibration(self.calibration)

    def _build_loss(self, classes: Array, y: Array, sample_weight: Array | None, outer_weights: Array) -> FocalLoss:
        """Make ``focal_loss_``, with alpha resolved to one weight per class, and set ``class_weights_``.

        ``sample_weight`` (n,) are the rows' own weights, ``outer_weights`` (K,) those of ``class_weight``. The two
        kinds of class weights multiply: "balanced" is of the rows' own weights, or it would undo ``class_weight``.
        "full" calibration undoes both. A class whose rows all weigh nothing keeps its place, as in scikit-learn.
        """
        n_classes = classes.shape[0]
        totals = np.bincount(y, weights=sample_weight, minlength=n_classes)
        gamma = check_gamma(self.focal_gamma, "focal_gamma")
        if isinstance(gamma, tuple) and len(gamma) != n_classes:
            raise ValueError(
                f"focal_gamma must be a number or one per class: got {len(gamma)} entries for {n_classes} classes"
            )
        alpha = resolve_alpha(self.focal_alpha, classes, totals)
        # Of a class that class_weight leaves out, there is nothing to undo: its rows go in with a weight of 0.
        outer_weights = np.where(outer_weights > 0, outer_weights, 1.0)
        self.class_weights_ = outer_weights if alpha is None else alpha * outer_weights
        return FocalLoss(gamma, None if alpha is None else tuple(alpha.tolist()))

    def _labels(self, raw: Array) -> Array:
        """The class that the scores decide for."""
        indices = (raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)
        labels: Array = self.classes_[indices]
        return labels

    def _probabilities(self, raw: Array) -> Array:
        if raw.shape[0] == 0:
            return np.empty((0, self.classes_.shape[0]), raw.dtype)
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
