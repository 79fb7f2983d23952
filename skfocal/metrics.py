"""The focal loss as a metric and as a scorer. May import ``_common``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted

from skfocal._common.labels import encode_labels, index_labels
from skfocal._common.several_labels import (
    CLASSES,
    check_label_scores,
    has_several_labels,
    losses_of_labels,
    mean_loss_of_labels,
)
from skfocal._kernels.arguments import check_raw_prediction
from skfocal.loss import FocalLoss

__all__ = ["NegFocalLossScorer", "focal_loss", "neg_focal_loss_scorer"]


def focal_loss(
    y_true: ArrayLike,
    raw_prediction: ArrayLike,
    *,
    gamma: Any = 2.0,
    alpha: Any = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """Weighted mean focal loss of raw scores.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
        True labels. With several labels per row, zeros and ones.
    raw_prediction : array-like of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
        Scores before the sigmoid or softmax, as returned by ``decision_function``, not probabilities.
    gamma : float or sequence of floats, default=2.0
        Focusing parameter, from 0 to 100: one number, or one per class. With several labels per row, one number or one
        per label.
    alpha : float, sequence of floats or None, default=None
        Class weights, as in `skfocal.FocalLoss`. With several labels per row, a number in (0, 1), which is the weight
        of class 1, or one such number per label.
    sample_weight : array-like of shape (n_samples,), default=None
    labels : array-like of shape (n_classes,), default=None
        Labels in the order of the columns of ``raw_prediction``. If it has one column, the negative label comes first
        and the positive label second. None stands for the sorted labels of ``y_true``, which must then contain every
        class.

    Returns
    -------
    float
        The loss in nats, >= 0. Lower is better. With several labels per row, the mean over the labels.

    Raises
    ------
    ValueError
        If labels, scores, weights or parameters are not as described here.

    References
    ----------
    Lin et al.: Focal Loss for Dense Object Detection, ICCV 2017, https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> from skfocal.metrics import focal_loss
    >>> round(focal_loss(["no", "yes"], [-4.0, -1.0]), 6)
    0.350937
    """
    if has_several_labels(y_true):
        if labels is not None and not np.array_equal(labels, CLASSES):
            raise ValueError(f"labels must be None or [0, 1] for several labels per row, got {labels!r}")
        y, raw = check_label_scores(y_true, raw_prediction)
        return mean_loss_of_labels(losses_of_labels(FocalLoss(gamma, alpha), y.shape[1]), y, raw, sample_weight)
    raw = check_raw_prediction(raw_prediction)
    n_classes = 2 if raw.ndim == 1 else raw.shape[1]
    if labels is None:
        classes, indices = encode_labels(y_true)
        named = "y_true holds"
    else:
        classes = np.asarray(labels)
        if np.unique(classes).shape[0] != classes.shape[0]:
            raise ValueError(f"labels must name each class once, got {labels!r}")
        indices = index_labels(y_true, classes, "y_true")
        named = "labels has"
    if classes.shape[0] != n_classes:
        raise ValueError(
            f"labels must name the {n_classes} classes of raw_prediction: {named} {classes.shape[0]} classes"
        )
    return FocalLoss(gamma, alpha)(indices, raw, sample_weight)


class NegFocalLossScorer:
    """Scorer for scikit-learn: the negative ``focal_loss`` of an estimator's ``decision_function``.

    Parameters
    ----------
    gamma : float or sequence of floats, default=2.0
        Focusing parameter of the reported loss. It does not depend on the ``focal_gamma`` of the model.
    alpha : float, sequence of floats or None, default=None
        Class weights of the reported loss. They do not depend on the ``focal_alpha`` of the model.

    Notes
    -----
    `neg_focal_loss_scorer` is an instance with default parameters. A fold may lack a class, because the order of the
    columns of the scores is taken from the estimator's ``classes_``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from skfocal.linear_model import FocalLogisticRegression
    >>> from skfocal.metrics import neg_focal_loss_scorer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> scores = cross_val_score(FocalLogisticRegression(), X, y, scoring=neg_focal_loss_scorer)
    >>> bool((scores > -0.1).all())
    True
    """

    def __init__(self, gamma: Any = 2.0, alpha: Any = None):
        self.focal_loss = FocalLoss(gamma, alpha)
        self._request = MetadataRequest(owner=type(self).__name__)
        self._request.score.add_request(param="sample_weight", alias=None)

    def __repr__(self) -> str:
        return f"NegFocalLossScorer(gamma={self.focal_loss.gamma!r}, alpha={self.focal_loss.alpha!r})"

    def set_score_request(self, *, sample_weight: bool | str | None) -> NegFocalLossScorer:
        """Set whether ``sample_weight`` is passed to the scorer by scikit-learn's metadata routing.

        Parameters
        ----------
        sample_weight : bool, str or None
            True: ``sample_weight`` is passed to the scorer. False: it is not passed. None: it is an error to give it. A
            string is the name under which the caller gives the weights.

        Returns
        -------
        NegFocalLossScorer
            A new scorer with this request. The original scorer is not changed.
        """
        scorer = NegFocalLossScorer(self.focal_loss.gamma, self.focal_loss.alpha)
        scorer._request.score.add_request(param="sample_weight", alias=sample_weight)
        return scorer

    def get_metadata_routing(self) -> MetadataRequest:
        """The metadata request of this scorer, for scikit-learn."""
        return self._request

    def __call__(self, estimator: Any, X: Any, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score a fitted classifier. Higher is better.

        Parameters
        ----------
        estimator : classifier with ``decision_function`` and ``classes_``
        X : array-like of shape (n_samples, n_features)
        y_true : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "decision_function"):
            raise TypeError(
                f"estimator must have a decision_function, got {type(estimator).__name__}: the focal loss is of raw "
                "scores, not of probabilities"
            )
        return -focal_loss(
            y_true,
            estimator.decision_function(X),
            gamma=self.focal_loss.gamma,
            alpha=self.focal_loss.alpha,
            sample_weight=sample_weight,
            labels=estimator.classes_,
        )


neg_focal_loss_scorer = NegFocalLossScorer()
