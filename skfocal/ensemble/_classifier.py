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
    """Decorator of ``__init__``: refuses parameters that others stand for, which are no part of its signature."""

    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        _refuse_replaced(kwargs)
        init(self, *args, **kwargs)

    return checked


class FocalHistGradientBoostingClassifier(FocalClassifierMixin, BoosterOfAnyLoss):
    __doc__ = f"""scikit-learn's gradient boosting of histograms, trained with the focal loss.

    A ``HistGradientBoostingClassifier``: its parameters, methods and attributes work as there. It needs no library but
    scikit-learn.

    The classifier is trained with the focal loss. It starts at the constant score of least focal loss and returns
    probabilities that focusing has not distorted.

    Parameters
    ----------{BOOSTER_PARAMETERS_DOC}
    learning_rate : float, default=0.1
        Factor of each tree's leaves.
    max_iter : int, default=100
        Number of rounds: of trees for two classes, of one tree per class for more.
    max_leaf_nodes : int or None, default=31
        Most leaves of a tree.
    max_depth : int or None, default=None
        Most splits from the root of a tree to a leaf.
    min_samples_leaf : int, default=20
        Fewest rows of a leaf.
    l2_regularization : float, default=1.0
        Added to each leaf's sum of second derivatives.
    max_features : float, default=1.0
        Share of the features, drawn at random, that each split chooses from.
    max_bins : int, default=255
        Most bins of a feature, besides the one for missing values.
    categorical_features : array-like of bool, int or str, "from_dtype" or None, default="from_dtype"
        Features to split by sets of categories.
    monotonic_cst : array-like of int or dict, default=None
        1, 0 or -1 for each feature: the score must rise with it, is free, must fall. For two classes; the probability
        follows the score.
    interaction_cst : "pairwise", "no_interactions" or sequence of sequences of int, default=None
        Groups of features that may occur on one branch of a tree.
    warm_start : bool, default=False
        Whether ``fit`` adds rounds to the model that is there, on the same data.
    early_stopping : "auto" or bool, default="auto"
        Whether to stop once the score of held-out rows gets no better; "auto": with more than 10,000 rows.
    scoring : str, callable or None, default="loss"
        What early stopping goes by. "loss" is minus the focal loss that is trained. Names of scikit-learn's scorers
        that take probabilities are computed on what ``predict_proba`` gives. None is accuracy.
    validation_fraction : float, int or None, default=0.1
        Share or number of rows held out for early stopping; None: the training rows are scored.
    n_iter_no_change : int, default=10
        Rounds without a better score after which to stop.
    tol : float, default=1e-7
        By how much a score must be better to count.
    verbose : int, default=0
        1 prints a summary, 2 a line per round.
    random_state : int, RandomState or None, default=None
        Seed of the held-out rows, of the rows that bins are made of, and of ``max_features``.
    class_weight : dict, "balanced" or None, default=None
        Weights of the rows by label, multiplied with ``sample_weight``. ``focal_alpha`` weighs classes as well, but is
        rescaled to a mean of 1, and does not change how bins are made.

    Attributes
    ----------
    {FITTED_DOC.strip()}
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class: what ``calibration="full"`` undoes.
    do_early_stopping_, n_iter_, n_trees_per_iteration_, train_score_, validation_score_, is_categorical_
        See ``sklearn.ensemble.HistGradientBoostingClassifier``.
    n_features_in_ : int
        Number of features of the X of ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if they are strings.

    Notes
    -----
    The loss is multiplied by `skfocal.FocalLoss.log_loss_scale`. With this factor ``l2_regularization``, which is added
    to sums of second derivatives, means what it means with log loss. ``train_score_`` and ``validation_score_`` are of
    the loss without the factor.

    With ``focal_gamma=0, max_step=None, l2_regularization=0`` it grows the very trees of
    ``HistGradientBoostingClassifier()``.

    `predict` follows `decision_function`. With ``calibration="full"`` and class weights, the class of the largest
    probability can be another one: to decide by probability, use ``sklearn.model_selection.FixedThresholdClassifier``.

    ``loss`` is no parameter: to give it is an error that says what to use.

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
            # No name of the parent's: tools that read it would take the scores for log-odds.
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
            Names and values.

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
        """Fit the model. A fit that fails or is interrupted leaves the estimator as it was.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            NaN is a missing value.
        y : array-like of shape (n_samples,)
            Labels of two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Finite numbers >= 0.
        X_val, y_val : array-like, default=None
            Held-out rows for early stopping, instead of rows taken from X. They need scikit-learn 1.7 or later.
        sample_weight_val : array-like, default=None
            Their weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described here, before training starts.
        """
        self._check_focal_parameters()
        check_max_step(self.max_step)
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
            For two classes one score, > 0 where the second of ``classes_`` is decided for.
        """
        scores: Array = super().decision_function(X)
        return scores

    @undisturbed
    def predict(self, X: Any) -> Array:
        """Labels that the scores decide for.

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
        """Class probabilities, corrected as ``calibration`` says.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
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
