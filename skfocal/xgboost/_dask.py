"""``FocalDaskXGBClassifier``. May import ``_common``, this folder, XGBoost and Dask, which is the extra ``dask``.

Labels, class weights, the start, the scale of the loss, ``min_child_weight`` and the weights of the bins are computed
from the whole collection before training. XGBoost then trains on the workers that hold the partitions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import dask
import numpy as np
from xgboost import collective, dask as xgb_dask

from skfocal._common.evaluation_sets import pairs_of
from skfocal._common.partitions import (
    GlobalRows,
    Summary,
    check_collections,
    index_collection,
    kind_of,
    like_part,
    parts_of,
    summarize,
    take_partitions,
    weights_of_part,
)
from skfocal._common.state import learning, undisturbed
from skfocal._kernels.blocks import Array
from skfocal.xgboost._bins import bin_weights
from skfocal.xgboost._booster_in_training import InTraining
from skfocal.xgboost._classifier import FocalXGBClassifier
from skfocal.xgboost._evaluation import Metrics
from skfocal.xgboost._model_file import put_state_if_it_can_be_told, state_in_training
from skfocal.xgboost._objective import FocalObjective
from skfocal.xgboost._training import Training, check_continuation


class _ObjectiveOfBins:
    """The objective for data whose weights are those of the bins: the weight of the loss times the factor of the class.

    XGBoost makes the bins on the workers, from the weights of the training data. On one machine the weights are
    replaced after the bins are made. Here the objective divides by the factors in each round.
    """

    def __init__(self, objective: FocalObjective, factors: Array, class_weights: Array | None) -> None:
        self.objective, self.factors, self.class_weights = objective, factors, class_weights

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        # Without sample weights, the weights of the classes are taken as they are, so that nothing is rounded.
        weight = None
        if self.class_weights is None:
            weight = np.asarray(sample_weight, dtype=np.float64) / self.factors[np.asarray(y_true).astype(np.intp)]
        elif not np.all(self.class_weights == 1.0):
            weight = self.class_weights[np.asarray(y_true).astype(np.intp)]
        return self.objective(y_true, y_pred, weight)


class _GlobalMetrics:
    """Metrics of the rows of all workers. XGBoost itself would average the metrics of the workers without weights."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics, self.params, self.in_order = metrics, metrics.params, metrics.in_order

    def __call__(self, raw: Array, data: Any) -> list[tuple[str, float]]:
        weight = data.get_weight()
        total = float(weight.sum(dtype=np.float64)) if weight.size else float(data.num_row())
        own = self.metrics.own
        values = self.metrics(raw, data) if total > 0 else [(name, 0.0) for name, _ in own]
        # All named metrics are means over rows, or the root of a mean. For a user's function this is not known.
        power = [2.0 if name == "rmse" and i in self.metrics.by_name else 1.0 for i, (name, _) in enumerate(own)]
        sums = collective.allreduce(
            np.array([*(total * value**p for (_, value), p in zip(values, power, strict=True)), total]),
            collective.Op.SUM,
        )
        means = [(s / sums[-1]) ** (1.0 / p) for s, p in zip(sums[:-1], power, strict=True)]
        is_ours = [i in self.metrics.by_name or name == "focal_loss" for i, (name, _) in enumerate(own)]
        return [
            (name, float(mean) if ours else value)
            for (name, value), mean, ours in zip(values, means, is_ours, strict=True)
        ]


