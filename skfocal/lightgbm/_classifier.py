"""``FocalLGBMClassifier``. May import ``_common``, the other files of this folder and LightGBM."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.classifier import CALIBRATION_DOC, PARAMETERS_DOC, FocalClassifierMixin
from skfocal._common.labels import encode_labels, index_labels, resolve_class_weight
from skfocal._common.objective import MAX_STEP_DOC
from skfocal._common.validation import check_bool, check_max_step
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._bins import PARAMETER as BINS_PARAMETER, bins_file, without_path
from skfocal.lightgbm._evaluation import eval_sets_of, metrics_of, per_set
from skfocal.lightgbm._objective import FocalMetric, FocalObjective
from skfocal.lightgbm._start import add_to_first_trees, constant_scores, settle_dart

# Parameters that another one here stands for: LightGBM would ignore them, or they would fight the loss.
REPLACED_PARAMETERS = {
    **dict.fromkeys(
        ("objective", "objective_type", "app", "application", "loss"),
        "the focal loss is the objective: use focal_gamma and focal_alpha, or LGBMClassifier for another objective",
    ),
    **dict.fromkeys(
        ("is_unbalance", "unbalance", "unbalanced_sets"), "LightGBM ignores it here: use focal_alpha='balanced'"
    ),
    "scale_pos_weight": "LightGBM ignores it here: use focal_alpha, for example {negative: 1, positive: weight}",
    **dict.fromkeys(("num_class", "num_classes"), "the number of classes is that of y"),
    "sigmoid": "LightGBM ignores it here: scores have the plain sigmoid",
    "multi_error_top_k": "multi_error here is of the one class that predict decides for; give a callable instead",
}

BOOSTING_ALIASES = ("boosting_type", "boosting", "boost")


class FocalLGBMClassifier(FocalClassifierMixin, lgb.LGBMClassifier):
    __doc__ = f"""LightGBM classifier trained with the focal loss.

    An ``LGBMClassifier``: its constructor parameters, ``fit`` arguments, attributes and plots work as there. It
    differs in the loss, starts at the loss's optimal constant, which it bakes into the first trees, and gives
    probabilities that focusing has not distorted.

    Parameters
    ----------{PARAMETERS_DOC}{MAX_STEP_DOC}{CALIBRATION_DOC}
    balanced_bins : bool, default=True
        Whether up to half of a column's bins are quantiles of the classes, each of the same weight, and the others
        of the rows. A class of a few dozen rows among many is else in the same bin as its neighbours, where no
        tree can tell them apart. For numeric columns of arrays and data frames, whatever ``min_data_in_bin``;
        sparse matrices have LightGBM's bins, and so has a model with a ``forcedbins_filename`` of yours.
    **kwargs
        Every parameter of ``lightgbm.LGBMClassifier``. ``objective``, ``is_unbalance``, ``scale_pos_weight``,
        ``num_class``, ``sigmoid`` and ``boosting_type="rf"`` are errors that say what to use instead.
        ``feature_pre_filter`` is False unless given: LightGBM cannot train a custom objective once its filter has
        dropped every column.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    focal_loss_ : FocalLoss
        The loss that was minimised, ``focal_alpha`` resolved to one weight per class.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class: what ``calibration="full"`` undoes.
    intercept_ : float or ndarray of shape (n_classes,)
        The scores training started at, which are in the first trees; 0 where ``init_score``, ``init_model`` or
        ``boost_from_average=False`` set the start.

    Notes
    -----
    The loss is trained with `skfocal.FocalLoss.log_loss_scale` as its factor, so that regularisation acts as with
    log loss.
    The default evaluation metric is the focal loss that is trained. ``binary_logloss``, ``multi_logloss`` and the
    other probability metrics are computed on what ``predict_proba`` gives; a callable is handed probabilities, as by
    ``LGBMClassifier``, and a `FocalMetric` scores.

    With ``focal_gamma=0``, ``max_step=None`` and ``balanced_bins=False`` it grows the trees of ``LGBMClassifier``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.lightgbm import FocalLGBMClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalLGBMClassifier(focal_gamma=2.0, n_estimators=20, verbosity=-1).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    intercept_: Any

    def __init__(
        self,
        focal_gamma: Any = 2.0,
        focal_alpha: Any = None,
        *,
        max_step: float | None = 4.0,
        calibration: Any = "focus",
        balanced_bins: bool = True,
        **kwargs: Any,
    ) -> None:
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.max_step = max_step
        self.calibration = calibration
        self.balanced_bins = balanced_bins
        super().__init__(**kwargs)

    focal_parameters = (*FocalClassifierMixin.focal_parameters, "max_step", "balanced_bins")

    def set_params(self, **params: Any) -> FocalLGBMClassifier:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params
            Names and values.

        Returns
        -------
        self
        """
        super().set_params(**params)
        # The parent also stores what it is given as "other" parameters, which would shadow the attributes.
        for name in self.focal_parameters:
            self._other_params.pop(name, None)
        return self

    def _check_parameters(self) -> dict[str, Any]:
        self._check_focal_parameters()
        check_max_step(self.max_step)
        check_bool(self.balanced_bins, "balanced_bins")
        params = self.get_params()
        for name, advice in REPLACED_PARAMETERS.items():
            value = params.get(name)
            if value is not None and value is not False and not (name == "scale_pos_weight" and value == 1):
                raise ValueError(f"{name} must not be given to FocalLGBMClassifier, got {value!r}: {advice}")
        for name in BOOSTING_ALIASES:
            if params.get(name) in ("rf", "random_forest"):
                raise ValueError(
                    f"{name} must be 'gbdt' or 'dart', got {params[name]!r}: LightGBM's random forest takes no "
                    "custom objective"
                )
        return dict(params)

    def _process_params(self, stage: str) -> dict[str, Any]:
        # Called by the parent's fit after it has reset its objective to that of log loss.
        if stage == "fit":
            self._objective = self._objective_in_training
        params: dict[str, Any] = super()._process_params(stage=stage)
        for name in self.focal_parameters:
            params.pop(name, None)
        if stage == "fit":
            params["metric"] = None  # all metrics come as eval_metric
            params.setdefault("feature_pre_filter", False)
            if self._bins_file is not None:
                params[BINS_PARAMETER] = self._bins_file
        return params

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        init_score: ArrayLike | None = None,
        eval_set: Any = None,
        eval_names: Any = None,
        eval_sample_weight: Any = None,
        eval_class_weight: Any = None,
        eval_init_score: Any = None,
        eval_metric: Any = None,
        feature_name: Any = "auto",
        categorical_feature: Any = "auto",
        callbacks: Any = None,
        init_model: Any = None,
        *,
        eval_X: Any = None,
        eval_y: Any = None,
    ) -> FocalLGBMClassifier:
        """Fit the model. Parameters are those of ``lightgbm.LGBMClassifier.fit``.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            NaN is a missing value.
        y : array-like of shape (n_samples,)
            Labels of two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        init_score : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Scores to start at instead of the optimal constant; as everywhere in LightGBM they are no part of the
            model.
        eval_set : list of (X, y), default=None
            Also as ``eval_X`` and ``eval_y``.
        eval_names, eval_sample_weight, eval_class_weight, eval_init_score : list, default=None
            One entry per evaluation set.
        eval_metric : str, callable or list of them, default=None
            In addition to the focal loss. Names are computed on probabilities.
        feature_name, categorical_feature, callbacks, init_model
            See ``lightgbm.LGBMClassifier.fit``.
        eval_X, eval_y : array-like or tuple of array-likes, default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described here, before training starts.
        """
        params = self._check_parameters()
        classes, indices = encode_labels(y)
        n_classes, labels = classes.shape[0], classes[indices]
        check_consistent_length(X, labels)
        weight = check_sample_weight(sample_weight, indices.shape[0], np.float64)
        outer = resolve_class_weight(self.class_weight, classes, indices)
        total_weight = outer[indices] if weight is None else outer[indices] * weight
        total_weight = total_weight.astype(np.float32)  # what LightGBM keeps of it, and so what it trains with
        self.focal_loss_ = self._build_loss(classes, indices, total_weight, outer)
        loss_parameters = self.focal_loss_.gamma, self.focal_loss_.alpha
        totals = np.bincount(indices, weights=total_weight, minlength=n_classes)
        scale = self.focal_loss_.scale_of_totals(totals)
        self._objective_in_training = FocalObjective(*loss_parameters, max_step=self.max_step, scale=scale)
        self._objective_in_training.one_training = True

        eval_sets = eval_sets_of(eval_set, eval_X, eval_y)
        for _, b in eval_sets or ():
            if b is not y:
                index_labels(b, classes, "y of eval_set")
        metrics = metrics_of(self, eval_metric, params, FocalMetric(*loss_parameters))
        start: Any = np.zeros(n_classes) if n_classes > 2 else 0.0
        if init_score is None and init_model is None and params.get("boost_from_average", True):
            start = self.focal_loss_.optimal_scores(totals)
            init_score = constant_scores(start, indices.shape[0])
            if eval_sets is not None:
                eval_init_score = [
                    constant_scores(start, len(labels) if eval_X_y[1] is y else np.shape(eval_X_y[1])[0])
                    + (0.0 if given is None else np.asarray(given))
                    for eval_X_y, given in zip(eval_sets, per_set(eval_init_score, len(eval_sets)), strict=True)
                ]
            baked = True
        else:
            baked = False
        if any(params.get(name) == "dart" for name in BOOSTING_ALIASES):
            callbacks = [*(callbacks or ()), settle_dart]
        bins: Any = nullcontext()
        if self.balanced_bins:
            bins = bins_file(X, indices, weight, params, categorical_feature, feature_name)
        try:
            with bins as self._bins_file, warnings.catch_warnings():
                # eval_set stays a documented way in here; the parent of version 4.7 would have it deprecated.
                warnings.filterwarnings("ignore", message="The argument 'eval_set' is deprecated")
                super().fit(
                    X,
                    labels,
                    sample_weight=None if weight is None else weight,
                    init_score=init_score,
                    eval_set=None if eval_sets is None else [(A, labels if b is y else b) for A, b in eval_sets],
                    eval_names=eval_names,
                    eval_sample_weight=eval_sample_weight,
                    eval_class_weight=eval_class_weight,
                    eval_init_score=eval_init_score,
                    eval_metric=metrics,
                    feature_name=feature_name,
                    categorical_feature=categorical_feature,
                    callbacks=callbacks,
                    init_model=init_model,
                )
        finally:
            self._objective_in_training.forget()
            del self._objective_in_training
            bins_were_balanced = self.__dict__.pop("_bins_file", None) is not None
        if bins_were_balanced:
            without_path(self._Booster)
        if baked:
            add_to_first_trees(self._Booster, np.atleast_1d(start))
        self.intercept_ = start
        names = getattr(X, "column_names", getattr(X, "columns", None))  # Arrow's, pandas' and polars' way
        has_names = names is not None and all(isinstance(name, str) for name in names)
        self._names_in = list(names) if names is not None and has_names else None
        return self

    @property
    def feature_names_in_(self) -> Array:
        """Names of the columns of the X of ``fit``, only if it had string names, (n_features,)."""
        # LightGBM before 4.7 makes names up for an array, which scikit-learn then misses at every predict.
        if getattr(self, "_names_in", None) is None:
            raise AttributeError(f"{type(self).__name__} has no feature_names_in_: X had no column names in fit")
        return np.array(self._names_in)

    @feature_names_in_.setter
    def feature_names_in_(self, names: Array) -> None:
        self._names_in = list(names)

    @feature_names_in_.deleter
    def feature_names_in_(self) -> None:
        self._names_in = None

    def decision_function(
        self,
        X: Any,
        *,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Array:
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        start_iteration, num_iteration, validate_features, **kwargs
            See ``lightgbm.LGBMClassifier.predict``. The start is in the first iteration's trees.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one score, > 0 where the second of ``classes_`` is decided for.
        """
        return self._predict(
            X,
            raw_score=True,
            start_iteration=start_iteration,
            num_iteration=num_iteration,
            validate_features=validate_features,
            **kwargs,
        )

    def _predict(self, X: Any, **kwargs: Any) -> Array:
        check_is_fitted(self)
        if hasattr(X, "columns"):
            validate_data(self, X, reset=False, skip_check_array=True)
        prediction: Array = lgb.LGBMModel.predict(self, X, **kwargs)
        return prediction

    def predict(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Labels that the scores decide for.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        raw_score, start_iteration, num_iteration, pred_leaf, pred_contrib, validate_features, **kwargs
            See ``lightgbm.LGBMClassifier.predict``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Or scores, leaves or SHAP contributions if they are asked for.
        """
        other = raw_score or pred_leaf or pred_contrib
        result = self._predict(
            X,
            raw_score=raw_score or not other,
            start_iteration=start_iteration,
            num_iteration=num_iteration,
            pred_leaf=pred_leaf,
            pred_contrib=pred_contrib,
            validate_features=validate_features,
            **kwargs,
        )
        return result if other else self._labels(result)

    def predict_proba(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Class probabilities, corrected as ``calibration`` says.

        Parameters are those of `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; or scores, leaves or SHAP contributions if they are asked for.
        """
        other = raw_score or pred_leaf or pred_contrib
        result = self._predict(
            X,
            raw_score=raw_score or not other,
            start_iteration=start_iteration,
            num_iteration=num_iteration,
            pred_leaf=pred_leaf,
            pred_contrib=pred_contrib,
            validate_features=validate_features,
            **kwargs,
        )
        return result if other else self._probabilities(result)
