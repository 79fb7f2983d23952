"""Focal loss for LightGBM: an objective, a metric and a classifier. Needs the extra ``lightgbm``."""

try:
    import lightgbm  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.lightgbm needs LightGBM: python -m pip install "skfocal[lightgbm]"') from error

from skfocal._common.public import is_public_in
from skfocal.lightgbm._classifier import FocalLGBMClassifier
from skfocal.lightgbm._objective import FocalMetric, FocalObjective

__all__ = ["FocalLGBMClassifier", "FocalMetric", "FocalObjective"]

is_public_in(__name__, FocalLGBMClassifier, FocalMetric, FocalObjective)
