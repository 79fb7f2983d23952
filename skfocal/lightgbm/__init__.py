"""Focal loss for LightGBM: an objective, a metric and a classifier. Needs the extra ``lightgbm``."""

try:
    import lightgbm  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.lightgbm needs LightGBM: python -m pip install "skfocal[lightgbm]"') from error

from typing import TYPE_CHECKING, Any

from skfocal._common.public import dask_class, is_public_in
from skfocal.lightgbm._classifier import FocalLGBMClassifier
from skfocal.lightgbm._objective import FocalMetric, FocalObjective

if TYPE_CHECKING:
    from skfocal.lightgbm._dask import FocalDaskLGBMClassifier as FocalDaskLGBMClassifier

__all__ = ["FocalLGBMClassifier", "FocalMetric", "FocalObjective"]

is_public_in(__name__, FocalLGBMClassifier, FocalMetric, FocalObjective)


def __getattr__(name: str) -> Any:
    return dask_class(__name__, name, "FocalDaskLGBMClassifier")
