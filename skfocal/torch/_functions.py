"""The losses and the posterior as functions of tensors. May import the other files of this folder and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from skfocal.torch._checks import (
    alpha_pair,
    check_binary_target,
    check_can_be_undone,
    check_ignore_index,
    check_indices,
    check_label_smoothing,
    check_logits,
    check_reduction,
    check_target,
    gamma_pair,
    known,
    per_class,
    positive_weight,
)
from skfocal.torch._kernels import Gamma, binary_loss
from skfocal.torch._softmax import log_probabilities, log_w, soft_loss, softmax_loss

Reduction: TypeAlias = Literal["mean", "sum", "none"]
Parameter: TypeAlias = float | Sequence[Any] | Tensor


def binary_focal_loss(
    logits: Tensor,
    target: Tensor,
    gamma: Parameter = 2.0,
    alpha: Parameter | None = None,
    reduction: Reduction = "mean",
    *,
    pos_weight: Parameter | None = None,
    label_smoothing: float = 0.0,
    ignore_index: float | None = None,
) -> Tensor:
    r"""Focal loss of logits and targets of the same shape, as in `BinaryFocalLoss`.

    .. math:: FL = -\alpha_1 w \, y \, (1-p)^{\gamma_1} \log p - \alpha_0 (1-y) \, p^{\gamma_0} \log(1-p)

    Parameters
    ----------
    logits : Tensor of any shape
        Scores before the sigmoid. For float16 and bfloat16 logits, also under autocast, the loss is computed and
        returned in float32. An infinite logit is replaced by the largest finite number of the dtype.
    target : Tensor of the same shape
        1 or True for the positive class, 0 or False for the negative class, or the probability of the positive class.
        As in `torch.nn.functional.binary_cross_entropy_with_logits`, the values are not checked.
    gamma, alpha, reduction, pos_weight, label_smoothing, ignore_index
        As in `BinaryFocalLoss`. ``w`` in the formula is ``pos_weight``. The values of tensors are not checked, and no
        gradient flows to them.

    Returns
    -------
    Tensor
        A tensor with one element, or with the shape of ``logits`` if ``reduction`` is "none".

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid, if ``logits`` is not floating-point, or if the shapes differ.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5,
    https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import torch
    >>> from skfocal.torch import binary_focal_loss
    >>> loss = binary_focal_loss(torch.tensor([4.0, -1.0]), torch.tensor([1.0, 1.0]), reduction="none")
    >>> [round(x, 6) for x in loss.tolist()]
    [6e-06, 0.701868]
    """
    check_reduction(reduction)
    check_label_smoothing(label_smoothing)
    check_ignore_index(ignore_index)
    check_logits(logits)
    check_binary_target(target, logits)
    z = _at_least_float32(logits)
    y = target.to(z)
    gamma_0, gamma_1 = gamma_pair(gamma, z)
    alpha_0, alpha_1 = alpha_pair(alpha, z)
    alpha_1 = alpha_1 * positive_weight(pos_weight, z)
    counted = None
    if ignore_index is not None:
        # Ignored elements can have any logits, and 0 times an infinite derivative is NaN.
        counted = y != ignore_index
        z, y = torch.where(counted, z, 0.0), torch.where(counted, y, 0.0)
    if label_smoothing > 0:
        y = y * (1.0 - label_smoothing) + 0.5 * label_smoothing
    total = reduction != "none" and counted is None
    loss = binary_loss(z, y, alpha_1, alpha_0, gamma_1, gamma_0, total)
    if counted is None:
        return loss / z.numel() if reduction == "mean" else loss
    loss = torch.where(counted, loss, 0.0)
    if reduction == "none":
        return loss
    return loss.sum() / counted.sum() if reduction == "mean" else loss.sum()


def multiclass_focal_loss(
    logits: Tensor,
    target: Tensor,
    gamma: Parameter = 2.0,
    alpha: Parameter | None = None,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Focal loss of K logits per element, as in `MulticlassFocalLoss`.

    .. math:: FL = -\sum_k \alpha_k y_k \, (1 - p_k)^{\gamma_k} \log p_k

    Parameters
    ----------
    logits : Tensor of shape (K,), (N, K) or (N, K, ...)
        Scores before the softmax, K >= 2. Minus infinity marks an impossible class. For float16 and bfloat16 logits,
        the loss is computed and returned in float32.
    target : Tensor
        Class indices of shape (), (N,) or (N, ...), or floating-point class probabilities with the shape of ``logits``.
    gamma, alpha, reduction, ignore_index, label_smoothing
        As in `MulticlassFocalLoss`. The values of tensors are not checked, and no gradient flows to them.

    Returns
    -------
    Tensor
        A tensor with one element, or with the shape of the class indices if ``reduction`` is "none".

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid, if ``logits`` is not floating-point, if the shapes do not match, or, on a CPU, if a
        class index is outside 0 .. K-1.

    Examples
    --------
    >>> import torch
    >>> from skfocal.torch import multiclass_focal_loss
    >>> logits, target = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), torch.tensor([0, 2])
    >>> [round(x, 6) for x in multiclass_focal_loss(logits, target, reduction="none").tolist()]
    [0.004144, 0.488272]
    """
    check_reduction(reduction)
    check_label_smoothing(label_smoothing)
    check_logits(logits)
    class_dim = min(1, logits.dim() - 1)
    check_target(target, logits, class_dim, ignore_index)
    z = _rows(_at_least_float32(logits), class_dim)
    gammas = per_class("gamma", gamma, z)
    weights = None if alpha is None else per_class("alpha", alpha, z)
    if target.is_floating_point():
        loss = _soft_targets(z, _rows(target.to(z), class_dim), gammas, weights, label_smoothing)
        divisor = z.new_tensor(z.shape[0])
    else:
        t = target.reshape(-1).long()
        counted = t != ignore_index
        t = torch.where(counted, t, 0)
        check_indices(z, t)
        if z.device.type != "cpu" or not known(counted.all()):
            # Ignored elements can have any logits, and 0 times an infinite derivative is NaN.
            z = torch.where(counted.unsqueeze(1), z, 0.0)
        loss, weight = _hard_targets(z, t, gammas, weights, label_smoothing)
        loss, divisor = torch.where(counted, loss, 0.0), torch.where(counted, weight, 0.0).sum()
    if reduction == "none":
        return loss.reshape(logits.shape[:class_dim] + logits.shape[class_dim + 1 :])
    return loss.sum() / divisor if reduction == "mean" else loss.sum()


