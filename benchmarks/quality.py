"""Quality of focal loss on real, imbalanced tables, compared with the same libraries with log loss and their usual
cures.

    python benchmarks/quality.py [--data DIR]... [--models TEXT ...] [--out FILE]

The script runs every model on every fold of a repeated stratified 5-fold split of every data set, and writes one line
each to a tidy CSV file. A data set is an ``.npz`` file of the folders, with ``X``, in which NaN is a missing value, and
``y``, which starts at 0. Without folders, the two data sets of ``examples/data`` are used. Identical rows are on the
same side of a split. Lines that are already in the file are not run again, so that an interrupted run can be continued.
Finally the script writes a summary in Markdown and the pictures next to the CSV file.
"""

import argparse
import csv
from pathlib import Path

import quality_models
import quality_report
from joblib import Parallel, delayed
from quality_folds import COLUMNS, FOLDS, KEY, Task, load, run
from tqdm import tqdm

HERE = Path(__file__).resolve().parent


def read(path):
    """Lines of a result file, as dictionaries of strings."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or COLUMNS) != COLUMNS:
            raise SystemExit(f"--out must name a new file or one with the columns {COLUMNS}, got {path}")
        return list(reader)


def named(texts):
    """Models whose names contain one of these texts."""
    known = list(quality_models.MODELS)
    exact = set(texts) & set(known)
    return [name for name in known if name in exact or any(t in name for t in texts if t not in exact)]


def tasks_of(options, paths, models):
    """Tasks to run, the most important first, so that an interrupted run has the most important results."""
    limits = options.max_rows, options.max_cells
    done = {tuple(line[name] for name in KEY) for line in read(options.out)}
    tasks = [
        Task(path, model, trees, noise, repeat, fold, limits)
        for repeat in range(options.repeats)
        for fold in range(options.folds)
        for tier in sorted(set(options.tiers))
        for trees in options.trees
        for noise in options.noise
        for path in paths
        for model in models
        if quality_models.MODELS[model].tier == tier
        and not (quality_models.MODELS[model].two_classes_only and load(path, *limits)[1].max() > 1)
    ]
    return [task for task in tasks if task.key not in done]


def main(arguments=None):
    """Run the missing tasks, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", type=Path, help="a folder of .npz files; may be given repeatedly")
    parser.add_argument("--sets", nargs="+", default=[""], help="only data sets whose names contain one of these")
    parser.add_argument("--models", nargs="+", default=[""], help="only these, or those whose names contain these")
    parser.add_argument("--tiers", nargs="+", type=int, default=[1, 2, 3, 4], help="only models of these tiers")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality.csv")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folds", type=int, default=FOLDS, help="the first so many folds of each repeat")
    parser.add_argument("--trees", nargs="+", type=int, default=[100], help="trees of the boosters")
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0], help="shares of training labels to flip")
    parser.add_argument("--max-rows", type=int, default=100_000)
    parser.add_argument("--max-cells", type=int, default=150_000, help="rows times columns of a data set at most")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; each model has one thread")
    parser.add_argument("--report-only", action="store_true", help="run nothing, report what is in the file")
    options = parser.parse_args(arguments)
    if options.report_only:
        print(quality_report.write(options.out))
        return
    if not 1 <= options.folds <= FOLDS:
        parser.error(f"--folds must be 1 to {FOLDS}, got {options.folds}")
    if options.data:
        paths = sorted(path for folder in options.data for path in folder.glob("*.npz"))
    else:
        paths = sorted((HERE.parent / "examples" / "data").glob("*.csv.gz"))
    paths = [path for path in paths if any(text in path.name for text in options.sets)]
    if not paths:
        parser.error(f"--data must name folders with .npz files, got {[str(d) for d in options.data or ()]}")
    models = named(options.models)
    if not models:
        parser.error(f"--models must be parts of {', '.join(quality_models.MODELS)}; got {options.models}")
    tasks = tasks_of(options, paths, models)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    new = not options.out.exists()
    with options.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        results = Parallel(n_jobs=options.jobs, return_as="generator_unordered")(delayed(run)(task) for task in tasks)
        for line in tqdm(results, total=len(tasks), desc="fits", mininterval=30):
            writer.writerow(line)
            file.flush()
    print(quality_report.write(options.out))


if __name__ == "__main__":
    main()
