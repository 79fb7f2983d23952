"""Data sets the tests share. Real ones come with scikit-learn or lie in examples/data."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine, make_classification


@pytest.fixture(scope="session")
def imbalanced():
    """1,500 rows, 6 % positive, 8 features."""
    return make_classification(1500, 8, n_informative=5, weights=[0.94], flip_y=0.02, random_state=0)


@pytest.fixture(scope="session", params=["binary", "multiclass"])
def problem(request):
    """X, y with labels 0 .. K-1 of a two-class and of a three-class problem, and sample weights."""
    X, y = (load_breast_cancer if request.param == "binary" else load_wine)(return_X_y=True)
    return X, y, np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))
