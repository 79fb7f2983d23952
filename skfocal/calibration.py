"""Calibration on held-out rows: gamma and a temperature fitted to a classifier's scores. May import ``_common``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skfocal._common.labels import encode_labels
from skfocal._common.rows import check_same_rows
from skfocal._common.state import learning, undisturbed
from skfocal._common.warning import warn_user
from skfocal._kernels import binary, softmax
from skfocal._kernels.arguments import check_raw_prediction, check_sample_weight
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

__all__ = ["FocalTemperature", "FocalTemperatureScaling"]

MAX_FITTED_GAMMA = 10.0
"""Far above any useful value. Above it, gamma and the temperature have the same effect on the probabilities, and a fit
cannot separate them."""

LOG_RANGE = (-10.0, 10.0)
"""Bounds of the logarithm of (spread of the scores / temperature). The upper bound is reached if the scores separate
the classes without error, the lower bound if the scores carry no information."""


@dataclass(frozen=True)
class FocalTemperature:
    """Map from scores to probabilities: the posterior of the focal loss for scores that are divided by a temperature.

    Parameters
    ----------
    gamma : float
        Focusing parameter, >= 0. 0 is temperature scaling.
    temperature : float
        Divisor of the scores, > 0.
    """

    gamma: float
    temperature: float

    def predict_proba(self, raw_prediction: ArrayLike) -> Array:
        """Class probabilities, (n, K), of scores, which are (n,) for two classes or (n, K)."""
        raw = check_raw_prediction(raw_prediction)
        return FocalLoss(self.gamma).predict_proba(raw / raw.dtype.type(self.temperature))


def fit_focal_temperature(y_true: Array, raw: Array, sample_weight: Array | None = None) -> FocalTemperature:
    """Fit the map that minimizes the weighted mean log loss of the class indices (n,) and scores (n,) or (n, K)."""
    raw = check_raw_prediction(raw).astype(np.float64)
    centered = raw if raw.ndim == 1 else raw - raw.mean(axis=1, keepdims=True)
    spread = float(np.sqrt(np.average((centered**2).reshape(raw.shape[0], -1).mean(axis=1), weights=sample_weight)))
    if not spread > 0:
        return FocalTemperature(0.0, 1.0)
    unit = raw / spread

    def log_loss(log_scale: float, gamma: float) -> float:
        return float(np.average(_log_losses(y_true, unit * np.exp(log_scale), gamma), weights=sample_weight))

    # At gamma 0 the log loss is convex in the scale. With a free gamma it is not, so the fit has two starts. The
    # log-odds of the posterior grow as (1 + gamma) times the scores; therefore the start with gamma 2 has a third of
    # the scale.
    scale = float(minimize_scalar(lambda a: log_loss(a, 0.0), bounds=LOG_RANGE, options={"xatol": 1e-9}).x)
    best, gamma = log_loss(scale, 0.0), 0.0
    temperature_scaling = scale
    for start in (0.0, 2.0):
        found = minimize(
            lambda x: log_loss(*x),
            [np.clip(temperature_scaling - np.log1p(start), *LOG_RANGE), start],
            jac="3-point",
            method="L-BFGS-B",
            bounds=[LOG_RANGE, (0.0, MAX_FITTED_GAMMA)],
            options={"ftol": 1e-13, "gtol": 1e-9},
        )
        if found.fun < best:
            best, (scale, gamma) = found.fun, found.x
    return FocalTemperature(float(gamma), float(spread / np.exp(scale)))


def _log_losses(y: Array, raw: Array, gamma: float) -> Array:
    """``-log P(y | raw)`` of each row, (n,)."""
    if raw.ndim == 1:
        of_binary: Array = np.logaddexp(0.0, np.where(y == 1, -1.0, 1.0) * binary.posterior_logit(raw, gamma, gamma))
        return of_binary
    log_p = softmax.log_posterior(raw, np.full(raw.shape[1], gamma), None)
    result: Array = logsumexp(log_p, axis=1) - log_p[np.arange(y.shape[0]), y]
    return result


class FocalTemperatureScaling(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Probabilities by focal temperature scaling of any classifier's scores.

    .. math:: P(y=k|x) \propto \frac{p_k}{(1 - p_k)^\gamma \, (1 - \gamma \, p_k \log(p_k) / (1 - p_k))},
        \quad p = \mathrm{softmax}(z / T)

    This is the correction that ``predict_proba`` of the focal classifiers applies to their scores z, except that gamma
    and the temperature T are fitted here: they minimize the log loss on held-out rows. The gamma of the training has no
    influence. With ``gamma=0`` the map is temperature scaling.

    Parameters
    ----------
    estimator : classifier
        Classifier whose scores are calibrated. The scores are those of ``decision_function``, or the logarithms of
        ``predict_proba`` if the classifier has no ``decision_function``. To calibrate a classifier that is already
        fitted, wrap it in ``sklearn.frozen.FrozenEstimator``; all rows given to ``fit`` are then held-out rows.
    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation splits, as in scikit-learn. None: five stratified folds.
    n_jobs : int or None, default=None
        Number of folds that are trained in parallel.
    ensemble : bool or "auto", default="auto"
        True: each fold has its own model and its own map, which is fitted to the rows that the fold holds out; the
        probabilities are averaged over the folds. False: one map is fitted to the held-out scores of all folds, and is
        applied to one model that is trained on all rows. "auto": False for a ``FrozenEstimator``, True otherwise.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    estimators_ : list of classifiers
        One classifier per fold, or one classifier if there is no ensemble.
    calibrators_ : list of FocalTemperature
        The map of each classifier, with its ``gamma`` and ``temperature``.
    n_features_in_ : int
        Number of features. Only if the estimators have this attribute.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features. Only if the estimators have this attribute.

    Notes
    -----
    With two classes each map is strictly increasing. With ``ensemble=False`` ranking metrics therefore do not change.
    The map does not correct for the class weights of the model by a formula; it is fitted to the class frequencies of
    the held-out rows.

    References
    ----------
    Komisarenko, Kull: Improving Calibration by Relating Focal Loss, Temperature Scaling, and Properness, ECAI 2024,
    https://arxiv.org/abs/2408.11598

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.svm import LinearSVC
    >>> from skfocal.calibration import FocalTemperatureScaling
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalTemperatureScaling(LinearSVC(random_state=0, max_iter=100_000), ensemble=False).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 2)
    """

    classes_: Array
    estimators_: list[Any]
    calibrators_: list[FocalTemperature]

    def __init__(self, estimator: Any, *, cv: Any = None, n_jobs: int | None = None, ensemble: Any = "auto") -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_jobs = n_jobs
        self.ensemble = ensemble

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, **fit_params: Any) -> FocalTemperatureScaling:
        """Train the models and fit the maps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data in any form that the estimator accepts.
        y : array-like of shape (n_samples,)
            Labels of two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0. The maps use them, and the estimator uses them if its ``fit`` accepts
            ``sample_weight``.
        **fit_params
            Arguments of the estimator's ``fit``. With metadata routing enabled, also arguments of the splitter.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an argument is not as described here.
        """
        classes, indices = encode_labels(y)
        if not hasattr(y, "shape") and hasattr(y, "__array__"):  # an Arrow array, which splitters do not support
            y = np.asarray(y)
        check_same_rows(X, indices)
        X, y = indexable(X, y)
        weight = check_sample_weight(sample_weight, indices.shape[0], np.float64)
        for_estimator, for_splitter = self._routed(weight, fit_params)
        is_ensemble = self._is_ensemble()
        folds = self._folds(X, y, for_splitter)
        if not isinstance(self.estimator, FrozenEstimator):
            _check_classes(folds, indices, classes)
        with learning(self) as fitted:
            models = Parallel(n_jobs=self.n_jobs)(
                delayed(_fitted)(self.estimator, X, y, for_estimator, train, classes) for train, _ in folds
            )
            tests = [test for _, test in folds]
            held_out = [scores_of(model, _rows(X, test)) for model, test in zip(models, tests, strict=True)]
            if not is_ensemble:
                models = [_fitted(self.estimator, X, y, for_estimator, None, classes)]
                tests, held_out = [np.concatenate(tests)], [np.concatenate(held_out)]
            for test in tests:
                if len(np.unique(indices[test])) < 2:
                    raise ValueError(
                        f"cv must hold out rows of two classes at least for each map, got {test.shape[0]} rows of one: "
                        "with ensemble=False there is one map for all folds"
                    )
            fitted.classes_, fitted.estimators_ = classes, models
            fitted.calibrators_ = [
                fit_focal_temperature(indices[test], scores, None if weight is None else weight[test])
                for test, scores in zip(tests, held_out, strict=True)
            ]
            for name in ("n_features_in_", "feature_names_in_"):
                fitted.__dict__.pop(name, None)
                if hasattr(models[0], name):
                    setattr(fitted, name, getattr(models[0], name))
        return self

    def _is_ensemble(self) -> bool:
        is_auto = isinstance(self.ensemble, str) and self.ensemble == "auto"
        if not (is_auto or isinstance(self.ensemble, (bool, np.bool_))):
            raise ValueError(f"ensemble must be True, False or 'auto', got {self.ensemble!r}")
        return not isinstance(self.estimator, FrozenEstimator) if is_auto else bool(self.ensemble)

    def _folds(self, X: Any, y: Any, params: dict[str, Any]) -> list[tuple[Array, Array]]:
        """Training rows and held-out rows of each fold."""
        cv = check_cv(self.cv, y, classifier=True)
        try:
            return [(np.asarray(train), np.asarray(test)) for train, test in cv.split(X, y, **params)]
        except ValueError as error:
            raise ValueError(f"cv must be able to split y: {error}") from error

    def _routed(self, weight: Array | None, fit_params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments of the estimator's ``fit`` and of the splitter's ``split``."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=weight, **fit_params)
            return dict(routed.estimator.fit), dict(routed.splitter.split)
        for_estimator = dict(fit_params)
        if weight is not None:
            if has_fit_parameter(self.estimator, "sample_weight"):
                for_estimator["sample_weight"] = weight
            elif not isinstance(self.estimator, FrozenEstimator):
                warn_user(
                    f"sample_weight counts in the calibration only: fit of {type(self.estimator).__name__} does not "
                    "take it. With metadata routing enabled, a pipeline can pass it on"
                )
        return for_estimator, {}

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata routing of this estimator, for scikit-learn.

        Returns
        -------
        MetadataRouter
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=to_fit).add(
            splitter=self.cv, method_mapping=to_split
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

    @undisturbed
    def predict_proba(self, X: Any) -> Array:
        """Class probabilities, averaged over the folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        check_is_fitted(self)
        pairs = zip(self.estimators_, self.calibrators_, strict=True)
        proba: Array = np.mean([calibrator.predict_proba(scores_of(model, X)) for model, calibrator in pairs], axis=0)
        return proba

    @undisturbed
    def predict(self, X: Any) -> Array:
        """Label of the class with the largest probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        decided = self.predict_proba(X).argmax(axis=1)
        labels: Array = self.classes_[decided]
        return labels


def scores_of(model: Any, X: Any) -> Array:
    """Scores of a fitted classifier, (n,) for two classes or (n, n_classes)."""
    if hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(X))
        n_classes = len(model.classes_)
        if scores.shape[1:] not in ((), (n_classes,)) or (scores.ndim == 1) != (n_classes == 2):
            raise ValueError(
                f"estimator must give one score per row for two classes and one per class for more, got {scores.shape} "
                f"from decision_function of {type(model).__name__} for {n_classes} classes"
            )
        return scores
    proba = np.asarray(model.predict_proba(X))
    log_p = np.log(np.maximum(proba, np.finfo(proba.dtype).eps))
    return np.asarray(log_p[:, 1] - log_p[:, 0] if proba.shape[1] == 2 else log_p)


