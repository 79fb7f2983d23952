"""The losses. May import ``_tensors``, ``_kernels``, ``_common`` and Keras, of which ``keras.ops`` alone computes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from skfocal._common import neural
from skfocal._kernels.arguments import check_gamma, is_number
from skfocal.keras._tensors import (
    FAR,
    at_least_float32,
    checked_for_mask,
    fits,
    log,
    log_probabilities,
    number_of_classes,
    same_rank,
    values,
    with_mask,
)

_FROM_LOGITS = """    ``from_logits=True`` is the default. The Keras losses that this class
    replaces have the default ``False``. If the last layer of the network has an activation, use
    ``from_logits=False``."""

_PARAMETERS = """
    from_logits : bool, default=True
        Whether ``y_pred`` contains scores before the sigmoid or softmax. Probabilities are less accurate than logits
        for very easy and very hard rows: a probability of 0 for the true class is replaced by the smallest normal
        number of the dtype.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is distributed equally over all classes."""

_REDUCTION = """
    reduction : str, default="sum_over_batch_size"
        As in `keras.losses.Loss`. The mean divides by the number of rows that are not ignored. It does not divide by
        the sum of the weights.
    name : str, default: the class's name in snake case
    dtype : str or None, default=None
        Data type of the computation. None: ``keras.config.floatx()``. For float16 and bfloat16 the computation is in
        float32.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid, or if the shapes of ``y_true`` and ``y_pred`` do not match. As in Keras's own losses,
        a last dimension of 1 may be missing in one of them.

    Notes
    -----
    The loss is computed from the logits in logarithms, without an epsilon. The loss and its derivatives are finite for
    every finite logit, the loss is 0 if p is 1, and hard rows have a gradient. The loss of a soft target is the
    expected loss over the classes. The loss of a mixup target is therefore the mixture of the losses.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5,
    https://arxiv.org/abs/1708.02002"""

_CLASSES = """
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, from 0 to 100: one number, or one per class. 0 is cross-entropy.
    alpha : float, sequence of K floats or None, default=None
        Class weights: one weight >= 0 per class. For K = 2 it can be a number ``a`` in (0, 1), which gives class 1 the
        weight ``a`` and class 0 the weight ``1 - a``."""


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
        # Half precision has too few digits for labels above 256 and for sums over a batch.
        is_half = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype in ("float16", "bfloat16")
        super().__init__(name=name, reduction=reduction, dtype="float32" if is_half else dtype)
        self._dtype_given = getattr(dtype, "name", dtype)
        self.gamma = check_gamma(_numbers(gamma))
        self.alpha = self._check_alpha(_numbers(alpha))
        if not isinstance(from_logits, bool):
            raise TypeError(f"from_logits must be True or False, got {from_logits!r}")
        self.from_logits, self.label_smoothing = from_logits, neural.check_label_smoothing(label_smoothing)

    def _check_alpha(self, alpha: Any) -> Any:
        alpha = neural.check_alpha(alpha)
        neural.check_as_many(self.gamma, alpha)
        return alpha

    def get_config(self) -> dict[str, Any]:
        """Parameters in JSON types, from which ``from_config`` creates the same loss."""
        config: dict[str, Any] = {**super().get_config(), "from_logits": self.from_logits}
        config |= {"gamma": _lists(self.gamma), "alpha": _lists(self.alpha)}
        return {**config, "label_smoothing": self.label_smoothing, "dtype": self._dtype_given}


def _numbers(value: Any) -> Any:
    return np.asarray(ops.convert_to_numpy(value)) if ops.is_tensor(value) else value


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value


