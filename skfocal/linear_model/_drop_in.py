"""Methods and attributes that code for scikit-learn's ``LogisticRegression`` expects. May import NumPy, SciPy and
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, Self

from scipy import sparse
from sklearn.utils.validation import check_is_fitted

P = ParamSpec("P")

INSTEAD = {
    "penalty": "l1_ratio=0 is 'l2', l1_ratio=1 is 'l1', a number in between is 'elasticnet', and C=inf is None",
    "n_jobs": "leave it out, a fit runs on the threads of NumPy's linear algebra",
    "random_state": "leave it out, nothing is random here",
    "dual": "leave it out, the primal problem is solved",
    "intercept_scaling": "leave it out, the intercept is not penalized",
    "multi_class": "leave it out, several classes are multinomial; for one-vs-rest see sklearn.multiclass",
    "gamma": "write focal_gamma",
    "alpha": "write focal_alpha for the class weights, C for the strength of the penalty",
}
"""Parameters of ``LogisticRegression`` and of other focal losses, and their replacement."""

INSTEAD_OF_CV = {name: way for name, way in INSTEAD.items() if name != "n_jobs"} | {
    "penalty": "l1_ratios=[0] is 'l2', l1_ratios=[1] is 'l1', numbers in between are 'elasticnet'",
    "C": "write Cs=[...], the candidates",
    "l1_ratio": "write l1_ratios=[...], the candidates",
    "focal_gamma": "write focal_gammas=[...], the candidates",
    "gamma": "write focal_gammas=[...], the candidates",
    "alpha": "write focal_alpha for the class weights, Cs for the strength of the penalty",
    "warm_start": "leave it out, each fit starts at its neighbor's solution",
    "use_legacy_attributes": "leave it out, attributes are as with use_legacy_attributes=False",
}
"""Parameters of ``LogisticRegressionCV`` and of other focal losses, and their replacement."""

SOLVER_INSTEAD = {
    "liblinear": "lbfgs", "sag": "lbfgs", "saga": "lbfgs", "newton-cg": "trust-krylov", "newton-cholesky": "trust-exact"
}  # fmt: skip
"""Solvers of ``LogisticRegression``, and their replacement."""


def names_the_way(init: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Decorator of ``__init__``: an unknown parameter raises an error that names its replacement."""

    @wraps(init)
    def checked(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        for name in self._instead.keys() & kwargs.keys():
            raise TypeError(_no_parameter(self, name, kwargs[name]))
        init(self, *args, **kwargs)

    return checked


def _no_parameter(estimator: Any, name: str, value: Any) -> str:
    return f"{type(estimator).__name__} has no parameter {name}, got {name}={value!r}: {estimator._instead[name]}"


def penalty_named(*l1_ratios: float) -> str:
    """Name of the penalty in ``LogisticRegression``. Several ratios have one name, "elasticnet" if they differ."""
    if all(ratio == 0 for ratio in l1_ratios):
        return "l2"
    return "l1" if all(ratio == 1 for ratio in l1_ratios) else "elasticnet"


class DropInMixin:
    """Methods and attributes of ``LogisticRegression`` that other classifiers do not have."""

    coef_: Any
    l1_ratio: float
    _instead: ClassVar[dict[str, str]] = INSTEAD

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params
            Names and values of the parameters.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter does not exist.
        """
        known = self._get_param_names()  # type: ignore[attr-defined]
        for name in self._instead.keys() & (params.keys() - set(known)):
            raise ValueError(_no_parameter(self, name, params[name]))
        super().set_params(**params)  # type: ignore[misc]
        return self

    @property
    def penalty(self) -> str:
        """Name of the penalty, which ``l1_ratio`` determines: "l2", "l1" or "elasticnet". Not a parameter.

        ``sklearn.feature_selection.SelectFromModel`` reads it in order to keep the features with nonzero coefficients.
        """
        return penalty_named(self.l1_ratio)

    def sparsify(self) -> Self:
        """Convert ``coef_`` to a CSR array, which needs less memory if most coefficients are 0.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if not sparse.issparse(self.coef_):
            self.coef_ = sparse.csr_array(self.coef_)
        return self

    def densify(self) -> Self:
        """Convert ``coef_`` to a dense array, as it is after ``fit``.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self
