"""The trees of a booster as arrays, for formats other than the library's own. May import NumPy, and XGBoost for its
models.

LightGBM's trees are read from its model text, XGBoost's trees from its model JSON. The libraries guarantee that they
can read these formats again. They do not guarantee this for their private structures.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array

LEAF, AT_MOST, LESS, EQUAL = "LEAF", "BRANCH_LEQ", "BRANCH_LT", "BRANCH_EQ"
"""Conditions of a node on the value of its feature, with ONNX's names."""


@dataclass
class Forest:
    """Nodes of trees. Each node is an entry of the lists and is numbered from 0 in its tree.

    A row goes to ``true_child`` if the condition of the node is true, or if the value is NaN and ``missing_is_true`` is
    set. The score of a class is ``base`` plus the sum of ``leaf`` over the trees of that class.
    """

    base: Array
    mode: list[str] = field(default_factory=list)
    tree: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    true_child: list[int] = field(default_factory=list)
    false_child: list[int] = field(default_factory=list)
    missing_is_true: list[int] = field(default_factory=list)
    leaf: list[float] = field(default_factory=list)
    score: list[int] = field(default_factory=list)
    """The class to whose score the tree is added."""

    def add_tree(self, tree: _Tree, score: int, weight: float = 1.0) -> None:
        """Append a tree without its unreachable nodes. Its leaves are multiplied by ``weight``."""
        number = self.tree[-1] + 1 if self.tree else 0
        reached = tree.reached()
        place = {node: i for i, node in enumerate(reached)}
        for i, (mode, feature, value, yes, no, missing, leaf) in enumerate(tree.nodes[node] for node in reached):
            self.mode.append(mode)
            self.tree.append(number)
            self.node.append(i)
            self.feature.append(feature)
            self.value.append(value)
            self.true_child.append(0 if mode == LEAF else place[yes])
            self.false_child.append(0 if mode == LEAF else place[no])
            self.missing_is_true.append(int(missing))
            self.leaf.append(weight * leaf)
            self.score.append(score)


_Node = tuple[str, int, float, int, int, bool, float]


class _Tree:
    """Nodes of one tree. The first ``n_nodes`` have the library's numbers."""

    def __init__(self, n_nodes: int) -> None:
        self.nodes: list[_Node] = [(LEAF, 0, 0.0, 0, 0, False, 0.0)] * n_nodes

    def put(self, node: int, mode: str, feature: int, value: float, yes: int, no: int, missing: bool) -> None:
        self.nodes[node] = (mode, feature, value, yes, no, missing, 0.0)

    def reached(self) -> list[int]:
        """Reachable nodes. The root is the first."""
        nodes, seen = [0], {0}
        for node in nodes:
            mode, _, _, yes, no, *_ = self.nodes[node]
            for child in () if mode == LEAF else (yes, no):
                if child not in seen:
                    seen.add(child)
                    nodes.append(child)
        return nodes

    def put_leaf(self, node: int, leaf: float) -> None:
        self.nodes[node] = (LEAF, 0, 0.0, 0, 0, False, leaf)

    def put_set(self, node: int, feature: int, members: list[int], yes: int, no: int, missing: bool) -> None:
        """Replace a node with a set of categories by a chain of nodes with one category each."""
        members = members or [-1]  # not a category, so that no row matches
        for category in members[:-1]:
            self.nodes.append(self.nodes[node])
            self.put(node, EQUAL, feature, float(category), yes, len(self.nodes) - 1, missing)
            node = len(self.nodes) - 1
            missing = False  # the first node of the chain handles a missing value
        self.put(node, EQUAL, feature, float(members[-1]), yes, no, missing)


