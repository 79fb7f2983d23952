"""Focal loss for LightGBM: an objective, a metric and a classifier. Needs the extra ``lightgbm``."""

try:
    import lightgbm  # noqa: F401
except ImportError as error:
    raise ImportError('skfocal.lightgbm needs LightGBM: python -m pip install "skfocal[lightgbm]"') from error

from typing import TYPE_CHECKING, Any

from skfocal._common.public import is_public_in
from skfocal.lightgbm._classifier import FocalLGBMClassifier
from skfocal.lightgbm._objective import FocalMetric, FocalObjective

if TYPE_CHECKING:
    from skfocal.lightgbm._dask import FocalDaskLGBMClassifier as FocalDaskLGBMClassifier

__all__ = ["FocalLGBMClassifier", "FocalMetric", "FocalObjective"]

is_public_in(__name__, FocalLGBMClassifier, FocalMetric, FocalObjective)


def __getattr__(name: str) -> Any:
    if name != "FocalDaskLGBMClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from skfocal.lightgbm._dask import FocalDaskLGBMClassifier
    except ImportError as error:
        raise ImportError(f'{name} needs Dask: python -m pip install "skfocal[lightgbm,dask]"') from error
    is_public_in(__name__, FocalDaskLGBMClassifier)
    return FocalDaskLGBMClassifier
