"""Bins of a Dask fit: the rows that each partition sends, and the bounds computed from all of them. May import
``_common``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skfocal._common.partitions import Summary, index_part, summarize, weights_of_part
from skfocal._kernels.blocks import Array
from skfocal.lightgbm._bins import _categorical, _columns, _max_bin, _sample, class_bounds


def look(
    X: Any, y: Any, sample_weight: Any, params: Any, categorical_feature: Any, feature_name: Any, most: int
) -> Summary:
    """Summary of one partition, on a worker: its labels and, for the bins, at most ``most`` rows of each class."""
    summary = summarize(y, sample_weight, X.shape[0])
    if params is None or summary.n_rows == 0 or hasattr(X, "tocsr") or params.get("forcedbins_filename"):
        return summary
    weight = weights_of_part(sample_weight, summary.n_rows)
    weight = np.ones(summary.n_rows) if weight is None else weight
    indices = np.asarray(index_part(y, summary.labels))
    random = np.random.default_rng(0)
    rows, weights = [], []
    for k in range(summary.labels.shape[0]):
        of_class = np.flatnonzero((indices == k) & (weight > 0))
        kept = of_class
        if of_class.shape[0] > most:
            kept = random.choice(of_class, most, replace=False)
        rows.append(kept)
        weights.append(weight[kept] * (weight[of_class].sum() / max(weight[kept].sum(), 1e-300)))
    at = np.concatenate(rows)
    skip = _categorical(X, params, categorical_feature, feature_name)
    columns = {j: column for j, column in _columns(X, at) if j not in skip}
    return replace(summary, sample=(indices[at], np.concatenate(weights), columns))


def bounds_of_parts(
    summaries: list[Summary], classes: Array, params: dict[str, Any]
) -> list[tuple[int, list[float]]] | None:
    """Bounds of the bins from the samples of all partitions, as in `skfocal.lightgbm._bins.bins_file`."""
    sampled = [summary for summary in summaries if summary.sample is not None]
    max_bin = _max_bin(params)
    if not sampled or max_bin is None:
        return None
    by_column, of_others = max_bin
    of_class = np.concatenate([index_part(s.labels, classes)[s.sample[0]] for s in sampled])
    weight = np.concatenate([s.sample[1] for s in sampled])
    # From here on as on one machine. With one partition the rows are the same.
    by_class = np.argsort(of_class, kind="stable")
    rows, row_weight = _sample(of_class[by_class], weight[by_class], max([*by_column, of_others]) // 2)
    at = by_class[rows]
    bounds = []
    for j in sorted(set.intersection(*(set(s.sample[2]) for s in sampled))):
        n_bounds = max(1, (by_column[j] if j < len(by_column) else of_others) // 2)
        column = np.concatenate([s.sample[2][j] for s in sampled])[at]
        if len(found := class_bounds(column, of_class[at], row_weight, n_bounds)):
            bounds.append((j, found.tolist()))
    return bounds
