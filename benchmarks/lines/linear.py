"""FocalLogisticRegression compared with scikit-learn's lbfgs, both up to the same gradient norm, and
FocalLogisticRegressionCV compared with a grid search.
"""

import warnings
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression, FocalLogisticRegressionCV

LARGEST_GRADIENT = 1e-4
"""Largest allowed entry of the gradient of the mean loss, including the penalty. Columns have unit variance."""


def objective_and_gradient(model, X, y, gamma):
    """``mean loss + ||coef||**2 / (2n)`` and the largest entry of its gradient, for a fitted model."""
    z, n = model.decision_function(X), X.shape[0]
    loss = FocalLoss(gamma)
    slope = loss.gradient(y, z)
    by_coef = (X.T @ slope + model.coef_[0]) / n
    return loss(y, z) + (model.coef_**2).sum() / (2 * n), max(np.abs(by_coef).max(), abs(slope.mean()))


def solved(make, X, y, gamma, objective_at_most=np.inf):
    """The largest of several tolerances that reaches the gradient norm (and the objective), and the objective there."""
    for tol in np.logspace(-2, -9, 36):
        model = make(tol).fit(X, y)
        value, largest = objective_and_gradient(model, X, y, gamma)
        if largest <= LARGEST_GRADIENT and value <= objective_at_most:
            return partial(make(tol).fit, X, y), value
    raise RuntimeError(f"{make(0.1)} does not get to a gradient of {LARGEST_GRADIENT}")


@cache
def reference(make_table):
    """A table, and scikit-learn's fit with log loss and its objective."""
    X, y = make_table()
    return X, y, *solved(lambda tol: LogisticRegression(tol=tol, max_iter=10_000), X, y, 0.0)


def pair(make_table, gamma):
    """Fits of FocalLogisticRegression at gamma and of scikit-learn's log loss."""
    X, y, theirs, reached = reference(make_table)
    ours, value = solved(
        lambda tol: FocalLogisticRegression(gamma, tol=tol, max_iter=10_000), X, y, gamma,
        reached if gamma == 0 else np.inf,
    )  # fmt: skip
    if gamma == 0:
        print(f"    objectives: ours {value:.12f}, scikit-learn {reached:.12f}")
    return ours, theirs


def dense(n, d):
    """Columns of unit variance."""
    X, y = make_classification(n, d, n_informative=d // 2, flip_y=0.05, random_state=0)
    return X / X.std(axis=0), y


def sparse_table(n=100_000, d=20_000, per_row=50):
    """A table like word counts of texts: a few columns are frequent, most are rare."""
    rng = np.random.default_rng(0)
    columns = (d * rng.random((n, per_row)) ** 3).astype(np.int32)
    X = sparse.csr_matrix((np.ones(n * per_row), columns.ravel(), np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
    X.sum_duplicates()
    z = X @ rng.normal(size=d) / 4
    return X, (z + rng.logistic(size=n) > 0).astype(int)


def table_lines():
    """Each table at gamma 0 and 2."""
    tables = [
        ("dense 200k x 40", (partial(dense, 200_000, 40), partial(dense, 50_000, 40))),
        ("dense 20k x 500", (partial(dense, 20_000, 500), partial(dense, 5_000, 500))),
        ("sparse 100k x 20k", (partial(sparse_table, 100_000), partial(sparse_table, 20_000))),
    ]
    return [
        (f"FocalLogisticRegression, gamma {gamma:g}, {name}", bound, lambda quick, t=table, g=gamma: pair(t[quick], g))
        for gamma, bound in ((0.0, 1.00), (2.0, 1.20))
        for name, table in tables
    ]


def search(n):
    """Fits of FocalLogisticRegressionCV and of GridSearchCV with the same 10 values of C and 4 of gamma, in 5 folds."""
    X, y = dense(n, 100)
    gammas, Cs = [0.0, 0.5, 1.0, 2.0], np.logspace(-4, 4, 10)
    grid = {"focal_gamma": gammas, "C": Cs}
    path = FocalLogisticRegressionCV(gammas, Cs=Cs, cv=5)
    searched = GridSearchCV(FocalLogisticRegression(), grid, scoring="neg_log_loss", cv=5)
    return partial(path.fit, X, y), partial(searched.fit, X, y)


SEARCH = "FocalLogisticRegressionCV, 10 Cs x 4 gammas, dense 20k x 100"
LINES = [*table_lines(), (SEARCH, 0.50, lambda quick: search(4_000 if quick else 20_000))]


def real_data(folder):
    """Whether both converge on unscaled columns with the default ``max_iter``, and their objectives."""
    print(
        "\nFocalLogisticRegression(0.0) and LogisticRegression() with their defaults on raw columns, medians for NaN:"
    )
    for name in ("htru2", "credit_default_tw", "polish_bankruptcy_y1"):
        path = Path(folder) / f"{name}.npz"
        if not path.exists():
            print(f"  {name}: not in {folder}")
            continue
        data = np.load(path)
        X = data["X"].astype(float)
        X, y = np.where(np.isnan(X), np.nanmedian(X, axis=0), X), data["y"]
        for model in (FocalLogisticRegression(0.0), LogisticRegression()):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X, y)
            stopped = any(issubclass(w.category, ConvergenceWarning) for w in caught)
            value, _ = objective_and_gradient(model, X, y, 0.0)
            print(f"  {name:<22} {type(model).__name__:<24} objective {value:.6f} after {int(model.n_iter_[0]):>3} "
                  f"iterations, {'stopped unconverged' if stopped else 'converged'}")  # fmt: skip
