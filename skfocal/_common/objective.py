"""What the objectives and metrics of both boosters share. May import ``loss``, but no booster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.validation import check_max_step, check_n_threads, check_scale
from skfocal._kernels.blocks import Array
from skfocal.loss import BinaryLossOnData, FocalLoss, MulticlassLossOnData

OBJECTIVE_PARAMETERS_DOC = """
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, from 0 to 100: one number, or one per class. 0 is the library's own log loss.
    alpha : float, sequence of K floats or None, default=None
        Class weights. A number ``a`` in (0, 1) is for two classes: class 1 has the weight ``a`` and class 0 the weight
        ``1 - a``. A sequence has one positive weight per class, which is not rescaled. None gives every class the
        weight 1.
"""

MAX_STEP_DOC = """
    max_step : float or None, default=4.0
        Upper bound of each row's Newton step. The Hessian of a row is raised to at least ``abs(gradient) / max_step``.
        The second derivative of the focal loss is negative for badly misclassified rows, and a booster divides by sums
        of second derivatives. Without a bound, models of rare classes collapse. None sets only a tiny positive lower
        bound for the Hessian.
"""

SCALE_DOC = """
    scale : float, default=1.0
        Factor of the loss, > 0. The classifiers use `skfocal.FocalLoss.log_loss_scale`. With this factor,
        ``reg_lambda`` and ``min_child_weight`` have the effect that they have with log loss. ``reg_alpha`` and the
        minimum gain of a split do not: the larger the focusing parameter, the more they prune.
"""

TINY_HESSIAN = 1e-16
"""Lower bound of a Hessian without ``max_step``, as in XGBoost's own log loss."""


CALL = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("y_true", "y_pred", "sample_weight")])
"""Signature of a call of an objective. LightGBM asks for it in each round, and computing it takes longer than the
derivatives of a thousand rows."""


Derivatives = Callable[[Array], tuple[Array, Array]]
"""Function of the raw scores that returns gradient and Hessian."""


@dataclass(frozen=True)
class _Rounds:
    """What the rounds of one training have in common. Checking it anew takes longer than computing a thousand rows."""

    shape: tuple[int, ...]
    dtype: Any
    derivatives: Derivatives

    def are_like(self, raw: Any) -> bool:
        return isinstance(raw, np.ndarray) and raw.shape == self.shape and raw.dtype == self.dtype


class FocalObjectiveBase(ABC):
    """Gradient and Hessian of the focal loss, as a callable for a booster.

    ``train`` calls it as ``objective(raw_prediction, data_set)``. The scikit-learn classes of the libraries call it as
    ``objective(y_true, raw_prediction, sample_weight)``. The only state is a cache of the last labels and weights in
    the form that the kernel needs. Copies and pickles do not contain the cache.
    """

    one_training = False
    """Set by an estimator that uses the objective for one fit only. The objective then sees one data set, and its
    results are used up before the next call. So it does not compare the labels, and it fills the same arrays in each
    round."""

    drop_bits = 0
    """Number of last bits of the float32 results that are rounded away for the library."""

    _dtype: Any = None
    """Dtype in which the derivatives are computed. None stands for the dtype of the scores."""

    def __init__(
        self,
        gamma: Any = 2.0,
        alpha: Any = None,
        max_step: float | None = 4.0,
        *,
        scale: float = 1.0,
        n_threads: int = 1,
    ):
        self.focal_loss = _loss_of_an_instance(type(self).__name__, gamma, alpha)
        self.max_step = check_max_step(max_step)
        self.scale = check_scale(scale)
        self.n_threads = check_n_threads(n_threads)
        self.forget()

    @property
    def gamma(self) -> Any:
        """Focusing parameter of the loss."""
        return self.focal_loss.gamma

    @property
    def alpha(self) -> Any:
        """Class weights of the loss."""
        return self.focal_loss.alpha

    def __repr__(self) -> str:
        names = "gamma", "alpha", "max_step", "scale"
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __getstate__(self) -> dict[str, Any]:
        # LightGBM deep-copies the objective of an estimator before training, so the copy has to keep one_training.
        names = "focal_loss", "max_step", "scale", "n_threads", "one_training"
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.forget()

    def forget(self) -> None:
        """Clear the cache."""
        # Labels, weights, number of scores and dtype, and the loss bound to them. They are one tuple, which is read and
        # replaced as a whole, so that threads that share an objective see a consistent state.
        self.__signature__ = CALL
        self._cache: tuple[Array, Array | None, int, Any, BinaryLossOnData | MulticlassLossOnData] | None = None
        self._again: _Rounds | None = None

    @property
    def floor(self) -> float:
        """Lower bound of the Hessian without ``max_step``."""
        return TINY_HESSIAN

    @abstractmethod
    def hessian_factor(self, n_scores: int) -> float:
        """Factor by which the library multiplies the diagonal Hessian of its own loss."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> tuple[Array, Array]:
        """Gradient and Hessian of each row.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class indices. If ``y_pred`` is a data set, these are the raw predictions.
        y_pred : array-like of shape (n,) or (n, K), or a data set
            Raw predictions, or the booster's data set, whose labels and weights are used.
        sample_weight : array-like of shape (n,), default=None
            Sample weights. Ignored if ``y_pred`` is a data set, because the data set has its own weights.

        Returns
        -------
        gradient : ndarray of shape (n,) or (n, K), float32
        hessian : ndarray of shape (n,) or (n, K), float32
            Positive.
        """
        if (again := self._again) is not None and again.are_like(y_pred):
            return again.derivatives(y_pred)
        labels, raw, weight = labels_scores_weights(y_true, y_pred, sample_weight)
        raw = raw.astype(self._dtype or raw.dtype, copy=False)
        # Column by column, which is the order in which the kernels write and LightGBM reads. XGBoost reads any order.
        out = tuple(np.empty(raw.shape, np.float32, order="F") for _ in range(2))
        derivatives = self._derivatives(labels, weight, 1 if raw.ndim == 1 else raw.shape[1], raw.dtype, out)
        if self.one_training:
            self._again = _Rounds(raw.shape, raw.dtype, derivatives)
        return derivatives(raw)

    def _derivatives(self, labels: Array, weight: Array | None, n_scores: int, dtype: Any, out: Any) -> Derivatives:
        """The function of the raw scores that fills ``out`` with both derivatives."""
        return partial(
            self._on(labels, weight, n_scores, dtype).gradient_hessian,
            scale=self.scale,
            hessian_factor=self.hessian_factor(n_scores),
            least=0.0 if self.max_step is None else 1.0 / self.max_step,
            floor=self.floor if self.max_step is None else -np.inf,
            drop_bits=self.drop_bits,
            out=out,
            n_threads=self.n_threads,
        )

    def _on(
        self, labels: Array, weight: Array | None, n_scores: int, dtype: Any
    ) -> BinaryLossOnData | MulticlassLossOnData:
        """The loss bound to labels and weights. It is taken from the cache if they are the same as in the last call."""
        cache = self._cache
        if cache is not None:
            seen_labels, seen_weight, *seen_rest, data = cache
            if seen_rest == [n_scores, dtype] and _same(labels, seen_labels) and _same(weight, seen_weight):
                return data
        data = self.focal_loss.on(labels, n_scores, weight, dtype)
        # Copies, because the arrays may be views into memory that the caller changes later.
        self._cache = labels.copy(), None if weight is None else weight.copy(), n_scores, dtype, data
        return data


def _same(new: Array | None, seen: Array | None) -> bool:
    if new is None or seen is None:
        return new is seen
    return np.array_equal(new, seen)


def from_either_call(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Labels, raw scores and weights. A library calls with these three, or with raw scores and a data set."""
    if hasattr(y_pred, "get_label"):
        return y_pred.get_label(), y_true, y_pred.get_weight()
    return y_true, y_pred, sample_weight


