"""``FocalXGBClassifier``. May import ``_common``, the other files of this folder and XGBoost."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.classifier import CALIBRATION_DOC, PARAMETERS_DOC, FocalClassifierMixin
from skfocal._common.labels import encode_labels, index_labels
from skfocal._common.objective import MAX_STEP_DOC
from skfocal._common.validation import check_bool, check_max_step
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss
from skfocal.xgboost._bins import bin_weights
from skfocal.xgboost._evaluation import Training
from skfocal.xgboost._objective import FocalMetric, FocalObjective
from skfocal.xgboost._start import default_min_child_weight

REPLACED_PARAMETERS = {
    "scale_pos_weight": "XGBoost ignores it here: use focal_alpha, for example {negative: 1, positive: weight}",
    "num_class": "the number of classes is that of y",
    "disable_default_eval_metric": "the default metric here is the focal loss: give eval_metric to change it",
}
OWN_OBJECTIVES = (None, "binary:logistic", "multi:softprob")
"""Defaults of the parent, and what it writes into a loaded model: they name the link, not the loss."""

MODEL_ATTRIBUTE = "skfocal"
"""Booster attribute under which ``save_model`` keeps what the booster does not know: labels and the loss."""


class FocalXGBClassifier(FocalClassifierMixin, xgb.XGBClassifier):
    __doc__ = f"""XGBoost classifier trained with the focal loss.

    An ``XGBClassifier``: its constructor parameters, ``fit`` arguments, attributes and plots work as there. It
    differs in the loss, starts at the loss's optimal constant, which is the model's ``base_score``, takes any
    labels, and gives probabilities that focusing has not distorted.

    Parameters
    ----------{PARAMETERS_DOC}{MAX_STEP_DOC}{CALIBRATION_DOC}
    balanced_bins : bool, default=True
        Whether a column's bins are the quantiles of the rows and the classes, half and half, rather than of the
        rows alone. A class of a few dozen rows among many is else in the same bin as its neighbours, where no
        tree can tell them apart. For ``tree_method="hist"``, the default; the others have no bins of their own.
    **kwargs
        Every parameter of ``xgboost.XGBClassifier``. ``objective``, ``scale_pos_weight``, ``num_class`` and
        ``booster="gblinear"`` are errors that say what to use instead.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    focal_loss_ : FocalLoss
        The loss that was minimised, ``focal_alpha`` resolved to one weight per class.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` of each class: what ``calibration="full"`` undoes.

    Notes
    -----
    The loss is trained with `skfocal.FocalLoss.log_loss_scale` as its factor, so that regularisation acts as with
    log loss.
    The default evaluation metric is the focal loss that is trained. ``logloss``, ``mlogloss``, ``error`` and
    ``merror`` are computed on what ``predict_proba`` and ``predict`` give; a callable is handed probabilities, as by
    ``XGBClassifier``, and a `FocalMetric` scores.

    ``min_child_weight``, unless given, is XGBoost's 1, or less where a quarter of the rarest class would not reach it
    in a leaf while its rows are in doubt: below some 30 rows at ``focal_gamma=2``. The larger gamma, the smaller are
    the second derivatives of rows, and 1 would forbid leaves there that it allows with log loss. Not with
    ``focal_gamma=0``.

    With ``focal_gamma=0``, ``max_step=None`` and ``balanced_bins=False`` it grows the trees of ``XGBClassifier``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.xgboost import FocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalXGBClassifier(focal_gamma=2.0, n_estimators=20).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    focal_parameters = (*FocalClassifierMixin.focal_parameters, "max_step", "balanced_bins")

    base_score: Any
    objective: Any

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # The parent's binary loss also trains several labels a row at once.
        tags.classifier_tags.multi_label = False
        tags.target_tags.multi_output = False
        return tags

    # Attributes that the parent computes and scikit-learn's validation wants to set

    @property
    def classes_(self) -> Array:  # type: ignore[override]  # a property in the parent too
        """Labels in sorted order, (n_classes,)."""
        if not hasattr(self, "n_classes_"):
            raise AttributeError(f"{type(self).__name__} has no classes_ before fit")
        # During the parent's fit, and in a model that plain XGBoost saved, labels are indices.
        return getattr(self, "_classes", np.arange(self.n_classes_))

    @property
    def n_features_in_(self) -> int:
        """Number of columns of the X of ``fit``."""
        if not hasattr(self, "_n_features_in"):
            return int(super().n_features_in_)
        return self._n_features_in

    @n_features_in_.setter
    def n_features_in_(self, value: int) -> None:
        self._n_features_in = value

    @property
    def feature_names_in_(self) -> Array:
        """Names of the columns of the X of ``fit``, only if it had string names, (n_features,)."""
        if not hasattr(self, "_feature_names_in"):
            names: Array = super().feature_names_in_
            return names
        return self._feature_names_in

    @feature_names_in_.setter
    def feature_names_in_(self, value: Array) -> None:
        self._feature_names_in = value

    @feature_names_in_.deleter
    def feature_names_in_(self) -> None:
        del self._feature_names_in

    def get_xgb_params(self) -> dict[str, Any]:
        """Parameters that XGBoost itself gets."""
        params: dict[str, Any] = super().get_xgb_params()
        # Metrics are evaluated here, under names that XGBoost need not know.
        for name in (*self.focal_parameters, "eval_metric"):
            params.pop(name, None)
        if getattr(self, "n_classes_", 2) > 2 and params.get("objective") == "binary:logistic":
            params["objective"] = "multi:softprob"
        return params

    def _check_parameters(self) -> None:
        self._check_focal_parameters()
        check_max_step(self.max_step)
        check_bool(self.balanced_bins, "balanced_bins")
        params = self.get_params()
        if not (self.objective is None or self.objective in OWN_OBJECTIVES):
            raise ValueError(
                f"objective must not be given to FocalXGBClassifier, got {self.objective!r}: the focal loss is the "
                "objective: use focal_gamma and focal_alpha, or XGBClassifier for another objective"
            )
        for name, advice in REPLACED_PARAMETERS.items():
            if params.get(name) is not None and not (name == "scale_pos_weight" and params[name] == 1):
                raise ValueError(f"{name} must not be given to FocalXGBClassifier, got {params[name]!r}: {advice}")
        if self.booster == "gblinear":
            raise ValueError(
                "booster must be 'gbtree' or 'dart', got 'gblinear': use FocalLogisticRegression for a linear model"
            )

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns") or not (isinstance(X, (np.ndarray, list, tuple)) or hasattr(X, "tocsr")):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        finite = "allow-nan" if np.isnan(self.missing) else False
        return validate_data(
            self, X, reset=reset, accept_sparse=True, dtype="numeric", ensure_all_finite=finite,
            ensure_min_samples=2 if reset else 1,
        )  # fmt: skip

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        base_margin: ArrayLike | None = None,
        eval_set: Any = None,
        verbose: bool | int | None = True,
        xgb_model: Any = None,
        sample_weight_eval_set: Any = None,
        base_margin_eval_set: Any = None,
        feature_weights: ArrayLike | None = None,
    ) -> FocalXGBClassifier:
        """Fit the model. Parameters are those of ``xgboost.XGBClassifier.fit``.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            NaN is a missing value.
        y : array-like of shape (n_samples,)
            Labels of two classes or more, of any kind.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Scores to start at instead of the optimal constant; as everywhere in XGBoost they are no part of the
            model.
        eval_set : list of (X, y), default=None
        verbose, xgb_model, sample_weight_eval_set, base_margin_eval_set, feature_weights
            See ``xgboost.XGBClassifier.fit``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described here, before training starts.
        """
        self._check_parameters()
        classes, indices = encode_labels(y)
        X_checked = self._check_X(X, reset=True)
        check_consistent_length(X_checked, indices)
        weight = check_sample_weight(sample_weight, indices.shape[0], np.float32)
        n_classes = classes.shape[0]
        ones = np.ones(n_classes)
        loss = self.focal_loss_ = self._build_loss(classes, indices, weight, ones)
        self.__dict__.pop("_classes", None)
        eval_sets = None
        if isinstance(eval_set, tuple):
            eval_set = [eval_set]
        if eval_set is not None:
            eval_sets = [
                (X_checked, indices) if A is X and b is y else (A, index_labels(b, classes, "y of eval_set"))
                for A, b in eval_set
            ]
        totals = np.bincount(indices, weights=weight, minlength=n_classes)
        start = None
        if self.base_score is None and xgb_model is None:
            start = loss.optimal_scores(totals)
        # Class weights go in with the sample weights, for XGBoost also weighs its quantiles by them: "balanced" is
        # then the very model of the same weights given as sample_weight.
        scale = loss.scale_of_totals(totals)
        objective = FocalObjective(loss.gamma, None, self.max_step, scale=scale)
        objective.one_training = True
        if not np.all(self.class_weights_ == 1.0):
            of_class = self.class_weights_[indices].astype(np.float32)
            weight = of_class if weight is None else weight * of_class
        focal_metric = FocalMetric(loss.gamma, loss.alpha)
        min_child_weight = None
        if self.min_child_weight is None:
            factor = scale * objective.hessian_factor(1 if n_classes == 2 else n_classes)
            min_child_weight = default_min_child_weight(loss, totals * self.class_weights_, factor)
        self._training = Training(self, n_classes, start, min_child_weight, focal_metric)
        kept = {name: getattr(self, name) for name in ("objective", "eval_metric", *self._training.replaces)}
        try:
            self.objective, self.eval_metric = objective, None
            for name, value in self._training.replaces.items():
                setattr(self, name, value)
            super().fit(
                X_checked,
                indices,
                sample_weight=weight,
                base_margin=base_margin,
                eval_set=eval_sets,
                verbose=verbose,
                xgb_model=xgb_model,
                sample_weight_eval_set=sample_weight_eval_set,
                base_margin_eval_set=base_margin_eval_set,
                feature_weights=feature_weights,
            )
        finally:
            for name, value in kept.items():
                setattr(self, name, value)
            del self._training
        self._classes = classes
        return self

    def _configure_fit(self, booster: Any, params: dict[str, Any], feature_weights: Any) -> Any:
        # Called by the parent's fit between its parameters and training.
        model, _, params, feature_weights = super()._configure_fit(booster, params, feature_weights)
        params.update(self._training.params)
        return model, self._training.metric, params, feature_weights

    def _create_dmatrix(self, ref: Any, **kwargs: Any) -> Any:
        # Called by the parent's fit for the training data, which has no ref, and for each evaluation set.
        if ref is not None or not self.balanced_bins:
            return super()._create_dmatrix(ref, **kwargs)
        weight = kwargs.pop("weight")
        data = super()._create_dmatrix(ref, weight=bin_weights(kwargs["label"], weight), **kwargs)
        # The bins are made: from here on the weights are those of the loss and its metrics.
        data.set_weight(np.empty(0, np.float32) if weight is None else weight)
        return data

    def decision_function(
        self,
        X: Any,
        *,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: Any = None,
    ) -> Array:
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        validate_features, base_margin, iteration_range
            See ``xgboost.XGBClassifier.predict``.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes), float32
            For two classes one score, > 0 where the second of ``classes_`` is decided for.
        """
        check_is_fitted(self)
        raw: Array = xgb.XGBModel.predict(
            self,
            self._check_X(X, reset=False),
            output_margin=True,
            validate_features=validate_features,
            base_margin=base_margin,
            iteration_range=iteration_range,
        )
        return raw

    def predict(
        self,
        X: Any,
        *,
        output_margin: bool = False,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: Any = None,
    ) -> Array:
        """Labels that the scores decide for.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        output_margin : bool, default=False
            Return the scores of `decision_function` instead.
        validate_features, base_margin, iteration_range
            See ``xgboost.XGBClassifier.predict``.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        raw = self.decision_function(
            X, validate_features=validate_features, base_margin=base_margin, iteration_range=iteration_range
        )
        return raw if output_margin else self._labels(raw)

    def predict_proba(
        self,
        X: Any,
        validate_features: bool = True,
        base_margin: ArrayLike | None = None,
        iteration_range: Any = None,
    ) -> Array:
        """Class probabilities, corrected as ``calibration`` says.

        Parameters are those of `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            In the order of ``classes_``.
        """
        return self._probabilities(
            self.decision_function(
                X, validate_features=validate_features, base_margin=base_margin, iteration_range=iteration_range
            )
        )

    def save_model(self, fname: Any) -> None:
        """Save the booster, and with it the labels and the loss, to a file.

        Parameters
        ----------
        fname : str or PathLike
            Ends in ``.json`` or ``.ubj``.
        """
        check_is_fitted(self)
        about = {
            "classes": self.classes_.tolist(),
            "dtype": self.classes_.dtype.str,
            "gamma": self.focal_loss_.gamma,
            "alpha": self.focal_loss_.alpha,
            "class_weights": self.class_weights_.tolist(),
            "calibration": self.calibration,
        }
        self.get_booster().set_attr(**{MODEL_ATTRIBUTE: json.dumps(about)})
        super().save_model(fname)

    def load_model(self, fname: Any) -> None:
        """Load what ``save_model`` saved.

        Parameters
        ----------
        fname : str or PathLike

        Raises
        ------
        ValueError
            If the file was not saved by a FocalXGBClassifier.
        """
        for name in ("_classes", "_n_features_in", "_feature_names_in"):
            self.__dict__.pop(name, None)
        super().load_model(fname)
        about = self.get_booster().attr(MODEL_ATTRIBUTE)
        if about is None:
            raise ValueError(f"fname must be a model saved by FocalXGBClassifier.save_model, got {fname!r}")
        known = json.loads(about)
        self._classes = np.array(known["classes"], dtype=None if known["dtype"] == "|O" else known["dtype"])
        self.focal_loss_ = FocalLoss(known["gamma"], known["alpha"])
        self.class_weights_ = np.array(known["class_weights"])
        self.calibration = known["calibration"]
        # The parent writes the model's state into constructor parameters; the next fit has its own.
        self.objective, self.base_score = "binary:logistic", None
