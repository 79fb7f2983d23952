"""What the two boosters' objectives and metrics share. May import ``loss``; no booster."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.validation import check_max_step, check_n_threads, check_scale
from skfocal._kernels.blocks import Array
from skfocal.loss import BinaryLossOnData, FocalLoss, MulticlassLossOnData

OBJECTIVE_PARAMETERS_DOC = """
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, >= 0, of the loss or of each class. 0 is the library's own log loss.
    alpha : float, sequence of K floats or None, default=None
        Class weights: a number ``a`` in (0, 1) weighs class 1 by ``a`` and class 0 by ``1 - a``; a sequence has
        one positive weight per class, used as it is. None: ones.
"""

MAX_STEP_DOC = """
    max_step : float or None, default=4.0
        Bound of each row's Newton step: its Hessian is raised to ``abs(gradient) / max_step`` at least. The focal
        loss has negative second derivatives where a row is badly misclassified, and a booster divides by their
        sum: without a bound, models of rare classes collapse. None leaves only a tiny positive floor.
"""

SCALE_DOC = """
    scale : float, default=1.0
        Factor of the loss, > 0. The classifiers use `skfocal.FocalLoss.log_loss_scale`, so that ``reg_lambda`` and
        ``min_child_weight`` mean what they mean with log loss. The least gain of a split and ``reg_alpha`` do not:
        the larger gamma, the more they prune.
"""

TINY_HESSIAN = 1e-16
"""Floor of a Hessian without ``max_step``: the one XGBoost sets in its own log loss."""


CALL = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("y_true", "y_pred", "sample_weight")])
"""Of a call of an objective. LightGBM asks for it each round, and working it out takes longer than the derivatives of a
thousand rows."""


class FocalObjectiveBase:
    """Gradient and Hessian of the focal loss, in the form a booster calls them in.

    Called as ``objective(raw_prediction, data_set)`` by ``train`` and as ``objective(y_true, raw_prediction,
    sample_weight)`` by the libraries' scikit-learn classes. Stateless but for a cache of the labels and weights
    it last saw, laid out for the kernel; copies and pickles leave the cache behind.
    """

    one_training = False
    """Set by an estimator whose fit owns the objective: it is shown one data set only, and its results are used up
    before it is called again, so that labels need not be compared and the same arrays are filled each round."""

    drop_bits = 0
    """Last bits of the float32 results that the library is better without."""

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
        """The loss's gamma."""
        return self.focal_loss.gamma

    @property
    def alpha(self) -> Any:
        """The loss's alpha."""
        return self.focal_loss.alpha

    def __repr__(self) -> str:
        names = "gamma", "alpha", "max_step", "scale"
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __getstate__(self) -> dict[str, Any]:
        # LightGBM deep-copies the objective of an estimator before it trains with it: one_training goes along.
        names = "focal_loss", "max_step", "scale", "n_threads", "one_training"
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.forget()

    def forget(self) -> None:
        """Drop what is kept between calls."""
        # Labels, weights, number of scores and dtype, and the loss bound to them: one tuple, read and replaced whole,
        # so that threads that share an objective never see half of it.
        self.__signature__ = CALL
        self._cache: tuple[Array, Array | None, int, Any, BinaryLossOnData | MulticlassLossOnData] | None = None
        self._out: tuple[Array, Array] | None = None

    @property
    def floor(self) -> float:
        """Least Hessian without ``max_step``."""
        return TINY_HESSIAN

    def hessian_factor(self, n_scores: int) -> float:
        """What the library multiplies the diagonal Hessian of its own loss by."""
        raise AttributeError(f"{type(self).__name__} has no hessian_factor")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None) -> tuple[Array, Array]:
        """Gradient and Hessian of each row.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class indices; or raw predictions if ``y_pred`` is a data set.
        y_pred : array-like of shape (n,) or (n, K), or a data set
            Raw predictions; or the booster's data set, whose labels and weights are used.
        sample_weight : array-like of shape (n,), default=None
            Ignored if ``y_pred`` is a data set, which has its own.

        Returns
        -------
        gradient : ndarray of shape (n,) or (n, K), float32
        hessian : ndarray of shape (n,) or (n, K), float32
            Positive.
        """
        labels, raw, weight = labels_scores_weights(y_true, y_pred, sample_weight)
        n_scores = 1 if raw.ndim == 1 else raw.shape[1]
        data = self._on(labels, weight, n_scores, raw.dtype)
        out = self._out
        if out is None or out[0].shape != raw.shape:
            # Class by class, as the kernels compute them and LightGBM reads them; XGBoost reads any order.
            out = np.empty(raw.shape, np.float32, order="F"), np.empty(raw.shape, np.float32, order="F")
        if self.one_training:
            self._out = out
        return data.gradient_hessian(
            raw,
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
        """The loss bound to labels and weights, from the cache if they are the ones seen last."""
        cache = self._cache
        if cache is not None:
            seen_labels, seen_weight, *seen_rest, data = cache
            if seen_rest == [n_scores, dtype] and (
                self.one_training or (_same(labels, seen_labels) and _same(weight, seen_weight))
            ):
                return data
        data = self.focal_loss.on(labels, n_scores, weight, dtype)
        # Copies: what comes may be a view that its owner writes to.
        self._cache = labels.copy(), None if weight is None else weight.copy(), n_scores, dtype, data
        return data


def _same(new: Array | None, seen: Array | None) -> bool:
    if new is None or seen is None:
        return new is seen
    return np.array_equal(new, seen)


def from_either_call(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Labels, raw scores and weights, from a call with them or with raw scores and a data set."""
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
    """``FocalLoss(gamma, alpha)``, or what is wrong: the arguments may be those of a call of the objective."""
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
    """Weighted mean focal loss of raw scores, to watch training with; lower is better."""

    __name__ = "focal_loss"

    def __init__(self, gamma: Any = 2.0, alpha: Any = None):
        self.focal_loss = FocalLoss(gamma, alpha)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(gamma={self.focal_loss.gamma!r}, alpha={self.focal_loss.alpha!r})"

    def value(self, y_true: Any, y_pred: Any, sample_weight: Any) -> float:
        """The metric from either calling convention, see `FocalObjectiveBase`."""
        labels, raw, weight = labels_scores_weights(y_true, y_pred, sample_weight)
        return self.focal_loss(labels, raw, weight)