def forest_of(model: Any) -> Forest:
    """The trees of a focal booster.

    Raises
    ------
    ValueError
        If a tree is of a kind that only the library's own format supports.
    """
    for base in type(model).__mro__:
        if base.__name__ == "FocalLGBMClassifier":
            return of_lightgbm(model.booster_.model_to_string())
        if base.__name__ == "FocalHistGradientBoostingClassifier":
            return of_hist_gradient_boosting(model)
        if base.__name__ == "FocalXGBClassifier":
            booster = model.get_booster()
            n_rounds = getattr(model, "best_iteration", booster.num_boosted_rounds() - 1) + 1  # the property may raise
            return of_xgboost(booster, n_rounds, _scores_of_missing_row(booster, n_rounds))
    raise TypeError(f"model must be of estimators that other formats can say, got {type(model).__name__}")


# LightGBM

CATEGORICAL, DEFAULT_LEFT = 1, 2
"""Bits of LightGBM's ``decision_type``. The next two bits are the type of missing values."""
MISSING_ZERO, MISSING_NAN = 1, 2


def of_lightgbm(model: str) -> Forest:
    """Trees of a model text.

    Raises
    ------
    ValueError
        If leaves are linear functions.
    """
    head, *texts = re.split(r"^Tree=\d+$", model.partition("\nend of trees\n")[0], flags=re.MULTILINE)
    n_scores = int(_lines(head)["num_tree_per_iteration"])
    forest = Forest(np.zeros(n_scores))
    for i, text in enumerate(texts):
        forest.add_tree(_lightgbm_tree(_lines(text)), i % n_scores)
    return forest


def _lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _lightgbm_tree(lines: dict[str, str]) -> _Tree:
    if lines.get("is_linear", "0") == "1":
        raise ValueError("model must have constant leaves, got linear_tree=True, which no other format here knows")

    def numbers(name: str, dtype: Any) -> list[Any]:
        values: list[Any] = np.array(lines.get(name, "").split(), dtype=dtype).tolist()
        return values

    leaves = numbers("leaf_value", np.float64)
    n_splits = len(leaves) - 1
    tree = _Tree(n_splits + len(leaves))
    for i, leaf in enumerate(leaves):
        tree.put_leaf(n_splits + i, leaf)
    # LightGBM numbers inner nodes from 0 and leaves from -1 downwards. A tree without a split has only a leaf.
    left, right = (
        [child if child >= 0 else n_splits - 1 - child for child in numbers(name, int)]
        for name in ("left_child", "right_child")
    )
    boundaries, bits = numbers("cat_boundaries", int), numbers("cat_threshold", int)
    for node, (feature, threshold, decision) in enumerate(
        zip(numbers("split_feature", int), numbers("threshold", np.float64), numbers("decision_type", int), strict=True)
    ):
        if node >= n_splits:
            break
        yes, no = left[node], right[node]
        if decision & CATEGORICAL:
            words = bits[boundaries[int(threshold)] : boundaries[int(threshold) + 1]]
            tree.put_set(node, feature, _members(words), yes, no, False)
            continue
        kind, default_left, zero_left = decision >> 2 & 3, bool(decision & DEFAULT_LEFT), threshold >= 0.0
        if kind == MISSING_ZERO and default_left != zero_left:
            # Zeros and NaN go to the side that x <= threshold does not select.
            tree.nodes.append(tree.nodes[node])
            tree.put(node, EQUAL, feature, 0.0, yes if default_left else no, len(tree.nodes) - 1, True)
            node = len(tree.nodes) - 1
        # If training had no NaN, NaN is treated as 0.
        tree.put(node, AT_MOST, feature, threshold, yes, no, default_left if kind == MISSING_NAN else zero_left)
    return tree


def _members(words: list[int]) -> list[int]:
    """Positions of the set bits in 32-bit words."""
    return [32 * i + bit for i, word in enumerate(words) for bit in range(32) if word >> bit & 1]


# XGBoost


