"""Focal loss for Keras 3, on any of its backends. Needs the extra ``keras`` and a backend.

May import ``loss``; nothing else in the package may import it. Uses ``keras.ops`` alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import keras
except ImportError as error:
    raise ImportError('skfocal.keras needs Keras: python -m pip install "skfocal[keras]"') from error

from keras import ops

from skfocal._kernels.arguments import is_number
from skfocal.loss import FocalLoss

__all__ = ["BinaryFocalLoss", "CategoricalFocalLoss", "SparseCategoricalFocalLoss"]

_PARAMETERS = """
    from_logits : bool, default=True
        Whether ``y_pred`` are scores before the sigmoid or softmax. Probabilities have lost what logits know of easy
        and hard rows: p = 0 of a true class counts as the smallest normal number of the dtype.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is spread over all classes alike.
    reduction : str, default="sum_over_batch_size"
        As in `keras.losses.Loss`. The mean divides by the number of rows, whatever ``alpha`` is.
    name : str, default: the class's name in snake case
    dtype : str or None, default=None
        Of the computation; None: ``keras.config.floatx()``. float16 and bfloat16 are computed in float32.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not legal.

    Notes
    -----
    Computed in logarithms from the logits, without epsilon: the loss and its derivatives are finite for any finite
    logit, the loss is 0 where p is 1, and hard rows keep their gradient.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5,
    https://arxiv.org/abs/1708.02002"""

_CLASSES = """
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, >= 0, one or one per class. 0 is cross-entropy.
    alpha : float, sequence of K floats or None, default=None
        One weight > 0 per class; for K = 2 also a number ``a`` in (0, 1), which means ``1 - a`` and ``a``."""


