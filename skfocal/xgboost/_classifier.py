"""``FocalXGBClassifier``. May import ``_common``, the other files of this folder and XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.booster import BOOSTER_PARAMETERS_DOC, FITTED_DOC
from skfocal._common.evaluation_sets import EvaluationSets, pairs_of
from skfocal._common.files import complete_file
from skfocal._common.rows import in_native_order
from skfocal._common.state import learning, undisturbed
from skfocal._common.warning import warn_user
from skfocal._kernels.blocks import Array
from skfocal.xgboost._booster_in_training import InTraining
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
from skfocal.xgboost._training import Training, check_continuation


class FocalXGBClassifier(SeveralLabelsMixin, xgb.XGBClassifier):
    __doc__ = f"""XGBoost classifier trained with the focal loss.

    This class is an ``XGBClassifier``: it has the same constructor parameters, ``fit`` arguments, attributes and plots.
    Labels can be of any type.

    Training starts at the constant score that minimizes the focal loss. This score is the ``base_score`` of the model.
    `predict_proba` corrects the effect of gamma on the probabilities.

    Parameters
    ----------{BOOSTER_PARAMETERS_DOC}
    balanced_bins : bool, default=True
        Whether half of the bins of each column are placed at per-class quantiles. Each class gets an equal share of
        these bins. Otherwise a class of a few dozen rows would share a bin with its neighbors, and no tree could
        separate them. The parameter affects ``tree_method="hist"``, which is the default. The other methods do not use
        these bins.
    **kwargs
        All parameters of ``xgboost.XGBClassifier``, except for ``objective``, ``scale_pos_weight``, ``num_class``,
        ``alpha`` and ``booster="gblinear"``. These raise an error that says what to use instead. ``gamma`` is XGBoost's
        parameter for the minimum gain of a split, not the focusing parameter.

    Attributes
    ----------{FITTED_DOC.rstrip()}
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` of each class. ``calibration="full"`` corrects for these weights.

    Notes
    -----
    **Several labels per row.** Let y have shape (n_samples, n_labels) and contain zeros and ones. Each label then has a
    binary focal loss, with class weights, a start and a scale of its own. ``focal_gamma`` is a number or one number per
    label. ``focal_alpha`` is one value for all labels, or a sequence with one entry per label: a number in (0, 1),
    which is the weight of class 1, a dict ``{{0: 1.0, 1: 5.0}}``, "balanced", "effective" or None.
    ``multi_strategy`` works as in XGBoost. With "one_output_per_tree", each label has the trees of a separate binary
    model, except that the labels share the bins and ``min_child_weight``. `predict`, `predict_proba` and
    `decision_function` return arrays of shape (n_samples, n_labels). The probabilities are those of class 1. As in
    XGBoost, ``classes_`` is [0, 1]. ``focal_loss_`` is a tuple with one loss per label, and ``class_weights_`` has
    shape (n_labels, 2). If a label has only one class in y, its prediction is its prior.

    The loss is multiplied by `skfocal.FocalLoss.log_loss_scale`. With this factor, ``reg_lambda`` and
    ``min_child_weight``, which XGBoost compares with sums of second derivatives, have the effect that they have with
    log loss. XGBoost's ``gamma`` and ``reg_alpha`` are compared with the loss itself and with first derivatives. The
    larger ``focal_gamma``, the more they prune.

    The default evaluation metric is the focal loss of the training; with several labels, it is the mean over the
    labels. ``logloss``, ``mlogloss``, ``error`` and ``merror`` are computed from the results of `predict_proba` and
    `predict`. A callable metric receives these probabilities, as in ``XGBClassifier``. A `FocalMetric` receives raw
    scores.

    The default of ``min_child_weight`` depends on the rarest class. The second derivatives of the rows decrease as
    gamma increases, so XGBoost's default of 1 would forbid leaves that it allows with log loss. If ``focal_gamma`` is
    above 0, the default is lowered until a leaf with a quarter of the rows of the rarest class, at a probability of
    0.5, is allowed. At ``focal_gamma=2`` this is the case if the class has fewer than about 30 rows. Otherwise the
    default is 1.

    With ``focal_gamma=0, max_step=None, balanced_bins=False`` the trees are identical to those of ``XGBClassifier()``.

    `predict` decides by the raw scores of `decision_function`. With ``calibration="full"`` and class weights, the class
    with the largest probability can be a different one. To decide by probability, use
    ``sklearn.model_selection.FixedThresholdClassifier``.

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
        """XGBoost's name for the link: "binary:logistic", or "multi:softprob" for a model of more than two classes."""
        given = self.__dict__.get("objective")
        is_multiclass = getattr(self, "n_classes_", 2) > 2
        return "multi:softprob" if is_multiclass and given in OWN_OBJECTIVES else given

    @objective.setter
    def objective(self, value: Any) -> None:
        self.__dict__["objective"] = value

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = False  # in scikit-learn it includes columns of more than two classes
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator, as they were given.

        Parameters
        ----------
        deep : bool, default=True
            Has no effect, because no parameter is an estimator.

        Returns
        -------
        dict
        """
        params: dict[str, Any] = super().get_params(deep)
        if "objective" in params:
            params["objective"] = self.__dict__.get("objective")
        return params

    def get_xgb_params(self) -> dict[str, Any]:
        """Get the parameters that are passed to XGBoost."""
        params: dict[str, Any] = super().get_xgb_params()
        # This class evaluates the metrics itself, and XGBoost may not know their names.
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
            # Balanced bins need a matrix that XGBoost bins immediately.
            accept_sparse="csr" if self.balanced_bins and reset else True,
            dtype="numeric",
            # As in the parent, predictions are possible for infinite numbers and for X without rows.
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
        """Fit the model. The parameters are those of ``xgboost.XGBClassifier.fit``.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            NaN stands for a missing value.
        y : array-like of shape (n_samples,), or array-like or sparse matrix of shape (n_samples, n_labels)
            Labels of at least two classes, of any type. With several labels per row, zeros and ones.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        base_margin : array-like of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels), default=None
            Scores at which training starts, instead of the optimal constant. As in XGBoost, they are not part of the
            model.
        eval_set : list of (X, y), default=None
            Evaluation sets.
        verbose, xgb_model, sample_weight_eval_set, base_margin_eval_set, feature_weights
            See ``xgboost.XGBClassifier.fit``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described here. The error is raised before training starts.
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
        """Call the parent's ``fit`` on a copy, whose parameters may be changed."""
        self.__dict__.pop("_classes", None)  # for the parent, labels are indices
        self._training = training
        self.objective, self.eval_metric = training.objective, None
        in_order = [training.metrics.in_order] if keywords["eval_set"] else []
        self.callbacks = [InTraining(), state, *in_order, *(self.callbacks or [])]
        super().fit(X, y, sample_weight=training.weight, **keywords)
        del self._training

    def _configure_fit(self, booster: Any, params: dict[str, Any], feature_weights: Any) -> Any:
        # The parent's fit calls this method after it has collected the parameters and before training. There is no
        # public way to pass several custom metrics, or parameters for one fit only. If the method is removed,
        # tests/xgboost/test_private_names.py fails.
        model, _, params, feature_weights = super()._configure_fit(booster, params, feature_weights)
        params.update(self._training.params)
        return model, self._training.metrics, params, feature_weights

    def _create_dmatrix(self, ref: Any, **kwargs: Any) -> Any:
        # The parent's fit calls this method for the training data, which have no ref, and for each evaluation set.
        # There is no public way to use different weights for the bins and for training. If the method is not called,
        # the bins are XGBoost's own.
        if ref is not None:
            return super()._create_dmatrix(ref, **kwargs)
        weight = kwargs.pop("weight")
        of_bins = self._training.bin_weight(is_balanced=self.balanced_bins)
        data = super()._create_dmatrix(ref, weight=of_bins, **kwargs)
        if of_bins is weight:
            return data
        if (
            self.balanced_bins
            and not isinstance(data, xgb.QuantileDMatrix)
            and self.tree_method in (None, "auto", "hist")
        ):
            warn_user(
                f"balanced_bins has no effect on X of type {type(kwargs['data']).__name__}, which XGBoost bins later: "
                "give X as an array, a data frame or a CSR matrix, or balanced_bins=False"
            )
        # The bins exist now. From here on the weights are those of the loss and the metrics.
        data.set_weight(np.empty(0, np.float32) if weight is None else weight)
        return data

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
            For two classes there is one score per row. With several labels, there is one score per label. In both cases
            a score is > 0 where the prediction is the second of ``classes_``.
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
        """Predicted labels, decided by the raw scores.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        output_margin : bool, default=False
            Whether to return the scores of `decision_function` instead of labels.
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
        """Class probabilities, with the correction that ``calibration`` selects.

        The parameters are those of `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels), float32
            Columns are in the order of ``classes_``. With several labels per row, column j is P(label j = 1).
        """
        return self._probabilities(
            self.decision_function(
                X, validate_features=validate_features, base_margin=base_margin, iteration_range=iteration_range
            )
        )

    def save_model(self, fname: Any) -> None:
        """Save the model as XGBoost's file, including labels, loss, ``calibration`` and ``missing``.

        ``xgboost.Booster`` reads the file as well. Its default predictions are the sigmoid or softmax of the scores,
        without the correction for the focal loss. Use ``output_margin=True`` to get the raw scores, and convert them to
        probabilities with `skfocal.FocalLoss`.

        Parameters
        ----------
        fname : str or PathLike
            Path of the file. It ends in ``.json`` or ``.ubj``.

        Raises
        ------
        ValueError
            If labels are objects other than strings.
        """
        check_is_fitted(self)
        if "_training" not in vars(self):  # during a fit, only the booster has the labels
            put_state(self)
        with complete_file(fname) as path:
            super().save_model(path)

    def load_model(self, fname: Any) -> None:
        """Load a model that `save_model` saved. Of the parameters, ``calibration`` and ``missing`` are read from the
        file.

        Parameters
        ----------
        fname : str, PathLike or bytearray
            A file of `save_model` or of ``xgboost.callback.TrainingCheckPoint``, or the result of the booster's
            ``save_raw``.

        Raises
        ------
        ValueError
            If the file was not saved by a FocalXGBClassifier, or if its booster was trained further without one. The
            estimator is unchanged.
        """
        with learning(self) as model:
            # The copy must not have a booster, because the parent would load the file into it.
            for name in ("_Booster", "_classes", "_n_features_in", "_feature_names_in"):
                model.__dict__.pop(name, None)
            state = load(model, fname, model._load_parent)
        self.calibration = state.calibration
        self.missing = float(state.more["missing"])

    def _load_parent(self, fname: Any) -> None:
        super().load_model(fname)

    from_booster = classmethod(from_booster)
