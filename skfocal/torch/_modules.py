"""The losses as modules. May import the other files of this folder, ``loss`` and PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skfocal._kernels.arguments import Calibration, check_calibration
from skfocal.loss import FocalLoss
from skfocal.torch._checks import check_label_smoothing, check_reduction
from skfocal.torch._functions import Parameter, Reduction, binary_focal_loss, multiclass_focal_loss, posterior


class _FocalLossModule(torch.nn.Module):
    """Parameters of both modules: ``gamma`` checked once, ``alpha`` in a buffer."""

    alpha: Tensor | None

    def __init__(self, gamma: Any, alpha: Parameter | None, reduction: Reduction, n_classes: int | None) -> None:
        super().__init__()
        check_reduction(reduction)
        loss = FocalLoss(gamma, alpha.tolist() if isinstance(alpha, Tensor) else alpha)
        if n_classes is not None:
            loss.gamma_per_class(n_classes)
            loss.alpha_per_class(n_classes)
        weights = None
        if isinstance(alpha, Tensor) and alpha.dim() == 1:
            weights = alpha.detach().clone()
        elif alpha is not None:
            per_class = loss.alpha_per_class(len(loss.alpha) if isinstance(loss.alpha, tuple) else 2)
            weights = torch.tensor(per_class.tolist())
        self.gamma, self.reduction = loss.gamma, reduction
        self.register_buffer("alpha", weights)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of ``repr``."""
        alpha = None if self.alpha is None else [round(a, 6) for a in self.alpha.tolist()]
        return f"gamma={self.gamma}, alpha={alpha}, reduction={self.reduction!r}"


class BinaryFocalLoss(_FocalLossModule):
    r"""Focal loss on logits and targets of the same shape: takes the place of `torch.nn.BCEWithLogitsLoss`.

    .. math:: FL = -\alpha_1 y \, (1-p)^{\gamma_1} \log p - \alpha_0 (1-y) \, p^{\gamma_0} \log(1-p)

    Parameters
    ----------
    gamma : float or sequence of 2 floats, default=2.0
        Focusing parameter, >= 0; a sequence is for class 0 and class 1. 0 is cross-entropy.
    alpha : float, sequence of 2 floats, Tensor of shape (2,) or None, default=None
        A number ``a`` in (0, 1) weighs class 1 by ``a`` and class 0 by ``1 - a``; a sequence or tensor has the
        weights of class 0 and class 1. Kept as the buffer ``alpha`` of shape (2,): it follows ``.to`` and is part
        of the ``state_dict``. A tensor keeps its dtype, numbers get torch's default dtype.
    reduction : {"mean", "sum", "none"}, default="mean"
        "mean" divides by the number of elements, whatever ``alpha`` is.

    Notes
    -----
    The loss, its gradient and its Hessian are finite and right to the last digits for any finite logit: they are
    computed from the logit by closed forms, without epsilon. float16 and bfloat16 logits, also under autocast, are
    computed and returned in float32. Works with double backward, `torch.compile` and `torch.func`.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5,
    https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import torch
    >>> from skfocal.torch import BinaryFocalLoss
    >>> criterion = BinaryFocalLoss(gamma=2.0, alpha=0.75)
    >>> logits = torch.tensor([4.0, -1.0], requires_grad=True)
    >>> loss = criterion(logits, torch.tensor([1.0, 0.0]))
    >>> loss.backward()
    """

    def __init__(self, gamma: Any = 2.0, alpha: Parameter | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(gamma, alpha, reduction, n_classes=2)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """`binary_focal_loss` with this module's parameters."""
        return binary_focal_loss(logits, target, self.gamma, self.alpha, self.reduction)

    def posterior(self, logits: Tensor, calibration: Calibration = "focus") -> Tensor:
        """Probability of class 1, shaped like ``logits``.

        ``calibration`` as in `skfocal.FocalLoss.predict_proba`: "focus" undoes what gamma did, "full" what gamma
        and alpha did, None gives the sigmoid.
        """
        if check_calibration(calibration) is None:
            return torch.sigmoid(logits)
        return posterior(logits, self.gamma, self.alpha if calibration == "full" else None)


class MulticlassFocalLoss(_FocalLossModule):
    r"""Focal loss on K logits per element: takes the place of `torch.nn.CrossEntropyLoss`.

    .. math:: FL = -\sum_k \alpha_k y_k \, (1 - p_k)^{\gamma_k} \log p_k

    Parameters
    ----------
    gamma : float or sequence of K floats, default=2.0
        Focusing parameter, >= 0, one or one per class. 0 is cross-entropy.
    alpha : float, sequence of K floats, Tensor of shape (K,) or None, default=None
        One weight > 0 per class, as ``weight`` of `torch.nn.CrossEntropyLoss`; for K = 2 also a number ``a`` in
        (0, 1), which means ``1 - a`` and ``a``. Kept as the buffer ``alpha`` of shape (K,): it follows ``.to`` and
        is part of the ``state_dict``. A tensor keeps its dtype, numbers get torch's default dtype.
    reduction : {"mean", "sum", "none"}, default="mean"
        "mean" divides by the sum of the targets' weights ``alpha``, for class probabilities by the number of
        elements: the two means of `torch.nn.CrossEntropyLoss`. (`skfocal.FocalLoss` divides by the number of rows.)
    ignore_index : int, default=-100
        Elements whose target is this index count neither in the loss nor in the mean. Not for class probabilities.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is spread over all classes alike.

    Notes
    -----
    See `BinaryFocalLoss`.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017,
    https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import torch
    >>> from skfocal.torch import MulticlassFocalLoss
    >>> criterion = MulticlassFocalLoss(gamma=1.0, alpha=[1.0, 2.0, 4.0])
    >>> logits = torch.zeros(2, 3, requires_grad=True)
    >>> loss = criterion(logits, torch.tensor([0, 2]))
    >>> loss.backward()
    """

    def __init__(
        self,
        gamma: Any = 2.0,
        alpha: Parameter | None = None,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(gamma, alpha, reduction, n_classes=None)
        check_label_smoothing(label_smoothing)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """`multiclass_focal_loss` with this module's parameters."""
        return multiclass_focal_loss(
            logits, target, self.gamma, self.alpha, self.reduction, self.ignore_index, self.label_smoothing
        )

    def posterior(self, logits: Tensor, calibration: Calibration = "focus") -> Tensor:
        """Class probabilities, shaped like ``logits``; ``calibration`` as in `BinaryFocalLoss.posterior`."""
        class_dim = min(1, logits.dim() - 1)
        if check_calibration(calibration) is None:
            return logits.softmax(class_dim)
        alpha = self.alpha if calibration == "full" else None
        return posterior(logits, self.gamma, alpha, class_dim=class_dim)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of ``repr``."""
        rest = f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}"
        return f"{super().extra_repr()}, {rest}"
