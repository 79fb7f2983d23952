"""scikit-learn's meta-classifiers in ONNX, where skl2onnx differs from scikit-learn. May import ONNX, skl2onnx.

skl2onnx 1.20 differs from scikit-learn in these points. It uses the nearest point where isotonic calibration
interpolates. It treats temperature scaling as isotonic calibration. It does not find raw scores at the end of a
pipeline. It decides a hard vote by probabilities, and refuses ``flatten_transform=True``, which is the default of a
vote. It stacks both columns of the scores of two classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skfocal._common.classifier import FocalClassifierMixin
from skfocal.calibration import FocalTemperatureScaling
from skfocal.export._onnx_graph import INT64, Graph


def parts_of(model: Any) -> Iterator[Any]:
    """The model and all fitted estimators in it, at any depth."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, (list, tuple)):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, BaseEstimator) and id(part) not in seen:
            seen.add(id(part))
            yield part
            if isinstance(part, Pipeline):
                waiting.append(part.steps)
            elif isinstance(part, CalibratedClassifierCV):
                waiting += [calibrated.estimator for calibrated in part.calibrated_classifiers_]
            elif isinstance(part, FrozenEstimator):
                waiting.append(part.estimator)
            elif not isinstance(part, FocalClassifierMixin):  # which contains no estimators
                waiting += [value for name, value in vars(part).items() if name.endswith("_")]


def last_step(model: Any) -> Any:
    """The estimator at the end of pipelines, without a ``FrozenEstimator`` around it."""
    while isinstance(model, (Pipeline, FrozenEstimator)):
        model = model.steps[-1][1] if isinstance(model, Pipeline) else model.estimator
    return model


def asked_for_scores(model: Any) -> Iterator[Any]:
    """Estimators in the model whose raw scores, not probabilities, are used by another estimator."""
    for part in parts_of(model):
        inner: list[Any] = []
        if isinstance(part, FocalTemperatureScaling):
            yield from (
                last_step(estimator) for estimator in part.estimators_ if hasattr(estimator, "decision_function")
            )
        if isinstance(part, CalibratedClassifierCV):
            inner = [calibrated.estimator for calibrated in part.calibrated_classifiers_]
        elif isinstance(part, VotingClassifier) and part.voting == "hard":
            inner = part.estimators_
        elif isinstance(part, StackingClassifier):
            inner = [
                estimator
                for estimator, method in zip(part.estimators_, part.stack_method_, strict=True)
                if method == "decision_function"
            ]
        yield from (last for estimator in inner if isinstance(last := last_step(estimator), FocalClassifierMixin))


def _inner(scope: Any, operator: Any, estimator: Any, inputs: Any = None) -> tuple[str, str]:
    """Convert an inner classifier. Returns the names of its labels and of its probabilities or scores."""
    if isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    inner = scope.declare_local_operator(sklearn_operator_name_map[type(estimator)], estimator)
    inner.inputs = operator.inputs if inputs is None else inputs
    labels = scope.declare_local_variable("inner_label", Int64TensorType())
    scores = scope.declare_local_variable("inner_scores", operator.outputs[1].type.__class__())
    inner.outputs.append(labels)
    inner.outputs.append(scores)
    return labels.full_name, scores.full_name


def _graph(scope: Any, operator: Any, container: Any) -> Graph:
    is_double = isinstance(operator.outputs[1].type, DoubleTensorType)
    return Graph(scope, container, np.float64 if is_double else np.float32)