def posterior(
    logits: Tensor, gamma: Parameter = 2.0, alpha: Parameter | None = None, *, class_dim: int | None = None
) -> Tensor:
    """Class probabilities of the logits of a network that was trained with focal loss.

    The sigmoid or softmax of such logits is not the probability of the class. At the minimum of the expected loss,
    ``P(y=k | x)`` is proportional to ``p_k / (alpha_k * q_k**gamma * (1 + gamma*p_k*r_k))`` with ``q_k = 1 - p_k`` and
    ``r_k = -log(p_k)/q_k``.

    Parameters
    ----------
    logits : Tensor
        Scores before the sigmoid or softmax. Minus infinity marks an impossible class. For float16 and bfloat16 logits
        the result is float32.
    gamma : float, sequence of floats or Tensor, default=2.0
        Focusing parameter of the training loss.
    alpha : float, sequence of floats, Tensor or None, default=None
        Class weights to correct for. With the class weights of the training loss, the result is the probability in the
        training population. If the loss had a ``pos_weight``, multiply the weight of class 1 by it. With None the
        probabilities include the class weights, as in `skfocal.FocalLoss.predict_proba` with ``calibration="focus"``.
    class_dim : int or None, default=None
        Dimension of the classes, as in `torch.softmax`. None: each logit is a separate two-class problem and is the
        score of class 1.

    Returns
    -------
    Tensor
        The probability of class 1, or of each class along ``class_dim``, with the shape of ``logits``. It is
        differentiable.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid, or if a class has the weight 0.

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul, Sugiyama: On Focal Loss for Class-Posterior Probability
    Estimation, CVPR 2021, https://arxiv.org/abs/2011.09172

    Examples
    --------
    >>> import torch
    >>> from skfocal.torch import posterior
    >>> logit = torch.tensor([-1.0])
    >>> [round(p.item(), 4) for p in (torch.sigmoid(logit), posterior(logit, gamma=2.0))]
    [0.2689, 0.0641]
    """
    check_logits(logits)
    z = _at_least_float32(logits)
    if class_dim is None:
        gamma_0, gamma_1 = gamma_pair(gamma, z)
        log_p, log_q = logsigmoid(z), logsigmoid(-z)
        odds = z + log_w(log_q, log_p, gamma_0) - log_w(log_p, log_q, gamma_1)
        if alpha is not None:
            alpha_0, alpha_1 = alpha_pair(alpha, z)
            check_can_be_undone((alpha_0, alpha_1))
            odds = odds - torch.log(torch.as_tensor(alpha_1 / alpha_0, dtype=z.dtype, device=z.device))
        return torch.sigmoid(odds)
    n_classes = z.shape[class_dim]
    z = z.movedim(class_dim, -1)
    log_p, log_q = log_probabilities(z.reshape(-1, n_classes))
    log_posterior = log_p - log_w(log_p, log_q, per_class("gamma", gamma, z))
    if alpha is not None:
        weights = per_class("alpha", alpha, z)
        check_can_be_undone((weights,))
        log_posterior = log_posterior - torch.log(weights)
    return log_posterior.softmax(1).reshape(z.shape).movedim(-1, class_dim)


def _hard_targets(
    z: Tensor, t: Tensor, gamma: Gamma, alpha: Tensor | None, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Loss and weight of each row with the true class t, each of shape (n,)."""
    weight = z.new_ones(()).expand(t.shape) if alpha is None else alpha.gather(0, t)
    if label_smoothing > 0:
        y = torch.zeros_like(z).scatter(1, t.unsqueeze(1), 1.0)
        return _soft_targets(z, y, gamma, alpha, label_smoothing), weight
    if isinstance(gamma, Tensor):
        gamma = gamma.gather(0, t) if gamma.dim() else gamma.expand(t.shape)
    loss = softmax_loss(z, t, gamma)
    # A class with the weight 0 adds nothing, even if it is impossible and its loss is infinite.
    return loss if alpha is None else torch.where(weight == 0, 0.0, loss * weight), weight


def _soft_targets(z: Tensor, y: Tensor, gamma: Gamma, alpha: Tensor | None, label_smoothing: float) -> Tensor:
    """Loss of each row with class probabilities y, (n,)."""
    if label_smoothing > 0:
        y = y * (1.0 - label_smoothing) + label_smoothing / z.shape[1]
    return soft_loss(z, y if alpha is None else y * alpha, gamma)


def _rows(x: Tensor, class_dim: int) -> Tensor:
    return x.movedim(class_dim, -1).reshape(-1, x.shape[class_dim])


def _at_least_float32(logits: Tensor) -> Tensor:
    # Autocast does not change float32 in the following operations. It affects only matrix products and convolutions.
    return logits if logits.dtype == torch.float64 else logits.float()