def of_xgboost(booster: Any, n_rounds: int, missing_row: Array) -> Forest:
    """The trees of the first rounds of a booster.

    Parameters
    ----------
    booster : xgboost.Booster
    n_rounds : int
    missing_row : ndarray of shape (n_scores,)
        Scores of a row of missing values after these rounds.

    Raises
    ------
    ValueError
        If a tree has leaves for several classes.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient_booster = learner["gradient_booster"]
    model = gradient_booster.get("gbtree", gradient_booster)["model"]
    n_scores = max(1, int(learner["learner_model_param"]["num_class"]))
    weights = gradient_booster.get("weight_drop", [1.0] * len(model["trees"]))  # of DART
    forest, of_missing = Forest(np.zeros(n_scores)), np.zeros(n_scores)
    for i in range(model["iteration_indptr"][n_rounds]):
        tree, score = _xgboost_tree(model["trees"][i]), model["tree_info"][i]
        forest.add_tree(tree, score, weights[i])
        of_missing[score] += weights[i] * _leaf_of_missing(tree)
    forest.base = _base(learner, n_scores, missing_row.astype(np.float64) - of_missing)
    return forest


def _scores_of_missing_row(booster: Any, n_rounds: int) -> Array:
    from xgboost import DMatrix

    row = DMatrix(
        np.full((1, booster.num_features()), np.nan, np.float32),
        feature_names=booster.feature_names,
        feature_types=booster.feature_types,
    )
    scores: Array = booster.predict(row, output_margin=True, iteration_range=(0, n_rounds)).ravel()
    return scores


def _base(learner: dict[str, Any], n_scores: int, measured: Array) -> Array:
    """Scores without trees. ``base_score`` is a probability for some of XGBoost's objectives, and a score for
    others.
    """
    given = learner["learner_model_param"]["base_score"]
    known = np.atleast_1d(np.array(json.loads(given), dtype=np.float64))
    scores = np.full(n_scores, known) if known.shape[0] == 1 else known
    with np.errstate(divide="ignore", invalid="ignore"):
        candidates = [scores, np.log(scores) - np.log1p(-scores)]
    for candidate in candidates:
        # XGBoost sums the trees in float32.
        if np.allclose(candidate, measured, rtol=1e-4, atol=1e-4):
            return candidate
    return measured


def _leaf_of_missing(tree: _Tree) -> float:
    mode, _, _, yes, no, missing, leaf = tree.nodes[0]
    while mode != LEAF:
        mode, _, _, yes, no, missing, leaf = tree.nodes[yes if missing else no]
    return leaf


def _xgboost_tree(tree: dict[str, Any]) -> _Tree:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise ValueError("model must have a tree for each class, got multi_strategy='multi_output_tree'")
    left, right = tree["left_children"], tree["right_children"]
    condition, default_left = tree["split_conditions"], tree["default_left"]
    sets = {
        node: tree["categories"][start : start + size]
        for node, start, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        )
    }
    result = _Tree(len(left))
    for node, feature in enumerate(tree["split_indices"]):
        if left[node] < 0:
            result.put_leaf(node, condition[node])
        elif node in sets:
            # In XGBoost, the categories of the set go to the right.
            result.put_set(node, feature, sets[node], right[node], left[node], not default_left[node])
        else:
            result.put(node, LESS, feature, condition[node], left[node], right[node], bool(default_left[node]))
    return result


# scikit-learn


def of_hist_gradient_boosting(model: Any) -> Forest:
    """The trees of a ``HistGradientBoostingClassifier``, read from its private arrays because it has no file format.

    Raises
    ------
    ValueError
        If features are categorical.
    """
    if np.any(model.is_categorical_):
        raise ValueError("model must have no categorical features, got some: encode them before, in a pipeline")
    forest = Forest(np.ravel(model._baseline_prediction).astype(np.float64))
    for of_round in model._predictors:
        for score, predictor in enumerate(of_round):
            tree = _Tree(predictor.nodes.shape[0])
            for i, node in enumerate(predictor.nodes):
                if node["is_leaf"]:
                    tree.put_leaf(i, float(node["value"]))
                else:
                    children = int(node["left"]), int(node["right"])
                    threshold, missing_left = float(node["num_threshold"]), bool(node["missing_go_to_left"])
                    tree.put(i, AT_MOST, int(node["feature_idx"]), threshold, *children, missing_left)
            forest.add_tree(tree, score)
    return forest
