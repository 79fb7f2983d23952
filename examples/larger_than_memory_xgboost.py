"""
XGBoost on data larger than memory
==================================

This script writes a table to disk, limits its own memory to less than the size of the table, and trains XGBoost on it
with the focal loss. ``xgboost.ExtMemQuantileDMatrix`` reads the table in blocks and stores its bins on disk. The script
prints its peak memory. The operating system enforces the limit (``RLIMIT_DATA``): to request more memory would be an
error. The script needs Linux.
"""

# sphinx_gallery_thumbnail_path = "images/larger_than_memory_xgboost.png"

import resource
import tempfile
from pathlib import Path

import numpy as np
import xgboost as xgb

from skfocal import FocalLoss
from skfocal.xgboost import FocalObjective

N_BLOCKS, BLOCK, COLUMNS, ROUNDS = 40, 50_000, 160, 3
LIMIT = 1000 * 2**20


def block(i):
    """Rows of a block and their labels: one in a hundred is positive."""
    rng = np.random.default_rng(i)
    X = rng.normal(size=(BLOCK, COLUMNS)).astype(np.float32)
    score = 1.5 * X[:, 0] - X[:, 1] - 6.5
    return X, (rng.random(BLOCK) < 1 / (1 + np.exp(-score))).astype(np.float32)


class Blocks(xgb.DataIter):
    """Passes one block after the other to XGBoost."""

    def __init__(self, folder):
        self.folder, self.i = folder, 0
        super().__init__(cache_prefix=str(folder / "cache"))

    def next(self, input_data):
        if self.i == N_BLOCKS:
            return False
        data = np.load(self.folder / f"{self.i}.npz")
        input_data(data=data["X"], label=data["y"])
        self.i += 1
        return True

    def reset(self):
        self.i = 0


def main():
    """Write the table, limit the memory, train, and print the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder, positives, size = Path(name), 0, 0
        for i in range(N_BLOCKS):
            X, y = block(i)
            np.savez(folder / f"{i}.npz", X=X, y=y)
            positives, size = positives + int(y.sum()), size + X.nbytes
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
        share = positives / (N_BLOCKS * BLOCK)
        print(
            f"table {size / 2**20:.0f} MiB, limit {LIMIT / 2**20:.0f} MiB, {share:.3%} positive"
        )

        objective = FocalObjective(gamma=1.0)
        # The start needs only the number of rows of each class.
        start = objective.base_score([0, 1], [N_BLOCKS * BLOCK - positives, positives])
        train = xgb.ExtMemQuantileDMatrix(Blocks(folder), nthread=2)
        booster = xgb.train(
            {
                "objective": "binary:logistic",
                "base_score": start,
                "tree_method": "hist",
                "nthread": 2,
            },
            train,
            ROUNDS,
            obj=objective,
        )
        del train  # deletes its files as well, before their folder is deleted
        X, y = block(N_BLOCKS)
        p = FocalLoss(1.0).predict_proba(
            booster.inplace_predict(X, predict_type="margin")
        )[:, 1]
        print(f"mean probability {p.mean():.4f}, positive share {y.mean():.4f}")
        print(
            f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB"
        )


if __name__ == "__main__":
    main()
