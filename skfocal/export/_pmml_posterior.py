"""The posterior of the focal loss in PMML: labels and probabilities from raw scores. May import NumPy."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np

from skfocal.export._pmml_elements import Element, apply, derive, field, integer, model_of, number

SMALL = 1e-3
"""For q below this limit, ``-log(1 - q) / q`` is computed by five terms of its series. The error is about q**5 / 6."""


class Posterior:
    """The last model of the chain. The letters are those of docs/theory.md.

    The model is a tree that chooses the label by the raw scores. Its leaves have no probabilities. With a regression
    model, evaluators would also offer the bare softmax of PMML's own link as a probability.
    """

    def __init__(self, model: Any, target_name: str, labels: list[str], scores: list[str]) -> None:
        K = len(labels)
        self.labels, self.scores, self.target_name = labels, scores, target_name
        self.gamma, self.log_alpha = np.zeros(K), np.zeros(K)
        if model.calibration is not None:
            self.gamma = model.focal_loss_.gamma_per_class(K)
        if model.calibration == "full":
            self.log_alpha = np.log(model.class_weights_)
        self.fields = Element("LocalTransformations")

    def model(self) -> Element:
        model = model_of("TreeModel", self.scores, functionName="classification", splitCharacteristic="multiSplit")
        model[0].insert(0, Element("MiningField", name=self.target_name, usageType="target"))
        output = ET.SubElement(model, "Output")
        weights, total = self._weights()
        kind = {"optype": "continuous", "dataType": "double", "feature": "transformedValue"}
        for label, weight in zip(self.labels, weights, strict=True):
            proba = ET.SubElement(output, "OutputField", kind | {"name": f"probability({label})"})
            proba.append(apply("/", field(weight), field(total)))
        decided = self._decision()
        model.append(self.fields)
        root = ET.SubElement(model, "Node")
        ET.SubElement(root, "True")
        for k, label in enumerate(self.labels):
            node = ET.SubElement(root, "Node", score=label)
            ET.SubElement(node, "SimplePredicate", field=decided, operator="equal", value=str(k))
        return model

    def _derive(self, name: str, expression: Element) -> str:
        return derive(self.fields, name, expression)

    def _derive_each(self, name: str, expressions: list[Element]) -> list[str]:
        pairs = zip(self.labels, expressions, strict=True)
        return [self._derive(f"{name}({label})", expression) for label, expression in pairs]

    def _decision(self) -> str:
        """Add a field with the index of the class with the greatest score. Of equal scores, the first class counts."""
        greatest, K = self._derive("greatestScore", apply("max", *map(field, self.scores))), len(self.scores)
        index = integer(K - 1)
        for k in range(K - 2, -1, -1):
            index = apply("if", apply("equal", field(self.scores[k]), field(greatest)), integer(k), index)
        return derive(self.fields, "decision", index, "integer", "categorical")

    def _weights(self) -> tuple[list[str], str]:
        """Add fields that are proportional to the probabilities, and their sum. Returns the names of the fields."""
        unnormalized = self.scores
        if self.gamma.any():
            unnormalized = self._corrected()
        if self.log_alpha.any():
            pairs = zip(unnormalized, self.log_alpha, strict=True)
            unnormalized = self._derive_each("weighted", [apply("-", field(s), number(a)) for s, a in pairs])
        return self._exponentials("posterior", unnormalized)

    def _exponentials(self, name: str, logs: list[str]) -> tuple[list[str], str]:
        """Add a field ``exp(log - greatest)`` for each logarithm, and their sum. Returns the names of the fields."""
        greatest = self._derive(f"{name}Greatest", apply("max", *map(field, logs)))
        terms = [apply("exp", apply("-", field(log), field(greatest))) for log in logs]
        weights = self._derive_each(f"{name}Weight", terms)
        return weights, self._derive(f"{name}Sum", apply("sum", *map(field, weights)))

    def _corrected(self) -> list[str]:
        """Add a field ``log p - log w`` for each class. Returns their names.

        Logarithms are used so that no power of q underflows. q is the sum of the other probabilities, because 1 - p
        has no correct digits if p is close to 1.
        """
        weights, total = self._exponentials("link", self.scores)
        greatest, K = "linkGreatest", len(weights)
        log_total = self._derive("linkLogSum", apply("ln", field(total)))
        log_p = self._derive_each(
            "logp",
            [apply("-", apply("-", field(s), field(greatest)), field(log_total)) for s in self.scores],
        )
        p = self._derive_each("p", [apply("/", field(weight), field(total)) for weight in weights])
        # q is at least the smallest normal number, so that its logarithm is finite.
        tiny = float(np.finfo(np.float64).tiny)
        others = [[field(p[j]) for j in range(K) if j != k] for k in range(K)]
        q = self._derive_each("q", [apply("max", apply("sum", *terms), number(tiny)) for terms in others])
        r = self._derive_each("r", [self._r(*pair) for pair in zip(log_p, q, strict=True)])
        corrected = []
        for k in range(K):
            gamma = float(self.gamma[k])
            factor = apply("+", number(1.0), apply("*", number(gamma), apply("*", field(p[k]), field(r[k]))))
            log_w = apply("+", apply("*", number(gamma), apply("ln", field(q[k]))), apply("ln", factor))
            corrected.append(apply("-", field(log_p[k]), log_w))
        return self._derive_each("corrected", corrected)

    def _r(self, log_p: str, q: str) -> Element:
        """``-log(p) / q``. For small q it is computed by the series of ``-log(1 - q) / q``, because log p then has few
        correct digits.
        """
        series = number(0.2)
        for n in (4.0, 3.0, 2.0, 1.0):
            series = apply("+", apply("*", series, field(q)), number(1.0 / n))
        quotient = apply("/", apply("-", number(0.0), field(log_p)), field(q))
        return apply("if", apply("lessThan", field(q), number(SMALL)), series, quotient)
