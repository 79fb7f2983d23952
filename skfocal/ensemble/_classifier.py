"""``FocalHistGradientBoostingClassifier``. May import ``_common``, the other files of this folder and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfocal._common.booster import BOOSTER_PARAMETERS_DOC, DEFAULT_GAMMA, FITTED_DOC
from skfocal._common.classifier import FocalClassifierMixin
from skfocal._common.labels import index_labels, resolve_class_weight
from skfocal._common.rows import check_same_rows
from skfocal._common.several_labels import refuse_several_labels
from skfocal._common.state import learning, undisturbed
from skfocal._common.validation import check_max_step
from skfocal._kernels.arguments import check_sample_weight
from skfocal._kernels.blocks import Array
from skfocal.ensemble._loss import TrainingLoss
from skfocal.ensemble._parent import BoosterOfAnyLoss, detach, train

REPLACED_PARAMETERS = {
    "loss": "it is the focal loss. Use focal_gamma and focal_alpha, or HistGradientBoostingClassifier for log loss",
    "gamma": "did you mean focal_gamma?",
    "alpha": "did you mean focal_alpha?",
}


def _refuse_replaced(names: Any) -> None:
    for name, advice in REPLACED_PARAMETERS.items():
        if name in names:
            raise TypeError(f"{name} must not be given to FocalHistGradientBoostingClassifier: {advice}")


def _without_replaced(init: Callable[..., None]) -> Callable[..., None]:
    """Decorator of ``__init__``: refuses parameters that another parameter replaces and that are not in the
    signature.
    """

    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        _refuse_replaced(kwargs)
        init(self, *args, **kwargs)

    return checked


class FocalHistGradientBoostingClassifier(FocalClassifierMixin, BoosterOfAnyLoss):
    __doc__ = f"""scikit-learn's histogram-based gradient boosting, trained with the focal loss.

    This class is a ``HistGradientBoostingClassifier`` and has its parameters, methods and attributes. It needs no
    library other than scikit-learn.

    Training starts at the constant score that minimizes the focal loss. `predict_proba` corrects the effect of gamma on
    the probabilities.

    Parameters
    ----------{BOOSTER_PARAMETERS_DOC}
    learning_rate : float, default=0.1
        Learning rate: the factor of the leaf values of each tree.
    max_iter : int, default=100
        Number of boosting rounds. A round adds one tree for two classes, and one tree per class for more classes.
    max_leaf_nodes : int or None, default=31
        Maximum number of leaves of a tree.
    max_depth : int or None, default=None
        Maximum number of splits between the root of a tree and a leaf.
    min_samples_leaf : int, default=20
        Minimum number of rows in a leaf.
    l2_regularization : float, default=1.0
        L2 regularization, which is added to the sum of the second derivatives in each leaf.
    max_features : float, default=1.0
        Share of randomly chosen features that are considered for each split.
    max_bins : int, default=255
        Maximum number of bins per feature, without the bin for missing values.
    categorical_features : array-like of bool, int or str, "from_dtype" or None, default="from_dtype"
        Features that are split by sets of categories.
    monotonic_cst : array-like of int or dict, default=None
        Monotonicity of the score in each feature: 1 is increasing, -1 is decreasing, 0 is no constraint. Only for two
        classes. The constraint holds for the probability as well.
    interaction_cst : "pairwise", "no_interactions" or sequence of sequences of int, default=None
        Groups of features that may interact, that is, occur on the same branch of a tree.
    warm_start : bool, default=False
        Whether ``fit`` continues the training of the fitted model, on the same data.
    early_stopping : "auto" or bool, default="auto"
        Whether to stop training when the score on held-out rows no longer improves. "auto" enables it for more than
        10,000 rows.
    scoring : str, callable or None, default="loss"
        Score for early stopping. "loss" is the negative focal loss of the training. Scorers of scikit-learn that need
        probabilities use `predict_proba`. None is accuracy.
    validation_fraction : float, int or None, default=0.1
        Share or number of rows that are held out for early stopping. None: the score is computed on the training rows.
    n_iter_no_change : int, default=10
        Number of rounds without an improvement after which training stops.
    tol : float, default=1e-7
        Minimum improvement of the score.
    verbose : int, default=0
        1 prints a summary. 2 prints one line per round.
    random_state : int, RandomState or None, default=None
        Seed for the choice of the held-out rows, of the rows from which the bins are computed, and of the features of
        ``max_features``.
    class_weight : dict, "balanced" or None, default=None
        Class weights, which are multiplied with ``sample_weight``. ``focal_alpha`` also weights the classes, but it is
        rescaled to a mean of 1, and it does not affect the bins.

    Attributes
    ----------
    {FITTED_DOC.strip()}
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class. ``calibration="full"`` corrects for these weights.
    do_early_stopping_, n_iter_, n_trees_per_iteration_, train_score_, validation_score_, is_categorical_
        See ``sklearn.ensemble.HistGradientBoostingClassifier``.
    n_features_in_ : int
        Number of features in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features in ``fit``. Only if all of them are strings.

    Notes
    -----
    The loss is multiplied by `skfocal.FocalLoss.log_loss_scale`. With this factor, ``l2_regularization``, which is
    added to sums of second derivatives, has the effect that it has with log loss. ``train_score_`` and
    ``validation_score_`` do not include the factor.

    With ``focal_gamma=0, max_step=None, l2_regularization=0`` the trees are identical to those of
    ``HistGradientBoostingClassifier()``.

    `predict` decides by the raw scores of `decision_function`. With ``calibration="full"`` and class weights, the class
    with the largest probability can be a different one. To decide by probability, use
    ``sklearn.model_selection.FixedThresholdClassifier``.

    The parameter ``loss`` does not exist. Giving it raises an error that names the parameters to use instead.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skfocal.ensemble import FocalHistGradientBoostingClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FocalHistGradientBoostingClassifier(focal_gamma=0.5, max_iter=20).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    focal_parameters = (*FocalClassifierMixin.focal_parameters, "max_step")

    @_without_replaced
    def __init__(
        self,
        focal_gamma: Any = DEFAULT_GAMMA,
        focal_alpha: Any = None,
        *,
        max_step: float | None = 4.0,
        calibration: Any = "focus",
        learning_rate: float = 0.1,
        max_iter: int = 100,
        max_leaf_nodes: int | None = 31,
        max_depth: int | None = None,
        min_samples_leaf: int = 20,
        l2_regularization: float = 1.0,
        max_features: float = 1.0,
        max_bins: int = 255,
        categorical_features: Any = "from_dtype",
        monotonic_cst: Any = None,
        interaction_cst: Any = None,
        warm_start: bool = False,
        early_stopping: Any = "auto",
        scoring: Any = "loss",
        validation_fraction: Any = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-7,
        verbose: int = 0,
        random_state: Any = None,
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            # Not a name that the parent knows: tools that read the name would treat the scores as log-odds.
            loss="focal_loss",
            learning_rate=learning_rate,
            max_iter=max_iter,
            max_leaf_nodes=max_leaf_nodes,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            l2_regularization=l2_regularization,
            max_features=max_features,
            max_bins=max_bins,
            categorical_features=categorical_features,
            monotonic_cst=monotonic_cst,
            interaction_cst=interaction_cst,
            warm_start=warm_start,
            early_stopping=early_stopping,
            scoring=scoring,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            verbose=verbose,
            random_state=random_state,
            class_weight=class_weight,
        )
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.max_step = max_step
        self.calibration = calibration

    def set_params(self, **params: Any) -> FocalHistGradientBoostingClassifier:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params
            Names and values of the parameters.

        Returns
        -------
        self
        """
        _refuse_replaced(params)
        super().set_params(**params)
        return self

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> FocalHistGradientBoostingClassifier:
        """Fit the model. If the fit fails or is interrupted, the estimator is unchanged.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            NaN stands for a missing value.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        X_val, y_val : array-like, default=None
            Held-out rows for early stopping, instead of rows that are taken from X. Needs scikit-learn 1.7 or later.
        sample_weight_val : array-like, default=None
            Sample weights of the held-out rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described here. The error is raised before training starts.
        """
        self._check_focal_parameters()
        check_max_step(self.max_step)
        refuse_several_labels(y)
        check_same_rows(X, y)
        held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        held_out = {name: value for name, value in held_out.items() if value is not None}
        weight = None
        if sample_weight is not None and y is not None:
            weight = check_sample_weight(sample_weight, np.asarray(y).shape[0], np.float64)
        if sample_weight_val is not None and y_val is not None:
            check_sample_weight(sample_weight_val, np.asarray(y_val).shape[0], np.float64, "sample_weight_val")
        with learning(self) as fitting:
            fitting._classes_before, fitting._y_val_in_training = None, y_val
            if self.warm_start and hasattr(self, "classes_"):
                detach(fitting)
                fitting._classes_before = self.classes_
            train(fitting, X, y, weight, **held_out)
            del fitting._classes_before, fitting._y_val_in_training
        return self

    def _weigh(self, indices: Array, sample_weight: Array | None) -> tuple[Array | None, Callable[[Any], TrainingLoss]]:
        classes = self.classes_
        n_classes, before = classes.shape[0], self._classes_before
        if n_classes < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {classes.tolist()[0]!r}")
        if classes.dtype.kind in "mM" and np.isnat(classes).any():
            raise ValueError("y must hold no missing label, got NaT")
        if before is not None and not np.array_equal(before, classes):
            raise ValueError(
                f"y must hold the classes that the model was trained with, {before.tolist()}, for warm_start=True to "
                f"continue it: got {classes.tolist()}"
            )
        if self._y_val_in_training is not None:
            index_labels(self._y_val_in_training, classes, "y_val")
        outer_weights = resolve_class_weight(self.class_weight, classes, indices)
        total_weight = sample_weight
        if self.class_weight is not None:
            total_weight = outer_weights[indices]
            total_weight = total_weight if sample_weight is None else sample_weight * total_weight
        self.focal_loss_ = self._build_loss(classes, indices, sample_weight, outer_weights)
        scale = self.focal_loss_.scale_of_totals(np.bincount(indices, total_weight, minlength=n_classes))
        n_scores = 1 if n_classes == 2 else n_classes
        return total_weight, partial(TrainingLoss, self.focal_loss_, n_scores, check_max_step(self.max_step), scale)

    @undisturbed
    def decision_function(self, X: Any) -> Array:
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes there is one score per row; it is > 0 where the prediction is the second of ``classes_``.
        """
        scores: Array = super().decision_function(X)
        return scores

    @undisturbed
    def predict(self, X: Any) -> Array:
        """Predicted labels, decided by the raw scores.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        labels: Array = super().predict(X)
        return labels

    @undisturbed
    def predict_proba(self, X: Any) -> Array:
        """Class probabilities, with the correction that ``calibration`` selects.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        return self._probabilities(self.decision_function(X))

    @undisturbed
    def staged_decision_function(self, X: Any) -> Iterator[Array]:
        """``decision_function`` after each round.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Yields
        ------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        yield from super().staged_decision_function(X)

    @undisturbed
    def staged_predict(self, X: Any) -> Iterator[Array]:
        """``predict`` after each round.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Yields
        ------
        ndarray of shape (n_samples,)
        """
        yield from super().staged_predict(X)

    @undisturbed
    def staged_predict_proba(self, X: Any) -> Iterator[Array]:
        """``predict_proba`` after each round.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Yields
        ------
        ndarray of shape (n_samples, n_classes)
        """
        for scores in super().staged_decision_function(X):
            yield self._probabilities(scores)
