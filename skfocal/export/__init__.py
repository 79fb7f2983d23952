"""Conversion of models for other programs: to ONNX, to PMML, and to the parents' own classes. Dependencies are checked
when a function is called.
"""

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
    "skfocal.linear_model.FocalLogisticRegressionCV",
    "skfocal.loss.FocalLoss",
    "skfocal.xgboost.FocalXGBClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "xgboost.core.Booster",
]
"""Types that skops has to trust in order to load the estimators of this package. Pass the list as ``trusted`` to
``skops.io.load``, or as ``skops_trusted_types`` to ``log_model`` of MLflow."""
