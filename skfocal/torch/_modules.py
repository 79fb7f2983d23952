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
    """What both modules share: ``gamma``, which is checked once, and the weights, as buffers and as the numbers that
    were given.

    A buffer follows ``.to``, is saved and loaded, and can be overwritten. Therefore the buffer determines the weight.
    But 0.7 in float32 is not exactly 0.7. As long as a buffer contains the rounded value of the given number, the loss
    uses the number itself.
    """

    alpha: Tensor | None
    # For modules that were pickled before this attribute existed.
    _given: Any = MappingProxyType({})

    def __init__(self, gamma: Any, reduction: Reduction) -> None:
        super().__init__()
        check_reduction(reduction)
        self.gamma, self.reduction = check_gamma(numbers("gamma", gamma)), reduction
        self._given = {}

    def _keep(self, name: str, given: Any, checked: Any) -> None:
        """Create a buffer for the weights ``checked``, with the dtype of ``given`` if that is a tensor."""
        if checked is None:
            self.register_buffer(name, None)
            return
        dtype = given.dtype if isinstance(given, Tensor) and given.is_floating_point() else None
        device = given.device if isinstance(given, Tensor) else None
        self.register_buffer(name, torch.tensor(checked, dtype=dtype, device=device))
        self._given[name] = checked

    def _as_given(self, name: str, buffer: Tensor, dtype: torch.dtype) -> Tensor:
        """The weights that the buffer represents, in another dtype."""
        exact = torch.tensor(self._given[name], dtype=dtype, device=buffer.device)
        if exact.shape != buffer.shape:  # another tensor has been assigned
            return buffer.to(dtype)
        return torch.where(exact.to(buffer.dtype) == buffer, exact, buffer.to(dtype))

    def _weights(self, name: str, logits: Any) -> Tensor | None:
        """The buffer, or the exact numbers, in the dtype in which the loss of these logits is computed."""
        buffer: Tensor | None = getattr(self, name)
        if buffer is None or name not in self._given or not isinstance(logits, Tensor):
            return buffer
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        return buffer if buffer.dtype == dtype else self._as_given(name, buffer, dtype)

    # Without these two methods, a module that is converted to float64, or that loads float32 weights, would use rounded
    # weights.

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
        """Return the text between the parentheses of ``repr``."""
        return f"gamma={self.gamma}, alpha={_rounded(self.alpha)}, reduction={self.reduction!r}"


def _rounded(weights: Any) -> Any:
    if isinstance(weights, Tensor):
        return "..." if weights.is_meta else _rounded(weights.tolist())
    if isinstance(weights, list):
        return [_rounded(weight) for weight in weights]
    return None if weights is None else round(weights, 6)


