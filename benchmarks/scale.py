"""Training on Dask: time of our classifiers over the parents', and memory per row, on one worker and on two.

    python benchmarks/scale.py [--rows 1 3 10] [--workers 1 2] [--trees 20]

Rows are in millions, of ten columns in float32, in partitions of 250,000. Workers are processes of one thread on this
machine. Both sides fit in turn, three times, in one cluster; the ratio is the median over the turns. Memory is the
growth of all workers' peak by one fit, each side in a cluster of its own.
"""

import argparse
import logging
import resource
import warnings
from statistics import median
from time import perf_counter

import dask.array as da
from distributed import Client, LocalCluster, wait
from lightgbm.dask import DaskLGBMClassifier
from xgboost.dask import DaskXGBClassifier

from skfocal.lightgbm import FocalDaskLGBMClassifier
from skfocal.xgboost import FocalDaskXGBClassifier

COLUMNS, PARTITION = 10, 250_000
SIDES = {
    "LightGBM": (FocalDaskLGBMClassifier, DaskLGBMClassifier, {"reg_lambda": 1.0, "verbosity": -1}),
    "XGBoost": (FocalDaskXGBClassifier, DaskXGBClassifier, {}),
}


def cluster(n_workers):
    """Worker processes of one thread each."""
    return LocalCluster(
        n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    )


def table(n_rows):
    """X and y on the workers; one row in forty is positive."""
    random = da.random.default_rng(0)
    X = random.normal(size=(n_rows, COLUMNS), chunks=(PARTITION, COLUMNS)).astype("float32")
    noise = random.normal(scale=0.5, size=n_rows, chunks=PARTITION)
    X, y = X.persist(), (X[:, 0] + X[:, 1] + noise > 3.0).astype("int32").persist()
    wait([X, y])
    return X, y


def seconds(cls, parameters, client, X, y):
    """Of one fit."""
    clf = cls(**parameters)
    clf.client = client
    start = perf_counter()
    clf.fit(X, y)
    return perf_counter() - start


def times(library, n_workers, n_rows, n_trees):
    """Median ratio of ours to the parent's, and the median seconds of both."""
    ours, parent, parameters = SIDES[library]
    parameters = {**parameters, "n_estimators": n_trees}
    with cluster(n_workers) as workers, Client(workers) as client:
        X, y = table(n_rows)
        for cls in (ours, parent):  # imports and first calls
            seconds(cls, {**parameters, "n_estimators": 1}, client, X[:PARTITION], y[:PARTITION])
        rows = [[seconds(cls, parameters, client, X, y) for cls in (ours, parent)] for _ in range(3)]
    return median(a / b for a, b in rows), *(median(column) for column in zip(*rows, strict=True))


def peak():
    """Of this process, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def memory(cls, parameters, n_workers, n_rows, n_trees):
    """Growth of the workers' peak memory by a fit, bytes per row."""
    with cluster(n_workers) as workers, Client(workers) as client:
        X, y = table(n_rows)
        seconds(cls, {**parameters, "n_estimators": 1}, client, X[:PARTITION], y[:PARTITION])
        before = sum(client.run(peak).values())
        seconds(cls, {**parameters, "n_estimators": n_trees}, client, X, y)
        return (sum(client.run(peak).values()) - before) / n_rows


def main():
    """Run and print every line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=float, default=[1, 3, 10], help="in millions")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--trees", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    print("library    rows  workers  ratio  ours, s  parent, s  ours, bytes per row  parent, bytes per row", flush=True)
    for library, (ours, parent, parameters) in SIDES.items():
        for millions in options.rows:
            for n_workers in options.workers:
                n_rows = int(1e6 * millions)
                ratio, *both = times(library, n_workers, n_rows, options.trees)
                peaks = [memory(cls, parameters, n_workers, n_rows, options.trees) for cls in (ours, parent)]
                print(
                    f"{library:<8} {millions:>5g}M {n_workers:>8} {ratio:>6.2f} {both[0]:>8.1f} {both[1]:>10.1f} "
                    f"{peaks[0]:>18.0f} {peaks[1]:>20.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
