"""The start of training: initial scores for LightGBM, which are added to the first trees afterwards. May import this
folder.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from skfocal._kernels.blocks import Array
from skfocal.lightgbm._parameters import is_true, uses_dart


def starts_at_optimum(params: dict[str, Any]) -> bool:
    """Whether ``boost_from_average`` allows a start at the optimum."""
    value = params.get("boost_from_average")
    return value is None or is_true(value)


def constant_scores(start: Any, n_rows: int) -> Array:
    """The start as scores of ``n_rows`` rows, (n,) or (n, K)."""
    return np.full(n_rows, start) if np.ndim(start) == 0 else np.tile(start, (n_rows, 1))


def begin_as_with_an_own_objective(env: Any) -> None:
    """Callback before the first round that makes LightGBM train as it does with a built-in objective.

    ``Booster.update`` tells the library by ``reset_parameter`` that the objective is a custom one, although the booster
    was created with the objective "none". This uses a draw of the column sampler, repeats warnings about parameters,
    and stops if no column can be split. There is no public way to prevent it. If the private flag is renamed, these
    effects return.
    """
    if env.iteration == env.begin_iteration:
        env.model._Booster__set_objective_to_none = True


begin_as_with_an_own_objective.before_iteration = True  # type: ignore[attr-defined]
begin_as_with_an_own_objective.order = -2  # type: ignore[attr-defined]


def settle_dart(env: Any) -> None:
    """Callback that makes DART reproducible with a custom objective.

    DART draws the trees to drop when the training scores are first requested in a round, and remembers this in a flag.
    The flag is uninitialized when a custom objective requests the scores of the first round, so it is random whether
    DART uses a draw. This callback requests the scores, and then seeds the generator again.
    """
    if env.iteration == env.begin_iteration:
        env.model.eval_train(feval=lambda scores, data: ("asked", 0.0, False))
        data = env.model.train_set
        if any(data.feature_num_bin(j) for j in range(data.num_feature())):  # else no parameter can be reset
            env.model.reset_parameter({"boosting": "dart"})


settle_dart.before_iteration = True  # type: ignore[attr-defined]
settle_dart.order = -1  # type: ignore[attr-defined]


def callbacks_of_start(params: dict[str, Any]) -> list[Any]:
    """Callbacks that run before the first round."""
    return [begin_as_with_an_own_objective, *([settle_dart] if uses_dart(params) else [])]


def bake(model: str, start: Array | None) -> str:
    """The model's text with the start, (K,), added to the trees of the first iteration: to their leaves, to the
    constants of linear leaves, and to the values of inner nodes.
    """
    if start is None:
        return model
    # The head, K trees, and the rest.
    head, *parts = re.split(r"(?=^Tree=\d+$)", model, maxsplit=len(start) + 1, flags=re.MULTILINE)
    for tree_id, constant in enumerate(start.tolist()):

        def moved(line: re.Match[str], constant: float = constant) -> str:
            return line[1] + " ".join(repr(float(value) + constant) for value in line[2].split())

        values = r"^((?:leaf_value|leaf_const|internal_value)=)(.*)$"
        parts[tree_id] = re.sub(values, moved, parts[tree_id], flags=re.MULTILINE)
    # The sizes in bytes, by which LightGBM finds the trees, are no longer right. Without them LightGBM reads the trees
    # in order.
    return re.sub(r"^tree_sizes=.*\n", "", head, flags=re.MULTILINE) + "".join(parts)
