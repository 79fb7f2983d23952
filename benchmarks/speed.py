"""Speed of skfocal compared with other libraries, as ratios of medians. Both sides run alternately in one run.

    python benchmarks/speed.py [--quick] [--only TEXT] [--data DIR]

A ratio below 1 means that skfocal is faster. Milliseconds depend on the machine and its load. ``floor`` is the ratio of
the reference with an objective that computes nothing. It is the cost of the library's calls to Python, which is a lower
bound for every objective in Python.
"""

import argparse
import os
import platform
import subprocess
import sys
import warnings
from statistics import median
from time import perf_counter

from lines import boosters, histograms, kernels, linear

from skfocal import _kernels

NO_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
"""Value of ``NPY_DISABLE_CPU_FEATURES`` with which NumPy behaves as on a machine without AVX-512."""


def ratios(run, others, repeats):
    """Median ratios of the time of a run to the times of others, which run alternately, and the medians in
    milliseconds.
    """
    runs = [run, *others]
    for each in runs:
        each()
    times = []
    for _ in range(repeats):
        row = []
        for each in runs:
            start = perf_counter()
            each()
            row.append(1e3 * (perf_counter() - start))
        times.append(row)
    return [median(t[0] / t[i] for t in times) for i in range(1, len(runs))], [
        median(t[i] for t in times) for i in range(len(runs))
    ]


def measure(lines, options):
    """Run the lines with the requested names."""
    for name, bound, make in lines:
        if options.only not in name:
            continue
        try:
            ours, reference, *floor = make(options.quick)
        except ImportError as error:
            print(f"{name:<66} left out: {error}")
            continue
        short = "kernel" in name or "proba" in name
        repeats = (7 if options.quick else 15) if short else (3 if options.quick else 7)
        (ratio, *above_floor), times = ratios(ours, [reference, *floor], repeats)
        note = f"{times[2] / times[1]:>6.2f}" if above_floor else " " * 6
        print(f"{name:<66} {ratio:>6.2f} {bound:>8.2f} {note} {times[0]:>9.1f} {times[1]:>10.1f}", flush=True)


CHILDREN = {
    "NumPy": (kernels.NUMPY, {"SKFOCAL_COMPILED": "0"}),
    "without AVX-512": (kernels.WITHOUT_AVX512, {"SKFOCAL_COMPILED": "0", "NPY_DISABLE_CPU_FEATURES": NO_AVX512}),
}
"""Kernel lines that need environment variables, which must be set before NumPy and skfocal are imported."""


def in_child(name, options):
    """Run these lines in a separate process. The line without AVX-512 needs a machine with AVX-512."""
    import numpy as np

    lines, environment = CHILDREN[name]
    if not any(options.only in line for line, _, _ in lines):
        return
    loops = np.lib.introspect.opt_func_info(func_name="^log1p$").get("log1p", {})
    if lines is kernels.WITHOUT_AVX512 and "V4" not in str(loops) and "AVX512" not in str(loops):
        print("this NumPy on this machine does without AVX-512 in any case")
        return
    command = [sys.executable, __file__, "--in-child", name, "--only", options.only]
    command += ["--quick"] if options.quick else []
    subprocess.run(command, check=True, env={**os.environ, **environment})


def import_line(options):
    """``import skfocal`` compared with ``import sklearn.linear_model``, each in a new process."""

    def run(module):
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    name = "import skfocal against sklearn.linear_model"
    measure([(name, 1.15, lambda quick: (run("skfocal"), run("sklearn.linear_model")))], options)


def memory(options):
    """Difference of the peak memory of a fit to that of the parent, each in a new process."""
    n = 200_000 if options.quick else 1_000_000
    for module, parent in (("lightgbm", "LGBMClassifier"), ("xgboost", "XGBClassifier")):
        name = f"peak memory of Focal{parent} above {parent}, bytes per row"
        if options.only not in name:
            continue
        peaks = []
        for source in (f"from skfocal.{module} import Focal{parent} as C", f"from {module} import {parent} as C"):
            code = (
                f"import resource, sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
                f"import skfocal.{module}\n{source}\n"
                "import numpy as np\nrng = np.random.default_rng(0)\n"
                f"X = rng.normal(size=({n}, 28)).astype(np.float32)\ny = (X[:, 0] > 1).astype(int)\n"
                "C(n_estimators=5, n_jobs=1).fit(X[:1000], y[:1000])\n"
                "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
                "C(n_estimators=20, n_jobs=1).fit(X, y)\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
            )
            run = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
            )
            peaks.append(1024 * int(run.stdout.split()[-1]))
        print(f"{name:<66} {(peaks[0] - peaks[1]) / n:>6.0f} {40:>8}", flush=True)


def main():
    """Run and print every line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller tables and trainings, about two minutes")
    parser.add_argument("--only", default="", help="only the lines whose name contains this")
    parser.add_argument("--data", help="a folder with htru2.npz, credit_default_tw.npz, polish_bankruptcy_y1.npz")
    parser.add_argument("--in-child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.in_child:
        measure(CHILDREN[options.in_child][0], options)
        return
    code = "NumPy" if _kernels.compiled is None else "C"
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, kernels in {code}")
    if options.quick:
        print("--quick: fewer rows than the lines name, 20 trees: for a look, not for figures to report")
    print(f"{'work':<66} {'ratio':>6} {'at most':>8} {'floor':>6} {'ours, ms':>9} {'other, ms':>10}", flush=True)
    measure(kernels.LINES, options)
    for name in CHILDREN:
        in_child(name, options)
    measure(boosters.LINES, options)
    measure(histograms.LINES, options)
    measure(linear.LINES, options)
    memory(options)
    import_line(options)
    if options.data:
        linear.real_data(options.data)


if __name__ == "__main__":
    main()
