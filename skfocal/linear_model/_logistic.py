"""``FocalLogisticRegression``. May import ``_common``, the other files of this folder and scikit-learn."""

from __future__ import annotations

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
from skfocal._common.several_labels import refuse_several_labels
from skfocal._common.state import learning, undisturbed
from skfocal._common.warning import warn_user
from skfocal._kernels.arguments import check_sample_weight, is_number
from skfocal._kernels.blocks import Array
from skfocal.linear_model._design import Columns, Rows
from skfocal.linear_model._drop_in import SOLVER_INSTEAD, DropInMixin, names_the_way
from skfocal.linear_model._objective import LinearObjective, at_constant
from skfocal.linear_model._solve import SOLVERS, minimize, point_at


class FocalLogisticRegression(ClassifierMixin, FocalClassifierMixin, DropInMixin, BaseEstimator):
    __doc__ = f"""Logistic regression trained with the focal loss.

    It is like scikit-learn's ``LogisticRegression``, but with the focal loss. It minimizes ``C * sum of focal losses +
    penalty``, where the penalty is ``(1 - l1_ratio)/2 * ||coef||_2^2 + l1_ratio * ||coef||_1``. With ``focal_gamma=0``
    the coefficients are those of ``LogisticRegression``. Two classes have one score and the sigmoid link. K > 2 classes
    have K scores and the softmax link.

    Parameters
    ----------{PARAMETERS_DOC}
    C : float, default=1.0
        Inverse of the regularization strength, > 0. ``inf`` means no regularization.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, in [0, 1]. 0 is ridge, 1 is lasso, and values in between are elastic net. Values above
        0 need ``solver="lbfgs"``.
    class_weight : dict, "balanced" or None, default=None
        Class weights, which are multiplied with the sample weights as in ``LogisticRegression``. Unlike ``focal_alpha``
        they are not rescaled. Both parameters can be given.{CALIBRATION_DOC}
    fit_intercept : bool, default=True
        Whether to fit an intercept. The intercept is not penalized.
    solver : {{"lbfgs", "trust-krylov", "trust-exact"}}, default="lbfgs"
        Method of ``scipy.optimize.minimize``. "lbfgs" is L-BFGS-B and suits all sizes. "trust-krylov" uses products
        with the exact Hessian. "trust-exact" computes the Hessian and is for few features. A solver that stops with a
        gradient above ``tol`` is continued by Newton's method, so that all solvers reach the same precision.
    max_iter : int, default=100
        Maximum number of iterations of the solver. With 0 the model is the optimal constant, at which the solver
        starts.
    tol : float, default=1e-4
        The fit ends when the largest absolute entry of the gradient is at most ``tol``. With L1 it is that of the
        shortest subgradient. If the gradient remains larger, a ``ConvergenceWarning`` reports its size. The gradient is
        that of the objective divided by the mean loss of the best constant score, with respect to unknowns that are
        scaled to unit curvature at this score.
    warm_start : bool, default=False
        Whether ``fit`` starts at the last solution. It does so only if the objective there is lower than at the optimal
        constant.
    verbose : int, default=0
        If > 0, the objective is printed after each iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients. They are float32 if X was float32, and float64 otherwise. With several classes and without L1, the
        coefficients of each feature sum to 0.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    n_iter_ : ndarray of shape (1,)
        Number of iterations of the solver.
    n_features_in_ : int
        Number of features in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features in ``fit``. Only if all of them are strings.
    focal_loss_ : FocalLoss
        The loss that was minimized. Its ``alpha`` has one weight per class, computed from ``focal_alpha``.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class. ``calibration="full"`` corrects for these weights.

    Notes
    -----
    Internally, the columns are centered and each coefficient is scaled by the spread of its column. This does not
    change the solution, and it lets the solver converge for columns of any units. X is neither copied nor made dense;
    float32 data are converted to float64 in blocks of rows. The focal loss is not convex in the coefficients. The
    solver starts at the optimal constant.

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

    coef_: Any
    intercept_: Array

    @names_the_way
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
            ("max_iter", "an integer >= 0", lambda v: isinstance(v, Integral) and is_number(v) and int(v) >= 0),
            ("tol", "a finite number > 0", lambda v: is_number(v) and 0 < v < np.inf),
            ("warm_start", "True or False", lambda v: isinstance(v, (bool, np.bool_))),
            ("verbose", "an integer >= 0 or a bool", lambda v: isinstance(v, (Integral, np.bool_)) and int(v) >= 0),
        ):
            value = getattr(self, name)
            if not is_legal(value):
                way = f"; use solver={SOLVER_INSTEAD[value]!r}" if name == "solver" and value in SOLVER_INSTEAD else ""
                raise ValueError(f"{name} must be {legal}, got {value!r}{way}")
        if self.l1_ratio > 0 and self.solver != "lbfgs":
            raise ValueError(
                f"l1_ratio must be 0 for solver={self.solver!r}, got {self.l1_ratio!r}; use solver='lbfgs'"
            )

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> FocalLogisticRegression:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite numbers. Data types other than float32 and float64 are converted to float64.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
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
        # Underflow is expected in the formulas: the weight of an easy row can be 0.
        with learning(self) as model, np.errstate(under="ignore"):
            model._fit(X, y, sample_weight)
        return self

    def _fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> None:
        refuse_several_labels(y)
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=False)
        X = _floats(X)
        classes, indices = encode_labels(y)
        self._fit_rows(Rows(X, classes, indices, check_sample_weight(sample_weight, X.shape[0], np.float64)))

    def _fit_rows(self, rows: Rows, tol: float | None = None) -> None:
        """Fit until the largest entry of the gradient is at most ``tol``, by default ``self.tol``.

        There is a warning only if the gradient stays above ``self.tol``.
        """
        objective, constant = self._objective_on(rows)
        # If the last solution had a much weaker regularization, the constant can be the better start.
        start = min(
            (objective.pack(*start) for start in self._starts(constant, rows.X.shape[1])),
            key=lambda x: point_at(objective, x).value,
        )
        callback = _Printer(self.solver) if self.verbose else None
        end, n_iter = minimize(objective, start, self.solver, self.max_iter, self.tol if tol is None else tol, callback)
        if not end.optimality <= self.tol:
            self._warn(end.optimality, n_iter)
        self._set_solution(rows, *objective.unpack(end.x))
        self.n_iter_ = np.array([n_iter], dtype=np.int32)

    def _bind_loss(self, rows: Rows) -> Array | None:
        """Set ``focal_loss_``. Returns ``sample_weight`` times ``class_weight`` of each row, or None if all are 1."""
        outer = resolve_class_weight(self.class_weight, rows.classes, rows.indices, rows.weight)
        self.focal_loss_ = self._build_loss(rows.classes, rows.indices, rows.weight, outer)
        if self.class_weight is None:
            return rows.weight
        weight: Array = outer[rows.indices]
        return weight if rows.weight is None else rows.weight * weight

    def _objective_on(self, rows: Rows) -> tuple[LinearObjective, Array]:
        """Set ``focal_loss_``. Returns the objective and the best constant scores."""
        weight = self._bind_loss(rows)
        loss, n_classes = self.focal_loss_, rows.classes.shape[0]
        n_scores = 1 if n_classes == 2 else n_classes
        totals = np.bincount(rows.indices, weights=weight, minlength=n_classes)
        constant = np.zeros(n_scores)
        if self.fit_intercept:
            constant[:] = loss.optimal_scores(totals)
        unit, curvature = at_constant(loss, totals, constant)
        columns, data = Columns(rows.X, weight, self.fit_intercept), loss.on(rows.indices, n_scores, weight)
        return LinearObjective(columns, data, n_scores, unit, curvature, self.C, self.l1_ratio), constant

    def _set_solution(self, rows: Rows, coef: Array, intercept: Array) -> None:
        self.classes_ = rows.classes
        self.coef_ = coef.astype(rows.X.dtype, copy=False)
        self.intercept_ = intercept.astype(rows.X.dtype, copy=False)

    def _starts(self, constant: Array, n_features: int) -> list[tuple[Array, Array]]:
        """Candidates for the start, as coefficients and intercepts: the constant and, with ``warm_start``, the last
        solution if its shape fits.
        """
        shape = constant.shape[0], n_features
        starts = [(np.zeros(shape), constant)]
        if self.warm_start and getattr(self, "coef_", constant[:0]).shape == shape:
            coef = self.coef_.toarray() if sparse.issparse(self.coef_) else self.coef_
            intercept = self.intercept_ if self.fit_intercept else constant
            starts.append((coef.astype(np.float64), intercept.astype(np.float64)))
        return starts

    def _warn(self, size: float, n_iter: int) -> None:
        what_to_do = (
            f"Raise max_iter (now {self.max_iter}) or tol (now {self.tol:g}), or lower C (now {self.C:g})"
            if n_iter >= self.max_iter
            else f"It can get no closer in float64: raise tol (now {self.tol:g}), or lower C (now {self.C:g})"
        )
        warn_user(
            f"{self.solver} did not converge after {n_iter} iterations: the largest entry of the gradient is "
            f"{size:.1e}. {what_to_do}.",
            ConvergenceWarning,
        )

    @undisturbed
    def decision_function(self, X: Any) -> Array:
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes there is one score per row; it is > 0 where the prediction is the second of ``classes_``.
        """
        check_is_fitted(self)
        X = _floats(validate_data(self, X, accept_sparse="csr", reset=False))
        # Scores may be infinite, as in LogisticRegression.
        with np.errstate(under="ignore", over="ignore", invalid="ignore"):
            scores = X @ self.coef_.T
            scores = (scores.toarray() if sparse.issparse(scores) else np.asarray(scores)) + self.intercept_
        return scores[:, 0] if self.coef_.shape[0] == 1 else scores

    @undisturbed
    def predict(self, X: Any) -> Array:
        """Predicted labels, decided by the raw scores.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._labels(self.decision_function(X))

    @undisturbed
    def predict_proba(self, X: Any) -> Array:
        """Class probabilities, with the correction that ``calibration`` selects.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        scores = self.decision_function(X)
        if np.isnan(scores).any():
            raise ValueError(
                "X must have numbers whose scores fit float64: got a row whose score is infinity less infinity"
            )
        largest = np.finfo(scores.dtype).max
        return self._probabilities(np.clip(scores, -largest, largest))


def _floats(X: Any) -> Any:
    """X as float64 or float32. scikit-learn has already checked X with ``dtype="numeric"``.

    If scikit-learn's check had a float dtype, it would also convert texts and dates.
    """
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must hold numbers, got dtype {X.dtype}")
    return X if X.dtype in (np.float64, np.float32) else X.astype(np.float64)


class _Printer:
    """Prints the objective after each iteration."""

    def __init__(self, solver: str) -> None:
        self.solver, self.iteration = solver, 0

    def __call__(self, intermediate_result: optimize.OptimizeResult) -> None:
        self.iteration += 1
        print(f"{self.solver} iteration {self.iteration}: objective {intermediate_result.fun:.10g}")