def _convert_voting(scope: Any, operator: Any, container: Any) -> None:
    model, graph = operator.raw_operator, _graph(scope, operator, container)
    K = model.classes_.shape[0]
    weights = np.ones(len(model.estimators_))
    if model.weights is not None:
        taking_part = [estimator != "drop" for _, estimator in model.estimators]
        weights = np.asarray(model.weights, dtype=np.float64)[taking_part]
    terms = []
    for estimator, weight in zip(model.estimators_, weights / weights.sum(), strict=True):
        scores = graph.cast(_inner(scope, operator, estimator)[1], graph.dtype)
        if model.voting == "hard":
            chosen = graph("ArgMax", scores, axis=1, keepdims=1)
            scores = graph.cast(graph("Equal", chosen, graph.initializer(INT64, (1, K), list(range(K)))), graph.dtype)
        terms.append(graph("Mul", scores, graph.constant(weight)))
    total = graph("Sum", *terms, output=operator.outputs[1].full_name)
    graph.labels(graph("ArgMax", total, axis=1, keepdims=0), model.classes_, operator.outputs[0].full_name)


def _convert_stacking(scope: Any, operator: Any, container: Any) -> None:
    model, graph = operator.raw_operator, _graph(scope, operator, container)
    x = graph.cast(operator.inputs[0].full_name, graph.dtype)
    K, columns = model.classes_.shape[0], []
    for estimator, method in zip(model.estimators_, model.stack_method_, strict=True):
        labels, scores = _inner(scope, operator, estimator)
        if method == "predict":
            columns.append(graph("Reshape", graph.cast(labels, graph.dtype), graph.initializer(INT64, (2,), [-1, 1])))
        else:
            scores = graph.cast(scores, graph.dtype)
            # For two classes, scikit-learn stacks only the column of the second class.
            columns.append(scores if K > 2 else graph("Gather", scores, graph.initializer(INT64, (1,), [1]), axis=1))
    merged = scope.declare_local_variable("stacked", operator.outputs[1].type.__class__([None, None]))
    graph("Concat", *columns, *([x] if model.passthrough else []), axis=1, output=merged.full_name)
    labels, proba = _inner(scope, operator, model.final_estimator_, [merged])
    graph("Identity", graph.cast(proba, graph.dtype), output=operator.outputs[1].full_name)
    graph.labels(
        graph("Reshape", labels, graph.initializer(INT64, (1,), [-1])), model.classes_, operator.outputs[0].full_name
    )


def convert_focal_temperature(scope: Any, operator: Any, container: Any) -> None:
    model, graph = operator.raw_operator, _graph(scope, operator, container)
    K, terms = model.classes_.shape[0], []
    for estimator, calibrator in zip(model.estimators_, model.calibrators_, strict=True):
        scores = graph.cast(_inner(scope, operator, estimator)[1], graph.dtype)
        if not hasattr(estimator, "decision_function"):
            scores = graph("Log", graph("Max", scores, graph.constant(_least_proba(estimator, graph.dtype))))
        elif K == 2:
            # skl2onnx returns two columns for two classes, the negated score and the score.
            scores = graph.two_columns(graph("Gather", scores, graph.initializer(INT64, (1,), [1]), axis=1))
        scores = graph("Div", scores, graph.constant(calibrator.temperature))
        terms.append(graph("Softmax", graph.posterior(scores, np.full(K, calibrator.gamma), None), axis=1))
    mean = graph("Div", graph("Sum", *terms), graph.constant(len(terms)), output=operator.outputs[1].full_name)
    graph.labels(graph("ArgMax", mean, axis=1, keepdims=0), model.classes_, operator.outputs[0].full_name)


def _least_proba(estimator: Any, dtype: Any) -> float:
    """The number by which `FocalTemperatureScaling` replaces smaller probabilities.

    It depends on the dtype of the probabilities, which is known only after a call of ``predict_proba``.
    """
    of_proba = np.dtype(np.float64)
    if not hasattr(estimator, "feature_names_in_"):
        of_proba = estimator.predict_proba(np.zeros((1, estimator.n_features_in_), dtype)).dtype
    return float(np.finfo(of_proba).eps)


