"""``FocalLogisticRegression``. May import ``_common``, the other files of this folder and scikit-learn."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.classifier import CALIBRATION_DOC, PARAMETERS_DOC, FocalClassifierMixin
from skfocal._common.labels import encode_labels, resolve_class_weight
from skfocal._kernels.arguments import check_sample_weight, is_number
from skfocal._kernels.blocks import Array
from skfocal.linear_model._blas import scipy_on_one_thread
from skfocal.linear_model._objective import LinearObjective

SOLVERS = ("lbfgs", "trust-krylov", "trust-exact")

WHITEN_EVERY = 10
"""Iterations of L-BFGS between two looks at the curvature, more for many columns and times the number of scores, whose
coupling L-BFGS has to learn between looks. Most problems are solved by then; on
columns of heavy tails, whose large values stop counting once they are fitted, the first look misleads."""

WHITEN_AT_ONCE = 100
"""Columns up to which the first look at the curvature comes before the first iteration: with more it costs as much as
several of them, and columns that hardly correlate do without."""

OUT_OF_ITERATIONS = 1
"""SciPy's status of L-BFGS-B for having reached ``maxiter``."""


class FocalLogisticRegression(ClassifierMixin, FocalClassifierMixin, BaseEstimator):
    __doc__ = f"""Logistic regression trained with the focal loss.

    scikit-learn's ``LogisticRegression`` with another loss: it minimises ``C * sum of focal losses + penalty``,
    with the penalty ``(1 - l1_ratio)/2 * ||coef||_2^2 + l1_ratio * ||coef||_1``; ``focal_gamma=0`` gives its
    coefficients. Two classes have one score and the sigmoid, K > 2 have K scores and the softmax.

    Parameters
    ----------{PARAMETERS_DOC}
    C : float, default=1.0
        Inverse of the regularisation strength, > 0; ``inf`` is no regularisation.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, in [0, 1]: 0 is ridge, 1 lasso, in between elastic net. Above 0 needs
        ``solver="lbfgs"``.
    class_weight : dict, "balanced" or None, default=None
        As in ``LogisticRegression``: multiplies the sample weights. Not rescaled, unlike ``focal_alpha``; both
        may be given.{CALIBRATION_DOC}
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is not penalised.
    solver : {{"lbfgs", "trust-krylov", "trust-exact"}}, default="lbfgs"
        Of ``scipy.optimize.minimize``: "lbfgs" (L-BFGS-B) suits all sizes, "trust-krylov" uses products with the
        exact Hessian and is for high precision, "trust-exact" forms the Hessian and is for few features.
    max_iter : int, default=100
        Most iterations of the solver.
    tol : float, default=1e-4
        The solver stops when the largest entry of the gradient (its norm, with the trust-region solvers) is at
        most this. The objective is measured in mean losses of a constant score, and the unknowns are scaled to unit
        curvature there.
    warm_start : bool, default=False
        Whether ``fit`` starts at the last solution.
    verbose : int, default=0
        Above 0: print the objective after each iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients, float32 if X was, else float64.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    n_iter_ : ndarray of shape (1,)
        Iterations the solver took.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Only if X had string column names.
    focal_loss_ : FocalLoss
        The loss that was minimised, ``focal_alpha`` resolved to one weight per class.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class: what ``calibration="full"`` undoes.

    Notes
    -----
    Internally every unknown is scaled by the spread of its column and the columns are centred (in the algebra:
    X is neither copied nor made dense), which leaves the solution where it is and lets the solver converge on
    columns of any units. The focal loss is not convex in the coefficients; the solver starts at the optimal
    constant.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017,
    https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.linear_model import FocalLogisticRegression
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalLogisticRegression(focal_gamma=2.0).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    coef_: Array
    intercept_: Array

    def __init__(
        self,
        focal_gamma: Any = 2.0,
        focal_alpha: Any = None,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        class_weight: Any = None,
        calibration: Any = "focus",
        fit_intercept: bool = True,
        solver: str = "lbfgs",
        max_iter: int = 100,
        tol: float = 1e-4,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.C = C
        self.l1_ratio = l1_ratio
        self.class_weight = class_weight
        self.calibration = calibration
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self) -> None:
        self._check_focal_parameters()
        for name, legal, is_legal in (
            ("C", "a number > 0 (inf: no penalty)", lambda v: is_number(v) and v > 0),
            ("l1_ratio", "a number in [0, 1]", lambda v: is_number(v) and 0 <= v <= 1),
            ("fit_intercept", "True or False", lambda v: isinstance(v, (bool, np.bool_))),
            ("solver", f"one of {SOLVERS}", lambda v: isinstance(v, str) and v in SOLVERS),
            ("max_iter", "an integer >= 1", lambda v: isinstance(v, Integral) and is_number(v) and int(v) >= 1),
            ("tol", "a finite number > 0", lambda v: is_number(v) and 0 < v < np.inf),
            ("warm_start", "True or False", lambda v: isinstance(v, (bool, np.bool_))),
            ("verbose", "an integer >= 0 or a bool", lambda v: isinstance(v, (Integral, np.bool_)) and int(v) >= 0),
        ):
            value = getattr(self, name)
            if not is_legal(value):
                raise ValueError(f"{name} must be {legal}, got {value!r}")
        if self.l1_ratio > 0 and self.solver != "lbfgs":
            raise ValueError(
                f"l1_ratio must be 0 for solver={self.solver!r}, got {self.l1_ratio!r}; use solver='lbfgs'"
            )

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> FocalLogisticRegression:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite numbers; float32 and float64 are kept, everything else becomes float64.
        y : array-like of shape (n_samples,)
            Labels of two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, X, y or sample_weight is not as described here.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], multi_output=False)
        classes, indices = encode_labels(y)
        weight = check_sample_weight(sample_weight, X.shape[0], np.float64)
        outer = resolve_class_weight(self.class_weight, classes, indices, weight)
        loss = self._build_loss(classes, indices, weight, outer)
        if self.class_weight is not None:
            weight = outer[indices] if weight is None else weight * outer[indices]
        n_scores = 1 if classes.shape[0] == 2 else classes.shape[0]
        # The solvers need the objective to more digits than float32 sums have.
        X64 = X.astype(np.float64, copy=False)
        objective = LinearObjective(
            X64, loss.on(indices, n_scores, weight), weight, n_scores, self.C, self.l1_ratio, self.fit_intercept
        )
        coef, intercept = np.zeros((n_scores, X.shape[1])), np.zeros(n_scores)
        if self.warm_start and getattr(self, "coef_", coef[:0]).shape == coef.shape:
            coef, intercept = self.coef_.astype(np.float64), self.intercept_.astype(np.float64)
        elif self.fit_intercept:
            totals = np.bincount(indices, weights=weight, minlength=classes.shape[0])
            intercept[:] = loss.optimal_scores(totals)
        objective.scale_at(intercept)
        coef, intercept, n_iter = self._solve(objective, coef, intercept)

        self.classes_, self.focal_loss_ = classes, loss
        self.coef_ = coef.astype(X.dtype, copy=False)
        self.intercept_ = intercept.astype(X.dtype, copy=False)
        self.n_iter_ = np.array([n_iter], dtype=np.int32)
        return self

    def _solve(self, objective: LinearObjective, coef: Array, intercept: Array) -> tuple[Array, Array, int]:
        options: dict[str, Any] = {"maxiter": self.max_iter, "gtol": self.tol}
        keywords: dict[str, Any] = {}
        if self.solver == "lbfgs":
            method = "L-BFGS-B"
            # 64 eps, as in scikit-learn: below that the objective's own rounding decides. 50 line-search steps
            # rather than 20: the first step is from the origin, where the scaling knows least. 100 curvature pairs
            # rather than 10 halve the iterations on correlated columns; with many unknowns their products would
            # cost as much as X's.
            pairs = min(100, max(10, 200_000 // (objective.n_features * objective.n_scores)))
            options |= {"ftol": 64 * np.finfo(float).eps, "maxls": 50, "maxcor": pairs}
            keywords["bounds"] = objective.bounds
        else:
            method = self.solver
            keywords["hessp" if method == "trust-krylov" else "hess"] = (
                objective.hessian_product if method == "trust-krylov" else objective.hessian
            )
        if self.verbose:
            keywords["callback"] = _Printer(self.solver)
        # trust-krylov multiplies memory that it has not filled yet by 0 before it writes there (scipy up to 1.18): the
        # result is right, but what chance left in that memory, NaN or a number near the largest, would warn.
        whitens = self.solver == "lbfgs" and objective.can_be_whitened
        n_iter = 0
        while True:
            if whitens:
                if n_iter > 0 or objective.n_features <= WHITEN_AT_ONCE:
                    objective.whiten_at(coef, intercept)
                options["maxiter"] = min(
                    max(WHITEN_EVERY * objective.n_scores, objective.n_features // 10), self.max_iter - n_iter
                )
            unfilled: Any = "ignore" if method == "trust-krylov" else None
            with np.errstate(invalid=unfilled, over=unfilled), scipy_on_one_thread():
                result = optimize.minimize(
                    objective, objective.pack(coef, intercept), jac=True, method=method, options=options, **keywords
                )
            n_iter += int(result.nit)
            coef, intercept = objective.unpack(result.x)
            if not (whitens and result.status == OUT_OF_ITERATIONS and n_iter < self.max_iter):
                break
        if not result.success:
            self._warn_unless_exact(result, objective, n_iter)
        return coef, intercept, n_iter

    def _warn_unless_exact(self, result: Any, objective: LinearObjective, n_iter: int) -> None:
        size = objective.optimality(result.x, result.jac)
        out_of_steps = n_iter >= self.max_iter
        # The unknowns have curvature 1, so a step could gain size**2 / 2 at most: where that is less than the
        # rounding of the objective, the solver has converged.
        if size**2 <= 64 * np.finfo(float).eps * max(1.0, abs(result.fun)):
            return
        advice = (
            f"Raise max_iter (now {self.max_iter}) or tol (now {self.tol:g}), or lower C (now {self.C:g})"
            if out_of_steps
            else f"It can get no closer in float64: raise tol (now {self.tol:g}), or lower C (now {self.C:g})"
        )
        warnings.warn(
            f"{self.solver} did not converge after {n_iter} iterations: the largest entry of the gradient is "
            f"{size:.1e}. {advice}.",
            ConvergenceWarning,
            stacklevel=4,
        )

    def decision_function(self, X: Any) -> Array:
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one score, > 0 where the second of ``classes_`` is decided for.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        scores = X @ self.coef_.T + self.intercept_
        scores = scores.toarray() if sparse.issparse(scores) else np.asarray(scores)
        return scores[:, 0] if self.coef_.shape[0] == 1 else scores

    def predict(self, X: Any) -> Array:
        """Labels that the scores decide for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._labels(self.decision_function(X))

    def predict_proba(self, X: Any) -> Array:
        """Class probabilities, corrected as ``calibration`` says.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._probabilities(self.decision_function(X))


class _Printer:
    """Prints the objective after each iteration."""

    def __init__(self, solver: str) -> None:
        self.solver, self.iteration = solver, 0

    def __call__(self, intermediate_result: optimize.OptimizeResult) -> None:
        self.iteration += 1
        print(f"{self.solver} iteration {self.iteration}: objective {intermediate_result.fun:.10g}")
