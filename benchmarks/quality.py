"""What focal loss does on real, imbalanced tables, beside the same models with log loss.

    python benchmarks/quality.py [--data DIR]... [--models TEXT ...] [--out FILE]

Every ``.npz`` of the folders (``X``, with NaN for missing, and ``y`` from 0; without folders the two sets of
``examples/data``) x every model x every fold of a repeated stratified 5-fold goes into one tidy CSV, a line each. Rows
that are the same lie on one side of a split. What is in the file already is not run again: an interrupted run goes on
where it stopped. Then the summary, in Markdown, and the pictures are written beside the CSV.
"""

import argparse
import csv
from pathlib import Path

import quality_models
import quality_report
from joblib import Parallel, delayed
from quality_folds import COLUMNS, KEY, load, run, splits
from tqdm import tqdm

HERE = Path(__file__).resolve().parent


def read(path):
    """The lines of a result file, as dictionaries of strings."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or COLUMNS) != COLUMNS:
            raise SystemExit(f"--out must name a new file or one with the columns {COLUMNS}, got {path}")
        return list(reader)


def main(arguments=None):
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", type=Path, help="a folder of .npz files; may be given repeatedly")
    parser.add_argument("--models", nargs="+", default=[""], help="only these, or those whose names contain these")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality.csv")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--max-rows", type=int, default=100_000)
    parser.add_argument("--max-cells", type=int, default=400_000, help="rows times columns of a data set at most")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; each model has one thread")
    parser.add_argument("--report-only", action="store_true", help="run nothing, report what is in the file")
    options = parser.parse_args(arguments)
    if options.report_only:
        print(quality_report.write(options.out))
        return
    if options.data:
        paths = sorted(path for folder in options.data for path in folder.glob("*.npz"))
        if not paths:
            parser.error(f"--data must name folders with .npz files, got {[str(d) for d in options.data]}")
    else:
        paths = sorted((HERE.parent / "examples" / "data").glob("*.csv.gz"))
    known = list(quality_models.MODELS)
    exact = set(options.models) & set(known)
    models = [name for name in known if name in exact or any(t in name for t in options.models if t not in exact)]
    if not models:
        parser.error(f"--models must be parts of {', '.join(quality_models.MODELS)}; got {options.models}")
    limits = options.max_rows, options.max_cells
    done = {tuple(line[name] for name in KEY) for line in read(options.out)}
    tasks = [
        (path, model, *split, limits)
        for path in paths
        for split in splits(path, options.repeats, limits)
        for model in models
        if quality_models.MODELS[model].applies(load(path, *limits)[1])
        and (path.name.split(".")[0], model, str(split[0]), str(split[1])) not in done
    ]
    # What takes longest comes last, so that a run that is stopped has told most.
    tasks.sort(key=lambda task: ("searched" in task[1], task[1].startswith("Logistic"), "balanced" in task[1]))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    new = not options.out.exists()
    with options.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        results = Parallel(n_jobs=options.jobs, return_as="generator_unordered")(delayed(run)(*task) for task in tasks)
        for line in tqdm(results, total=len(tasks), desc="fits", mininterval=5):
            writer.writerow(line)
            file.flush()
    print(quality_report.write(options.out))


if __name__ == "__main__":
    main()
