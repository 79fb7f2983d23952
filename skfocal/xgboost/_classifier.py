"""``FocalXGBClassifier``. May import ``_common``, the other files of this folder and XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.booster import BOOSTER_PARAMETERS_DOC, FITTED_DOC, FocalBoosterMixin
from skfocal._common.evaluation_sets import EvaluationSets, pairs_of
from skfocal._common.rows import Rows, in_native_order
from skfocal._common.state import learning, undisturbed
from skfocal._common.warning import warn_user
from skfocal._kernels.blocks import Array
from skfocal.xgboost._bins import bin_weights
from skfocal.xgboost._evaluation import as_pairs
from skfocal.xgboost._model_file import (
    from_booster,
    load,
    put_state,
    put_state_if_it_can_be_told,
    state_in_training,
)
from skfocal.xgboost._parameters import OWN_OBJECTIVES, check_parameters, in_memory, is_array_like
from skfocal.xgboost._training import Training, check_continuation, with_known_info


class FocalXGBClassifier(FocalBoosterMixin, xgb.XGBClassifier):
    __doc__ = f"""XGBoost classifier trained with the focal loss.

    An ``XGBClassifier``: its constructor parameters, ``fit`` arguments, attributes and plots work as there. It
    differs in the loss, starts at the loss's optimal constant, which is the model's ``base_score``, takes any
    labels, and gives probabilities that focusing has not distorted.

    Parameters
    ----------{BOOSTER_PARAMETERS_DOC}
    balanced_bins : bool, default=True
        Whether half of each column's bins are placed at per-class quantiles, shared equally among the classes. A
        class of a few dozen rows would otherwise share a bin with its neighbors, where no tree can tell them apart.
        This concerns ``tree_method="hist"``, the default; the other methods have no bins of their own.
    **kwargs
        Every parameter of ``xgboost.XGBClassifier``. ``gamma`` is XGBoost's own, the least gain of a split.
        ``objective``, ``scale_pos_weight``, ``num_class``, ``alpha`` and ``booster="gblinear"`` are errors that say
        what to use instead.

    Attributes
    ----------{FITTED_DOC.rstrip()}
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` of each class: what ``calibration="full"`` undoes.

    Notes
    -----
    The loss is multiplied by `skfocal.FocalLoss.log_loss_scale`. With this factor ``reg_lambda`` and
    ``min_child_weight``, which are compared with sums of second derivatives, mean what they mean with log loss.
    ``gamma``, XGBoost's least gain of a split, and ``reg_alpha`` are compared with the loss itself and with first
    derivatives: the larger ``focal_gamma``, the more they prune.

    The default evaluation metric is the focal loss that is trained. ``logloss``, ``mlogloss``, ``error`` and
    ``merror`` are computed on what ``predict_proba`` and ``predict`` give; a callable is handed probabilities, as by
    ``XGBClassifier``, and a `FocalMetric` scores.

    ``min_child_weight``, unless given, is XGBoost's 1, or less where a quarter of the rarest class would not reach it
    in a leaf while its rows are in doubt: below some 30 rows at ``focal_gamma=2``. The larger gamma, the smaller are
    the second derivatives of rows, and 1 would forbid leaves there that it allows with log loss. Not with
    ``focal_gamma=0``.

    With ``focal_gamma=0, max_step=None, balanced_bins=False`` it grows the very trees of ``XGBClassifier()``.

    `predict` follows `decision_function`. With ``calibration="full"`` and class weights, the class of the largest
    probability can be another one: to decide by probability, use ``sklearn.model_selection.FixedThresholdClassifier``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.xgboost import FocalXGBClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalXGBClassifier(focal_gamma=0.5, n_estimators=20).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    base_score: Any
    callbacks: Any

    @property
    def objective(self) -> Any:
        """XGBoost's name of the link: "binary:logistic", or "multi:softprob" for a model of more than two classes."""
        given = self.__dict__.get("objective")
        is_multiclass = getattr(self, "n_classes_", 2) > 2
        return "multi:softprob" if is_multiclass and given in OWN_OBJECTIVES else given

    @objective.setter
    def objective(self, value: Any) -> None:
        self.__dict__["objective"] = value

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

    @classes_.setter
    def classes_(self, value: Array) -> None:
        # XGBoost's Dask class assigns what it finds in the labels that it is given, which are indices.
        self._classes, self.n_classes_ = np.sort(np.asarray(value)), len(value)

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
        if not hasattr(self, "_n_features_in"):  # a loaded model: the booster has the names
            names: Array = super().feature_names_in_
            return names
        if not hasattr(self, "_feature_names_in"):
            raise AttributeError(f"{type(self).__name__} has no feature_names_in_: X had no column names in fit")
        return self._feature_names_in

    @feature_names_in_.setter
    def feature_names_in_(self, value: Array) -> None:
        self._feature_names_in = value

    @feature_names_in_.deleter
    def feature_names_in_(self) -> None:
        self.__dict__.pop("_feature_names_in", None)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of this estimator, as they were given.

        Parameters
        ----------
        deep : bool, default=True
            No parameter is an estimator: without effect.

        Returns
        -------
        dict
        """
        params: dict[str, Any] = super().get_params(deep)
        if "objective" in params:
            params["objective"] = self.__dict__.get("objective")
        return params

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
        check_parameters(self)

    def _check_X(self, X: Any, *, reset: bool, names: bool = True) -> Any:
        X = in_memory(X)
        if not is_array_like(X):
            if names:
                validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        return validate_data(
            self,
            X,
            reset=reset,
            # Balanced bins need the matrix that XGBoost bins at once.
            accept_sparse="csr" if self.balanced_bins and reset else True,
            dtype="numeric",
            # Like the parent, which predicts for infinity and for no row at all.
            ensure_all_finite="allow-nan" if reset and np.isnan(self.missing) else False,
            ensure_min_samples=2 if reset else 0,
        )

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
        with learning(self) as model:
            X_checked = model._check_X(X, reset=True)
            rows = Rows(X_checked, y, sample_weight)
            check_continuation(xgb_model, rows.classes)
            sets = EvaluationSets([] if eval_set is None else pairs_of(eval_set), X, y, rows)
            model.focal_loss_ = model._build_loss(rows.classes, rows.indices, rows.weight, rows.outer_weights)
            model._fit_parent(
                X_checked,
                rows.indices,
                Training(model, rows, is_continued=xgb_model is not None),
                state_in_training(model, rows.classes),
                base_margin=in_native_order(base_margin),
                eval_set=as_pairs(sets, X_checked),
                verbose=verbose,
                xgb_model=xgb_model,
                sample_weight_eval_set=sets.weights(sample_weight_eval_set, "sample_weight_eval_set", of_each=True),
                base_margin_eval_set=base_margin_eval_set and [in_native_order(m) for m in base_margin_eval_set],
                feature_weights=in_native_order(feature_weights),
            )
            model._classes = rows.classes
            put_state_if_it_can_be_told(model)
        return self

    def _fit_parent(self, X: Any, y: Array, training: Training, state: Any, **keywords: Any) -> None:
        """The parent's ``fit``, on a copy whose parameters are ours to change."""
        self.__dict__.pop("_classes", None)  # to the parent labels are indices
        self._training = training
        self.objective, self.eval_metric = training.objective, None
        self.callbacks = [state, training.metrics.in_order, *(self.callbacks or [])]
        super().fit(X, y, sample_weight=training.weight, **keywords)
        del self._training

    def _configure_fit(self, booster: Any, params: dict[str, Any], feature_weights: Any) -> Any:
        # Called by the parent's fit between its parameters and training. There is no public way to give it several
        # metrics of one's own, or parameters for one fit alone; tests/xgboost/test_private_names.py says so if it goes.
        model, _, params, feature_weights = super()._configure_fit(booster, params, feature_weights)
        params.update(self._training.params)
        return model, self._training.metrics, params, feature_weights

    def _create_dmatrix(self, ref: Any, **kwargs: Any) -> Any:
        # Called by the parent's fit for the training data, which has no ref, and for each evaluation set. There is no
        # public way to give bins other weights than training; where it is not called, the bins are XGBoost's own.
        if ref is not None:
            return super()._create_dmatrix(ref, **kwargs)
        if not self.balanced_bins:
            return with_known_info(super()._create_dmatrix(ref, **kwargs))
        weight = kwargs.pop("weight")
        data = super()._create_dmatrix(ref, weight=bin_weights(kwargs["label"], weight), **kwargs)
        if not isinstance(data, xgb.QuantileDMatrix) and self.tree_method in (None, "auto", "hist"):
            warn_user(
                f"balanced_bins has no effect on X of type {type(kwargs['data']).__name__}, which XGBoost bins later: "
                "give X as an array, a data frame or a CSR matrix, or balanced_bins=False"
            )
        # The bins are made: from here on the weights are those of the loss and its metrics.
        data.set_weight(np.empty(0, np.float32) if weight is None else weight)
        return with_known_info(data)

    @undisturbed
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
            self._check_X(X, reset=False, names=validate_features),
            output_margin=True,
            validate_features=validate_features,
            base_margin=in_native_order(base_margin),
            iteration_range=iteration_range,
        )
        return raw

    @undisturbed
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

    @undisturbed
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
        """Save the model as XGBoost's file, with labels, loss, ``calibration`` and ``missing`` in it.

        ``xgboost.Booster`` reads the file, too. Ask it for ``output_margin=True``, of which `skfocal.FocalLoss` makes
        probabilities: what it calls probabilities are the bare sigmoid or softmax, for XGBoost knows of no focal loss.

        Parameters
        ----------
        fname : str or PathLike
            Ends in ``.json`` or ``.ubj``.

        Raises
        ------
        ValueError
            If the labels are objects other than texts.
        """
        check_is_fitted(self)
        if "_training" not in vars(self):  # during a fit, for whoever watches it, the booster alone knows the labels
            put_state(self)
        super().save_model(fname)

    def load_model(self, fname: Any) -> None:
        """Load what `save_model` saved; of the parameters, ``calibration`` and ``missing`` become those of the file.

        Parameters
        ----------
        fname : str, PathLike or bytearray
            Or what ``xgboost.callback.TrainingCheckPoint`` or the booster's ``save_raw`` made of such a model.

        Raises
        ------
        ValueError
            If the file was not saved by a FocalXGBClassifier, or its booster was trained further without one. The
            estimator stays what it was.
        """
        with learning(self) as model:
            # Without a booster of its own the copy gets a new one; the parent would load into the one that is there.
            for name in ("_Booster", "_classes", "_n_features_in", "_feature_names_in"):
                model.__dict__.pop(name, None)
            state = load(model, fname, model._load_parent)
        self.calibration = state.calibration
        self.missing = float(state.more["missing"])

    def _load_parent(self, fname: Any) -> None:
        super().load_model(fname)

    from_booster = classmethod(from_booster)
