"""The raw scores that XGBoost passes to the objective in each round, without a detour. May import XGBoost.

XGBoost has these scores in its cache. Its Python package copies them by way of a Python class, which it defines anew in
each call. This takes 0.2 ms or more, and a round on 2,000 rows takes about 1.3 ms.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import xgboost as xgb

from skfocal._kernels.blocks import Array

try:  # tests/xgboost/test_private_names.py fails if they are not there; training is then slower, but correct
    from xgboost.core import _LIB, _check_call, c_bst_ulong
except ImportError:  # pragma: no cover
    _LIB = None

CONFIG = {
    training: json.dumps(
        {"type": 1, "training": training, "iteration_begin": 0, "iteration_end": 0, "strict_shape": False}
    ).encode()
    for training in (False, True)
}
"""Arguments of ``XGBoosterPredictFromDMatrix`` for raw scores of all trees. ``training`` concerns dart."""


class BoosterInTraining(xgb.Booster):
    """A booster that returns raw scores quickly. Its other methods, and its pickles, are those of ``Booster``."""

    def predict(self, data: Any, *args: Any, **options: Any) -> Any:
        is_quick = not args and options.get("output_margin") is True and options.keys() <= {"output_margin", "training"}
        if not is_quick or not isinstance(data, xgb.DMatrix) or data.num_row() == 0:
            return super().predict(data, *args, **options)
        self._validate_features(data.feature_names)
        return raw_scores(self, data, CONFIG[bool(options.get("training", False))])

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__new__, (xgb.Booster,), self.__getstate__()


def raw_scores(booster: xgb.Booster, data: xgb.DMatrix, config: bytes) -> Array:
    """Scores of the rows, (n,) or (n, n_scores), float32."""
    result, shape = ctypes.POINTER(ctypes.c_float)(), ctypes.POINTER(c_bst_ulong)()
    n_dimensions = c_bst_ulong()
    _check_call(
        _LIB.XGBoosterPredictFromDMatrix(
            booster.handle,
            data.handle,
            config,
            ctypes.byref(shape),
            ctypes.byref(n_dimensions),
            ctypes.byref(result),
        )
    )
    scores = np.empty([shape[i] for i in range(n_dimensions.value)], np.float32)
    ctypes.memmove(scores.ctypes.data, result, scores.nbytes)  # XGBoost's memory changes with the next call
    return scores


class ScoresInTraining(xgb.callback.TrainingCallback):
    """Makes the booster a `BoosterInTraining` as long as it is trained."""

    def before_training(self, model: Any) -> Any:
        if _LIB is not None and type(model) is xgb.Booster:
            model.__class__ = BoosterInTraining
        return model

    def after_training(self, model: Any) -> Any:
        if type(model) is BoosterInTraining:
            model.__class__ = xgb.Booster
        return model