def _convert_calibrated(scope: Any, operator: Any, container: Any) -> None:
    model, graph = operator.raw_operator, _graph(scope, operator, container)
    folds = model.calibrated_classifiers_
    if not all(isinstance(last_step(fold.estimator), FocalClassifierMixin) for fold in folds):
        get_converter("SklearnCalibratedClassifierCV")(scope, operator, container)
        return
    terms = []
    for fold in folds:
        scores = graph.cast(_inner(scope, operator, fold.estimator)[1], graph.dtype)
        terms.append(_calibrated(graph, fold, scores, model.classes_))
    mean = graph("Div", graph("Sum", *terms), graph.constant(len(terms)), output=operator.outputs[1].full_name)
    graph.labels(graph("ArgMax", mean, axis=1, keepdims=0), model.classes_, operator.outputs[0].full_name)


def _calibrated(graph: Graph, fold: Any, scores: str, classes: Any) -> str:
    """Calibrated probabilities, (n, K), from the scores of one fold, (n, K)."""
    K = classes.shape[0]
    if fold.method == "temperature":
        return graph("Softmax", graph("Mul", scores, graph.constant(fold.calibrators[0].beta_)), axis=1)
    known = np.searchsorted(classes, fold.estimator.classes_)  # a fold may lack a class
    columns = [(1, 1)] if K == 2 else list(enumerate(known))
    terms = []
    for (position, k), calibrator in zip(columns, fold.calibrators, strict=True):
        score = graph("Gather", scores, graph.initializer(INT64, (1,), [position]), axis=1)
        if fold.method == "sigmoid":
            linear = graph("Add", graph("Mul", score, graph.constant(-calibrator.a_)), graph.constant(-calibrator.b_))
            proba = graph("Sigmoid", linear)
        else:
            proba = _interpolated(graph, score, calibrator.X_thresholds_, calibrator.y_thresholds_)
        terms.append(graph("Mul", proba, graph.constant(np.eye(K)[[k]])))
    if K == 2:
        # p becomes the row (1 - p, p).
        of_second = graph("Mul", terms[0], graph.constant([[0.0, 1.0]]))
        first = graph(
            "Sub", graph.constant(1.0), graph("Gather", terms[0], graph.initializer(INT64, (1,), [1]), axis=1)
        )
        return graph("Add", of_second, graph("Mul", first, graph.constant([[1.0, 0.0]])))
    proba = graph("Sum", *terms)
    total = graph("MatMul", proba, graph.constant(np.ones((K, 1))))
    # If all classes have the probability 0, they get equal probabilities.
    is_empty = graph("Equal", total, graph.constant(0.0))
    shares = graph("Div", proba, graph("Where", is_empty, graph.constant(1.0), total))
    return graph("Where", is_empty, graph.constant(np.full((1, K), 1.0 / K)), shares)


def _interpolated(graph: Graph, score: str, x: Any, y: Any) -> str:
    """Piecewise linear function through the points (x, y), constant outside of them, for scores (n, 1)."""
    # Sum over the pieces of (share of the piece below the score) x (rise of the piece). In float64, because pieces can
    # be short.
    wide = Graph(graph.scope, graph.container, np.float64)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape[0] == 1:
        return graph("Add", graph("Mul", score, graph.constant(0.0)), graph.constant(y[0]))
    shares = wide(
        "Div",
        wide("Sub", wide.cast(score, np.float64), wide.constant(x[np.newaxis, :-1])),
        wide.constant(np.diff(x)[np.newaxis]),
    )
    shares = wide("Min", wide("Max", shares, wide.constant(0.0)), wide.constant(1.0))
    rises = wide("MatMul", shares, wide.constant(np.diff(y)[:, np.newaxis]))
    return graph.cast(wide("Add", rises, wide.constant(y[0])), graph.dtype)


CONVERTERS = {
    CalibratedClassifierCV: _convert_calibrated,
    StackingClassifier: _convert_stacking,
    VotingClassifier: _convert_voting,
}
"""Converters by class, which replace those of skl2onnx."""