class FocalDaskXGBClassifier(FocalXGBClassifier, xgb_dask.DaskXGBClassifier):
    __doc__ = """``FocalXGBClassifier`` on a Dask cluster.

    This class is an ``xgboost.dask.DaskXGBClassifier``: it takes Dask collections and trains on the workers that hold
    their partitions. One pass before the training computes from the whole data: the labels, the total weight of each
    class, the class weights, the optimal constant, the scale of the loss, ``min_child_weight`` and the class weights of
    the bins. Named metrics are computed from all rows as well. For a metric function of your own, XGBoost averages the
    results of the workers.

    Parameters
    ----------
    focal_gamma, focal_alpha, max_step, calibration, balanced_bins
        See `skfocal.xgboost.FocalXGBClassifier`. A number as ``focal_alpha`` is the weight of the second label in
        sorted order.
    **kwargs
        All other parameters of ``xgboost.dask.DaskXGBClassifier``. As in XGBoost, the client is not a parameter but the
        attribute ``client``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of all partitions, in sorted order.
    focal_loss_ : FocalLoss
        The loss that was minimized. Its ``alpha`` has one weight per class, computed from ``focal_alpha``.
    class_weights_ : ndarray of shape (n_classes,)
        ``focal_alpha`` of each class. ``calibration="full"`` corrects for these weights.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from skfocal.xgboost import FocalDaskXGBClassifier
    >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
    >>> X = da.random.random((10_000, 5), chunks=(2_500, 5))
    >>> y = (X[:, 0] > 0.95).astype(int)
    >>> clf = FocalDaskXGBClassifier(n_estimators=20).fit(X, y)  # doctest: +SKIP
    >>> clf.predict_proba(X).compute().shape  # doctest: +SKIP
    (10000, 2)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags

    def fit(self, X: Any, y: Any, **keywords: Any) -> FocalDaskXGBClassifier:  # type: ignore[override]
        """Fit the model. The parameters are those of ``xgboost.dask.DaskXGBClassifier.fit``.

        Parameters
        ----------
        X : Dask Array or Dask DataFrame of shape (n_samples, n_features)
            Training data.
        y : Dask Array, Series or DataFrame of one column, of shape (n_samples,)
            Labels of any type, with the same partitions as X.
        **keywords
            ``sample_weight``, ``base_margin``, ``eval_set``, ``sample_weight_eval_set``, ``base_margin_eval_set``,
            ``verbose``, ``xgb_model``, ``feature_weights``: see ``xgboost.dask.DaskXGBClassifier.fit``.

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
        fitted: FocalDaskXGBClassifier = xgb_dask.DaskXGBClassifier.fit(self, X, y, **keywords)
        return fitted

    async def _fit_async(  # type: ignore[override]
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any,
        eval_set: Any,
        xgb_model: Any,
        sample_weight_eval_set: Any,
        **others: Any,
    ) -> FocalDaskXGBClassifier:
        # DaskXGBClassifier.fit runs this method, also in asynchronous programs. There is no public way to run code
        # after the labels are known and before training. If the method is removed, tests/xgboost/test_dask.py fails.
        self._check_parameters()
        check_collections(X, y, sample_weight=sample_weight, base_margin=others["base_margin"])
        pairs = [] if eval_set is None else pairs_of(eval_set)
        with learning(self) as model:
            summaries = await _summaries(self.client, X, y, sample_weight)
            rows = GlobalRows(summaries)
            filled = [i for i, summary in enumerate(summaries) if summary.n_rows]
            check_continuation(xgb_model, rows.classes)
            model.focal_loss_ = model._build_loss(
                rows.classes, np.arange(rows.classes.shape[0]), rows.own_totals, rows.outer_weights
            )
            training: Any = Training(model, rows, is_continued=xgb_model is not None)  # type: ignore[arg-type]
            training.metrics = _GlobalMetrics(training.metrics)
            factors = np.ones(rows.classes.shape[0])
            if self.balanced_bins and self.tree_method in (None, "auto", "hist"):
                factors = bin_weights(np.arange(rows.classes.shape[0]), rows.totals * model.class_weights_)
                factors /= rows.totals * model.class_weights_
            y_ = index_collection(y, rows.classes)
            model.__dict__.pop("_classes", None)
            model._training, model.eval_metric = training, None
            model.objective = _ObjectiveOfBins(
                training.objective, factors, model.class_weights_ if sample_weight is None else None
            )
            state = state_in_training(model, rows.classes)
            model.callbacks = [InTraining(), state, training.metrics.in_order, *(self.callbacks or [])]
            weight = take_partitions(_weights(y_, sample_weight, model.class_weights_ * factors), filled)
            others["base_margin"] = take_partitions(others["base_margin"], filled)
            await xgb_dask.DaskXGBClassifier._fit_async(
                model,
                take_partitions(X, filled),
                take_partitions(y_, filled),
                sample_weight=weight,
                # Separate collections, also for the training data, because their weights are those of the bins.
                eval_set=[
                    (A, index_collection(b, rows.classes, f"y of eval_set[{i}]")) for i, (A, b) in enumerate(pairs)
                ]
                or None,
                xgb_model=xgb_model,
                sample_weight_eval_set=sample_weight_eval_set,
                **others,
            )
            del model._training
            model._classes = rows.classes
            put_state_if_it_can_be_told(model)
        return self

    async def _scores_async(self, X: Any, **keywords: Any) -> Any:
        raw = await xgb_dask.DaskScikitLearnBase._predict_async(self, X, output_margin=True, **keywords)
        return raw.to_dask_array() if kind_of(raw) == "Series" else raw

    async def _mapped_async(self, X: Any, function: Callable[[Array], Array], n_columns: int, **keywords: Any) -> Any:
        """Apply ``function`` to the blocks of the scores. The result has the given number of columns, or one
        dimension.
        """
        raw = await self._scores_async(X, **keywords)
        meta = function(np.zeros((1, *raw.shape[1:]), np.float32))[:0]
        change: dict[str, Any] = {"drop_axis": 1} if raw.ndim == 2 and not n_columns else {}
        if n_columns:
            change = {"chunks": (raw.chunks[0], (n_columns,))} | ({"new_axis": 1} if raw.ndim == 1 else {})
        return raw.map_blocks(function, dtype=meta.dtype, meta=meta, **change)

    @undisturbed
    def decision_function(
        self, X: Any, *, validate_features: bool = True, base_margin: Any = None, iteration_range: Any = None
    ) -> Any:
        """Raw scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : Dask Array or Dask DataFrame of shape (n_samples, n_features)
        validate_features, base_margin, iteration_range
            See ``xgboost.dask.DaskXGBClassifier.predict``.

        Returns
        -------
        Dask Array of shape (n_samples,) or (n_samples, n_classes), float32
        """
        keywords = {"validate_features": validate_features, "base_margin": base_margin}
        return self._client_sync(self._scores_async, X=X, iteration_range=iteration_range, **keywords)

    @undisturbed
    def predict(
        self,
        X: Any,
        *,
        output_margin: bool = False,
        validate_features: bool = True,
        base_margin: Any = None,
        iteration_range: Any = None,
    ) -> Any:
        """Predicted labels, decided by the raw scores.

        The parameters are those of `decision_function`, and ``output_margin``, which selects the raw scores as the
        result.

        Returns
        -------
        Dask Array of shape (n_samples,)
        """
        keywords = {"validate_features": validate_features, "base_margin": base_margin}
        if output_margin:
            return self._client_sync(self._scores_async, X=X, iteration_range=iteration_range, **keywords)
        function = partial(_labels, self.classes_)
        return self._client_sync(
            self._mapped_async, X=X, function=function, n_columns=0, iteration_range=iteration_range, **keywords
        )

    @undisturbed
    def predict_proba(
        self, X: Any, validate_features: bool = True, base_margin: Any = None, iteration_range: Any = None
    ) -> Any:
        """Class probabilities, with the correction that ``calibration`` selects.

        The parameters are those of `decision_function`.

        Returns
        -------
        Dask Array of shape (n_samples, n_classes), float32
        """
        keywords = {"validate_features": validate_features, "base_margin": base_margin}
        function = self.to_local()._probabilities
        n_columns = self.classes_.shape[0]
        return self._client_sync(
            self._mapped_async, X=X, function=function, n_columns=n_columns, iteration_range=iteration_range, **keywords
        )

    def to_local(self) -> FocalXGBClassifier:
        """Return a fitted ``FocalXGBClassifier`` with the same model, for arrays and data frames in memory.

        Returns
        -------
        FocalXGBClassifier
        """
        parameters = self.get_params()
        parameters.pop("coll_cfg")
        local = FocalXGBClassifier(**parameters)
        for name, value in vars(self).items():
            if name not in parameters and name not in ("_client", "_asynchronous", "coll_cfg"):
                setattr(local, name, value)
        return local