class BinaryFocalLoss(_FocalLossModule):
    r"""Focal loss for logits and targets of the same shape, as a replacement of `torch.nn.BCEWithLogitsLoss`.

    .. math:: FL = -\alpha_1 w \, y \, (1-p)^{\gamma_1} \log p - \alpha_0 (1-y) \, p^{\gamma_0} \log(1-p)

    Parameters
    ----------
    gamma : float, sequence of 2 floats or Tensor, default=2.0
        Focusing parameter, from 0 to 100. A sequence has the values of class 0 and class 1. 0 is cross-entropy.
    alpha : float, sequence of 2 weights, Tensor or None, default=None
        Class weights. A number ``a`` in (0, 1) gives class 1 the weight ``a`` and class 0 the weight ``1 - a``. A
        sequence or tensor contains the weights of class 0 and class 1, each >= 0. For several labels, both weights can
        be given per label, in the shape (2, labels); each half broadcasts against the logits. The weights are stored as
        the buffer ``alpha``, which follows ``.to`` and is part of the ``state_dict``. A tensor keeps its dtype, and
        numbers are stored in torch's default dtype. The loss of float64 logits nevertheless uses the exact numbers that
        were given.
    reduction : {"mean", "sum", "none"}, default="mean"
        "mean" divides by the number of elements that are not ignored. It does not divide by the sum of the weights.
    pos_weight : float, sequence of floats, Tensor or None, default=None
        Weight ``w`` of class 1, which is multiplied with the weight of ``alpha``. As in `torch.nn.BCEWithLogitsLoss`,
        it is one number or one number per label, and it broadcasts against the logits. It is stored as the buffer
        ``pos_weight``, in the same way as ``alpha``.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is distributed equally over both classes.
    ignore_index : float or None, default=None
        A number outside [0, 1]. Elements with this target are ignored in the loss and in the mean. None: no element is
        ignored.

    Notes
    -----
    The loss, its gradient and its Hessian are finite and accurate to the last digits for every finite logit. They are
    computed from the logit by closed formulas, without an epsilon. For float16 and bfloat16 logits, also under
    autocast, the loss is computed and returned in float32. The loss supports double backward, `torch.compile` and
    `torch.func`.

    The loss of a soft target is the expected loss over the two classes. The loss of a mixup target is therefore the
    mixture of the losses.

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
    # For modules that were pickled before these attributes existed.
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
        """Return `binary_focal_loss` with the parameters of this module."""
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
        """Probability of class 1, with the shape of ``logits``.

        ``calibration`` is as in `skfocal.FocalLoss.predict_proba`. "focus" corrects for gamma. "full" corrects for
        gamma and the weights. None returns the sigmoid.
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
        """Return the text between the parentheses of ``repr``."""
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
    r"""Focal loss for K logits per element, as a replacement of `torch.nn.CrossEntropyLoss`.

    .. math:: FL = -\sum_k \alpha_k y_k \, (1 - p_k)^{\gamma_k} \log p_k

    Parameters
    ----------
    gamma : float, sequence of K floats or Tensor, default=2.0
        Focusing parameter, from 0 to 100: one number, or one per class. 0 is cross-entropy.
    alpha : float, sequence of K floats, Tensor of shape (K,) or None, default=None
        Class weights: one weight >= 0 per class, like ``weight`` of `torch.nn.CrossEntropyLoss`. For K = 2 it can be a
        number ``a`` in (0, 1), which gives class 1 the weight ``a`` and class 0 the weight ``1 - a``. The weights are
        stored as the buffer ``alpha`` of shape (K,), in the same way as in `BinaryFocalLoss`.
    reduction : {"mean", "sum", "none"}, default="mean"
        For class indices, "mean" divides by the sum of the weights ``alpha`` of the targets. For class probabilities,
        it divides by the number of elements. Both are as in `torch.nn.CrossEntropyLoss`. (`skfocal.FocalLoss` divides
        by the number of rows.)
    ignore_index : int, default=-100
        Elements with this class index are ignored in the loss and in the mean. Not for class probabilities.
    label_smoothing : float in [0, 1], default=0.0
        Share of the target that is distributed equally over all classes.

    Notes
    -----
    The notes of `BinaryFocalLoss` apply. A logit of minus infinity marks an impossible class. The probability of this
    class is 0, and it adds nothing to the loss and the gradient unless it is the target.

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

    # For modules that were pickled before this attribute existed.
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
        """Return `multiclass_focal_loss` with the parameters of this module."""
        return multiclass_focal_loss(
            logits, target, self.gamma, self._alpha(logits), self.reduction, self.ignore_index, self.label_smoothing
        )

    def posterior(self, logits: Tensor, calibration: Calibration = "focus") -> Tensor:
        """Class probabilities, with the shape of ``logits``. ``calibration`` is as in `BinaryFocalLoss.posterior`."""
        class_dim = min(1, logits.dim() - 1)
        if check_calibration(calibration) is None:
            return logits.softmax(class_dim)
        alpha = self._alpha(logits) if calibration == "full" else None
        return posterior(logits, self.gamma, alpha, class_dim=class_dim)

    def extra_repr(self) -> str:
        """Return the text between the parentheses of ``repr``."""
        rest = f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}"
        return f"{super().extra_repr()}, {rest}"
