"""Speed of skfocal against what people use, as ratios: both sides in one run, alternating, medians.

    python benchmarks/speed.py [--quick] [--only TEXT]

A ratio below 1 means skfocal is faster. Absolute milliseconds are printed only to tell what was measured; they are
those of this machine at this moment. To measure without AVX-512:
``NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" python benchmarks/speed.py --only kernel``.
"""

import argparse
import subprocess
import sys
import warnings
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skfocal import FocalLoss
from skfocal.linear_model import FocalLogisticRegression

LINES = []


def line(name, bound):
    """Register a function that returns (ours, reference), two callables to time."""

    def register(function):
        LINES.append((name, bound, function))
        return function

    return register


def ratio(ours, reference, repeats):
    """Median ratio of the times of pairs run in turn, and each side's median in milliseconds."""
    times = []
    ours(), reference()
    for _ in range(repeats):
        pair = []
        for run in (ours, reference):
            start = perf_counter()
            run()
            pair.append(1e3 * (perf_counter() - start))
        times.append(pair)
    return median(a / b for a, b in times), median(a for a, _ in times), median(b for _, b in times)


def plain_binary(z, s, gamma):
    """The formulas of the binary loss as NumPy expressions."""
    p = 1.0 / (1.0 + np.exp(-s * z))
    q = 1.0 - p
    log_p = np.log(p)
    gradient = s * q**gamma * (gamma * p * log_p - q)
    return gradient, q**gamma * p * ((1 + 2 * gamma) * q + gamma * log_p * (q - gamma * p))


def plain_softmax(z, y, gamma):
    """The formulas of the multiclass loss as NumPy expressions."""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    one = np.eye(z.shape[1])[y]
    p_t = (p * one).sum(axis=1, keepdims=True)
    q = 1 - p_t
    r = -np.log(p_t) / q
    w = q**gamma * (1 + gamma * p_t * r)
    w_prime = -gamma * p_t * q ** (gamma - 1) * (2 - q * r + (gamma - 1) * p_t * r)
    return w * (p - one), w * p * (1 - p) - w_prime * (p - one) ** 2


def margins(n, dtype=np.float64):
    """Scores and signs like those of a booster half way."""
    rng = np.random.default_rng(0)
    s = np.where(rng.random(n) < 0.1, 1.0, -1.0)
    return (rng.normal(size=n) * 2 + s).astype(dtype), s.astype(dtype)


def bound_loss(s, gamma, dtype=np.float64):
    """The loss on labels laid out once, as in training."""
    return FocalLoss(gamma).on(s > 0, 1, dtype=dtype)


@line("kernel, binary, 1M rows, float64, gamma 2", 0.30)
def _(quick):
    z, s = margins(1_000_000)
    data = bound_loss(s, 2.0)
    return lambda: data.gradient_hessian(z), lambda: plain_binary(z, s, 2.0)


@line("kernel, binary, 1M rows, float64, gamma 1.3", 0.30)
def _(quick):
    z, s = margins(1_000_000)
    data = bound_loss(s, 1.3)
    return lambda: data.gradient_hessian(z), lambda: plain_binary(z, s, 1.3)


@line("kernel, binary, 1M rows, float32, gamma 2", 0.15)
def _(quick):
    z, s = margins(1_000_000)
    z32, data = z.astype(np.float32), bound_loss(s, 2.0, np.float32)
    return lambda: data.gradient_hessian(z32), lambda: plain_binary(z, s, 2.0)


@line("kernel, multiclass, 1M rows, 5 classes, gamma 2", 0.30)
def _(quick):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(1_000_000, 5)) * 2, rng.integers(5, size=1_000_000)
    data = FocalLoss(2.0).on(y, 5)
    return lambda: data.gradient_hessian(z), lambda: plain_softmax(z, y, 2.0)


@line("kernel, binary, two threads against one", 0.6)
def _(quick):
    z, s = margins(1_000_000)
    data = bound_loss(s, 2.0)
    return lambda: data.gradient_hessian(z, n_threads=2), lambda: data.gradient_hessian(z)


@line("kernel, binary, 10M rows against ten times 1M", 1.1)
def _(quick):
    z, s = margins(10_000_000)
    large, small = bound_loss(s, 2.0), bound_loss(s[:1_000_000], 2.0)
    return lambda: large.gradient_hessian(z), lambda: [small.gradient_hessian(z[:1_000_000]) for _ in range(10)]


def tall(n, n_classes=2):
    """A table like HIGGS: n x 28, float32."""
    X, y = make_classification(n, 28, n_informative=12, n_classes=n_classes, flip_y=0.05, random_state=0)
    return X.astype(np.float32), y


