"""The rounds of a training with a custom objective, without detours. May import XGBoost.

In each round XGBoost's Python package copies the raw scores by way of a Python class, which it defines anew in each
call, copies labels and weights, compares the names of the columns three times and describes two arrays in JSON. This
takes 0.3 ms or more, and a round on 2,000 rows takes about 1 ms.
"""

from __future__ import annotations

import ctypes
import json
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import xgboost as xgb
from xgboost.objective import Objective

from skfocal._kernels.blocks import Array

try:  # tests/xgboost/test_private_names.py fails if they are not there; training is then slower, but correct
    from xgboost.core import _LIB, _check_call, c_bst_ulong
except ImportError:  # pragma: no cover
    _LIB = None
if not (hasattr(xgb.Booster, "_assign_dmatrix_features") and hasattr(xgb.Booster, "_validate_features")):
    _LIB = None  # pragma: no cover

CONFIG = {
    training: json.dumps(
        {"type": 1, "training": training, "iteration_begin": 0, "iteration_end": 0, "strict_shape": False}
    ).encode()
    for training in (False, True)
}
"""Arguments of ``XGBoosterPredictFromDMatrix`` for raw scores of all trees. ``training`` concerns dart."""


class BoosterInTraining(xgb.Booster):
    """A booster whose rounds are quick. Its other methods, and its pickles, are those of ``Booster``."""

    def update(self, dtrain: Any, iteration: int, fobj: Any = None) -> None:
        if fobj is None or isinstance(fobj, Objective) or not isinstance(dtrain, xgb.DMatrix) or dtrain.num_row() == 0:
            super().update(dtrain, iteration, fobj)
            return
        if iteration == 0:
            self._assign_dmatrix_features(dtrain)
            label, weight = dtrain.get_label(), dtrain.get_weight()
            dtrain.get_label, dtrain.get_weight = lambda: label, lambda: weight
        derivatives = fobj(raw_scores(self, dtrain, training=True, copy=False), dtrain)
        _check_call(
            _LIB.XGBoosterTrainOneIter(self.handle, dtrain.handle, iteration, *(described(d) for d in derivatives))
        )

    def predict(self, data: Any, *args: Any, **options: Any) -> Any:
        is_quick = not args and options.get("output_margin") is True and options.keys() <= {"output_margin", "training"}
        if not is_quick or not isinstance(data, xgb.DMatrix) or data.num_row() == 0:
            return super().predict(data, *args, **options)
        self._validate_features(data.feature_names)
        return raw_scores(self, data, training=bool(options.get("training", False)))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__new__, (xgb.Booster,), self.__getstate__()


def raw_scores(booster: xgb.Booster, data: xgb.DMatrix, *, training: bool = False, copy: bool = True) -> Array:
    """Scores of the rows, (n,) or (n, n_scores), float32. The columns are not compared with those of the booster.

    Without ``copy`` they are in XGBoost's memory, which changes with the next call.
    """
    if _LIB is None:
        scores_slowly: Array = booster.predict(data, output_margin=True, training=training)
        return scores_slowly
    result, shape = ctypes.POINTER(ctypes.c_float)(), ctypes.POINTER(c_bst_ulong)()
    n_dimensions = c_bst_ulong()
    _check_call(
        _LIB.XGBoosterPredictFromDMatrix(
            booster.handle,
            data.handle,
            CONFIG[training],
            ctypes.byref(shape),
            ctypes.byref(n_dimensions),
            ctypes.byref(result),
        )
    )
    lengths = shape[: n_dimensions.value]
    memory = (ctypes.c_float * prod(lengths)).from_address(ctypes.addressof(result.contents))
    scores: Array = np.frombuffer(memory, np.float32).reshape(lengths)
    return scores.copy() if copy else scores


def described(array: Array) -> bytes:
    """NumPy's array interface, in JSON, as XGBoost reads it."""
    return _described(_address(array), array.shape, array.strides, array.dtype.str)


@lru_cache(maxsize=16)  # the objective of a fit fills the same arrays in each round
def _described(address: int, shape: tuple[int, ...], strides: tuple[int, ...], typestr: str) -> bytes:
    interface = {"data": (address, False), "shape": shape, "strides": strides, "typestr": typestr, "version": 3}
    return json.dumps(interface).encode()


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


class InTraining(xgb.callback.TrainingCallback):
    """Makes the booster a `BoosterInTraining` as long as it is trained."""

    def before_training(self, model: Any) -> Any:
        if _LIB is not None and type(model) is xgb.Booster:
            model.__class__ = BoosterInTraining
        return model

    def after_training(self, model: Any) -> Any:
        if type(model) is BoosterInTraining:
            model.__class__ = xgb.Booster
        return model
