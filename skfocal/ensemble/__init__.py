"""scikit-learn's own gradient boosting, trained with the focal loss. Needs no other library."""

from skfocal._common.public import is_public_in
from skfocal.ensemble._classifier import FocalHistGradientBoostingClassifier

__all__ = ["FocalHistGradientBoostingClassifier"]

is_public_in(__name__, FocalHistGradientBoostingClassifier)
