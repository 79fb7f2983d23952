"""``FocalXGBClassifier``. May import ``_common``, the other files of this folder and XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.booster import BOOSTER_PARAMETERS_DOC, FITTED_DOC
from skfocal._common.evaluation_sets import EvaluationSets, pairs_of
from skfocal._common.state import learning, undisturbed
from skfocal._common.warning import warn_user
from skfocal._kernels.blocks import Array
from skfocal.xgboost._evaluation import as_pairs
from skfocal.xgboost._labels import SeveralLabelsMixin, rows_of, training_of
from skfocal.xgboost._model_file import (
    from_booster,
    load,
    put_state,
    put_state_if_it_can_be_told,
    state_in_training,
)
from skfocal.xgboost._parameters import OWN_OBJECTIVES, check_parameters, in_memory, is_array_like, with_text_names
from skfocal.xgboost._training import Training, check_continuation, with_known_info


class FocalXGBClassifier(SeveralLabelsMixin, xgb.XGBClassifier):
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
    **Several labels a row.** With a y of zeros and ones of shape (n_samples, n_labels) each label has the loss of two
    classes, its own class weights, start and scale. ``focal_gamma`` is a number or one per label; ``focal_alpha`` is
    for all labels, as for one, or a sequence of one entry per label: numbers in (0, 1), the weights of class 1, dicts
    ``{{0: 1.0, 1: 5.0}}``, "balanced", "effective" or None. ``multi_strategy`` is XGBoost's: with
    "one_output_per_tree" each label has the trees of a model of it alone, but for the bins and
    ``min_child_weight``, which labels share. `predict`, `predict_proba` and `decision_function` are of shape
    (n_samples, n_labels), probabilities those of class 1. As in XGBoost ``classes_`` is [0, 1]. ``focal_loss_`` is a
    tuple of one loss per label, ``class_weights_`` of shape (n_labels, 2). A label with one class in y is given its
    prior.

    The loss is multiplied by `skfocal.FocalLoss.log_loss_scale`. With this factor ``reg_lambda`` and
    ``min_child_weight``, which are compared with sums of second derivatives, mean what they mean with log loss.
    ``gamma``, XGBoost's least gain of a split, and ``reg_alpha`` are compared with the loss itself and with first
    derivatives: the larger ``focal_gamma``, the more they prune.

    The default evaluation metric is the focal loss that is trained, of several labels the mean over them. ``logloss``,
    ``mlogloss``, ``error`` and ``merror`` are computed on what ``predict_proba`` and ``predict`` give; a callable is
    handed probabilities, as by ``XGBClassifier``, and a `FocalMetric` scores.

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
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = False  # which to scikit-learn means columns of more than two classes as well
        return tags

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
                validate_data(self, with_text_names(X), reset=reset, skip_check_array=True)
            return X
        return validate_data(
            self,
            X,
            reset=reset,
            # Balanced bins need the matrix that XGBoost bins at once.
            accept_sparse="csr" if self.balanced_bins and reset else True,
            dtype="numeric",
            ensure_all_finite="allow-nan" if np.isnan(self.missing) else False,
            ensure_min_samples=2 if reset else 1,
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
        y : array-like of shape (n_samples,), or array-like or sparse matrix of shape (n_samples, n_labels)
            Labels of two classes or more, of any kind. Of several labels a row zeros and ones.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        base_margin : array-like of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels), default=None
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
            rows = rows_of(X_checked, y, sample_weight)
            check_continuation(xgb_model, rows.classes, 1 if rows.indices.ndim == 1 else rows.indices.shape[1])
            sets = EvaluationSets([] if eval_set is None else pairs_of(eval_set), X, y, rows)
            model._learn_loss(rows)
            model._fit_parent(
                X_checked,
                rows.indices,
                training_of(model, rows, is_continued=xgb_model is not None),
                state_in_training(model, rows.classes),
                base_margin=base_margin,
                eval_set=as_pairs(sets, X_checked),
                verbose=verbose,
                xgb_model=xgb_model,
                sample_weight_eval_set=sets.weights(sample_weight_eval_set, "sample_weight_eval_set", of_each=True),
                base_margin_eval_set=base_margin_eval_set,
                feature_weights=feature_weights,
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
        weight = kwargs.pop("weight")
        of_bins = self._training.bin_weight(is_balanced=self.balanced_bins)
        data = super()._create_dmatrix(ref, weight=of_bins, **kwargs)
        if of_bins is weight:
            return with_known_info(data)
        if (
            self.balanced_bins
            and not isinstance(data, xgb.QuantileDMatrix)
            and self.tree_method in (None, "auto", "hist")
        ):
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
        ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels), float32
            For two classes and for each of several labels one score, > 0 where the second of ``classes_`` is decided
            for.
        """
        check_is_fitted(self)
        raw: Array = xgb.XGBModel.predict(
            self,
            self._check_X(X, reset=False, names=validate_features),
            output_margin=True,
            validate_features=validate_features,
            base_margin=base_margin,
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
        ndarray of shape (n_samples,) or (n_samples, n_labels)
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
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels), float32
            In the order of ``classes_``; of several labels a row P(label=1) of each.
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
