"""
LightGBM on data larger than memory
===================================

This script writes a float64 table to disk, limits its own memory to less than the size of the table, and trains
LightGBM on it with the focal loss. A ``lightgbm.Sequence`` reads rows from a memory map. LightGBM stores only the bins,
with one byte per value. The script prints its peak memory. The operating system enforces the limit (``RLIMIT_DATA``):
to request more memory would be an error. The script needs Linux.
"""

# sphinx_gallery_thumbnail_path = "images/larger_than_memory_lightgbm.png"

import resource
import tempfile
from pathlib import Path

import lightgbm as lgb
import numpy as np

from skfocal.lightgbm import FocalObjective

N_BLOCKS, BLOCK, COLUMNS, ROUNDS = 40, 100_000, 40, 5
LIMIT = 950 * 2**20


def block(i):
    """Rows of a block and their labels: one in a hundred is positive."""
    rng = np.random.default_rng(i)
    X = rng.normal(size=(BLOCK, COLUMNS))
    score = 1.5 * X[:, 0] - X[:, 1] - 6.5
    return X, (rng.random(BLOCK) < 1 / (1 + np.exp(-score))).astype(np.float32)


class Rows(lgb.Sequence):
    """Rows of a file, which are read when LightGBM requests them."""

    batch_size = 20_000

    def __init__(self, path):
        self.path, self.length = path, BLOCK

    def __getitem__(self, rows):
        return np.array(np.load(self.path, mmap_mode="r")[rows])

    def __len__(self):
        return self.length


def main():
    """Write the table, limit the memory, train, and print the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder, labels, size = Path(name), [], 0
        for i in range(N_BLOCKS):
            X, y = block(i)
            np.save(folder / f"{i}.npy", X)
            labels.append(y)
            size += X.nbytes
        y = np.concatenate(labels)
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
        print(
            f"table {size / 2**20:.0f} MiB, limit {LIMIT / 2**20:.0f} MiB, {y.mean():.3%} positive"
        )

        objective = FocalObjective(gamma=1.0)
        start = objective.focal_loss.fit_intercept_only(y)
        params = {
            "objective": objective,
            "num_threads": 2,
            "verbosity": -1,
            "bin_construct_sample_cnt": 100_000,
        }
        parts = [Rows(folder / f"{i}.npy") for i in range(N_BLOCKS)]
        train = lgb.Dataset(parts, y, init_score=np.full(len(y), start), params=params)
        booster = lgb.train(params, train, ROUNDS)
        X, y = block(N_BLOCKS)
        p = objective.focal_loss.predict_proba(booster.predict(X) + start)[:, 1]
        print(f"mean probability {p.mean():.4f}, positive share {y.mean():.4f}")
        print(
            f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB"
        )


if __name__ == "__main__":
    main()
