"""The losses as modules. May import the other files of this folder, ``_kernels``, ``_common`` and PyTorch."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from skfocal._common import neural
from skfocal._kernels.arguments import Calibration, check_calibration, check_gamma
from skfocal.torch._checks import check_ignore_index, check_label_smoothing, check_reduction, numbers
from skfocal.torch._functions import Parameter, Reduction, binary_focal_loss, multiclass_focal_loss, posterior


class _FocalLossModule(torch.nn.Module):
    """What both modules share: ``gamma`` checked once, weights in buffers and, as they were given, as numbers.

    A buffer follows ``.to``, is saved and loaded, and may be written over: it decides. But 0.7 in float32 is not 0.7.
    Where a buffer still holds the rounding of the number that was given, the loss takes the number itself.
    """

    alpha: Tensor | None
    # Of modules pickled before the attribute was there.
    _given: Any = MappingProxyType({})

    def __init__(self, gamma: Any, reduction: Reduction) -> None:
        super().__init__()
        check_reduction(reduction)
        self.gamma, self.reduction = check_gamma(numbers("gamma", gamma)), reduction
        self._given = {}

    def _keep(self, name: str, given: Any, checked: Any) -> None:
        """Make a buffer of the weights ``checked``, in the dtype of ``given`` if that is a tensor."""
        if checked is None:
            self.register_buffer(name, None)
            return
        dtype = given.dtype if isinstance(given, Tensor) and given.is_floating_point() else None
        device = given.device if isinstance(given, Tensor) else None
        self.register_buffer(name, torch.tensor(checked, dtype=dtype, device=device))
        self._given[name] = checked

    def _as_given(self, name: str, buffer: Tensor, dtype: torch.dtype) -> Tensor:
        """What the buffer stands for, in another dtype."""
        exact = torch.tensor(self._given[name], dtype=dtype, device=buffer.device)
        if exact.shape != buffer.shape:  # another tensor was assigned
            return buffer.to(dtype)
        return torch.where(exact.to(buffer.dtype) == buffer, exact, buffer.to(dtype))

    def _weights(self, name: str, logits: Any) -> Tensor | None:
        """The buffer, or the numbers that it rounds, for the dtype in which the loss of these logits is computed."""
        buffer: Tensor | None = getattr(self, name)
        if buffer is None or name not in self._given or not isinstance(logits, Tensor):
            return buffer
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        return buffer if buffer.dtype == dtype else self._as_given(name, buffer, dtype)

    # Without these two a module that goes to float64 later, or gets float32 weights then, would keep their rounding.

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name in self._given:
            old, new = before[name], self._buffers[name]
            if old is not None and new is not None and old.dtype != new.dtype and (new.is_meta or not old.is_meta):
                self._buffers[name] = self._as_given(name, old.to(new.device), new.dtype)
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        for name in self._given:
            buffer, loaded = self._buffers[name], state_dict.get(f"{prefix}{name}")
            both = isinstance(buffer, Tensor) and isinstance(loaded, Tensor) and loaded.shape == buffer.shape
            if both and loaded.dtype != buffer.dtype:
                buffer.copy_(self._as_given(name, loaded.to(buffer.device), buffer.dtype))

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of ``repr``."""
        return f"gamma={self.gamma}, alpha={_rounded(self.alpha)}, reduction={self.reduction!r}"


def _rounded(weights: Any) -> Any:
    if isinstance(weights, Tensor):
        return "..." if weights.is_meta else _rounded(weights.tolist())
    if isinstance(weights, list):
        return [_rounded(weight) for weight in weights]
    return None if weights is None else round(weights, 6)


