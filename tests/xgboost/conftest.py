"""What the tests of several labels per row share."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def labels():
    """Counts, which all weights bin alike; labels of more than half, a quarter and a twentieth of the rows; weights."""
    rng = np.random.default_rng(0)
    X = rng.poisson(6, size=(600, 6)).astype(float)
    hidden = X[:, :3] - X[:, 1:4] + rng.normal(size=(600, 3))
    Y = (hidden > np.quantile(hidden, [0.45, 0.75, 0.95], axis=0).diagonal()).astype(int)
    return X, Y, rng.uniform(0.2, 2.0, size=600)