def boosters(cls, parent, gamma, n, n_jobs, n_classes=2, **parameters):
    """Fits of a focal classifier and of its parent."""
    X, y = tall(n, n_classes)
    extra = {"max_step": None} if gamma == 0 else {}
    ours = cls(gamma, n_jobs=n_jobs, **extra, **parameters)
    theirs = parent(n_jobs=n_jobs, **parameters)
    return lambda: ours.fit(X, y), lambda: theirs.fit(X, y)


def register_boosters():
    """Lines of the boosters that are installed."""
    try:
        from lightgbm import LGBMClassifier

        from skfocal.lightgbm import FocalLGBMClassifier
    except ImportError:
        print("LightGBM is not installed: its lines are left out")
    else:
        common = {"n_estimators": 50, "verbosity": -1}
        for threads in (1, 2):
            for gamma, bound in ((0.0, 1.00), (2.0, 1.00 if threads == 1 else 1.05)):

                @line(f"FocalLGBMClassifier, gamma {gamma:g}, {threads} thread(s), 28 columns, 50 trees", bound)
                def _(quick, gamma=gamma, threads=threads):
                    n = 200_000 if quick else 1_000_000
                    return boosters(FocalLGBMClassifier, LGBMClassifier, gamma, n, threads, **common)

        @line("FocalLGBMClassifier, 5 classes, 200k rows", 1.05)
        def _(quick):
            n = 50_000 if quick else 200_000
            return boosters(FocalLGBMClassifier, LGBMClassifier, 2.0, n, 2, n_classes=5, **common)

        @line("FocalLGBMClassifier.predict_proba, 50 trees", 1.05)
        def _(quick):
            return predictions(FocalLGBMClassifier, LGBMClassifier, quick, **common)

    try:
        from xgboost import XGBClassifier

        from skfocal.xgboost import FocalXGBClassifier
    except ImportError:
        print("XGBoost is not installed: its lines are left out")
        return
    for threads in (1, 2):

        @line(f"FocalXGBClassifier, gamma 2, {threads} thread(s), 28 columns, 50 trees", 1.05)
        def _(quick, threads=threads):
            n = 200_000 if quick else 1_000_000
            return boosters(FocalXGBClassifier, XGBClassifier, 2.0, n, threads, n_estimators=50, max_depth=6)

    @line("FocalXGBClassifier, 5 classes, 200k rows", 1.05)
    def _(quick):
        n = 50_000 if quick else 200_000
        return boosters(FocalXGBClassifier, XGBClassifier, 2.0, n, 2, n_classes=5, n_estimators=50, max_depth=6)

    @line("FocalXGBClassifier.predict_proba, 50 trees", 1.05)
    def _(quick):
        return predictions(FocalXGBClassifier, XGBClassifier, quick, n_estimators=50)


def predictions(cls, parent, quick, **parameters):
    """predict_proba of a focal classifier and of its parent."""
    X, y = tall(200_000 if quick else 1_000_000)
    ours = cls(2.0, **parameters).fit(X[:50_000], y[:50_000])
    theirs = parent(**parameters).fit(X[:50_000], y[:50_000])
    return lambda: ours.predict_proba(X), lambda: theirs.predict_proba(X)


@line("FocalLogisticRegression, gamma 0, 200k x 40, to the same objective", 1.00)
def _(quick):
    X, y = make_classification(50_000 if quick else 200_000, 40, n_informative=20, random_state=0)
    ours = FocalLogisticRegression(0.0, tol=1e-4, max_iter=1000)
    theirs = LogisticRegression(tol=1e-4, max_iter=1000)
    objectives = []
    for model in (ours, theirs):
        model.fit(X, y)
        penalty = 0.5 * float((model.coef_**2).sum())
        objectives.append(FocalLoss(0.0).loss(y, model.decision_function(X)).sum() + penalty)
    print(f"    objectives: ours {objectives[0]:.4f}, scikit-learn {objectives[1]:.4f}")
    return lambda: ours.fit(X, y), lambda: theirs.fit(X, y)


def import_ratio(repeats):
    """``import skfocal`` against ``import sklearn.linear_model``, each in a fresh process."""

    def run(module):
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    return ratio(run("skfocal"), run("sklearn.linear_model"), repeats)


def main():
    """Run and print every line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller tables, about two minutes")
    parser.add_argument("--only", default="", help="only the lines whose name contains this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    register_boosters()
    print(f"{'work':<72} {'ratio':>6} {'at most':>8} {'ours, ms':>9} {'other, ms':>10}")
    for name, bound, make in LINES:
        if options.only in name:
            print_row(name, bound, ratio(*make(options.quick), 3 if options.quick else 7))
    if options.only in "import skfocal":
        print_row("import skfocal against sklearn.linear_model", 1.15, import_ratio(5))


def print_row(name, bound, measured):
    """One line of the table."""
    value, ours, other = measured
    print(f"{name:<72} {value:>6.2f} {bound:>8.2f} {ours:>9.1f} {other:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
