"""Linear models trained with the focal loss, by scipy.optimize."""

from skfocal._common.public import is_public_in
from skfocal.linear_model._cv import FocalLogisticRegressionCV
from skfocal.linear_model._logistic import FocalLogisticRegression

__all__ = ["FocalLogisticRegression", "FocalLogisticRegressionCV"]

is_public_in(__name__, FocalLogisticRegression, FocalLogisticRegressionCV)
