"""Focal loss for PyTorch: modules, functions and calibrated probabilities. Needs the extra ``torch``."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.torch needs PyTorch: python -m pip install "skfocal[torch]"') from error

from skfocal._common.public import is_public_in
from skfocal.torch._functions import binary_focal_loss, multiclass_focal_loss, posterior
from skfocal.torch._modules import BinaryFocalLoss, MulticlassFocalLoss

__all__ = ["BinaryFocalLoss", "MulticlassFocalLoss", "binary_focal_loss", "multiclass_focal_loss", "posterior"]

is_public_in(__name__, BinaryFocalLoss, MulticlassFocalLoss, binary_focal_loss, multiclass_focal_loss, posterior)
