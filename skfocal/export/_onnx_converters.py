"""Converters of the focal estimators for skl2onnx. May import the estimators, ONNX and skl2onnx.

A converter writes the operators of ``predict`` and ``predict_proba`` of a fitted model: the raw scores of the library's
model, the label of the largest score, and the posterior.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

from skfocal._common.classifier import FocalClassifierMixin
from skfocal.calibration import FocalTemperatureScaling
from skfocal.export._onnx_graph import ML, TENSOR_ATTRIBUTES, Graph
from skfocal.export._onnx_meta import convert_focal_temperature
from skfocal.export._trees import forest_of

OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register(model: Any) -> None:
    """Register the converter for the class of this model in skl2onnx, if the class belongs to this package."""
    if not isinstance(model, (FocalClassifierMixin, FocalTemperatureScaling)):
        return
    cls = type(model)
    alias = f"{cls.__module__}.{cls.__qualname__}"
    update_registered_converter(cls, alias, _shapes, _converter(model), options=OPTIONS)


def _converter(model: Any) -> Callable[..., None]:
    if isinstance(model, FocalTemperatureScaling):
        return convert_focal_temperature
    for of_class, scores in (
        ("FocalHistGradientBoostingClassifier", _wide_scores),
        ("FocalLGBMClassifier", _wide_scores),
        ("FocalXGBClassifier", _xgboost_scores),
        ("FocalLogisticRegression", _linear_scores),
    ):
        if any(base.__name__ == of_class for base in type(model).__mro__):
            return lambda scope, operator, container: _convert(scope, operator, container, scores)
    raise TypeError(f"model must be of estimators that ONNX can say, got {type(model).__name__}")


def _shapes(operator: Any) -> None:
    """Set types and shapes of the labels and probabilities, for skl2onnx."""
    n_rows, classes = operator.inputs[0].get_first_dimension(), operator.raw_operator.classes_
    of_labels = Int64TensorType if classes.dtype.kind in "biuf" else StringTensorType
    of_proba = DoubleTensorType if isinstance(operator.inputs[0].type, DoubleTensorType) else FloatTensorType
    operator.outputs[0].type = of_labels([n_rows])
    operator.outputs[1].type = of_proba([n_rows, classes.shape[0]])


def _convert(scope: Any, operator: Any, container: Any, scores_of: Callable[..., str]) -> None:
    model = operator.raw_operator
    options = container.get_options(model, {"raw_scores": False, "nocl": False})
    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    graph = Graph(scope, container, np.float64 if is_double else np.float32)
    raw = scores_of(graph, model, operator.inputs[0].full_name)
    K = model.classes_.shape[0]
    scores = graph.two_columns(raw) if K == 2 else raw
    classes = np.arange(K) if options["nocl"] else model.classes_
    graph.labels(graph("ArgMax", scores, axis=1, keepdims=0), classes, operator.outputs[0].full_name)
    proba = operator.outputs[1].full_name
    if options["raw_scores"]:
        # As in skl2onnx, one score per row becomes two columns: the negative score and the score.
        raw = graph("Mul", raw, graph.constant([[-1.0, 1.0]])) if K == 2 else raw
        graph("Identity", raw, output=proba)
        return
    gamma, log_alpha = np.zeros(K), None
    if model.calibration is not None:
        gamma = model.focal_loss_.gamma_per_class(K)
    if model.calibration == "full":
        log_alpha = np.log(model.class_weights_)
    graph("Softmax", graph.posterior(scores, gamma, log_alpha), axis=1, output=proba)


def _linear_scores(graph: Graph, model: Any, x: str) -> str:
    x = graph.cast(x, graph.dtype)
    return graph("Add", graph("MatMul", x, graph.constant(model.coef_.T)), graph.constant(model.intercept_[np.newaxis]))


def _wide_scores(graph: Graph, model: Any, x: str) -> str:
    """Scores of trees from a library that compares and sums in float64."""
    forest = forest_of(model)
    if graph.container.target_opset_any_domain(ML) < TENSOR_ATTRIBUTES:
        narrow = Graph(graph.scope, graph.container, np.float32)
        return graph.cast(narrow.scores_of(forest, narrow.cast(x, np.float32)), graph.dtype)
    wide = Graph(graph.scope, graph.container, np.float64)
    return graph.cast(wide.scores_of(forest, wide.cast(x, np.float64)), graph.dtype)


def _xgboost_scores(graph: Graph, model: Any, x: str) -> str:
    forest = forest_of(model)
    # XGBoost compares and sums in float32.
    narrow = Graph(graph.scope, graph.container, np.float32)
    x = narrow.cast(x, np.float32)
    if not np.isnan(model.missing):
        is_missing = narrow("Equal", x, narrow.constant(model.missing))
        x = narrow("Where", is_missing, narrow.constant(np.nan), x)
    return graph.cast(narrow.scores_of(forest, x), graph.dtype)
