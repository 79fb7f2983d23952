"""Focal loss for tabular data: the loss, its derivatives, and scikit-learn estimators trained with it."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from skfocal.loss import FocalLoss

if TYPE_CHECKING:
    from skfocal._common.effective import effective_number_weights as effective_number_weights
    from skfocal._common.versions import show_versions as show_versions
    from skfocal.calibration import FocalTemperatureScaling as FocalTemperatureScaling
    from skfocal.ensemble import FocalHistGradientBoostingClassifier as FocalHistGradientBoostingClassifier
    from skfocal.lightgbm import FocalLGBMClassifier as FocalLGBMClassifier
    from skfocal.linear_model import (
        FocalLogisticRegression as FocalLogisticRegression,
        FocalLogisticRegressionCV as FocalLogisticRegressionCV,
    )
    from skfocal.metrics import focal_loss as focal_loss
    from skfocal.xgboost import FocalXGBClassifier as FocalXGBClassifier

__version__ = "0.1.0"

# Without the names that need an extra: `from skfocal import *` has to work everywhere.
__all__ = [
    "FocalHistGradientBoostingClassifier",
    "FocalLogisticRegression",
    "FocalLogisticRegressionCV",
    "FocalLoss",
    "FocalTemperatureScaling",
    "__version__",
    "effective_number_weights",
    "focal_loss",
    "show_versions",
]

# Name -> the module it is in, and the library that has to be installed. Imported when first asked for (PEP 562): no
# booster is loaded that is not used.
_LAZY = {
    "FocalHistGradientBoostingClassifier": ("skfocal.ensemble", "sklearn"),
    "FocalLGBMClassifier": ("skfocal.lightgbm", "lightgbm"),
    "FocalLogisticRegression": ("skfocal.linear_model", "sklearn"),
    "FocalLogisticRegressionCV": ("skfocal.linear_model", "sklearn"),
    "FocalTemperatureScaling": ("skfocal.calibration", "sklearn"),
    "FocalXGBClassifier": ("skfocal.xgboost", "xgboost"),
    "effective_number_weights": ("skfocal._common.effective", "sklearn"),
    "focal_loss": ("skfocal.metrics", "sklearn"),
    "show_versions": ("skfocal._common.versions", "sklearn"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_LAZY[name][0]), name)
    return value


def __dir__() -> list[str]:
    # help() and inspect.getmembers ask for every name listed, and stop at an ImportError.
    return sorted({*globals(), *(name for name, (_, library) in _LAZY.items() if find_spec(library))})