class BinaryFocalLoss(_FocalLossModule):
    r"""Focal loss on logits and targets of the same shape: takes the place of `torch.nn.BCEWithLogitsLoss`.

    .. math:: FL = -\alpha_1 w \, y \, (1-p)^{\gamma_1} \log p - \alpha_0 (1-y) \, p^{\gamma_0} \log(1-p)

    Parameters
    ----------
    gamma : float, sequence of 2 floats or Tensor, default=2.0
        Focusing parameter, >= 0; a sequence is for class 0 and class 1. 0 is cross-entropy.
    alpha : float, sequence of 2 weights, Tensor or None, default=None
        A number ``a`` in (0, 1) weighs class 1 by ``a`` and class 0 by ``1 - a``; a sequence or tensor has the
        weights of class 0 and class 1, each >= 0. With several labels either weight can be one per label: shape
        (2, labels), of which both halves broadcast against the logits. Kept as the buffer ``alpha``: it follows
        ``.to`` and is part of the ``state_dict``. A tensor keeps its dtype, numbers get torch's default dtype; the
        loss of float64 logits takes numbers as they were given all the same.
    reduction : {"mean", "sum", "none"}, default="mean"
        "mean" divides by the number of elements that count, whatever their weights are.
    pos_weight : float, sequence of floats, Tensor or None, default=None
        Weight ``w`` of class 1, times that of ``alpha``; one number or one per label, as in
        `torch.nn.BCEWithLogitsLoss`: it broadcasts against the logits. Kept as ``alpha`` is, in the buffer
        ``pos_weight``.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is spread over both classes alike.
    ignore_index : float or None, default=None
        Elements whose target is this number, outside [0, 1], count neither in the loss nor in the mean. None: every
        element counts.

    Notes
    -----
    The loss, its gradient and its Hessian are finite and right to the last digits for any finite logit: they are
    computed from the logit by closed forms, without epsilon. float16 and bfloat16 logits, also under autocast, are
    computed and returned in float32. Works with double backward, `torch.compile` and `torch.func`.

    A soft target is the expectation over the two classes, so the loss of a mixup target is the mixture of the losses.

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

    pos_weight: Tensor | None
    # Of modules pickled before the attributes were there.
    label_smoothing: float = 0.0
    ignore_index: float | None = None

    def __init__(
        self,
        gamma: Parameter = 2.0,
        alpha: Parameter | None = None,
        reduction: Reduction = "mean",
        *,
        pos_weight: Parameter | None = None,
        label_smoothing: float = 0.0,
        ignore_index: float | None = None,
    ) -> None:
        super().__init__(gamma, reduction)
        neural.per_class("gamma", self.gamma, 2)
        check_label_smoothing(label_smoothing)
        check_ignore_index(ignore_index)
        checked = neural.check_alpha_pair(numbers("alpha", alpha))
        self._keep("alpha", alpha, None if checked is None else neural.per_class("alpha", checked, 2))
        self._keep("pos_weight", pos_weight, neural.check_pos_weight(numbers("pos_weight", pos_weight)))
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """`binary_focal_loss` with this module's parameters."""
        return binary_focal_loss(
            logits,
            target,
            self.gamma,
            self._weights("alpha", logits),
            self.reduction,
            pos_weight=self._weights("pos_weight", logits),
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
        )

    def posterior(self, logits: Tensor, calibration: Calibration = "focus") -> Tensor:
        """Probability of class 1, shaped like ``logits``.

        ``calibration`` as in `skfocal.FocalLoss.predict_proba`: "focus" undoes what gamma did, "full" what gamma
        and the weights did, None gives the sigmoid.
        """
        if check_calibration(calibration) is None:
            return torch.sigmoid(logits)
        alpha = pos_weight = None
        if calibration == "full":
            alpha, pos_weight = self._weights("alpha", logits), self._weights("pos_weight", logits)
        if pos_weight is not None:
            alpha_0, alpha_1 = (torch.ones_like(pos_weight),) * 2 if alpha is None else alpha.unbind()
            alpha = torch.stack(torch.broadcast_tensors(alpha_0, alpha_1 * pos_weight))
        return posterior(logits, self.gamma, alpha)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of ``repr``."""
        shown = super().extra_repr()
        if self.pos_weight is not None:
            shown = f"{shown}, pos_weight={_rounded(self.pos_weight)}"
        if self.label_smoothing:
            shown = f"{shown}, label_smoothing={self.label_smoothing}"
        return shown if self.ignore_index is None else f"{shown}, ignore_index={self.ignore_index}"

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._buffers.setdefault("pos_weight", None)


class MulticlassFocalLoss(_FocalLossModule):
    r"""Focal loss on K logits per element: takes the place of `torch.nn.CrossEntropyLoss`.

    .. math:: FL = -\sum_k \alpha_k y_k \, (1 - p_k)^{\gamma_k} \log p_k

    Parameters
    ----------
    gamma : float, sequence of K floats or Tensor, default=2.0
        Focusing parameter, >= 0, one or one per class. 0 is cross-entropy.
    alpha : float, sequence of K floats, Tensor of shape (K,) or None, default=None
        One weight >= 0 per class, as ``weight`` of `torch.nn.CrossEntropyLoss`; for K = 2 also a number ``a`` in
        (0, 1), which means ``1 - a`` and ``a``. Kept as the buffer ``alpha`` of shape (K,), as `BinaryFocalLoss`
        keeps its own.
    reduction : {"mean", "sum", "none"}, default="mean"
        "mean" divides by the sum of the targets' weights ``alpha``, for class probabilities by the number of
        elements: the two means of `torch.nn.CrossEntropyLoss`. (`skfocal.FocalLoss` divides by the number of rows.)
    ignore_index : int, default=-100
        Elements whose target is this index count neither in the loss nor in the mean. Not for class probabilities.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is spread over all classes alike.

    Notes
    -----
    See `BinaryFocalLoss`. A logit of minus infinity is a class that can't be: its probability is 0, and it adds nothing
    to loss and gradient unless it is the target.

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

    # Of modules pickled before the attribute was there.
    _share: float | None = None

    def __init__(
        self,
        gamma: Parameter = 2.0,
        alpha: Parameter | None = None,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(gamma, reduction)
        check_label_smoothing(label_smoothing)
        checked = neural.check_alpha(numbers("alpha", alpha))
        neural.check_as_many(self.gamma, checked)
        self._share = checked if isinstance(checked, float) else None
        self._keep("alpha", alpha, (1.0 - checked, checked) if isinstance(checked, float) else checked)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def _alpha(self, logits: Any) -> Tensor | None:
        if self._share is not None and isinstance(logits, Tensor) and logits.dim() and self.alpha.shape == (2,):  # type: ignore[union-attr]
            neural.check_share_is_for_two(self._share, logits.shape[min(1, logits.dim() - 1)])
        return self._weights("alpha", logits)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """`multiclass_focal_loss` with this module's parameters."""
        return multiclass_focal_loss(
            logits, target, self.gamma, self._alpha(logits), self.reduction, self.ignore_index, self.label_smoothing
        )

    def posterior(self, logits: Tensor, calibration: Calibration = "focus") -> Tensor:
        """Class probabilities, shaped like ``logits``; ``calibration`` as in `BinaryFocalLoss.posterior`."""
        class_dim = min(1, logits.dim() - 1)
        if check_calibration(calibration) is None:
            return logits.softmax(class_dim)
        alpha = self._alpha(logits) if calibration == "full" else None
        return posterior(logits, self.gamma, alpha, class_dim=class_dim)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of ``repr``."""
        rest = f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}"
        return f"{super().extra_repr()}, {rest}"