def labels_scores_weights(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
    """Labels, raw scores and weights from either calling convention; scores are float32 or float64."""
    y_true, y_pred, sample_weight = from_either_call(y_true, y_pred, sample_weight)
    labels, raw = np.asarray(y_true), np.asarray(y_pred)
    if labels.dtype.kind not in "biuf" or raw.dtype.kind not in "biuf":
        raise TypeError(f"labels and scores must be numbers, got dtypes {labels.dtype} and {raw.dtype}")
    if raw.dtype != np.float32:
        raw = raw.astype(np.float64, copy=False)
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if labels.ndim != 1 or raw.ndim not in (1, 2) or labels.shape[0] != raw.shape[0]:
        raise ValueError(
            "labels must have shape (n,) and scores (n,) or (n, n_classes) for the same n rows, got shapes "
            f"{labels.shape} and {raw.shape}"
        )
    weight = None if sample_weight is None or np.size(sample_weight) == 0 else np.asarray(sample_weight)
    return labels, raw, weight


def _loss_of_an_instance(name: str, gamma: Any, alpha: Any) -> FocalLoss:
    """``FocalLoss(gamma, alpha)``. The error is a special one if the arguments are those of a call of the objective."""
    if isinstance(alpha, (str, dict)):
        raise TypeError(
            f"alpha must be None, a number or one number per class, got {alpha!r}: an objective does not know the "
            "labels when it is made; weights by label and 'balanced' are focal_alpha of the estimators"
        )
    is_called = hasattr(alpha, "get_label") or (isinstance(gamma, np.ndarray) and isinstance(alpha, np.ndarray))
    try:
        return FocalLoss(gamma, alpha)
    except (TypeError, ValueError) as error:
        if is_called:
            raise TypeError(f"the objective must be an instance, {name}(...), got the class {name} itself") from error
        raise


class FocalMetricBase:
    """Weighted mean focal loss of raw scores, for monitoring the training. Lower is better."""

    __name__ = "focal_loss"

    def __init__(self, gamma: Any = 2.0, alpha: Any = None):
        self.focal_loss = FocalLoss(gamma, alpha)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(gamma={self.focal_loss.gamma!r}, alpha={self.focal_loss.alpha!r})"

    def value(self, y_true: Any, y_pred: Any, sample_weight: Any) -> float:
        """The value of the metric, for both calling conventions of `FocalObjectiveBase`."""
        labels, raw, weight = labels_scores_weights(y_true, y_pred, sample_weight)
        return self.focal_loss(labels, raw, weight)
