"""Attributes that XGBoost's classifier computes and that scikit-learn's validation sets. May import ``_common``."""

from __future__ import annotations

import numpy as np

from skfocal._common.booster import FocalBoosterMixin
from skfocal._kernels.blocks import Array


class SettableAttributes(FocalBoosterMixin):
    """``classes_``, ``n_features_in_`` and ``feature_names_in_``. Among the bases of an estimator, this class must come
    before XGBoost's.
    """

    n_classes_: int
    _classes: Array
    _n_features_in: int
    _feature_names_in: Array

    @property
    def classes_(self) -> Array:  # type: ignore[override]  # a property in the parent too
        """Labels in sorted order, (n_classes,)."""
        if not hasattr(self, "n_classes_"):
            raise AttributeError(f"{type(self).__name__} has no classes_ before fit")
        # Labels are class indices during the parent's fit, and in a model that XGBClassifier saved.
        return getattr(self, "_classes", np.arange(self.n_classes_))

    @classes_.setter
    def classes_(self, value: Array) -> None:
        # XGBoost's Dask class assigns the distinct labels that it received, which are class indices.
        self._classes, self.n_classes_ = np.sort(np.asarray(value)), len(value)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of the X of ``fit``."""
        if not hasattr(self, "_n_features_in"):
            return int(super().n_features_in_)  # type: ignore[misc]  # of XGBoost's class
        return self._n_features_in

    @n_features_in_.setter
    def n_features_in_(self, value: int) -> None:
        self._n_features_in = value

    @property
    def feature_names_in_(self) -> Array:
        """Names of the columns of the X of ``fit``, (n_features,). Exists only if X had string column names."""
        if not hasattr(self, "_n_features_in"):  # in a loaded model, the booster has the names
            names: Array = super().feature_names_in_  # type: ignore[misc]
            return names
        if not hasattr(self, "_feature_names_in"):
            raise AttributeError(f"{type(self).__name__} has no feature_names_in_: X had no column names in fit")
        return self._feature_names_in

    @feature_names_in_.setter
    def feature_names_in_(self, value: Array) -> None:
        self._feature_names_in = value

    @feature_names_in_.deleter
    def feature_names_in_(self) -> None:
        self.__dict__.pop("_feature_names_in", None)
