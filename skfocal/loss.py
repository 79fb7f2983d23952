"""The focal loss as an object: parameters, weights, optimum and posterior. May import ``_kernels``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax as scipy_softmax

from skfocal._kernels import binary, optimum, softmax, unprepared
from skfocal._kernels.arguments import (
    Calibration,
    as_labels,
    check_alpha,
    check_calibration,
    check_gamma,
    check_raw_prediction,
    check_sample_weight,
    check_y_true,
)
from skfocal._kernels.blocks import BLOCK_ELEMENTS, Array, Gamma, empty_pair, rows_per_block, take_rows

__all__ = ["FocalLoss"]


@dataclass(frozen=True)
class FocalLoss:
    r"""Focal loss of raw scores, with exact derivatives and calibrated probabilities.

    .. math:: FL = -\alpha_t \, (1 - p_t)^{\gamma_t} \, \log p_t

    where ``t`` is the true class of a row and ``p_t`` is the predicted probability of that class. With two classes the
    probability is the sigmoid of one score. With K classes it is the softmax of K scores.

    Parameters
    ----------
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, from 0 to 100. The larger gamma, the smaller the weight of well-classified rows. 0 is
        cross-entropy. A sequence has one value per class; each row uses the value of its true class.
    alpha : float, sequence of K floats or None, default=None
        Class weights. A number ``a`` in (0, 1) is for two classes: class 1 has the weight ``a`` and class 0 the weight
        ``1 - a``. A sequence has one positive weight per class. None gives every class the weight 1.

    Notes
    -----
    ``y_true`` contains the class indices 0 .. K-1, and ``raw_prediction`` contains finite numbers. Scores of shape (n,)
    or (n, 1) are for two classes with the sigmoid link. Scores of shape (n, K) are for K classes with the softmax link.
    The results are float32 if the scores are float32, and float64 otherwise.

    The loss is not convex in the scores: the Hessian of a badly misclassified row is negative. `gradient_hessian`
    returns the exact Hessian. The objectives of the boosters raise it to a positive value.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5,
    https://arxiv.org/abs/1708.02002

    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior Probability
    Estimation, CVPR 2021, https://arxiv.org/abs/2011.09172

    Examples
    --------
    >>> from skfocal import FocalLoss
    >>> loss = FocalLoss(gamma=2.0)
    >>> loss.loss([1, 1, 0], [4.0, -1.0, -4.0]).round(6).tolist()
    [6e-06, 0.701868, 6e-06]
    >>> FocalLoss(gamma=0.0)([1, 0], [0.0, 0.0])  # cross-entropy: log 2
    0.6931471805599453
    """

    gamma: Any = 2.0
    alpha: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", check_gamma(self.gamma))
        object.__setattr__(self, "alpha", check_alpha(self.alpha))
        if isinstance(self.gamma, tuple) and isinstance(self.alpha, tuple) and len(self.gamma) != len(self.alpha):
            raise ValueError(
                f"gamma and alpha must have as many entries, one per class: got {len(self.gamma)} and {len(self.alpha)}"
            )

    # What the parameters are for K classes

    def gamma_per_class(self, n_classes: int) -> Array:
        """``gamma`` of each class, (n_classes,), float64."""
        return self._per_class("gamma", n_classes)

    def alpha_per_class(self, n_classes: int) -> Array:
        """``alpha`` of each class, (n_classes,), float64. It is 1 for every class if ``alpha`` is None."""
        if self.alpha is None:
            return np.ones(n_classes)
        if isinstance(self.alpha, float):
            if n_classes != 2:
                raise ValueError(
                    f"alpha must be None or one number > 0 per class for {n_classes} classes, got {self.alpha!r}: "
                    "a single number is for two classes"
                )
            return np.array([1.0 - self.alpha, self.alpha])
        return self._per_class("alpha", n_classes)

    def _per_class(self, name: str, n_classes: int) -> Array:
        values = np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float64))
        if values.shape[0] == 1:
            return np.repeat(values, n_classes)
        if values.shape[0] != n_classes:
            raise ValueError(
                f"{name} must have one entry per class: got {values.shape[0]} entries for {n_classes} classes"
            )
        return values

    def _for_classes(self, n_classes: int) -> tuple[Gamma, Array | None]:
        """gamma, as one number for all classes or (n_classes,), and alpha, as (n_classes,) or None."""
        gamma = self.gamma if isinstance(self.gamma, float) else self.gamma_per_class(n_classes)
        return gamma, None if self.alpha is None else self.alpha_per_class(n_classes)

    # The loss and its derivatives

    def on(
        self, y_true: ArrayLike, n_scores: int, sample_weight: ArrayLike | None = None, dtype: Any = np.float64
    ) -> BinaryLossOnData | MulticlassLossOnData:
        """Bind the loss to labels and weights, which are then checked only once for many evaluations.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class indices.
        n_scores : int
            Number of scores per row: 1 for two classes with the sigmoid link, K >= 2 for K classes with the softmax
            link.
        sample_weight : array-like of shape (n,), default=None
        dtype : numpy dtype, default=float64
            float32 or float64. The scores have to be of this dtype, and so are the results.

        Returns
        -------
        BinaryLossOnData or MulticlassLossOnData
            Its methods take only the raw scores.
        """
        dtype, n_classes = np.dtype(dtype), max(2, n_scores)
        y = check_y_true(y_true, n_classes)
        return self._bind(y, n_scores, check_sample_weight(sample_weight, y.shape[0], dtype), dtype)

    def _bind(
        self, y: Array, n_scores: int, weight: Array | None, dtype: Any
    ) -> BinaryLossOnData | MulticlassLossOnData:
        """`on` without checks of the labels and weights."""
        gamma, alpha = self._for_classes(max(2, n_scores))
        if alpha is not None:
            of_rows = alpha.astype(dtype)[y]
            weight = of_rows if weight is None else of_rows * weight
        if isinstance(gamma, np.ndarray):
            gamma = gamma.astype(dtype)[y]
        if n_scores == 1:
            minus_s = y.astype(dtype)
            minus_s *= -2
            minus_s += 1
            return BinaryLossOnData(minus_s, weight, gamma)
        return MulticlassLossOnData(y, weight, gamma)

    def _on(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[BinaryLossOnData | MulticlassLossOnData, Array]:
        raw = check_raw_prediction(raw_prediction)
        return self.on(as_labels(y_true, raw.shape[0]), _n_scores(raw), sample_weight, raw.dtype), raw

    def loss(self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """Loss of each row.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class indices 0 .. K-1.
        raw_prediction : array-like of shape (n,) or (n, K)
            Scores before the link, finite.
        sample_weight : array-like of shape (n,), default=None
            Each row's loss is multiplied by its weight.

        Returns
        -------
        ndarray of shape (n,)
        """
        done = unprepared.results(y_true, raw_prediction, sample_weight, self._for_classes, 0)
        if done is not None:
            return done[0]
        data, raw = self._on(y_true, raw_prediction, sample_weight)
        return data.loss(raw)

    def gradient(self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """Derivative of each row's loss with respect to its scores.

        The parameters are those of `loss`.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
        """
        done = unprepared.results(y_true, raw_prediction, sample_weight, self._for_classes, 1)
        if done is not None:
            return done[0]
        data, raw = self._on(y_true, raw_prediction, sample_weight)
        return data.loss_gradient(raw)[1]

    def gradient_hessian(
        self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """First and second derivatives of each row's loss with respect to its scores.

        The second derivative is exact and can be negative. The parameters are those of `loss`.

        Returns
        -------
        gradient : ndarray of shape (n,) or (n, K)
        hessian : ndarray of shape (n,) or (n, K)
            For K scores, the diagonal of each row's K x K Hessian matrix.
        """
        done = unprepared.results(y_true, raw_prediction, sample_weight, self._for_classes, 2)
        if done is not None:
            return done[0], done[1]
        raw = check_raw_prediction(raw_prediction)
        labels = as_labels(y_true, raw.shape[0])
        n_scores = _n_scores(raw)
        weight = check_sample_weight(sample_weight, raw.shape[0], raw.dtype)
        gradient, hessian = empty_pair(raw.shape, raw.dtype)
        # Labels are checked and converted in the same blocks of rows that the kernel uses. This is three times faster
        # than converting all rows at once, because the intermediate arrays of a block stay in the cache.
        step = rows_per_block(raw.shape[0], n_scores)
        for start in range(0, raw.shape[0], step):
            rows = slice(start, start + step)
            y = check_y_true(labels[rows], max(2, n_scores))
            data = self._bind(y, n_scores, take_rows(weight, start, start + step), raw.dtype)
            data.gradient_hessian(raw[rows], out=(gradient[rows], hessian[rows]))
        return gradient, hessian

    def __call__(self, y_true: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean loss: the sum of `loss` divided by the sum of ``sample_weight``."""
        rows = self.loss(y_true, raw_prediction).astype(np.float64, copy=False)
        weight = check_sample_weight(sample_weight, rows.shape[0], np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.average(rows, weights=weight))
        if not np.isfinite(mean):  # the sum overflowed, but the mean is at most the largest loss
            largest = rows.max()
            share = None if weight is None else weight / weight.max()
            mean = min(1.0, float(np.average(rows / largest, weights=share))) * float(largest)
        return mean

    # Optimum and posterior

    def fit_intercept_only(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> float | Array:
        """Constant scores that minimize the weighted mean loss.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class indices. If ``gamma`` or ``alpha`` has several entries, their number is the number of classes.
            Otherwise it is the largest index plus one, and at least 2.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float or ndarray of shape (K,)
            One score for two classes, K scores for K classes. Adding a constant to K scores does not change their
            softmax; the scores returned are the logarithms of probabilities that sum to 1. A class without weight is
            given the share 1e-15, so that the result is finite.

        Notes
        -----
        At these scores, `predict_proba` with ``calibration="full"`` gives the weighted class frequencies.
        """
        return self.optimal_scores(self._class_totals(y_true, sample_weight))

    def _class_totals(self, y_true: ArrayLike, sample_weight: ArrayLike | None) -> Array:
        named = [len(v) for v in (self.gamma, self.alpha) if isinstance(v, tuple)]
        y = check_y_true(y_true, named[0] if named else None)
        weight = check_sample_weight(sample_weight, y.shape[0], np.float64)
        return np.bincount(y, weights=weight, minlength=named[0] if named else 2)

    @np.errstate(under="ignore")  # of unlikely classes
    def optimal_scores(self, class_totals: ArrayLike) -> float | Array:
        """Optimal constant scores, as of `fit_intercept_only`, from the total sample weight of each class, (K,)."""
        totals = np.asarray(class_totals, dtype=np.float64)
        n_classes = totals.shape[0]
        # 1e-15 is LightGBM's lower bound for a class share. The logits of 1e-15 and of 1 - 1e-15 are finite in float64.
        share = np.clip(totals / totals.sum(), 1e-15, 1.0 - 1e-15)
        gamma, log_alpha = self.gamma_per_class(n_classes), np.log(self.alpha_per_class(n_classes))
        if n_classes == 2:
            of_odds = totals if totals.min() > 0 else share
            with np.errstate(over="ignore"):
                odds = of_odds[1] / of_odds[0]
            log_odds = np.log(odds) if 0.0 < odds < np.inf else np.log(of_odds[1]) - np.log(of_odds[0])
            return optimum.binary(float(log_odds), float(gamma[0]), float(gamma[1]), float(log_alpha[1] - log_alpha[0]))
        return optimum.multiclass(np.log(share), gamma, log_alpha)

    def log_loss_scale(self, y_true: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Factor that gives the focal loss the curvature of log loss.

        The parameters are those of `fit_intercept_only`.

        Returns
        -------
        float
            1 for ``gamma=0``, and if a curvature is not positive, which takes very different alphas.

        Notes
        -----
        The curvature of each loss is its mean second derivative at its own optimal constant score. A booster compares
        ``reg_lambda`` and ``min_child_weight`` with sums of second derivatives. If the focal loss is multiplied by this
        factor, these parameters have the effect that they have with log loss. Without the factor they regularize less:
        at ``gamma=1`` the focal loss has a curvature that is too large by a factor of 1.5 for two equal classes, and of
        2 if one class is rare.
        """
        return self.scale_of_totals(self._class_totals(y_true, sample_weight))

    def scale_of_totals(self, class_totals: ArrayLike) -> float:
        """The factor of `log_loss_scale`, from the total sample weight of each class, (K,)."""
        totals = np.asarray(class_totals, dtype=np.float64)
        n_classes = totals.shape[0]

        def curvature(loss: FocalLoss) -> float:
            start = np.atleast_1d(np.asarray(loss.optimal_scores(totals)))
            scores = np.tile(start, (n_classes, 1))
            return float(loss.gradient_hessian(np.arange(n_classes), scores, totals)[1].sum())

        if not self.gamma_per_class(n_classes).any():
            return 1.0
        # Very different alphas, with a class missing: the start can be where the curvature is negative, or underflows.
        of_log_loss, own = curvature(FocalLoss(0.0, self.alpha)), curvature(self)
        scale = of_log_loss / own if own > 0 else 1.0
        return scale if np.isfinite(scale) and scale > 0 else 1.0

    def predict_proba(self, raw_prediction: ArrayLike, calibration: Calibration = "focus") -> Array:
        """Class probabilities of raw scores.

        Parameters
        ----------
        raw_prediction : array-like of shape (n,) or (n, K)
        calibration : {"focus", "full"} or None, default="focus"
            The scores that minimize the focal loss are not log-odds, so their sigmoid or softmax is *not* the
            probability of the class. ``"focus"`` corrects for gamma. ``"full"`` corrects for gamma and alpha. None
            returns the sigmoid or softmax without a correction.

        Returns
        -------
        ndarray of shape (n, 2) or (n, K)
            Each row sums to 1. With two classes, the ranking of the rows is the same for all three values of
            ``calibration``.

        Notes
        -----
        ``P(y=k|x)`` is proportional to ``p_k / (alpha_k * q_k**gamma * (1 + gamma*p_k*r_k))`` with ``q_k = 1 - p_k``
        and ``r_k = -log(p_k)/q_k``; see Charoenphakdee et al. (2021), theorem 11.
        """
        raw, calibration = _without_overflow(check_raw_prediction(raw_prediction)), check_calibration(calibration)
        n_classes = 2 if raw.ndim == 1 else raw.shape[1]
        gamma, alpha = self.gamma_per_class(n_classes), self.alpha_per_class(n_classes)
        log_alpha = np.log(alpha) if calibration == "full" and self.alpha is not None else None
        if raw.ndim == 1:
            gammas, ratio = (0.0, 0.0), 0.0
            if calibration is not None:
                gammas = float(gamma[0]), float(gamma[1])
                ratio = 0.0 if log_alpha is None else float(log_alpha[1] - log_alpha[0])
            proba = np.empty((raw.shape[0], 2), dtype=raw.dtype)
            # Block by block, so that no array of all logits is needed: allocating one takes as long as the
            # exponentials.
            for start in range(0, raw.shape[0], BLOCK_ELEMENTS):
                rows = slice(start, start + BLOCK_ELEMENTS)
                logit = binary.posterior_logit(raw[rows], *gammas, ratio)
                binary.probabilities(logit, out=proba[rows])
            return proba
        if calibration is not None:
            dtype = raw.dtype
            raw = softmax.log_posterior(
                raw, gamma.astype(dtype), None if log_alpha is None else log_alpha.astype(dtype)
            )
        with np.errstate(under="ignore"):  # of the unlikely classes; as in the kernels
            proba = scipy_softmax(raw, axis=1)
        return np.ascontiguousarray(proba)


@dataclass(frozen=True)
class BinaryLossOnData:
    """The loss of one score per row, bound to labels and weights. Letters as in ``_kernels.binary``."""

    minus_s: Array
    weight: Array | None
    gamma: Gamma
    _spare: list[Array] = field(default_factory=list, init=False, repr=False)

    def part(self, start: int, stop: int) -> BinaryLossOnData:
        rows = take_rows(self.weight, start, stop), take_rows(self.gamma, start, stop)
        return BinaryLossOnData(self.minus_s[start:stop], *rows)

    def loss(self, raw: Array, n_threads: int = 1) -> Array:
        return binary.loss(raw, self.minus_s, self.weight, self.gamma, n_threads=n_threads)

    def loss_gradient(self, raw: Array, n_threads: int = 1) -> tuple[Array, Array]:
        return binary.loss_gradient(raw, self.minus_s, self.weight, self.gamma, n_threads=n_threads)

    def gradient_hessian(
        self,
        raw: Array,
        **options: Any,
    ) -> tuple[Array, Array]:
        return binary.gradient_hessian(raw, self.minus_s, self.weight, self.gamma, spare=self._spare, **options)

    def hessian_product(self, raw: Array, direction: Array, n_threads: int = 1) -> Array:
        return self.gradient_hessian(raw, n_threads=n_threads)[1] * direction

    def hessian_matrix(self, raw: Array) -> Array:
        return self.gradient_hessian(raw)[1][:, np.newaxis, np.newaxis]


@dataclass(frozen=True)
class MulticlassLossOnData:
    """The loss of K scores per row, bound to labels and weights. Letters as in ``_kernels.softmax``."""

    y: Array
    weight: Array | None
    gamma: Gamma
    _spare: list[Array] = field(default_factory=list, init=False, repr=False)

    def part(self, start: int, stop: int) -> MulticlassLossOnData:
        rows = take_rows(self.weight, start, stop), take_rows(self.gamma, start, stop)
        return MulticlassLossOnData(self.y[start:stop], *rows)

    def loss(self, raw: Array, n_threads: int = 1) -> Array:
        return softmax.loss(raw, self.y, self.weight, self.gamma, n_threads=n_threads)

    def loss_gradient(self, raw: Array, n_threads: int = 1) -> tuple[Array, Array]:
        return softmax.loss_gradient(raw, self.y, self.weight, self.gamma, n_threads=n_threads)

    def gradient_hessian(
        self,
        raw: Array,
        **options: Any,
    ) -> tuple[Array, Array]:
        return softmax.gradient_hessian(raw, self.y, self.weight, self.gamma, spare=self._spare, **options)

    def hessian_product(self, raw: Array, direction: Array, n_threads: int = 1) -> Array:
        return softmax.hessian_product(raw, self.y, self.weight, self.gamma, direction, n_threads=n_threads)

    def hessian_matrix(self, raw: Array) -> Array:
        return softmax.hessian_matrix(raw, self.y, self.weight, self.gamma)


def _n_scores(raw: Array) -> int:
    return 1 if raw.ndim == 1 else int(raw.shape[1])


def _without_overflow(raw: Array) -> Array:
    """Scores that have the same posterior and whose differences are finite when multiplied by ``1 + gamma``."""
    limit = raw.dtype.type(np.finfo(raw.dtype).max / 1024)  # 2 * (1 + MAX_GAMMA) is less
    if -limit <= raw.min() and raw.max() <= limit:
        return raw
    if raw.ndim == 1:
        clipped: Array = np.clip(raw, -limit, limit)
        return clipped
    with np.errstate(over="ignore"):  # minus infinity is clipped
        lower: Array = np.maximum(raw - raw.max(axis=1, keepdims=True), -limit)
    return lower
