"""A case of the table, and the data that most cases share."""

from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(0)
N = 80
X = RNG.normal(size=(N, 4))
Y = (X[:, 0] + 0.3 * RNG.normal(size=N) > 0.4).astype(int)
WEIGHTED = np.linspace(0.5, 2, N)


class Case(NamedTuple):
    """What an estimator is made with and given.

    ``at`` is the X of predictions, if it is another one. ``held_out`` is an evaluation set (X, y), of which each class
    has its own arguments. ``plain`` is an X with the same numbers in the plainest form, which give the same model.
    """

    label: str
    X: Any = X
    y: Any = Y
    parameters: dict[str, Any] = {}
    keywords: dict[str, Any] = {}
    at: Any = None
    held_out: Any = None
    plain: Any = None
