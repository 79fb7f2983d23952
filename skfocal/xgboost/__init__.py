"""Focal loss for XGBoost: an objective, a metric and a classifier. Needs the extra ``xgboost``."""

try:
    import xgboost  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.xgboost needs XGBoost: python -m pip install "skfocal[xgboost]"') from error

from skfocal._common.public import is_public_in
from skfocal.xgboost._classifier import FocalXGBClassifier
from skfocal.xgboost._objective import FocalMetric, FocalObjective

__all__ = ["FocalMetric", "FocalObjective", "FocalXGBClassifier"]

is_public_in(__name__, FocalMetric, FocalObjective, FocalXGBClassifier)
