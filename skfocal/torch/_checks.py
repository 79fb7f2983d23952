"""Checks of the parameters and tensors of the PyTorch losses, and their values per class.

May import PyTorch, ``_kernels`` and ``_common``. Every message names the parameter, the value that was given and the
legal values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skfocal._common import neural
from skfocal._kernels.arguments import check_gamma, is_number


def numbers(name: str, value: Any) -> Any:
    """``value`` as Python numbers if it is a tensor, otherwise unchanged."""
    if not isinstance(value, Tensor):
        return value
    if value.is_meta or value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers, got a tensor of {value.dtype} on the device {value.device}")
    return value.tolist()


def _checked(check: Callable[[Any], Any], value: Any) -> Any:
    # NumPy's checks would break a compiled graph. The parameters of modules have been checked before.
    if torch.compiler.is_compiling():
        return float(value) if is_number(value) else tuple(value)
    return check(value)


def gamma_pair(gamma: Any, z: Tensor) -> tuple[Any, Any]:
    """Gamma of class 0 and of class 1, as numbers or as tensors with one element."""
    if isinstance(gamma, Tensor):
        gamma = gamma.detach().to(z)
        if gamma.dim() == 0:
            return gamma, gamma
        if gamma.shape != (2,):
            raise ValueError(f"gamma must be one number or one per class: got shape {tuple(gamma.shape)} for 2 classes")
        return tuple(gamma.unbind())  # type: ignore[return-value]  # of two elements
    return neural.per_class("gamma", _checked(check_gamma, gamma), 2)  # type: ignore[return-value]


def alpha_pair(alpha: Any, z: Tensor) -> tuple[Any, Any]:
    """Alpha of class 0 and of class 1, as numbers or as tensors that broadcast against z."""
    if alpha is None:
        return 1.0, 1.0
    if isinstance(alpha, Tensor):
        if alpha.dim() == 0:
            alpha = torch.stack((1 - alpha, alpha))
        if alpha.shape[0] != 2:
            raise ValueError(
                f"alpha must have one entry per class: got shape {tuple(alpha.shape)} for 2 classes. Weights of class "
                "1 by label are pos_weight; weights of both classes by label have shape (2, labels)"
            )
        return tuple(_by_label("alpha", part, z) for part in alpha.unbind())  # type: ignore[return-value]
    both = neural.per_class("alpha", _checked(neural.check_alpha_pair, alpha), 2)
    return tuple(_by_label("alpha", part, z) for part in both)  # type: ignore[return-value]


def positive_weight(pos_weight: Any, z: Tensor) -> Any:
    """``pos_weight`` as a number or as a tensor that broadcasts against z."""
    if pos_weight is None:
        return 1.0
    if not isinstance(pos_weight, Tensor):
        pos_weight = _checked(neural.check_pos_weight, pos_weight)
    return _by_label("pos_weight", pos_weight, z)


def _by_label(name: str, weight: Any, z: Tensor) -> Any:
    if is_number(weight):
        return float(weight)
    weight = (
        weight.detach().to(z) if isinstance(weight, Tensor) else torch.tensor(weight, dtype=z.dtype, device=z.device)
    )
    fits = weight.dim() <= z.dim() and all(
        n in (1, m) for n, m in zip(reversed(weight.shape), reversed(z.shape), strict=False)
    )
    if not fits:
        raise ValueError(
            f"{name} must be one number or broadcast against logits, one entry per label: got shape "
            f"{tuple(weight.shape)} for logits of shape {tuple(z.shape)}"
        )
    return weight


def per_class(name: str, value: Any, z: Tensor) -> Any:
    """``gamma`` or ``alpha`` of the K classes, which are the last dimension of z: (K,), or one number for gamma."""
    n_classes = z.shape[-1]
    if isinstance(value, Tensor):
        if value.dim() == 0 and name == "gamma":
            return value.detach().to(z)
        if value.dim() == 0 and n_classes == 2:
            value = torch.stack((1 - value, value))
        if value.shape != (n_classes,):
            raise ValueError(
                f"{name} must have one entry per class: got shape {tuple(value.shape)} for {n_classes} classes"
            )
        return value.detach().to(z)
    value = _checked(check_gamma if name == "gamma" else neural.check_alpha, value)
    if isinstance(value, float) and name == "gamma":
        return value
    return torch.tensor(neural.per_class(name, value, n_classes), dtype=z.dtype, device=z.device)


def known(flag: Tensor) -> bool | None:
    """The value of a flag, or None if it cannot be read: in a compiled graph, under vmap, or without data."""
    if torch.compiler.is_compiling() or flag.is_meta:
        return None
    try:
        return bool(flag)
    except RuntimeError:  # vmap's
        return None


def check_can_be_undone(alpha_by_class: Any) -> None:
    """Raise an error if a class has the weight 0, because scores that were trained without a class do not determine its
    probability.
    """
    for alpha in alpha_by_class:
        zero = known((alpha == 0).any()) if isinstance(alpha, Tensor) else alpha == 0
        if zero:
            got = [a.tolist() if isinstance(a, Tensor) else a for a in alpha_by_class]
            raise ValueError(f"alpha must be > 0 for every class where it is to be undone, got {got}")


def check_ignore_index(ignore_index: Any) -> None:
    """Check that the value is None or a number outside [0, 1]."""
    if torch.compiler.is_compiling() or ignore_index is None:
        return
    legal = f"ignore_index must be None or a number outside [0, 1], got {ignore_index!r}"
    if not is_number(ignore_index):
        raise TypeError(legal)
    if not (ignore_index < 0 or ignore_index > 1):
        raise ValueError(legal)


def check_reduction(reduction: Any) -> None:
    """'mean', 'sum' or 'none'."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def check_label_smoothing(label_smoothing: Any) -> None:
    """A number in [0, 1]."""
    if not torch.compiler.is_compiling():  # numbers can be symbols there, which cannot be formatted in a message
        neural.check_label_smoothing(label_smoothing)


