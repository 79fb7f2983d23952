"""
Serving: an ONNX model scores a CSV without skfocal
===================================================

This script trains a focal LightGBM model on the hypothyroid data in the folder of this script, and saves it as ONNX and
as a pickle. It scores a large CSV file with each of them, in batches and in a separate process. The process with ONNX
imports only NumPy, onnxruntime and tqdm. The script prints the number of rows per second for both, and the largest
difference between their probabilities.

    python -m pip install -e ".[lightgbm,onnx]" onnxruntime tqdm && python examples/serve_onnx.py

To score your own file: ``python examples/serve_onnx.py score model.onnx rows.csv scores.csv``.
"""

# sphinx_gallery_thumbnail_path = "images/serve_onnx.png"

import pickle
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

DATA = Path(__file__).parent / "data" / "hypothyroid.csv.gz"
BATCH = 4096


def scorer_of_onnx(path):
    """Return a function that computes labels (n,) and probabilities (n, K) of rows (n, d)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda rows: session.run(["label", "probabilities"], {name: rows})


def scorer_of_pickle(path):
    """Return the same function for the pickled model."""
    model = pickle.loads(Path(path).read_bytes())
    return lambda rows: (model.predict(rows), model.predict_proba(rows))


def score(model, rows_csv, scores_csv):
    """Score a CSV file of numbers with a header line. An empty cell is a missing value."""
    scorer = (scorer_of_onnx if model.endswith(".onnx") else scorer_of_pickle)(model)
    seconds, n_rows = 0.0, 0
    with (
        open(rows_csv) as rows,
        open(scores_csv, "w") as scores,
        tqdm(unit=" rows", unit_scale=True) as progress,
    ):
        next(rows)
        while lines := list(islice(rows, BATCH)):
            batch = np.array(
                [
                    [float(cell or "nan") for cell in line.rstrip("\n").split(",")]
                    for line in lines
                ],
                "f4",
            )
            start = perf_counter()
            labels, probabilities = scorer(batch)
            seconds, n_rows = seconds + perf_counter() - start, n_rows + len(batch)
            for label, row in zip(labels, probabilities, strict=True):
                scores.write(f"{label},{','.join(f'{p:.7g}' for p in row)}\n")
            progress.update(len(batch))
    focal = [
        name
        for name in sys.modules
        if name.partition(".")[0] in ("skfocal", "sklearn", "lightgbm", "xgboost")
    ]
    print(f"{n_rows / seconds:.0f} {len(focal)}")


def train(folder, repetitions):
    """Write model.onnx, model.pkl and rows.csv."""
    from skfocal.export import to_onnx
    from skfocal.lightgbm import FocalLGBMClassifier

    table = np.loadtxt(DATA, delimiter=",", dtype=str)
    X = np.where(table[1:, :-1] == "", "nan", table[1:, :-1]).astype(np.float32)
    clf = FocalLGBMClassifier(1.0, verbosity=-1).fit(X, table[1:, -1])
    (folder / "model.onnx").write_bytes(to_onnx(clf).SerializeToString())
    (folder / "model.pkl").write_bytes(pickle.dumps(clf))
    lines = [",".join(row) for row in table[:, :-1]]
    (folder / "rows.csv").write_text(
        "\n".join([lines[0], *lines[1:] * repetitions]) + "\n"
    )


def main(repetitions=30):
    """Train, score twice and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train(folder, repetitions)
        probabilities = []
        print(
            f"{'model':<12} {'rows a second':>14} {'modules of skfocal, scikit-learn and boosters':>46}"
        )
        for model in ("model.onnx", "model.pkl"):
            scores = folder / f"{model}.csv"
            command = [
                sys.executable,
                __file__,
                "score",
                str(folder / model),
                str(folder / "rows.csv"),
                str(scores),
            ]
            result = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            )
            rows_a_second, n_modules = result.stdout.split()
            print(f"{model:<12} {int(rows_a_second):>14,} {n_modules:>46}")
            probabilities.append(np.loadtxt(scores, delimiter=",", usecols=(1, 2)))
        print(
            f"Greatest difference of a probability: {np.abs(probabilities[0] - probabilities[1]).max():.1e}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["score"]:
        score(*sys.argv[2:])
    else:
        main()
