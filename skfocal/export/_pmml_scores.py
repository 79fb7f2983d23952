"""Raw scores in PMML. Each class has a model, and its output is a field. May import ``_trees`` and NumPy."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array
from skfocal.export._pmml_elements import Element, add_segment, model_of
from skfocal.export._trees import AT_MOST, EQUAL, LEAF, LESS, Forest

OPERATORS = {
    AT_MOST: ("lessOrEqual", "greaterThan"),
    LESS: ("lessThan", "greaterOrEqual"),
    EQUAL: ("equal", "notEqual"),
}
"""PMML's operator for the condition of a node, and the operator for its negation."""


def linear_scores(coefficients: Array, intercepts: Array, features: list[str], scores: list[str]) -> list[Element]:
    """Models of linear scores. For two classes there is one score per row, and the first class gets the score 0."""
    if len(scores) == 2:
        coefficients, intercepts = np.vstack([0.0 * coefficients, coefficients]), np.concatenate([[0.0], intercepts])
    models = []
    for score, of_class, intercept in zip(scores, coefficients, intercepts, strict=True):
        model = _score_model("RegressionModel", features if of_class.any() else [], score)
        table = ET.SubElement(model, "RegressionTable", intercept=repr(float(intercept)))
        for name, coefficient in zip(features, of_class, strict=True):
            if of_class.any():
                ET.SubElement(table, "NumericPredictor", name=name, coefficient=repr(float(coefficient)))
        models.append(model)
    return models


def tree_scores(forest: Forest, features: list[str], scores: list[str]) -> list[Element]:
    """Models of sums of trees. For two classes there is one score per row, and the first class gets the score 0."""
    models = []
    if len(scores) == 2:
        models += linear_scores(np.zeros((1, 0)), np.zeros(1), [], scores)[:1]
        scores = scores[1:]
    starts = [i for i, node in enumerate(forest.node) if node == 0]
    for k, score in enumerate(scores):
        trees = [_Tree(forest, start, features) for start in starts if forest.score[start] == k]
        model = _score_model("MiningModel", sorted(set().union(*(tree.used for tree in trees))), score)
        ET.SubElement(ET.SubElement(model, "Targets"), "Target", rescaleConstant=repr(float(forest.base[k])))
        chain = ET.SubElement(model, "Segmentation", multipleModelMethod="sum")
        for tree in trees:
            add_segment(chain, tree.model)
        models.append(model)
    return models


def _score_model(tag: str, features: list[str], score: str) -> Element:
    model = model_of(tag, features, functionName="regression")
    output = ET.SubElement(model, "Output")
    ET.SubElement(output, "OutputField", name=score, optype="continuous", dataType="double", isFinalResult="false")
    return model


class _Tree:
    """One tree of a forest, whose nodes begin at ``start``."""

    def __init__(self, forest: Forest, start: int, features: list[str]) -> None:
        self.forest, self.start, self.features = forest, start, features
        self.used: set[str] = set()
        root = self._node(0, Element("True"), "0")
        attributes = {"missingValueStrategy": "defaultChild", "splitCharacteristic": "binarySplit"}
        self.model = model_of("TreeModel", sorted(self.used), functionName="regression", **attributes)
        self.model.append(root)

    def _node(self, i: int, predicate: Element, name: str) -> Element:
        """The node i of the tree, which is reached if the predicate holds. A child has its parent's name and a digit
        more.
        """
        forest, at = self.forest, self.start + i
        node = Element("Node", id=name)
        node.append(predicate)
        if forest.mode[at] == LEAF:
            node.set("score", repr(float(forest.leaf[at])))
            return node
        yes, no, of_yes, of_no = self._question(at)
        goes_to_yes = bool(forest.missing_is_true[at]) == (forest.true_child[at] == yes)
        node.set("defaultChild", f"{name}{0 if goes_to_yes else 1}")
        node.append(self._node(yes, of_yes, f"{name}0"))
        node.append(self._node(no, of_no, f"{name}1"))
        return node

    def _question(self, at: int) -> tuple[int, int, Element, Element]:
        """The two children of a node and their predicates.

        A chain of nodes that test the same feature becomes one node of PMML. The nodes of the chain share children, and
        nodes of PMML can't share children.
        """
        forest = self.forest
        feature, yes, no = forest.feature[at], forest.true_child[at], forest.false_child[at]
        name = self.features[feature]
        self.used.add(name)
        if forest.mode[at] != EQUAL:
            return yes, no, *_comparison(name, forest.mode[at], forest.value[at])
        members, after = [forest.value[at]], self.start + no
        while forest.mode[after] == EQUAL and forest.feature[after] == feature and forest.true_child[after] == yes:
            members.append(forest.value[after])
            no = forest.false_child[after]
            after = self.start + no
        within, without = _membership(name, members)
        children = forest.true_child[after], forest.false_child[after]
        if forest.mode[after] not in (AT_MOST, LESS) or forest.feature[after] != feature or yes not in children:
            return yes, no, within, without
        below, above = _comparison(name, forest.mode[after], forest.value[after])
        if yes == children[0]:
            return *children, _compound("or", within, below), _compound("and", without, above)
        return *children, _compound("and", without, below), _compound("or", within, above)


def _comparison(name: str, mode: str, value: float) -> tuple[Element, Element]:
    if value == np.inf:  # every number is <= inf
        return _predicate(name, "isNotMissing"), _predicate(name, "isMissing")
    text = str(np.float32(value)) if mode == LESS else repr(float(value))  # XGBoost compares in float32
    yes, no = OPERATORS[mode]
    return _predicate(name, yes, value=text), _predicate(name, no, value=text)


def _predicate(name: str, operator: str, **value: str) -> Element:
    return Element("SimplePredicate", {"field": name, "operator": operator} | value)


def _membership(name: str, members: list[float]) -> tuple[Element, Element]:
    if len(members) == 1:
        yes, no = OPERATORS[EQUAL]
        return _predicate(name, yes, value=repr(members[0])), _predicate(name, no, value=repr(members[0]))
    sets = []
    for operator in ("isIn", "isNotIn"):
        element = Element("SimpleSetPredicate", field=name, booleanOperator=operator)
        array = ET.SubElement(element, "Array", type="real", n=str(len(members)))
        array.text = " ".join(map(repr, members))
        sets.append(element)
    return sets[0], sets[1]


def _compound(operator: str, *predicates: Element) -> Element:
    element = Element("CompoundPredicate", booleanOperator=operator)
    element.extend(predicates)
    return element


def scores_of(model: Any, features: list[str], scores: list[str], forest: Forest | None) -> list[Element]:
    """Models of the raw scores of a focal classifier. ``forest`` contains its trees, and is None for linear models."""
    if forest is None:
        return linear_scores(model.coef_, model.intercept_, features, scores)
    return tree_scores(forest, features, scores)