def check_logits(logits: Any) -> None:
    """A floating-point tensor."""
    if not (isinstance(logits, Tensor) and logits.is_floating_point()):
        raise TypeError(f"logits must be a floating-point tensor, got {_kind(logits)}")


def _kind(value: Any) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__


def check_binary_target(target: Any, logits: Tensor) -> None:
    """A tensor shaped like logits."""
    if not isinstance(target, Tensor) or target.is_complex():
        raise TypeError(f"target must be a tensor of 0 and 1 or of probabilities, got {_kind(target)}")
    if target.shape != logits.shape:
        raise ValueError(f"target must be shaped like logits, {tuple(logits.shape)}, got {tuple(target.shape)}")


def check_target(target: Any, logits: Tensor, class_dim: int, ignore_index: int) -> None:
    """Class indices without the class dimension of logits, or class probabilities with it."""
    if logits.dim() == 0 or logits.shape[class_dim] < 2:
        raise ValueError(f"logits must have shape (K,), (N, K) or (N, K, ...) with K >= 2, got {tuple(logits.shape)}")
    outer = logits.shape[:class_dim] + logits.shape[class_dim + 1 :]
    if not isinstance(target, Tensor) or target.dtype == torch.bool or target.is_complex():
        raise TypeError(f"target must be a tensor of class indices or of class probabilities, got {_kind(target)}")
    if target.shape != (logits.shape if target.is_floating_point() else outer):
        raise ValueError(
            f"target must be class indices of shape {tuple(outer)} or class probabilities of shape "
            f"{tuple(logits.shape)}, got {target.dtype} of shape {tuple(target.shape)}"
        )
    if target.is_floating_point() and ignore_index >= 0:
        raise ValueError(f"ignore_index must be negative for class probabilities, got {ignore_index!r}")


def check_indices(z: Tensor, t: Tensor) -> None:
    """Class indices t (n,) below the number of columns of z (n, K)."""
    # The look-up itself checks the indices, also under vmap, where values cannot be read. On other devices it is
    # asynchronous.
    if z.device.type == "cpu" and not torch.compiler.is_compiling():
        try:
            z.gather(1, t.unsqueeze(1))
        except (IndexError, RuntimeError) as error:
            legal = f"target must hold class indices 0 .. {z.shape[1] - 1} or ignore_index"
            raise ValueError(f"{legal}, got one outside: {error}") from error