def _labels(classes: Array, raw: Array) -> Array:
    indices = (raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)
    labels: Array = classes[indices]
    return labels


async def _summaries(client: Any, X: Any, y: Any, sample_weight: Any) -> list[Summary]:
    look, n_parts = dask.delayed(_look, pure=False), X.npartitions
    parts = zip(*(parts_of(collection, n_parts) for collection in (X, y, sample_weight)), strict=True)
    summaries: list[Summary] = await client.gather(client.compute([look(*part) for part in parts]), asynchronous=True)
    return summaries


def _look(X: Any, y: Any, sample_weight: Any) -> Summary:
    return summarize(y, sample_weight, X.shape[0])


def _weights(y: Any, sample_weight: Any, of_class: Array) -> Any:
    """Weights for the workers' matrices, as a collection with the same partitions as y. None if all weights are 1."""
    if sample_weight is None and np.all(of_class == 1.0):
        return None
    map_parts = y.map_blocks if hasattr(y, "map_blocks") else y.map_partitions
    meta = {"meta": np.empty(0, np.float32)} if hasattr(y, "map_blocks") else {"meta": ("y", np.float32)}
    given = () if sample_weight is None else (sample_weight,)
    return map_parts(_weights_of_part, *given, of_class=of_class, **meta)


def _weights_of_part(y: Any, sample_weight: Any = None, *, of_class: Array) -> Any:
    weight = of_class[np.asarray(y, dtype=np.intp)]
    given = weights_of_part(sample_weight, weight.shape[0])
    weight = (weight if given is None else given * weight).astype(np.float32)
    return like_part(y, weight)