@keras.saving.register_keras_serializable(package="skfocal")
class BinaryFocalLoss(_FocalLoss):
    __doc__ = rf"""Focal loss of two classes, as a replacement of `keras.losses.BinaryCrossentropy`.

{_FROM_LOGITS}

    .. math:: FL = -\alpha_1 y \, (1-p)^{{\gamma_1}} \log p - \alpha_0 (1-y) \, p^{{\gamma_0}} \log(1-p)

    ``y_true`` contains 0 and 1, or probabilities. It has the shape of ``y_pred``, which is (n, ...). As in Keras's own
    loss, the loss of a row is the mean over the last axis. If the shape is (n,), each element is a row.

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter, from 0 to 100. A sequence has the values of class 0 and class 1. 0 is cross-entropy.
    alpha : float, sequence of 2 weights or None, default=None
        Class weights. A number ``a`` in (0, 1) gives class 1 the weight ``a`` and class 0 the weight ``1 - a``. A
        sequence contains the weights of class 0 and class 1, each >= 0. For several labels, which are the last axis of
        ``y_pred``, each of the two weights can be a sequence with one weight per label. For example, ``[1.0, [3.0,
        0.5]]`` corresponds to a ``pos_weight`` for two labels.{_PARAMETERS}
    ignore_class : float or None, default=None
        A number outside [0, 1]. Elements of ``y_true`` with this value are ignored, and the loss of a row is the mean
        over its other elements. A row without other elements is ignored.{_REDUCTION}

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
        ignore_class: float | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(gamma, alpha, from_logits, label_smoothing, reduction, name, dtype)
        legal = f"ignore_class must be None or a number outside [0, 1], got {ignore_class!r}"
        if not (ignore_class is None or is_number(ignore_class)):
            raise TypeError(legal)
        if not (ignore_class is None or ignore_class < 0 or ignore_class > 1):
            raise ValueError(legal)
        self.ignore_class = checked_for_mask(ignore_class)
        self._gamma = neural.per_class("gamma", self.gamma, 2)

    def _check_alpha(self, alpha: Any) -> Any:
        return neural.check_alpha_pair(alpha)

    def get_config(self) -> dict[str, Any]:
        """Parameters in JSON types, from which ``from_config`` creates the same loss."""
        return {**super().get_config(), "ignore_class": self.ignore_class}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each row, in the shape of ``y_pred`` without the last axis."""
        z, dtype = at_least_float32(y_pred)
        y, z = same_rank(ops.cast(y_true, dtype), z)
        if not (len(z.shape) and fits(y.shape, z.shape)):
            raise ValueError(f"y_true must have the shape of y_pred, {tuple(z.shape)}, got {tuple(y.shape)}")
        alpha_0, alpha_1 = (self._by_label(a, z.shape, dtype) for a in neural.per_class("alpha", self.alpha, 2))
        counted = None
        if self.ignore_class is not None:
            # Ignored elements can have any logits, and 0 times infinity is NaN.
            counted = y != self.ignore_class
            y, z = ops.where(counted, y, 0.0), ops.where(counted, z, 0.5)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.from_logits:
            # The loss of the other class has the weight 0, and 0 times infinity is NaN.
            largest = ops.convert_to_tensor(np.finfo(dtype).max, dtype=dtype)
            z = ops.where(z == np.inf, largest, ops.where(z == -np.inf, -largest, z))
            log_p, log_q = ops.log_sigmoid(z), ops.log_sigmoid(-z)
        else:
            log_p, log_q = log(z, dtype), log(1.0 - z, dtype)
        loss = -alpha_1 * y * ops.exp(self._gamma[1] * log_q) * log_p
        loss = loss - alpha_0 * (1.0 - y) * ops.exp(self._gamma[0] * log_p) * log_q
        if counted is None:
            # In Keras 3.15, ops.mean rounds float64 to float32 internally.
            return ops.sum(loss, axis=-1) / ops.cast(ops.shape(loss)[-1], dtype)
        number = ops.sum(ops.cast(counted, dtype), axis=-1)
        loss = ops.sum(ops.where(counted, loss, 0.0), axis=-1) / ops.clip(number, 1.0, np.inf)
        return with_mask(loss, number > 0)

    @staticmethod
    def _by_label(alpha: Any, shape: Any, dtype: str) -> Any:
        if not isinstance(alpha, tuple):
            return alpha
        weights = np.asarray(alpha)
        if not (weights.ndim <= len(shape) and fits(weights.shape, shape[len(shape) - weights.ndim :], or_one=True)):
            raise ValueError(
                "alpha must be one number per class or one per label and class: got weights of shape "
                f"{weights.shape} for y_pred of shape {tuple(shape)}"
            )
        return ops.convert_to_tensor(weights, dtype=dtype)


