"""Focal loss for XGBoost: an objective, a metric and a classifier. Needs the extra ``xgboost``."""

try:
    import xgboost  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.xgboost needs XGBoost: python -m pip install "skfocal[xgboost]"') from error

from typing import TYPE_CHECKING, Any

from skfocal._common.public import dask_class, is_public_in
from skfocal.xgboost._classifier import FocalXGBClassifier
from skfocal.xgboost._objective import FocalMetric, FocalObjective

if TYPE_CHECKING:
    from skfocal.xgboost._dask import FocalDaskXGBClassifier as FocalDaskXGBClassifier

__all__ = ["FocalMetric", "FocalObjective", "FocalXGBClassifier"]

is_public_in(__name__, FocalMetric, FocalObjective, FocalXGBClassifier)


def __getattr__(name: str) -> Any:
    return dask_class(__name__, name, "FocalDaskXGBClassifier")
