"""The start of training: scores for LightGBM, baked into the first trees afterwards. May import this folder."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array
from skfocal.lightgbm._parameters import is_true, uses_dart


def starts_at_optimum(params: dict[str, Any]) -> bool:
    """Whether ``boost_from_average`` leaves the start to us."""
    value = params.get("boost_from_average")
    return value is None or is_true(value)


def constant_scores(start: Any, n_rows: int) -> Array:
    """The start as scores of ``n_rows`` rows, (n,) or (n, K)."""
    return np.full(n_rows, start) if np.ndim(start) == 0 else np.tile(start, (n_rows, 1))


def begin_as_with_an_own_objective(env: Any) -> None:
    """Callback: LightGBM trains as it does with an objective of its own, before the first round.

    ``Booster.update`` tells the library by ``reset_parameter`` that the objective is a custom one, although it was made
    with "none". That spends a draw of the column sampler, prints warnings of parameters anew and stops where no column
    can be split. There is no public way to say that it is set; where the flag has another name, all that happens again.
    """
    if env.iteration == env.begin_iteration:
        env.model._Booster__set_objective_to_none = True


begin_as_with_an_own_objective.before_iteration = True  # type: ignore[attr-defined]
begin_as_with_an_own_objective.order = -2  # type: ignore[attr-defined]


def settle_dart(env: Any) -> None:
    """Callback that makes DART reproducible with a custom objective.

    DART draws the trees to drop when the training scores are first asked for in a round. Its flag for that is not
    set before the first round, in which a custom objective asks before LightGBM has written it: whether a draw is
    spent there is chance. Here the scores are asked for, and then the generator is seeded anew.
    """
    if env.iteration == env.begin_iteration:
        env.model.eval_train(feval=lambda scores, data: ("asked", 0.0, False))
        data = env.model.train_set
        if any(data.feature_num_bin(j) for j in range(data.num_feature())):  # else LightGBM can't reset anything
            env.model.reset_parameter({"boosting": "dart"})


settle_dart.before_iteration = True  # type: ignore[attr-defined]
settle_dart.order = -1  # type: ignore[attr-defined]


def callbacks_of_start(params: dict[str, Any]) -> list[Any]:
    """What has to be set right before the first round."""
    return [begin_as_with_an_own_objective, *([settle_dart] if uses_dart(params) else [])]


def bake(model: str, start: Array | None) -> str:
    """The model's text with the start, (K,), in the first iteration's trees: in their leaves and the constants of
    linear ones, and in the values that inner nodes report.
    """
    if start is None:
        return model
    # The head, K trees, and all that follows.
    head, *parts = re.split(r"(?=^Tree=\d+$)", model, maxsplit=len(start) + 1, flags=re.MULTILINE)
    for tree_id, constant in enumerate(start.tolist()):

        def moved(line: re.Match[str], constant: float = constant) -> str:
            return line[1] + " ".join(repr(float(value) + constant) for value in line[2].split())

        values = r"^((?:leaf_value|leaf_const|internal_value)=)(.*)$"
        parts[tree_id] = re.sub(values, moved, parts[tree_id], flags=re.MULTILINE)
    # The sizes in bytes, by which LightGBM would find the trees, hold no longer; without them it reads in order.
    return re.sub(r"^tree_sizes=.*\n", "", head, flags=re.MULTILINE) + "".join(parts)
