"""What the estimators share: parameters, loss and probabilities. May import ``loss``, ``labels``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, ClassVar

import numpy as np

from skfocal._common.labels import resolve_alpha
from skfocal._kernels.arguments import check_alpha, check_calibration, check_gamma, is_number
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

GAMMA_DOC = """
    focal_gamma : float or array-like of shape (n_classes,), default=2.0
        Focusing parameter, from 0 to 100. The larger it is, the smaller the weight of well-classified rows. 0 is log
        loss. Either one number, or one number per class in the order of ``classes_``."""

ALPHA_DOC = """
    focal_alpha : dict, "balanced", "effective", array-like of shape (n_classes,), float or None, default=None
        Class weights. None gives every class the weight 1. The other values are:

        - a dict maps labels to weights, as in ``{"fraud": 10.0}``. Labels that are not in the dict have the weight 1;
        - "balanced" is inversely proportional to the class frequencies;
        - "effective" uses the effective number of rows of each class, see `skfocal.effective_number_weights`;
        - an array has one weight per class, in the order of ``classes_``;
        - a number ``a`` in (0, 1) is for two classes: the second class has the weight ``a``, the first ``1 - a``.

        .. warning::
            "Second" means the second label **in sorted order**. Of the labels "fraud" and "ok" it is "ok", so that
            ``focal_alpha=0.9`` increases the weight of "ok". A dict names the label and avoids this mistake.

        The weights are then rescaled so that their mean over the training rows is 1. The number 0.5 therefore means no
        class weights.
"""

PARAMETERS_DOC = GAMMA_DOC + ALPHA_DOC

CALIBRATION_DOC = """
    calibration : {"focus", "full"} or None, default="focus"
        Which correction ``predict_proba`` applies to the scores. "focus" corrects for gamma. Without class weights, the
        results are the probabilities of the classes; with class weights, the probabilities include them, as with
        scikit-learn's ``class_weight``. "full" corrects for gamma and the class weights, and estimates the
        probabilities in the training population. None applies no correction: the sigmoid or softmax of the scores.
"""


class FocalClassifierMixin:
    """Base of the classifiers: labels, class weights and probabilities. A subclass fits ``focal_loss_`` and computes
    raw scores.
    """

    focal_gamma: Any
    focal_alpha: Any
    calibration: Any
    focal_loss_: FocalLoss
    class_weights_: Array
    classes_: Array

    focal_parameters: ClassVar[tuple[str, ...]] = ("focal_gamma", "focal_alpha", "calibration")

    # scikit-learn reads these two attributes for the link in an estimator's HTML representation.
    _doc_link_module = "skfocal"

    @property
    def _doc_link_template(self) -> str:
        base = documentation_url()
        return f"{base}/generated/{{estimator_module}}.{{estimator_name}}.html" if base else ""

    def _check_focal_parameters(self) -> None:
        """Check the parameters, as far as this is possible without data."""
        check_gamma(self.focal_gamma, "focal_gamma")
        self._check_focal_alpha()
        check_calibration(self.calibration)

    def _check_focal_alpha(self) -> None:
        check_focal_alpha(self.focal_alpha)

    def _build_loss(self, classes: Array, y: Array, sample_weight: Array | None, outer_weights: Array) -> FocalLoss:
        """Make ``focal_loss_``, whose alpha has one weight per class, and set ``class_weights_``.

        ``sample_weight`` (n,) are the weights that the user gave for the rows, ``outer_weights`` (K,) are the weights
        of ``class_weight``. The weights of ``focal_alpha`` and of ``class_weight`` are multiplied. "balanced" is
        computed from ``sample_weight`` alone; otherwise it would cancel ``class_weight``. "full" calibration corrects
        for both. A class whose rows all have the weight 0 remains a class, as in scikit-learn.
        """
        n_classes = classes.shape[0]
        totals = np.bincount(y, weights=sample_weight, minlength=n_classes)
        gamma = check_gamma(self.focal_gamma, "focal_gamma")
        if isinstance(gamma, tuple) and len(gamma) != n_classes:
            raise ValueError(
                f"focal_gamma must be a number or one per class: got {len(gamma)} entries for {n_classes} classes"
            )
        alpha = resolve_alpha(self.focal_alpha, classes, totals)
        # A class that class_weight excludes needs no correction: its rows have the weight 0 in training.
        outer_weights = np.where(outer_weights > 0, outer_weights, 1.0)
        self.class_weights_ = outer_weights if alpha is None else alpha * outer_weights
        return FocalLoss(gamma, None if alpha is None else tuple(alpha.tolist()))

    def _labels(self, raw: Array) -> Array:
        """Label of the class with the largest score."""
        indices = (raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)
        labels: Array = self.classes_[indices]
        return labels

    def _probabilities(self, raw: Array) -> Array:
        if raw.shape[0] == 0:
            return np.empty((0, self.classes_.shape[0]), raw.dtype)
        # The fitted loss, except that its weights include those of class_weight, which are corrected for as well.
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


def check_focal_alpha(alpha: Any) -> None:
    """Check ``focal_alpha``, as far as this is possible without data."""
    if is_number(alpha) and alpha >= 1:
        raise ValueError(
            f"focal_alpha must be in (0, 1) if it is one number, the weight of the second class, got {alpha!r}: to "
            f"weigh a class {alpha:g} times the other, name it in a dict, {{label: {alpha:g}}}"
        )
    if not isinstance(alpha, (str, Mapping)):
        check_alpha(alpha, "focal_alpha")
    elif isinstance(alpha, str) and alpha not in ("balanced", "effective"):
        raise ValueError(f"focal_alpha must be 'balanced' or 'effective' if it is a string, got {alpha!r}")


def documentation_url() -> str:
    """The URL ``Documentation`` of the installed package without a trailing slash, or an empty string."""
    try:
        urls = metadata("skfocal").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named: dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation", "").rstrip("/")
