"""What the tests of scikit-learn's booster share."""

import pytest


@pytest.fixture(scope="session")
def problem(problem):
    """The data of the other tests with eight columns. scikit-learn 1.9 takes 30 ms for the bins of each column if rows
    have weights."""
    X, y, w = problem
    return X[:, :8].copy(), y, w
