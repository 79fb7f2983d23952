"""``FocalDaskLGBMClassifier``. May import ``_common``, this folder, LightGBM and Dask, which is the extra ``dask``.

Labels, class weights, the start, the scale of the loss and the bounds of the bins are computed from the whole
collection, in one pass. Each worker then trains on its rows with these values, see `_Part`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import dask
import numpy as np
from lightgbm import dask as lgb_dask

from skfocal._common.partitions import (
    GlobalRows,
    Summary,
    check_collections,
    index_collection,
    kind_of,
    parts_of,
    take_partitions,
    weights_of_part,
)
from skfocal._common.rows import Rows
from skfocal._common.state import learning, undisturbed
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._bins import MANY_ROWS, _written
from skfocal.lightgbm._bins_of_parts import bounds_of_parts, look
from skfocal.lightgbm._classifier import FocalLGBMClassifier
from skfocal.lightgbm._evaluation import eval_pairs
from skfocal.lightgbm._interrupts import set_model
from skfocal.lightgbm._model_file import with_state_of
from skfocal.lightgbm._parameters import check_parameters, is_true
from skfocal.lightgbm._training import Training
from skfocal.loss import FocalLoss

FEWEST_ROWS = 256
"""Maximum number of rows per class that a partition sends for the bins, for any number of partitions."""
NOT_ON_DASK = ("init_model", "callbacks")
EARLY_STOPPING = ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change")


@dataclass(frozen=True)
class Plan:
    """Values computed from all rows, which each worker receives."""

    loss: FocalLoss
    class_weights: Array
    outer_weights: Array
    totals: Array
    bounds: list[tuple[int, list[float]]] | None


class _RowsOfPart(Rows):
    """The rows of one worker, like `skfocal._common.rows.Rows`. The labels are already indices."""

    def __init__(self, plan: Plan, y: Any, sample_weight: Any) -> None:
        self.classes = np.arange(plan.totals.shape[0])
        self.indices = np.asarray(y).astype(np.intp).ravel()
        self.weight = weights_of_part(sample_weight, self.indices.shape[0])
        self.outer_weights, self.totals = plan.outer_weights, plan.totals


class _TrainingOfPart(Training):
    """Training on one worker, with the bounds computed from all rows."""

    def __init__(self, model: Any, rows: Any, bounds: list[tuple[int, list[float]]] | None) -> None:
        super().__init__(model, rows)
        self.bounds = bounds

    @contextmanager
    def bins(self, X: Any, rows: Any, *arguments: Any) -> Iterator[None]:
        with ExitStack() as stack:
            self.bins_file = _written(self.bounds, stack) if self.bounds else None
            yield


class _Part(FocalLGBMClassifier):
    """The classifier that LightGBM creates and fits on each worker."""

    focal_parameters = (*FocalLGBMClassifier.focal_parameters, "plan")
    plan: Any  # passed among LightGBM's "other" parameters

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        return _RowsOfPart(self.plan, y, sample_weight)

    def _set_loss(self, rows: Any) -> None:
        self.focal_loss_, self.class_weights_ = self.plan.loss, self.plan.class_weights
        self._set_labels(rows.classes)
        weighs = self.class_weight is not None
        self._class_weight = dict(enumerate(rows.outer_weights.tolist())) if weighs else None

    def _training_of(self, rows: Any) -> Training:
        return _TrainingOfPart(self, rows, self.plan.bounds)


class FocalDaskLGBMClassifier(FocalLGBMClassifier, lgb_dask.DaskLGBMClassifier):
    __doc__ = """``FocalLGBMClassifier`` on a Dask cluster.

    This class is a ``lightgbm.DaskLGBMClassifier``: it takes Dask collections and trains on the workers that hold their
    partitions. One pass before the training computes from the whole data: the labels, the total weight of each class,
    the class weights, the optimal constant, the scale of the loss, and the bounds of the bins.

    Parameters
    ----------
    focal_gamma, focal_alpha, max_step, calibration, balanced_bins
        See `skfocal.lightgbm.FocalLGBMClassifier`. A number as ``focal_alpha`` is the weight of the second label in
        sorted order.
    client : distributed.Client, default=None
        The client to use. None: Dask's default client. The client is not pickled.
    **kwargs
        All other parameters of ``lightgbm.DaskLGBMClassifier``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of all partitions, in sorted order.
    focal_loss_ : FocalLoss
        The loss that was minimized. Its ``alpha`` has one weight per class, computed from ``focal_alpha``.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` times ``class_weight`` of each class. ``calibration="full"`` corrects for these weights.
    intercept_ : float or ndarray of shape (n_classes,)
        The score at which training started. It is part of the model.

    Notes
    -----
    LightGBM evaluates metrics on the rows of each worker separately, and ``evals_result_`` contains the results of one
    worker. Early stopping would stop the workers at different rounds, so it raises an error.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from skfocal.lightgbm import FocalDaskLGBMClassifier
    >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
    >>> X = da.random.random((10_000, 5), chunks=(2_500, 5))
    >>> y = (X[:, 0] > 0.95).astype(int)
    >>> clf = FocalDaskLGBMClassifier(n_estimators=20).fit(X, y)  # doctest: +SKIP
    >>> clf.predict_proba(X).compute().shape  # doctest: +SKIP
    (10000, 2)
    """

    client: Any

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        init_score: Any = None,
        eval_set: Any = None,
        eval_names: Any = None,
        eval_sample_weight: Any = None,
        eval_class_weight: Any = None,
        eval_init_score: Any = None,
        eval_metric: Any = None,
        *,
        eval_X: Any = None,
        eval_y: Any = None,
        **kwargs: Any,
    ) -> FocalDaskLGBMClassifier:
        """Fit the model. The parameters are those of ``lightgbm.DaskLGBMClassifier.fit``.

        Parameters
        ----------
        X : Dask Array or Dask DataFrame of shape (n_samples, n_features)
            Training data.
        y : Dask Array, Series or DataFrame of one column, of shape (n_samples,)
            Labels of any type, with the same partitions as X.
        sample_weight : Dask Array or Series of shape (n_samples,), default=None
            Finite numbers >= 0, with the same partitions as X.
        init_score : Dask collection, default=None
            Scores at which training starts, instead of the optimal constant. They are not part of the model.
        eval_set : list of (X, y), default=None
            Evaluation sets, as pairs of Dask collections.
        eval_names, eval_sample_weight, eval_class_weight, eval_init_score : list, default=None
            One entry per evaluation set.
        eval_metric : str, callable or list of them, default=None
            Metrics in addition to the focal loss.
        eval_X, eval_y : Dask collection or tuple of them, default=None
            Evaluation sets, as in LightGBM 4.7.
        **kwargs
            ``feature_name`` and ``categorical_feature``, see ``lightgbm.DaskLGBMClassifier.fit``.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X, y or a weight is not a Dask collection.
        ValueError
            If a parameter, y or a weight is not as described here. Errors in a partition are found by a worker, before
            training starts.
        """
        self._check_focal_parameters()
        params = self.get_params()
        params.pop("client")  # workers are told the parameters, and a client cannot be sent
        check_parameters(params)
        _check_arguments(params, kwargs)
        pairs = eval_pairs(eval_set, eval_X, eval_y)
        check_collections(X, y, sample_weight=sample_weight, init_score=init_score)
        client = lgb_dask._get_dask_client(self.client)
        with learning(self) as model:
            summaries = _summaries(client, X, y, sample_weight, params, kwargs, self.balanced_bins)
            rows = GlobalRows(summaries, self.class_weight)
            filled = [i for i, summary in enumerate(summaries) if summary.n_rows]
            y_ = index_collection(y, rows.classes)
            eval_set = [
                (A, y_) if A is X and b is y else (A, index_collection(b, rows.classes, f"y of eval_set[{i}]"))
                for i, (A, b) in enumerate(pairs)
            ] or None
            loss = model._build_loss(
                rows.classes, np.arange(rows.classes.shape[0]), rows.own_totals, rows.outer_weights
            )
            plan = Plan(loss, model.class_weights_, rows.outer_weights, rows.totals, None)
            if self.balanced_bins:
                plan = replace(plan, bounds=bounds_of_parts(summaries, rows.classes, params))
            # DaskLGBMClassifier.fit calls ``_train`` with LightGBM's own class for the workers. There is no public way
            # to use another class. If ``_train`` is removed, tests/lightgbm/test_dask.py fails.
            trained = lgb_dask._train(
                client=client,
                data=take_partitions(X, filled),
                label=take_partitions(y_, filled),
                params={**params, "plan": plan},
                model_factory=_Part,
                sample_weight=take_partitions(sample_weight, filled),
                init_score=take_partitions(init_score, filled),
                eval_set=eval_set,
                eval_names=eval_names,
                eval_sample_weight=eval_sample_weight,
                eval_class_weight=eval_class_weight,
                eval_init_score=eval_init_score,
                eval_metric=eval_metric,
                **kwargs,
            )
            model._take_over(trained, rows.classes)
        return self

    def _take_over(self, trained: _Part, classes: Array) -> None:
        """Assign the attributes that the worker's classifier has learned, and the labels of all rows."""
        parameters = {*trained.get_params(), "plan", "client", "_other_params"}
        for name, value in vars(trained).items():
            if name not in parameters:
                setattr(self, name, value)
        self._set_labels(classes)
        set_model(self._Booster, with_state_of(self, self._Booster.model_to_string(num_iteration=-1)))

    def to_local(self) -> FocalLGBMClassifier:
        """Return a fitted ``FocalLGBMClassifier`` with the same model, for arrays and data frames in memory.

        Returns
        -------
        FocalLGBMClassifier
        """
        local: FocalLGBMClassifier = self._lgb_dask_to_local(FocalLGBMClassifier)
        return local

    @undisturbed
    def decision_function(self, X: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : Dask Array or Dask DataFrame of shape (n_samples, n_features)
        **kwargs
            See ``lightgbm.DaskLGBMClassifier.predict``.

        Returns
        -------
        Dask Array of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._lazily("decision_function", X, kwargs, partial(self._parents("predict"), raw_score=True))

    @undisturbed
    def predict(self, X: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Predicted labels, decided by the raw scores.

        Parameters
        ----------
        X : Dask Array or Dask DataFrame of shape (n_samples, n_features)
        **kwargs
            See ``lightgbm.DaskLGBMClassifier.predict``.

        Returns
        -------
        Dask Array of shape (n_samples,)
        """
        return self._lazily("predict", X, kwargs, self._parents("predict"))

    @undisturbed
    def predict_proba(self, X: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Class probabilities, with the correction that ``calibration`` selects.

        Parameters
        ----------
        X : Dask Array or Dask DataFrame of shape (n_samples, n_features)
        **kwargs
            See ``lightgbm.DaskLGBMClassifier.predict_proba``.

        Returns
        -------
        Dask Array of shape (n_samples, n_classes)
        """
        return self._lazily("predict_proba", X, kwargs, self._parents("predict_proba"))

    def _parents(self, method: str) -> Callable[..., Any]:
        return partial(getattr(lgb_dask.DaskLGBMClassifier, method), self)

    def _lazily(self, method: str, X: Any, kwargs: dict[str, Any], of_parent: Callable[..., Any]) -> Any:
        """Result of the parent's method for X. Also supports arrays whose chunks have unknown lengths, which the parent
        refuses.
        """
        if kind_of(X) is None:
            raise TypeError(f"X must be a Dask Array or DataFrame, got {type(X).__name__}")
        if kind_of(X) == "DataFrame" or not np.isnan(X.chunks[0]).any():
            return of_parent(X, **kwargs)
        function = partial(_of_chunk, self.to_local(), method, kwargs)
        meta = function(np.zeros((1, X.shape[1])))[:0]
        change = {"drop_axis": 1} if meta.ndim == 1 else {"chunks": (X.chunks[0], (meta.shape[1],))}
        return X.map_blocks(function, dtype=meta.dtype, meta=meta, **change)


def _of_chunk(local: FocalLGBMClassifier, method: str, kwargs: dict[str, Any], chunk: Any) -> Any:
    """Result of a method for one chunk. The chunk can be empty."""
    if chunk.shape[0]:
        return getattr(local, method)(chunk, **kwargs)
    return getattr(local, method)(np.zeros((1, chunk.shape[1])), **kwargs)[:0]


def _check_arguments(params: dict[str, Any], arguments: dict[str, Any]) -> None:
    for name in NOT_ON_DASK:
        if arguments.get(name) is not None:
            raise ValueError(f"{name} must not be given: LightGBM has it on one machine only, got {arguments[name]!r}")
    for name in EARLY_STOPPING:
        if is_true(params.get(name) or False):
            raise ValueError(
                f"{name} must not be given, got {params[name]!r}: each worker has metrics of its own rows, and would "
                "stop at a round of its own"
            )


def _summaries(
    client: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    params: dict[str, Any],
    arguments: dict[str, Any],
    with_sample: bool,
) -> list[Summary]:
    look_at, n_parts = dask.delayed(look, pure=False), X.npartitions
    skip = (arguments.get("categorical_feature", "auto"), arguments.get("feature_name", "auto"))
    most = max(FEWEST_ROWS, -(-MANY_ROWS // n_parts))
    tasks = [
        look_at(*part, params if with_sample else None, *skip, most)
        for part in zip(*(parts_of(collection, n_parts) for collection in (X, y, sample_weight)), strict=True)
    ]
    summaries: list[Summary] = client.gather(client.compute(tasks))
    return summaries
