"""The start of training: given to LightGBM as scores, and baked into the first trees afterwards. May import NumPy."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array


def constant_scores(start: Any, n_rows: int) -> Array:
    """The start as scores of ``n_rows`` rows, (n,) or (n, K)."""
    return np.full(n_rows, start) if np.ndim(start) == 0 else np.tile(start, (n_rows, 1))


def settle_dart(env: Any) -> None:
    """Callback that makes DART reproducible with a custom objective.

    DART draws the trees to drop when the training scores are first asked for in a round. Its flag for that is not
    set before the first round, in which a custom objective asks before LightGBM has written it: whether a draw is
    spent there is chance. Here the scores are asked for, and then the generator is seeded anew.
    """
    if env.iteration == env.begin_iteration:
        env.model.eval_train(feval=lambda scores, data: ("asked", 0.0, False))
        env.model.reset_parameter({"boosting": "dart"})


settle_dart.before_iteration = True  # type: ignore[attr-defined]
settle_dart.order = -1  # type: ignore[attr-defined]


def add_to_first_trees(booster: Any, start: Array) -> None:
    """Bake the start into the model: add it to every leaf of the first iteration's trees."""
    first = booster.model_to_string(num_iteration=1)
    if "is_linear=1" in first:
        booster.model_from_string(_with_leaves_moved(booster.model_to_string(num_iteration=-1), start))
        return
    n_leaves = [int(n) for n in re.findall(r"^num_leaves=(\d+)$", first, flags=re.MULTILINE)]
    for tree_id, constant in enumerate(start):
        for leaf_id in range(n_leaves[tree_id]):
            value = booster.get_leaf_output(tree_id, leaf_id)
            booster.set_leaf_output(tree_id, leaf_id, value + float(constant))


def _with_leaves_moved(model: str, start: Array) -> str:
    """The model's text with the start in the first trees: the leaves of linear trees have constants beside values,
    which LightGBM's interface does not reach.
    """
    head, *trees = re.split(r"(?=^Tree=\d+$)", model, flags=re.MULTILINE)
    for tree_id, constant in enumerate(start):

        def moved(line: re.Match[str], constant: float = float(constant)) -> str:
            return line[1] + " ".join(repr(float(value) + constant) for value in line[2].split())

        trees[tree_id] = re.sub(r"^(leaf_(?:value|const)=)(.*)$", moved, trees[tree_id], flags=re.MULTILINE)
    # The sizes in bytes, by which LightGBM would find the trees, hold no longer; without them it reads in order.
    return re.sub(r"^tree_sizes=.*\n", "", head, flags=re.MULTILINE) + "".join(trees)
