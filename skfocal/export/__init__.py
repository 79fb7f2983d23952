"""Models for other programs: ONNX, PMML, the parents' own classes. What a function needs, it says when called."""

from skfocal._common.public import is_public_in
from skfocal.export._native import with_native_objective
from skfocal.export._onnx import to_onnx
from skfocal.export._pmml import to_pmml

__all__ = ["SKOPS_TRUSTED", "to_onnx", "to_pmml", "with_native_objective"]

is_public_in(__name__, to_onnx, to_pmml, with_native_objective)

SKOPS_TRUSTED = [
    "builtins.frozenset",
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "skfocal.ensemble.FocalHistGradientBoostingClassifier",
    "skfocal.lightgbm.FocalLGBMClassifier",
    "skfocal.lightgbm.FocalObjective",
    "skfocal.linear_model.FocalLogisticRegression",
    "skfocal.loss.FocalLoss",
    "skfocal.xgboost.FocalXGBClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "xgboost.core.Booster",
]
"""Types in files of skops of this package's estimators, which skops wants to be told are trusted: as ``trusted`` of
``skops.io.load``, as ``skops_trusted_types`` of MLflow's ``log_model``."""