@keras.saving.register_keras_serializable(package="skfocal")
class CategoricalFocalLoss(_FocalLoss):
    __doc__ = rf"""Focal loss of K classes, as a replacement of `keras.losses.CategoricalCrossentropy`.

{_FROM_LOGITS}

    .. math:: FL = -\sum_k \alpha_k y_k \, (1 - p_k)^{{\gamma_k}} \log p_k

    ``y_true`` contains one-hot rows or class probabilities, (..., K). ``y_pred`` contains scores of the same shape.
    Minus infinity marks an impossible class.

    Parameters
    ----------{_CLASSES}{_PARAMETERS}{_REDUCTION}

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
        """Loss of each row, in the shape of ``y_pred`` without the last axis."""
        z, dtype = at_least_float32(y_pred)
        y = ops.cast(y_true, dtype)
        n_classes = number_of_classes(z)
        if not fits(y.shape, z.shape):
            raise ValueError(
                f"y_true must hold one-hot rows or class probabilities in the shape of y_pred, {tuple(z.shape)}, got "
                f"{tuple(y.shape)}. Class indices are for SparseCategoricalFocalLoss"
            )
        gamma, alpha = (
            ops.convert_to_tensor(np.asarray(neural.per_class(name, getattr(self, name), n_classes)), dtype=dtype)
            for name in ("gamma", "alpha")
        )
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + self.label_smoothing / n_classes
        log_p, log_q = log_probabilities(z if self.from_logits else log(z, dtype))
        weight = alpha * y
        # For an impossible class with the weight 0, 0 times infinity is 0 here, as in the expectation over the classes.
        log_p = ops.where(ops.logical_and(weight == 0, log_p == -np.inf), 0.0, log_p)
        # At very low scores q is 1. Without the cut, autograd multiplies the derivative of q**gamma, which is 0, by an
        # infinite log p.
        by_class = ops.where(log_p < FAR, log_p, ops.exp(gamma * log_q) * ops.clip(log_p, FAR, 1.0))
        return -ops.sum(weight * by_class, axis=-1)


@keras.saving.register_keras_serializable(package="skfocal")
class SparseCategoricalFocalLoss(CategoricalFocalLoss):
    __doc__ = rf"""Focal loss of class indices, as a replacement of `keras.losses.SparseCategoricalCrossentropy`.

{_FROM_LOGITS}

    .. math:: FL = -\alpha_t \, (1 - p_t)^{{\gamma_t}} \log p_t

    ``y_true`` contains class indices t, (...) or (..., 1). ``y_pred`` contains scores, (..., K). Minus infinity marks
    an impossible class. An index outside 0 .. K-1 raises an error. In a compiled or traced function and on a GPU, where
    the value cannot be read, the loss of its row is NaN instead.

    Parameters
    ----------{_CLASSES}{_PARAMETERS}
    ignore_class : int or None, default=None
        Rows with this class index are ignored in the loss and in the mean.{_REDUCTION}

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
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sparse_categorical_focal_loss",
        dtype: Any = None,
    ) -> None:
        options: dict[str, Any] = {"reduction": reduction, "name": name, "dtype": dtype}
        super().__init__(gamma, alpha, from_logits=from_logits, label_smoothing=label_smoothing, **options)
        if not (ignore_class is None or (isinstance(ignore_class, Integral) and not isinstance(ignore_class, bool))):
            raise TypeError(f"ignore_class must be None or an integer, got {ignore_class!r}")
        self.ignore_class = checked_for_mask(ignore_class)

    def get_config(self) -> dict[str, Any]:
        """Parameters in JSON types, from which ``from_config`` creates the same loss."""
        return {**super().get_config(), "ignore_class": self.ignore_class}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each row, in the shape of ``y_pred`` without the last axis."""
        t, z = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        n_classes = number_of_classes(z)
        if len(t.shape) == len(z.shape) and t.shape[-1] == 1:
            t = ops.squeeze(t, axis=-1)
        if not fits(t.shape, z.shape[:-1]):
            raise ValueError(
                f"y_true must hold class indices of shape {tuple(z.shape[:-1])}, got shape {tuple(t.shape)}. One-hot "
                "rows are for CategoricalFocalLoss"
            )
        counted = None
        if self.ignore_class is not None:
            # Ignored elements can have any logits, and 0 times infinity is NaN.
            counted = t != self.ignore_class
            t, z = ops.where(counted, t, 0), ops.where(ops.expand_dims(counted, -1), z, 1.0)
        index = ops.cast(ops.clip(t, 0, n_classes - 1), "int32")
        loss = super().call(ops.one_hot(index, n_classes), z)
        indices = values(t)
        if indices is None:
            loss = loss * ops.where(ops.cast(index, t.dtype) == t, 1.0, np.nan)
        elif not np.isin(indices, np.arange(n_classes)).all():
            wrong = indices[~np.isin(indices, np.arange(n_classes))].flat[0]
            raise ValueError(f"y_true must hold class indices 0 .. {n_classes - 1} or ignore_class, got {wrong:g}")
        return loss if counted is None else with_mask(ops.where(counted, loss, 0.0), counted)