class _FocalLoss(keras.losses.Loss):
    """What the three losses share: parameters, checks, configuration."""

    def __init__(
        self,
        gamma: Any,
        alpha: Any,
        from_logits: bool,
        label_smoothing: float,
        reduction: str | None,
        name: str,
        dtype: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._loss = FocalLoss(gamma, alpha)
        self.gamma, self.alpha = self._loss.gamma, self._loss.alpha
        if not isinstance(from_logits, bool):
            raise TypeError(f"from_logits must be True or False, got {from_logits!r}")
        legal = f"label_smoothing must be a number in [0, 1], got {label_smoothing!r}"
        if not is_number(label_smoothing):
            raise TypeError(legal)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(legal)
        self.from_logits, self.label_smoothing = from_logits, float(label_smoothing)

    def get_config(self) -> dict[str, Any]:
        """Parameters from which ``from_config`` makes the same loss, fit for JSON."""
        config: dict[str, Any] = {**super().get_config(), "from_logits": self.from_logits}
        for name in ("gamma", "alpha"):
            value = getattr(self, name)
            config[name] = list(value) if isinstance(value, tuple) else value
        return {**config, "label_smoothing": self.label_smoothing}

    def _tensors(self, y_true: Any, y_pred: Any) -> tuple[Any, Any, str]:
        """Both in the dtype of the computation, float32 at least."""
        y_pred = ops.convert_to_tensor(y_pred)
        dtype = "float64" if keras.backend.standardize_dtype(y_pred.dtype) == "float64" else "float32"
        return ops.cast(y_true, dtype), ops.cast(y_pred, dtype), dtype

    def _per_class(self, n_classes: int, dtype: str) -> tuple[Any, Any]:
        """``gamma`` and ``alpha`` of the K classes, (K,) both."""
        gamma, alpha = self._loss.gamma_per_class(n_classes), self._loss.alpha_per_class(n_classes)
        return ops.convert_to_tensor(gamma, dtype=dtype), ops.convert_to_tensor(alpha, dtype=dtype)


@keras.saving.register_keras_serializable(package="skfocal")
class BinaryFocalLoss(_FocalLoss):
    __doc__ = rf"""Focal loss of two classes: takes the place of `keras.losses.BinaryCrossentropy`.

    .. math:: FL = -\alpha_1 y \, (1-p)^{{\gamma_1}} \log p - \alpha_0 (1-y) \, p^{{\gamma_0}} \log(1-p)

    ``y_true`` holds 0 and 1 or probabilities and has the shape of ``y_pred``, (n, ...); as in Keras's own loss, a
    row's loss is the mean over the last axis.

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter, >= 0; a sequence is for class 0 and class 1. 0 is cross-entropy.
    alpha : float, sequence of 2 floats or None, default=None
        A number ``a`` in (0, 1) weighs class 1 by ``a`` and class 0 by ``1 - a``; a sequence has the weights of
        class 0 and class 1.{_PARAMETERS}

    Examples
    --------
    >>> import numpy as np
    >>> from skfocal.keras import BinaryFocalLoss
    >>> round(float(BinaryFocalLoss(gamma=2.0)(np.ones((2, 1)), np.array([[4.0], [-1.0]]))), 6)
    0.350937
    """

    def __init__(
        self,
        gamma: Any = 2.0,
        alpha: Any = None,
        *,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(gamma, alpha, from_logits, label_smoothing, reduction, name, dtype)
        self._gamma, self._alpha = self._loss.gamma_per_class(2).tolist(), self._loss.alpha_per_class(2).tolist()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each row: the shape of ``y_pred`` without the last axis."""
        y, z, dtype = self._tensors(y_true, y_pred)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.from_logits:
            log_p, log_q = ops.log_sigmoid(z), ops.log_sigmoid(-z)
        else:
            log_p, log_q = _log(z, dtype), _log(1.0 - z, dtype)
        loss = -self._alpha[1] * y * ops.exp(self._gamma[1] * log_q) * log_p
        loss = loss - self._alpha[0] * (1.0 - y) * ops.exp(self._gamma[0] * log_p) * log_q
        # ops.mean rounds float64 to float32 on the way, in Keras 3.15.
        return ops.sum(loss, axis=-1) / ops.cast(ops.shape(loss)[-1], dtype)


@keras.saving.register_keras_serializable(package="skfocal")
class CategoricalFocalLoss(_FocalLoss):
    __doc__ = rf"""Focal loss of K classes: takes the place of `keras.losses.CategoricalCrossentropy`.

    .. math:: FL = -\sum_k \alpha_k y_k \, (1 - p_k)^{{\gamma_k}} \log p_k

    ``y_true`` holds one-hot rows or class probabilities, (..., K), and ``y_pred`` scores of the same shape.

    Parameters
    ----------{_CLASSES}{_PARAMETERS}

    Examples
    --------
    >>> import numpy as np
    >>> from skfocal.keras import CategoricalFocalLoss
    >>> round(float(CategoricalFocalLoss(gamma=2.0)(np.eye(3)[:1], np.array([[2.0, 0.0, -1.0]]))), 6)
    0.004144
    """

    def __init__(
        self,
        gamma: Any = 2.0,
        alpha: Any = None,
        *,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(gamma, alpha, from_logits, label_smoothing, reduction, name, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each row: the shape of ``y_pred`` without the last axis."""
        y, z, dtype = self._tensors(y_true, y_pred)
        n_classes = z.shape[-1]
        gamma, alpha = self._per_class(n_classes, dtype)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + self.label_smoothing / n_classes
        log_p, log_q = _log_probabilities(z if self.from_logits else _log(z, dtype))
        return -ops.sum(alpha * y * ops.exp(gamma * log_q) * log_p, axis=-1)


@keras.saving.register_keras_serializable(package="skfocal")
class SparseCategoricalFocalLoss(CategoricalFocalLoss):
    __doc__ = rf"""Focal loss of K classes: takes the place of `keras.losses.SparseCategoricalCrossentropy`.

    .. math:: FL = -\alpha_t \, (1 - p_t)^{{\gamma_t}} \log p_t

    ``y_true`` holds class indices t, (...) or (..., 1), and ``y_pred`` scores, (..., K).

    Parameters
    ----------{_CLASSES}{_PARAMETERS}

    Examples
    --------
    >>> import numpy as np
    >>> from skfocal.keras import SparseCategoricalFocalLoss
    >>> round(float(SparseCategoricalFocalLoss(gamma=2.0)(np.array([0]), np.array([[2.0, 0.0, -1.0]]))), 6)
    0.004144
    """

    def __init__(
        self,
        gamma: Any = 2.0,
        alpha: Any = None,
        *,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sparse_categorical_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            gamma,
            alpha,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each row: the shape of ``y_pred`` without the last axis."""
        y_true, y_pred = ops.cast(y_true, "int32"), ops.convert_to_tensor(y_pred)
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, axis=-1)
        return super().call(ops.one_hot(y_true, y_pred.shape[-1]), y_pred)


def _log(p: Any, dtype: str) -> Any:
    # The floor stands in for p = 0 alone; a logarithm of p + epsilon would not be 0 at p = 1.
    return ops.log(ops.maximum(p, float(np.finfo(dtype).tiny)))


def _log_probabilities(z: Any) -> tuple[Any, Any]:
    """``log p_k`` and ``log(1 - p_k)`` of K scores a row, both to their last digits.

    Only the top class can have ``1 - p_k`` near 0. With ``u`` its score less the log-sum-exp of the others it has
    ``p = sigmoid(u)`` and ``1 - p = sigmoid(-u)``. Where a value is not used it is replaced before the logarithm:
    0 times infinity in a gradient is NaN.
    """
    top = ops.one_hot(ops.argmax(z, axis=-1), z.shape[-1], dtype=z.dtype)
    is_top = top > 0
    # Not minus infinity: backends that subtract the maximum would have infinity less infinity in a gradient.
    dtype = keras.backend.standardize_dtype(z.dtype)
    far_below = ops.convert_to_tensor(float(np.finfo(dtype).min) / 2, dtype=dtype)
    others = ops.logsumexp(ops.where(is_top, far_below, z), axis=-1, keepdims=True)
    z_top = ops.sum(ops.where(is_top, z, 0.0), axis=-1, keepdims=True)
    u = z_top - others
    log_p_top = ops.log_sigmoid(u)
    log_p = ops.where(is_top, log_p_top, z - z_top + log_p_top)
    log_q = ops.log1p(-ops.exp(ops.where(is_top, -1.0, log_p)))
    return log_p, ops.where(is_top, ops.log_sigmoid(-u), log_q)
