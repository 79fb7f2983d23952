"""``FocalLogisticRegressionCV``. May import ``_common``, the other files of this folder, scikit-learn and joblib."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.classifier import ALPHA_DOC, CALIBRATION_DOC
from skfocal._common.labels import encode_labels
from skfocal._common.state import learning
from skfocal._common.validation import check_bool
from skfocal._common.warning import warn_user
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array
from skfocal.linear_model._candidates import (
    Grid,
    check_grid,
    check_scorer,
    check_takes_weights,
    choose,
    choose_by_fold,
    folds_of,
)
from skfocal.linear_model._design import Rows
from skfocal.linear_model._drop_in import INSTEAD_OF_CV, names_the_way, penalty_named
from skfocal.linear_model._logistic import FocalLogisticRegression
from skfocal.linear_model._path import Path, Scorer, fit_and_score

REFIT_TOL = 1e-4
"""Factor of ``tol`` for the last fit. There is one such fit among hundreds, so more digits cost little. Separated
classes choose C = 1e4. There ``tol=1e-4`` leaves five digits of the coefficients correct, and the result depends on the
rounding, and therefore on the order of the rows."""


class FocalLogisticRegressionCV(FocalLogisticRegression):
    __doc__ = f"""``FocalLogisticRegression`` with gamma and the penalty chosen by cross-validation.

    This class corresponds to scikit-learn's ``LogisticRegressionCV``. In addition to ``Cs`` and ``l1_ratios`` it has
    ``focal_gammas``. It chooses the same candidate as ``GridSearchCV(FocalLogisticRegression(), ...)`` in less time:
    the fits go through the values of C in ascending order, and each fit starts at the solution of the previous fit.

    Parameters
    ----------
    focal_gammas : array-like of shape (n_focal_gammas,), default=(0.0, 0.5, 1.0, 2.0)
        Candidates for the focusing parameter, each from 0 to 100. 0 is log loss. A candidate may also be a sequence
        of one number per class, in the order of ``classes_``.{ALPHA_DOC.rstrip()}
        In each fold, the weights are computed from the training rows.
    Cs : int or array-like of shape (n_cs,), default=10
        Candidates for the inverse of the regularization strength, each > 0; ``inf`` means no regularization. An integer
        is the number of candidates, which are spaced evenly on a log scale from 1e-4 to 1e4.
    l1_ratios : array-like of shape (n_l1_ratios,), default=(0.0,)
        Candidates for the share of the L1 penalty, each in [0, 1]. Values above 0 require ``solver="lbfgs"``.
    class_weight : dict, "balanced" or None, default=None
        Class weights, as in `FocalLogisticRegression`. In each fold, "balanced" is computed from the training
        rows.{CALIBRATION_DOC.rstrip()}
        The scores of the folds are computed from these probabilities.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is not penalized.
    cv : int, cross-validation generator or iterable of (train, test), default=None
        The folds. An integer is the number of stratified folds. None stands for 5. If no class has 5 rows, None stands
        for the number of rows of the largest class.
    scoring : str, callable or None, default="neg_log_loss"
        The score by which candidates are compared: the name of a scorer of scikit-learn, or a function
        ``scorer(estimator, X, y)`` whose value is higher for better models. None stands for accuracy. The default is
        computed from the probabilities of ``predict_proba``.
    solver : {{"lbfgs", "trust-krylov", "trust-exact"}}, default="lbfgs"
        The optimizer, as in `FocalLogisticRegression`.
    max_iter : int, default=100
        Maximum number of iterations of each fit.
    tol : float, default=1e-4
        A fit ends when the largest entry of the gradient is at most ``tol``, as in `FocalLogisticRegression`. The last
        fit, which uses all rows, continues to ``1e-4 * tol`` if ``max_iter`` and float64 permit it.
    n_jobs : int or None, default=None
        Number of processes. Each combination of fold, gamma and ``l1_ratio`` is one task, which fits all values of C.
        None stands for 1, and -1 for all cores.
    refit : bool, default=True
        True: the candidate with the best mean score is fitted to all rows, as `FocalLogisticRegression` does it. False:
        the gamma with the best mean score is chosen, and each fold chooses C and ``l1_ratio`` for this gamma by its own
        scores. The coefficients, C and ``l1_ratio`` are then means over the folds.
    verbose : int, default=0
        If it is > 0, joblib reports its progress.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients, float32 if X was float32, otherwise float64.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    C_ : float
        The chosen C. With ``refit=False``, the mean over the folds.
    focal_gamma_ : float or ndarray of shape (n_classes,)
        The chosen gamma.
    l1_ratio_ : float
        The chosen ``l1_ratio``. With ``refit=False``, the mean over the folds.
    Cs_ : ndarray of shape (n_cs,)
    focal_gammas_ : ndarray of shape (n_focal_gammas,) or (n_focal_gammas, n_classes)
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
    scores_ : ndarray of shape (n_folds, n_focal_gammas, n_l1_ratios, n_cs)
        Score of each fit on the held-out rows of its fold.
    coefs_paths_ : ndarray of shape (n_folds, n_focal_gammas, n_l1_ratios, n_cs, 1 or n_classes, n_features + 1)
        Coefficients of each fit, followed by the intercept. Without an intercept, the last axis has n_features entries.
    n_iter_ : ndarray of shape (n_folds, n_focal_gammas, n_l1_ratios, n_cs)
        Number of iterations of each fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Exists only if X had string column names.
    focal_loss_ : FocalLoss
        The loss with the chosen gamma. Its alpha is ``focal_alpha`` as one weight per class.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class. ``calibration="full"`` corrects for these weights.

    Notes
    -----
    The attributes have the shapes of scikit-learn's ``LogisticRegressionCV`` with ``use_legacy_attributes=False``,
    except for the additional axis of the gammas. If several candidates have the same mean score, the first is chosen.
    The candidates are ordered by ``Cs``, then by ``focal_gammas``, then by ``l1_ratios``, as in ``GridSearchCV``. NaN
    is the worst score.

    ``sample_weight`` is used in the fits and in the scores, as in ``LogisticRegressionCV``. ``GridSearchCV`` uses it in
    the fits only. With metadata routing, the scorer receives ``sample_weight`` if it requests it.

    If a class has no training rows in a fold, it is treated as a class whose rows have the weight 0. If a class has no
    held-out rows in a fold, metrics of probabilities receive all classes in their parameter ``labels``.

    The focal loss is not convex in the coefficients. A fit starts at the solution for the previous C, or at the best
    constant scores if the objective is smaller there.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017,
    https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.linear_model import FocalLogisticRegressionCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalLogisticRegressionCV(focal_gammas=[0.0, 2.0], Cs=[0.01, 1.0, 100.0], max_iter=1000).fit(X, y)
    >>> clf.scores_.shape
    (5, 2, 1, 3)
    >>> clf.C_ in (0.01, 1.0, 100.0)
    True
    """

    C_: float
    l1_ratio_: float
    focal_gamma_: Any
    scores_: Array
    coefs_paths_: Array
    _instead = INSTEAD_OF_CV
    focal_parameters = ("focal_gammas", "focal_alpha", "calibration")
    # `score` passes on the metadata that the scorer requests, and requests none itself.
    __metadata_request__score = {"sample_weight": UNUSED}

    @names_the_way
    def __init__(
        self,
        focal_gammas: Any = (0.0, 0.5, 1.0, 2.0),
        focal_alpha: Any = None,
        *,
        Cs: Any = 10,
        l1_ratios: Any = (0.0,),
        class_weight: Any = None,
        calibration: Any = "focus",
        fit_intercept: bool = True,
        cv: Any = None,
        scoring: Any = "neg_log_loss",
        solver: str = "lbfgs",
        max_iter: int = 100,
        tol: float = 1e-4,
        n_jobs: int | None = None,
        refit: bool = True,
        verbose: int = 0,
    ) -> None:
        self.focal_gammas = focal_gammas
        self.focal_alpha = focal_alpha
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.class_weight = class_weight
        self.calibration = calibration
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.refit = refit
        self.verbose = verbose

    @property
    def penalty(self) -> str:
        """Name of the penalty of the chosen ``l1_ratio``. Before ``fit``, one name for all ``l1_ratios``.

        It is an attribute, not a parameter.
        """
        return penalty_named(*([self.l1_ratio_] if hasattr(self, "l1_ratio_") else self.l1_ratios))

    def _check_candidates(self) -> Grid:
        """Check the candidates, as far as this is possible without data."""
        grid = check_grid(self.focal_gammas, self.l1_ratios, self.Cs)
        self._candidate(grid.gammas[0], 0.0, grid.Cs[0])._check_parameters()
        if any(grid.l1_ratios) and self.solver != "lbfgs":
            raise ValueError(
                f"l1_ratios must be 0 for solver={self.solver!r}, got {self.l1_ratios!r}; use solver='lbfgs'"
            )
        check_bool(self.refit, "refit")
        if not (self.n_jobs is None or (isinstance(self.n_jobs, Integral) and self.n_jobs != 0)):
            raise ValueError(f"n_jobs must be None or an integer other than 0, got {self.n_jobs!r}")
        return grid

    def _candidate(self, gamma: Any, l1_ratio: float, C: float) -> FocalLogisticRegression:
        shared = self.get_params(deep=False)
        for name in ("focal_gammas", "l1_ratios", "Cs", "cv", "scoring", "n_jobs", "refit"):
            del shared[name]
        return FocalLogisticRegression(gamma, C=C, l1_ratio=l1_ratio, **shared)

    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any
    ) -> FocalLogisticRegressionCV:
        """Choose gamma, C and ``l1_ratio``, and fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite numbers. float32 stays float32, and all other types are converted to float64.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0. They are used in the fits and in the scores.
        **params
            Arguments that the splitter and the scorer request, for example ``groups``. They require
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, X, y or sample_weight is not as described here, or if the score of every candidate is NaN.
        """
        grid = self._check_candidates()
        # Underflow is expected: the weight of an easy row can be 0.
        with learning(self) as model, np.errstate(under="ignore"):
            model._fit_grid(grid, X, y, sample_weight, params)
        return self

    def _fit_grid(
        self, grid: Grid, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, params: dict[str, Any]
    ) -> None:
        scorer = self._scorer()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], multi_output=False)
        rows = Rows(X, *encode_labels(y), check_sample_weight(sample_weight, X.shape[0], np.float64))
        self._check_on(rows, grid)
        for_splits, for_scores = self._routed("fit", rows.weight, params)
        folds = folds_of(self.cv, rows, for_splits)
        paths = self._in_parallel(
            (self._candidate(gamma, l1_ratio, 1.0), grid.Cs, rows, *fold, scorer, _taken(for_scores, fold[1], rows))
            for fold, gamma, l1_ratio in product(folds, grid.gammas, grid.l1_ratios)
        )
        shape = len(folds), len(grid.gammas), len(grid.l1_ratios)
        by_kind = [np.array(parts) for parts in zip(*paths, strict=True)]
        scores, coefs, n_iter, optimality = (parts.reshape(*shape, *parts.shape[1:]) for parts in by_kind)
        self._warn_of(optimality)
        if self.refit:
            g, r, c = choose(scores)
            l1_ratio, C = grid.l1_ratios[r], grid.Cs[c]
            model = self._candidate(grid.gammas[g], l1_ratio, C)
            model._fit_rows(rows, REFIT_TOL * self.tol)
        else:
            g, of_folds = choose_by_fold(scores)
            l1_ratio = float(np.mean([grid.l1_ratios[r] for r, _ in of_folds]))
            C = float(np.mean([grid.Cs[c] for _, c in of_folds]))
            mean = np.mean([coefs[fold, g, r, c] for fold, (r, c) in enumerate(of_folds)], axis=0)
            d = X.shape[1]
            model = self._candidate(grid.gammas[g], l1_ratio, C)
            model._bind_loss(rows)
            model._set_solution(rows, mean[:, :d], mean[:, d] if self.fit_intercept else np.zeros(mean.shape[0]))
        for name in ("classes_", "coef_", "intercept_", "focal_loss_", "class_weights_"):
            setattr(self, name, getattr(model, name))
        self.C_, self.l1_ratio_ = C, l1_ratio
        self.Cs_, self.l1_ratios_ = np.array(grid.Cs), np.array(grid.l1_ratios)
        self.focal_gammas_ = np.array(np.broadcast_arrays(*grid.gammas))
        self.focal_gamma_ = self.focal_gammas_[g] if self.focal_gammas_.ndim > 1 else float(self.focal_gammas_[g])
        self.scores_, self.coefs_paths_, self.n_iter_ = scores, coefs, n_iter

    def _in_parallel(self, calls: Iterable[tuple[Any, ...]]) -> list[Path]:
        """Results of `fit_and_score` for each tuple of arguments, in the same order."""
        if effective_n_jobs(self.n_jobs) == 1 and not self.verbose:
            # scikit-learn's `delayed` would replace the warning filters of this process in each call.
            return [fit_and_score(*arguments) for arguments in calls]
        parallel = Parallel(n_jobs=self.n_jobs, verbose=int(self.verbose), prefer="processes")
        found: list[Path] = parallel(delayed(fit_and_score)(*arguments) for arguments in calls)
        return found

    def _check_on(self, rows: Rows, grid: Grid) -> None:
        """Check the candidates against the labels, before any fit."""
        for gamma in grid.gammas:
            try:
                self._candidate(gamma, 0.0, 1.0)._bind_loss(rows)
            except ValueError as error:
                if "focal_gamma " not in str(error):
                    raise
                raise ValueError(f"in focal_gammas, each {error}") from error

    def _warn_of(self, optimality: Array) -> None:
        stopped = ~(optimality <= self.tol)
        if stopped.any():
            warn_user(
                f"{self.solver} did not converge in {int(stopped.sum())} of {stopped.size} fits on the folds: the "
                f"largest entry of the gradient is up to {np.max(optimality):.1e}. Raise max_iter (now "
                f"{self.max_iter}) or tol (now {self.tol:g}), or leave out the largest of Cs.",
                ConvergenceWarning,
            )

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **score_params: Any) -> float:
        """Score the predictions for X by ``scoring``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
        **score_params
            Arguments that the scorer requests. They require ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        float
            Higher is better. It is the accuracy only if ``scoring`` is "accuracy" or None.
        """
        check_is_fitted(self)
        scorer = self._scorer()
        _, for_scores = self._routed("score", sample_weight, score_params)
        return float(scorer(self, X, y, **for_scores))

    def _scorer(self) -> Scorer:
        return check_scorer(self.scoring, self)

    def _routed(self, caller: str, sample_weight: Any, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments of the splitter's ``split`` and of the scorer."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, caller, sample_weight=sample_weight, **params)
            return (routed.splitter.split if caller == "fit" else {}), routed.scorer.score
        if params:
            raise ValueError(
                f"{caller} takes {', '.join(sorted(params))} only with sklearn.set_config(enable_metadata_routing=True)"
            )
        if sample_weight is None:
            return {}, {}
        check_takes_weights(self._scorer(), self.scoring)
        return {}, {"sample_weight": sample_weight}

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata that the splitter and the scorer request.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        of_fit = MethodMapping().add(caller="fit", callee="score").add(caller="score", callee="score")
        return (
            MetadataRouter(owner=type(self).__name__)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=self._scorer(), method_mapping=of_fit)
        )


def _taken(params: Mapping[str, Any], selected: Array, rows: Rows) -> dict[str, Any]:
    """The arguments for the selected rows. Of arguments with one value per row, the values of these rows are taken."""
    n_rows = rows.X.shape[0]
    return {
        name: np.asarray(value)[selected] if np.shape(value)[:1] == (n_rows,) else value
        for name, value in params.items()
    }
