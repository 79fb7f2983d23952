"""``FocalLGBMClassifier``. May import ``_common``, the other files of this folder and LightGBM."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
from lightgbm.sklearn import LGBMNotFittedError
from numpy.typing import ArrayLike
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.validation import check_is_fitted, validate_data

from skfocal._common.booster import BOOSTER_PARAMETERS_DOC, FITTED_DOC, FocalBoosterMixin
from skfocal._common.evaluation_sets import EvaluationSets
from skfocal._common.rows import Rows
from skfocal._common.state import learning, undisturbed
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._bins import PARAMETER as BINS_PARAMETER, without_path
from skfocal.lightgbm._columns import check_columns, column_kinds, column_names
from skfocal.lightgbm._evaluation import as_arguments, check_class_weights, eval_pairs, metrics_of, starts_of
from skfocal.lightgbm._interrupts import after_training, set_model, train_safely
from skfocal.lightgbm._model_file import from_booster, load_model, save_model, with_state_of
from skfocal.lightgbm._parameters import METRIC_ALIASES, OWN_OBJECTIVE, check_parameters
from skfocal.lightgbm._start import bake, callbacks_of_start, constant_scores, starts_at_optimum
from skfocal.lightgbm._training import Training, check_continuation


class FocalLGBMClassifier(FocalBoosterMixin, lgb.LGBMClassifier):
    __doc__ = f"""LightGBM classifier trained with the focal loss.

    This class is an ``LGBMClassifier``: it has the same constructor parameters, ``fit`` arguments, attributes and
    plots. One default differs: ``reg_lambda`` is 1.0, as in XGBoost, instead of 0. Without an L2 penalty LightGBM is
    overconfident, and models of rare classes can collapse. On data without noise ``reg_lambda=0`` can be better.

    Training starts at the constant score that minimizes the focal loss. This score is stored in the first trees.
    `predict_proba` corrects the effect of gamma on the probabilities.

    Parameters
    ----------{BOOSTER_PARAMETERS_DOC}
    balanced_bins : bool, default=True
        Whether up to half of the bins of each column are placed at per-class quantiles. Each class gets an equal share
        of these bins. Otherwise a class of a few dozen rows would share a bin with its neighbors, and no tree could
        separate them. The parameter affects numeric columns of arrays and data frames, for any ``min_data_in_bin``.
        Sparse matrices, and models for which you give ``forcedbins_filename``, have LightGBM's own bins.
    **kwargs
        All parameters of ``lightgbm.LGBMClassifier`` and of LightGBM, except for ``objective``, ``is_unbalance``,
        ``scale_pos_weight``, ``pos_bagging_fraction``, ``neg_bagging_fraction``, ``num_class``, ``sigmoid`` and
        ``boosting_type="rf"``. These raise an error that says what to use instead.

    Attributes
    ----------{FITTED_DOC.rstrip()}
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class. ``calibration="full"`` corrects for these weights.
    intercept_ : float or ndarray of shape (n_classes,)
        The scores at which training started. They are part of the first trees. They are 0 if ``init_score``,
        ``init_model`` or ``boost_from_average=False`` determined the start.

    Notes
    -----
    The loss is multiplied by `skfocal.FocalLoss.log_loss_scale`. With this factor, ``reg_lambda`` and
    ``min_child_weight``, which LightGBM compares with sums of second derivatives, have the effect that they have with
    log loss. ``min_split_gain`` and ``reg_alpha`` are compared with the loss itself and with first derivatives. The
    larger gamma, the more they prune.

    The default evaluation metric is the focal loss of the training. ``binary_logloss``, ``multi_logloss`` and the other
    metrics of probabilities are computed from the probabilities of `predict_proba`. A callable metric receives these
    probabilities, as in ``LGBMClassifier``. A `FocalMetric` receives raw scores.

    With ``focal_gamma=0, max_step=None, balanced_bins=False, reg_lambda=0`` the trees are identical to those of
    ``LGBMClassifier()``, except for ``boosting_type="dart"``.

    `predict` decides by the raw scores of `decision_function`. With ``calibration="full"`` and class weights, the class
    with the largest probability can be a different one. To decide by probability, use
    ``sklearn.model_selection.FixedThresholdClassifier``.

    If LightGBM opens the saved booster without skfocal, the booster predicts raw scores.
    `skfocal.FocalLoss.predict_proba` converts them to probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.lightgbm import FocalLGBMClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalLGBMClassifier(focal_gamma=0.5, n_estimators=20, verbosity=-1).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    # SHAP reads the name of the objective. It would take None for log loss, and the scores for log-odds.
    changed_defaults = {"reg_lambda": 1.0, "objective": OWN_OBJECTIVE}

    intercept_: Any
    _names_in: list[str] | None

    _training: Training | None = None
    """State for the parent's hook during a fit. Only the copy that is fitted has it."""

    def set_params(self, **params: Any) -> FocalLGBMClassifier:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params
            Names and values of the parameters.

        Returns
        -------
        self
        """
        super().set_params(**params)
        # The parent also stores the values among its "other" parameters, which would shadow the attributes.
        for name in self.focal_parameters:
            self._other_params.pop(name, None)
        return self

    def _process_params(self, stage: str) -> dict[str, Any]:
        # In this method LightGBM's class collects the parameters for the library, in fit and in predict. There is no
        # public way to set an objective for one fit only, or to have parameters that the library does not see. Without
        # this hook the parent would train log loss; tests/lightgbm/test_private_names.py would fail.
        training = self._training if stage == "fit" else None
        if training is not None:
            self._objective = training.objective
        params: dict[str, Any] = super()._process_params(stage=stage)
        for name in (*self.focal_parameters, *METRIC_ALIASES):
            params.pop(name, None)
        if training is not None:
            params["metric"] = None  # all metrics come as eval_metric
            if training.bins_file is not None:
                params[BINS_PARAMETER] = training.bins_file
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
        """Fit the model. The parameters are those of ``lightgbm.LGBMClassifier.fit``.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            NaN stands for a missing value.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        init_score : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Scores at which training starts, instead of the optimal constant. As in LightGBM, they are not part of the
            model.
        eval_set : list of (X, y), default=None
            Evaluation sets. They can also be given as ``eval_X`` and ``eval_y``.
        eval_names, eval_sample_weight, eval_class_weight, eval_init_score : list, default=None
            One entry per evaluation set.
        eval_metric : str, callable or list of them, default=None
            Metrics in addition to the focal loss. Named metrics are computed from probabilities.
        feature_name, categorical_feature, callbacks, init_model
            See ``lightgbm.LGBMClassifier.fit``.
        eval_X, eval_y : array-like or tuple of array-likes, default=None
            Evaluation sets, as in LightGBM 4.7.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described here. The error is raised before training starts.
        """
        self._check_focal_parameters()
        params = self.get_params()
        check_parameters(params)
        check_columns(X)
        with learning(self) as model:
            rows = model._rows(X, y, sample_weight)
            # In eval_X, LightGBM treats the training data like any other set, and early stopping uses them.
            sets = EvaluationSets(eval_pairs(eval_set, eval_X, eval_y), X, None if eval_set is None else y, rows)
            for table in sets.tables:
                check_columns(table, "X of eval_set")
            check_class_weights(eval_class_weight, len(sets.tables), rows.classes)
            init_model = check_continuation(init_model, rows.classes)
            model._set_loss(rows)
            metrics, in_order = metrics_of(model, eval_metric, params)
            training = model._training_of(rows)
            training.names_in = column_names(X, feature_name)
            training.starts_here = init_score is None and init_model is None and starts_at_optimum(params)
            if training.starts_here:
                init_score = constant_scores(training.start, rows.indices.shape[0])
                eval_init_score = starts_of(sets, training.start, eval_init_score)
            with training.bins(X, rows, params, categorical_feature, feature_name):
                model._fit_parent(
                    X,
                    rows.indices,
                    training,
                    sample_weight=rows.weight,
                    init_score=init_score,
                    **as_arguments(sets, params),
                    eval_names=eval_names,
                    eval_sample_weight=sets.weights(eval_sample_weight, "eval_sample_weight"),
                    eval_class_weight=eval_class_weight,
                    eval_init_score=eval_init_score,
                    eval_metric=metrics,
                    feature_name=feature_name,
                    categorical_feature=categorical_feature,
                    callbacks=[train_safely, *(callbacks or ()), *callbacks_of_start(params), in_order],
                    init_model=init_model,
                )
        return self

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        return Rows(X, y, sample_weight, self.class_weight)

    def _training_of(self, rows: Rows) -> Training:
        return Training(self, rows)

    def _set_loss(self, rows: Rows) -> None:
        """Set the loss and the attributes that the parent's methods need for it."""
        self.focal_loss_ = self._build_loss(rows.classes, rows.indices, rows.weight, rows.outer_weights)
        self._set_labels(rows.classes)
        self._class_weight = None if self.class_weight is None else dict(enumerate(rows.outer_weights.tolist()))

    def _set_labels(self, classes: Array) -> None:
        self._classes, self._n_classes = classes, classes.shape[0]
        self._class_map = {label: k for k, label in enumerate(classes.tolist())}
        self._le = LabelEncoder()
        self._le.classes_ = classes

    def _fit_parent(self, X: Any, y: Array, training: Training, **keywords: Any) -> None:
        """Call ``LGBMModel.fit``. ``LGBMClassifier.fit`` would encode the labels again."""
        self._training = training
        try:
            lgb.LGBMModel.fit(self, X, y, **keywords)
            self._finish()
        finally:
            training.objective.forget()
            self.__dict__.pop("_training", None)

    # LightGBM's class assigns this attribute last in its fit. The model is completed then, and not after the parent's
    # fit, because MLflow's autolog wraps that fit and stores the model when it returns. If a release no longer assigns
    # the attribute, `_fit_parent` completes the model, and autolog stores an incomplete one.
    @property
    def fitted_(self) -> bool:
        return bool(self.__dict__.get("fitted_", False))

    @fitted_.setter
    def fitted_(self, fitted: bool) -> None:
        self.__dict__["fitted_"] = fitted
        self._finish()

    def _finish(self) -> None:
        """Complete the model of a fit: add the start and the labels to the booster, and remove the path of the bins."""
        training = self.__dict__.pop("_training", None)
        if training is None:
            return
        training.objective.forget()
        self._names_in = training.names_in
        self.intercept_ = training.start if training.starts_here else 0.0 * training.start
        model = self._Booster.model_to_string(num_iteration=-1)
        model = without_path(model) if training.bins_file is not None else model
        model = bake(model, np.atleast_1d(training.start) if training.starts_here else None)
        set_model(self._Booster, with_state_of(self, model))
        after_training(self._Booster)
        if training.bins_file is not None:
            self._Booster.params.pop(BINS_PARAMETER, None)

    save_model = save_model
    load_model = load_model
    from_booster = classmethod(from_booster)

    @property
    def feature_names_in_(self) -> Array:
        """Names of the features in ``fit``, (n_features,). Only if all of them are strings."""
        if not self.__sklearn_is_fitted__():
            raise LGBMNotFittedError(f"{type(self).__name__} has no feature_names_in_ before fit")
        # LightGBM before 4.7 invents names for an array, and scikit-learn then warns in every predict that they are
        # missing.
        if getattr(self, "_names_in", None) is None:
            raise AttributeError(f"{type(self).__name__} has no feature_names_in_: X had no column names in fit")
        return np.array(self._names_in)

    @feature_names_in_.setter
    def feature_names_in_(self, names: Array) -> None:
        self._names_in = list(names)

    @feature_names_in_.deleter
    def feature_names_in_(self) -> None:
        self._names_in = None

    @undisturbed
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
            See ``lightgbm.LGBMClassifier.predict``. The start is part of the trees of the first iteration.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes there is one score per row; it is > 0 where the prediction is the second of ``classes_``.
        """
        kwargs |= {"num_iteration": num_iteration, "validate_features": validate_features}
        scores: Array = self._scores(X, start_iteration=start_iteration, raw_score=True, **kwargs)
        return scores

    def _scores(self, X: Any, decide: Any = None, **kwargs: Any) -> Any:
        """Result of the parent's ``predict`` for these arguments. If they select no other output, the result is
        ``decide`` of the raw scores.
        """
        check_is_fitted(self)
        check_parameters(kwargs)
        check_columns(X)
        # LightGBM accepts a mix of strings and numbers as column names, which scikit-learn refuses.
        if hasattr(X, "columns") and not (
            getattr(self, "_names_in", None) is None and column_kinds(X) == {True, False}
        ):
            validate_data(self, X, reset=False, skip_check_array=True)
        if decide is None or kwargs["raw_score"] or kwargs["pred_leaf"] or kwargs["pred_contrib"]:
            return lgb.LGBMModel.predict(self, X, **kwargs)
        return decide(lgb.LGBMModel.predict(self, X, **{**kwargs, "raw_score": True}))

    @undisturbed
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
        """Predicted labels, decided by the raw scores.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        raw_score, start_iteration, num_iteration, pred_leaf, pred_contrib, validate_features, **kwargs
            See ``lightgbm.LGBMClassifier.predict``.

        Returns
        -------
        ndarray of shape (n_samples,)
            The labels, or scores, leaf indices or SHAP contributions if these are requested.
        """
        asked = {name: value for name, value in locals().items() if name not in ("self", "X", "kwargs")}
        return self._scores(X, self._labels, **asked, **kwargs)

    @undisturbed
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
        """Class probabilities, with the correction that ``calibration`` selects.

        The parameters are those of `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probabilities, with columns in the order of ``classes_``; or scores, leaf indices or SHAP contributions
            if these are requested.
        """
        asked = {name: value for name, value in locals().items() if name not in ("self", "X", "kwargs")}
        return self._scores(X, self._probabilities, **asked, **kwargs)