def _fitted(estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], train: Array | None, classes: Array) -> Any:
    """A clone of the estimator, fitted to the rows ``train``. None stands for all rows."""
    model = clone(estimator)
    if train is not None:
        n_rows = _num_rows(X)
        fit_params = {
            name: _rows(value, train) if hasattr(value, "__len__") and _num_rows(value) == n_rows else value
            for name, value in fit_params.items()
        }
        X, y = _rows(X, train), _rows(y, train)
    model.fit(X, y, **fit_params)
    if not np.array_equal(model.classes_, classes):
        raise ValueError(
            f"cv must leave rows of every class of y, {classes.tolist()}, to train on (and a FrozenEstimator must know "
            f"them): a fold's model knows {np.asarray(model.classes_).tolist()}"
        )
    return model


def _check_classes(folds: list[tuple[Array, Array]], indices: Array, classes: Array) -> None:
    """Check before training that the training rows of each fold contain all classes.

    The error of an estimator that lacks a class would not mention the folds.
    """
    for train, _ in folds:
        present = np.unique(indices[train])
        if present.shape[0] < classes.shape[0]:
            raise ValueError(
                f"cv must leave rows of every class of y, {classes.tolist()}, to train on: a fold has only "
                f"{classes[present].tolist()}"
            )


def _num_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _rows(X: Any, rows: Array) -> Any:
    """Select rows of an array, sparse matrix, data frame or list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "column_names"):  # an Arrow table
        return X.take(rows)
    if hasattr(X, "shape"):
        return X[rows]
    return [X[i] for i in rows]
