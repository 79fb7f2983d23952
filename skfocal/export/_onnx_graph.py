"""Writing ONNX operators, and the posterior of the focal loss in them. May import ``loss``, ``_trees`` and ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from skfocal._kernels.blocks import Array
from skfocal.export._trees import AT_MOST, LEAF, Forest

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING
ML = "ai.onnx.ml"
TENSOR_ATTRIBUTES = 3
"""First version of ``ai.onnx.ml`` in which trees can have float64 numbers."""


class Graph:
    """Adds operators to the graph that skl2onnx writes.

    Parameters
    ----------
    scope, container
        Arguments that skl2onnx passes to a converter.
    dtype : numpy dtype
        Data type of the numbers in the graph, float32 or float64.
    """

    def __init__(self, scope: Any, container: Any, dtype: Any) -> None:
        self.scope, self.container, self.dtype = scope, container, np.dtype(dtype)

    def __call__(self, op: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """Add an operator and return the name of its output."""
        name: str = output or self.scope.get_unique_variable_name(f"focal_{op.lower()}")
        self.container.add_node(
            op, list(inputs), name, op_domain=domain, name=self.scope.get_unique_operator_name(op), **attributes
        )
        return name

    def constant(self, values: Any) -> str:
        """Add constant numbers of ``dtype``."""
        array = np.asarray(values, dtype=self.dtype)
        return self.initializer(DOUBLE if self.dtype == np.float64 else FLOAT, array.shape, array.ravel().tolist())

    def initializer(self, kind: Any, shape: Any, content: Any) -> str:
        name: str = self.scope.get_unique_variable_name("focal_constant")
        self.container.add_initializer(name, kind, list(shape), content)
        return name

    def cast(self, name: str, dtype: Any) -> str:
        return self("Cast", name, to=DOUBLE if np.dtype(dtype) == np.float64 else FLOAT)

    # Trees

    def scores_of(self, forest: Forest, x: str) -> str:
        """Raw scores of rows, (n, n_scores), float32. ``dtype`` has to be the dtype of ``x``."""
        attributes: dict[str, Any] = {
            "n_targets": forest.base.shape[0],
            "nodes_modes": forest.mode,
            "nodes_treeids": forest.tree,
            "nodes_nodeids": forest.node,
            "nodes_featureids": forest.feature,
            "nodes_truenodeids": forest.true_child,
            "nodes_falsenodeids": forest.false_child,
            "nodes_missing_value_tracks_true": forest.missing_is_true,
        }
        leaves = [i for i, mode in enumerate(forest.mode) if mode == LEAF]
        attributes["target_treeids"] = [forest.tree[i] for i in leaves]
        attributes["target_nodeids"] = [forest.node[i] for i in leaves]
        attributes["target_ids"] = [forest.score[i] for i in leaves]
        numbers = {
            "nodes_values": self._thresholds(forest),
            "target_weights": np.array([forest.leaf[i] for i in leaves]),
            "base_values": forest.base,
        }
        for name, values in numbers.items():
            if self.dtype == np.float64:
                attributes[f"{name}_as_tensor"] = numpy_helper.from_array(values, f"{name}_as_tensor")
            else:
                attributes[name] = values.astype(np.float32).tolist()
        version = TENSOR_ATTRIBUTES if self.dtype == np.float64 else 1
        return self("TreeEnsembleRegressor", x, domain=ML, op_version=version, **attributes)

    def _thresholds(self, forest: Forest) -> Array:
        values = np.array(forest.value)
        if self.dtype == np.float64:
            return values
        # A float32 is <= a float64 threshold if it is <= the largest float32 that is <= the threshold.
        rounded = values.astype(np.float32)
        is_above = (rounded.astype(np.float64) > values) & (np.array(forest.mode) == AT_MOST)
        return np.where(is_above, np.nextafter(rounded, np.float32(-np.inf)), rounded)

    # Probabilities and labels

    def two_columns(self, scores: str) -> str:
        """Two columns (n, 2) from one score per row. Their softmax is the sigmoid of the score."""
        return self("Mul", scores, self.constant([[0.0, 1.0]]))

    def posterior(self, scores: str, gamma: Array, log_alpha: Array | None) -> str:
        """Scores whose softmax is the posterior, (n, K), from scores (n, K). See docs/theory.md for the letters.

        Everything is computed in logarithms, so that no power of q underflows. q is the sum of the other probabilities,
        so that it is accurate where p is rounded to 1.
        """
        if not gamma.any():
            return scores if log_alpha is None else self("Sub", scores, self.constant(log_alpha[np.newaxis]))
        K, limits = gamma.shape[0], np.finfo(self.dtype)
        log_p = self("LogSoftmax", scores, axis=1)
        p = self("Exp", log_p)
        q = self("Max", self("MatMul", p, self.constant(1.0 - np.eye(K))), self.constant(limits.tiny))
        # r = -log(p)/q = -log(1 - q)/q. If q is small, log(p) has no correct digits, and a series is used. The error of
        # the series is q**5 / 6, the error of the quotient is eps / q.
        series = self.constant(0.2)
        for n in (4.0, 3.0, 2.0, 1.0):
            series = self("Add", self("Mul", series, q), self.constant(1.0 / n))
        quotient = self("Div", self("Neg", log_p), q)
        small = self.constant(1e-3 if self.dtype == np.float64 else 0.05)
        r = self("Where", self("Less", q, small), series, quotient)
        gammas = self.constant(gamma[np.newaxis])
        log1p = self("Log", self("Add", self("Mul", gammas, self("Mul", p, r)), self.constant(1.0)))
        log_w = self("Add", self("Mul", gammas, self("Log", q)), log1p)
        posterior = self("Sub", log_p, log_w)
        return posterior if log_alpha is None else self("Sub", posterior, self.constant(log_alpha[np.newaxis]))

    def labels(self, indices: str, classes: Array, output: str) -> str:
        """Add an operator for the labels of the indices, (n,)."""
        if classes.dtype.kind in "biuf":
            names = self.initializer(INT64, classes.shape, [int(label) for label in classes])
        else:
            names = self.initializer(STRING, classes.shape, [str(label).encode() for label in classes])
        return self("Gather", names, indices, output=output)
