"""The focal loss with the interface of the losses of scikit-learn's booster. May import ``_common`` and ``loss``."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn

from skfocal._common.objective import TINY_HESSIAN
from skfocal._kernels.blocks import Array
from skfocal.loss import BinaryLossOnData, FocalLoss, MulticlassLossOnData


class TrainingLoss:
    """The members of scikit-learn's ``BaseLoss`` that the booster's fit uses.

    It is not a subclass of ``BaseLoss``. If a later scikit-learn used another member, a subclass would inherit it, and
    the member would compute values of a different loss. Here the member is missing, and the fit raises an error.

    Parameters
    ----------
    focal_loss : FocalLoss
    n_scores : int
        Number of scores per row: 1 for two classes, otherwise the number of classes.
    max_step : float or None
        Upper bound of each row's Newton step.
    scale : float
        Factor of the derivatives.
    log_loss : object
        The booster's own log loss. It is used wherever the two losses are equal, so that with ``gamma=0`` and
        ``max_step=None`` all results are bit-identical to it.
    """

    differentiable = True
    constant_hessian = False

    def __init__(self, focal_loss: FocalLoss, n_scores: int, max_step: float | None, scale: float, log_loss: Any):
        self.focal_loss, self.log_loss = focal_loss, log_loss
        self.n_scores, self.n_classes = n_scores, max(2, n_scores)
        self.max_step, self.scale = max_step, scale
        self.is_log_loss = not focal_loss.gamma_per_class(self.n_classes).any()
        self.was_asked = False
        # Labels and weights as the booster passes them, and the loss bound to them. There are two entries, because the
        # booster alternates between the training part and the held-out part.
        self._bound: list[tuple[Array, Array | None, BinaryLossOnData | MulticlassLossOnData]] = []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"scikit-learn {sklearn.__version__} asks the loss of FocalHistGradientBoostingClassifier for {name!r}: "
            "this version of skfocal does not know it. Install an earlier scikit-learn"
        )

    def _on(self, y_true: Array, sample_weight: Array | None) -> BinaryLossOnData | MulticlassLossOnData:
        """The loss bound to labels and weights. They are compared by identity, because the booster does not write to
        them.
        """
        for y, weight, data in self._bound:
            if y is y_true and weight is sample_weight:
                return data
        data = self.focal_loss.on(y_true, self.n_scores, sample_weight)
        self._bound = [*self._bound[-1:], (y_true, sample_weight, data)]
        return data

    def _scores(self, raw_prediction: Array) -> Array:
        """Scores, (n,) for two classes. The booster stores them in one column."""
        return raw_prediction[:, 0] if raw_prediction.ndim == 2 and self.n_scores == 1 else raw_prediction

    def init_gradient_and_hessian(
        self, n_samples: int, dtype: Any = np.float64, order: Any = "F"
    ) -> tuple[Array, Array]:
        """Empty arrays for both derivatives, (n,) or (n, K)."""
        self.was_asked = True
        shape = (n_samples,) if self.n_scores == 1 else (n_samples, self.n_scores)
        return np.empty(shape, dtype, order), np.empty(shape, dtype, order)

    def gradient_hessian(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Array | None,
        gradient_out: Array,
        hessian_out: Array,
        n_threads: int = 1,
    ) -> tuple[Array, Array]:
        """Fill the arrays with the derivatives. Each row's Newton step is bounded."""
        data = self._on(y_true, sample_weight)
        if self.is_log_loss and self.max_step is None:
            self.log_loss.gradient_hessian(
                y_true=y_true,
                raw_prediction=raw_prediction,
                sample_weight=data.weight,
                gradient_out=gradient_out,
                hessian_out=hessian_out,
                n_threads=n_threads,
            )
            return gradient_out, hessian_out
        return data.gradient_hessian(
            self._scores(raw_prediction),
            scale=self.scale,
            least=0.0 if self.max_step is None else 1.0 / self.max_step,
            floor=TINY_HESSIAN if self.max_step is None else -np.inf,
            out=(gradient_out, hessian_out),
            n_threads=n_threads,
        )

    def __call__(
        self, y_true: Array, raw_prediction: Array, sample_weight: Array | None = None, n_threads: int = 1
    ) -> float:
        """Weighted mean loss, which is used for early stopping."""
        if self.is_log_loss and self.focal_loss.alpha is None:
            return float(
                self.log_loss(
                    y_true=y_true, raw_prediction=raw_prediction, sample_weight=sample_weight, n_threads=n_threads
                )
            )
        total = y_true.shape[0] if sample_weight is None else sample_weight.sum()
        rows = self._on(y_true, sample_weight).loss(self._scores(raw_prediction), n_threads=n_threads)
        return float(rows.sum() / total)

    def fit_intercept_only(self, y_true: Array, sample_weight: Array | None = None) -> Array:
        """The optimal constant scores, (1,) or (K,). K scores have a mean of 0, as in the booster's own loss."""
        if self.is_log_loss:
            weight = self._on(y_true, sample_weight).weight
            return np.reshape(self.log_loss.fit_intercept_only(y_true=y_true, sample_weight=weight), -1)
        totals = np.bincount(y_true.astype(np.intp), weights=sample_weight, minlength=self.n_classes)
        start = np.atleast_1d(np.asarray(self.focal_loss.optimal_scores(totals)))
        return start if self.n_scores == 1 else start - start.mean()

    def predict_proba(self, raw_prediction: Array) -> Array:
        """The booster treats a loss with this method as a classification loss, and stratifies the held-out rows."""
        return self.focal_loss.predict_proba(raw_prediction)
