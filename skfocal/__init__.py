"""Focal loss for tabular data: the loss, its derivatives, and scikit-learn estimators trained with it."""

from skfocal.loss import FocalLoss

__version__ = "0.1.0"

__all__ = ["FocalLoss", "__version__"]
