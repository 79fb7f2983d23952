"""Parameters and tensors of the PyTorch losses: what is legal, and what they are per class.

May import PyTorch and ``_kernels``. Every message names the parameter, says what came and what is legal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skfocal._kernels.arguments import check_alpha, check_gamma, is_number


def _checked(name: str, value: Any) -> float | tuple[float, ...]:
    # NumPy's checks would break a compiled graph; there the modules' parameters have been checked before.
    if torch.compiler.is_compiling():
        return float(value) if is_number(value) else tuple(float(v) for v in value)
    numbers: float | tuple[float, ...] = check_gamma(value) if name == "gamma" else check_alpha(value)  # type: ignore[assignment]
    return numbers


def pair(name: str, value: Any, z: Tensor) -> tuple[Any, Any]:
    """``gamma`` or ``alpha`` of class 0 and of class 1: numbers, or tensors of one element on the device of z."""
    if name == "alpha" and isinstance(value, Tensor):
        return tuple(per_class(name, value, z.new_empty(2)).unbind())  # type: ignore[return-value]
    numbers = _checked(name, value)
    if isinstance(numbers, tuple):
        if len(numbers) != 2:
            raise ValueError(f"{name} must have one entry per class: got {len(numbers)} entries for 2 classes")
        return numbers
    return (numbers, numbers) if name == "gamma" else (1.0 - numbers, numbers)


def per_class(name: str, value: Any, z: Tensor) -> Any:
    """``gamma`` or ``alpha`` of the K classes, the last dimension of z: (K,) like z, or one number for gamma."""
    n_classes = z.shape[-1]
    if name == "alpha" and isinstance(value, Tensor):
        if value.shape != (n_classes,):
            raise ValueError(
                f"alpha must have one entry per class: got shape {tuple(value.shape)} for {n_classes} classes"
            )
        return value.detach().to(z)
    numbers = _checked(name, value)
    if isinstance(numbers, float):
        if name == "gamma":
            return numbers
        if n_classes != 2:
            raise ValueError(
                f"alpha must be None or one number > 0 per class for {n_classes} classes, got {value!r}: "
                "a single number is for two classes"
            )
        numbers = (1.0 - numbers, numbers)
    if len(numbers) != n_classes:
        raise ValueError(f"{name} must have one entry per class: got {len(numbers)} entries for {n_classes} classes")
    return torch.tensor(numbers, dtype=z.dtype, device=z.device)


def check_reduction(reduction: Any) -> None:
    """'mean', 'sum' or 'none'."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def check_label_smoothing(label_smoothing: Any) -> None:
    """A number in [0, 1]."""
    if torch.compiler.is_compiling():  # where numbers may be symbols, which no message can hold
        return
    legal = f"label_smoothing must be a number in [0, 1], got {label_smoothing!r}"
    if not is_number(label_smoothing):
        raise TypeError(legal)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(legal)


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
    # The look-up itself checks, also under vmap, where no value may be asked for. On other devices it is asynchronous.
    if z.device.type == "cpu" and not torch.compiler.is_compiling():
        try:
            z.gather(1, t.unsqueeze(1))
        except (IndexError, RuntimeError) as error:
            legal = f"target must hold class indices 0 .. {z.shape[1] - 1} or ignore_index"
            raise ValueError(f"{legal}, got one outside: {error}") from error
