"""Focal loss for Keras 3, on any of its backends. Needs the extra ``keras`` and a backend."""

try:
    import keras  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.keras needs Keras: python -m pip install "skfocal[keras]"') from error

from skfocal._common.public import is_public_in
from skfocal.keras._losses import BinaryFocalLoss, CategoricalFocalLoss, SparseCategoricalFocalLoss

__all__ = ["BinaryFocalLoss", "CategoricalFocalLoss", "SparseCategoricalFocalLoss"]

is_public_in(__name__, BinaryFocalLoss, CategoricalFocalLoss, SparseCategoricalFocalLoss)
