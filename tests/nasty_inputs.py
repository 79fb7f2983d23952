"""The cases of ``test_nasty_inputs.py``, ``python nasty_inputs.py CLASS GROUP``: a line of JSON for each case."""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

RNG = np.random.default_rng(0)
N = 80
X = RNG.normal(size=(N, 4))
Y = (X[:, 0] + 0.3 * RNG.normal(size=N) > 0.4).astype(int)
FAST = {
    "FocalLogisticRegression": {},
    "FocalHistGradientBoostingClassifier": {"max_iter": 5},
    "FocalLGBMClassifier": {"n_estimators": 5, "verbosity": -1, "n_jobs": 1},
    "FocalXGBClassifier": {"n_estimators": 5, "n_jobs": 1},
}
WEIGHTED = np.linspace(0.5, 2, N)


def parent_of(name):
    import skfocal

    bases = [base for base in getattr(skfocal, name).__mro__ if base.__name__ == name.removeprefix("Focal")]
    if bases:
        return bases[0]
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression


def rows():
    """1 to 5 rows, and few of a class."""
    for n in range(1, 6):
        yield f"{n} rows", (X[:n], np.arange(n) % 2), {}, {}
    yield "one row per class", (X[:3], [0, 1, 2]), {}, {}
    yield "two of the rare class", (X, np.r_[1, 1, np.zeros(N - 2, int)]), {}, {}
    yield "one class", (X, np.zeros(N, int)), {}, {}
    yield "no rows", (X[:0], Y[:0]), {}, {}
    yield "1 to 20,000", (RNG.normal(size=(20001, 2)), np.r_[1, np.zeros(20000, int)]), {}, {}


def values():
    """Columns and numbers."""
    yield "duplicate columns", (np.c_[X, X], Y), {}, {}
    yield "constant columns", (np.c_[X, np.ones(N), np.zeros(N)], Y), {}, {}
    yield "constant only", (np.ones((N, 2)), Y), {}, {}
    yield "all-NaN column", (np.c_[X, np.full(N, np.nan)], Y), {}, {}
    yield "all-NaN row", (np.r_[X[:-1], np.full((1, 4), np.nan)], Y), {}, {}
    yield "inf", (np.r_[X[:-1], np.full((1, 4), np.inf)], Y), {}, {}
    for size in (1e300, 1e-300, 1e30, 1e12):
        yield f"{size:g}", (X * size, Y), {}, {}


def dtypes():
    """Types of columns and forms of memory."""
    whole = np.round(X * 10).astype(np.int64)
    for dtype in ("f2", "i1", "u8", "?", "O", "c16", ">f8", "M8[s]", "U5"):
        yield f"dtype {dtype}", (np.abs(whole).astype(dtype) if dtype != "f2" else X.astype(dtype), Y), {}, {}
    yield "negative strides", (X[::-1, ::-1], Y[::-1]), {}, {}
    yield "every other row and column", (np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2], Y), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(path := Path(folder, "X.npy"), X)
        yield "read-only memory map", (np.load(path, mmap_mode="r"), Y), {}, {}
    yield (
        "labels and weights with strides",
        (X, np.repeat(Y, 3)[::3]),
        {},
        {"sample_weight": np.repeat(WEIGHTED, 2)[::2]},
    )
    frozen = X.copy()
    frozen.flags.writeable = False
    yield "read-only", (frozen, Y), {}, {}
    yield "Fortran order", (np.asfortranarray(X), Y), {}, {}
    for form in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr"):
        yield f"sparse {form}", (sp.csr_matrix(np.where(X > 0, X, 0)).asformat(form), Y), {}, {}
    wide = sp.csr_matrix(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    yield "sparse with 64-bit indices", (wide, Y), {}, {}
    explicit = sp.csr_matrix(X)
    explicit.data[::3] = 0.0
    yield "explicit zeros", (explicit, Y), {}, {}


def frames():
    """Data frames."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    yield "frame", (frame, Y), {}, {}
    yield "Series of another index", (frame, pd.Series(Y, index=np.arange(N)[::-1] + 5)), {}, {}
    for label, columns in {
        "duplicate names": list("aabc"),
        "integer names": [3, 2, 1, 0],
        "mixed names": ["a", 1, "b", 2],
        "MultiIndex": pd.MultiIndex.from_product([["a", "b"], ["c", "d"]]),
        "names with blanks": ["a b", "ä", "[c]", "d<"],
    }.items():
        yield label, (pd.DataFrame(X, columns=columns), Y), {}, {}
    yield "nullable", (frame.astype("Float64"), Y), {}, {}
    yield "nullable with NA", (frame.mask(frame > 1).astype("Float64"), Y), {}, {}
    yield "nullable labels", (frame, pd.Series(Y, dtype="Int64")), {}, {}
    yield "string column", (frame.assign(e="x"), Y), {}, {}
    yield "datetime column", (frame.assign(e=pd.Timestamp("2020-01-01")), Y), {}, {}
    levels = pd.Categorical(np.array(list("xyz"))[np.arange(N) % 3], categories=list("wxyz"))
    yield "categorical with unused level", (frame.assign(e=levels), Y), {}, {}
    try:
        arrow = frame.astype("float64[pyarrow]")
    except (ImportError, TypeError):
        return
    yield "Arrow-backed", (arrow, Y), {}, {}


def labels():
    """Labels and weights."""
    for label, y in {
        "strings": np.array(["no", "yes"])[Y],
        "objects": np.array(["no", "yes"], dtype=object)[Y],
        "bool": Y.astype(bool),
        "float": Y.astype(float),
        "gaps": np.array([-7, 1000])[Y],
        "column": Y[:, np.newaxis],
        "continuous": X[:, 0],
        "NaN label": np.where(X[:, 0] > 1, np.nan, Y),
        "None label": np.array([None, "a"], dtype=object)[Y],
        "mixed": np.array([1, "a"], dtype=object)[Y],
        "list": Y.tolist(),
        "wrong length": Y[:-1],
        "two columns": np.c_[Y, 1 - Y],
        "40 classes": np.arange(N) % 40,
    }.items():
        yield f"labels {label}", (X, y), {}, {}
    for label, w in {
        "0 and 1": (np.arange(N) % 2).astype(float),
        "zeros": np.zeros(N),
        "1e-300": np.full(N, 1e-300),
        "1e12": np.full(N, 1e12),
        "NaN": np.full(N, np.nan),
        "negative": np.full(N, -1.0),
        "wrong length": np.ones(N - 1),
        "a class without": (1 - Y).astype(float),
    }.items():
        yield f"weight {label}", (X, Y), {}, {"sample_weight": w}


def parameters():
    """Gamma, alpha and extreme training."""
    for gamma in (
        0,
        1e-300,
        0.1,
        10,
        100,
        1e4,
        -1,
        "2",
        None,
        np.nan,
        np.inf,
        True,
        [1],
        [1, 2],
        [1, 2, 3],
        {1: 2},
        1j,
    ):
        yield f"gamma {gamma!r}", (X, Y), {"focal_gamma": gamma}, {}
    for alpha in (0.25, 0, 1, -1, "x", np.nan, [1e-5, 1e5], [0, 1], [1, 2, 3], {0: 1, 1: 3}, "balanced", True):
        yield (
            f"alpha {alpha!r}",
            (X, Y),
            {"focal_alpha": alpha, "calibration": "focus" if isinstance(alpha, list) else "full"},
            {},
        )
    yield "learning rate 10", (X, Y), {"learning_rate": 10.0}, {}
    separable = (X[:, 0] > 0).astype(int)
    yield "many trees, separable", (X, separable), {"n_estimators": 300}, {}
    yield "no tree", (X, Y), {"n_estimators": 0}, {}


GROUPS = {group.__name__: group for group in (rows, values, dtypes, frames, labels, parameters)}


def prior_loss(y, weight):
    w = np.ones(len(y)) if weight is None else weight
    if w.sum() == 0:
        return np.inf
    shares = np.bincount(y, weights=w) / w.sum()
    return -np.average(np.log(np.maximum(shares[y], 1e-300)), weights=w)


def run_one(cls, data, parameters, keywords):
    """ "ok", "refused: ..." or what is wrong."""
    A, y = data
    try:
        clf = cls(**parameters).fit(A, y, **keywords)
        proba, decided = clf.predict_proba(A), clf.predict(A)
    except (ValueError, TypeError) as error:
        return f"refused: {error}"[:300]
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    n = A.shape[0]
    if proba.shape != (n, len(clf.classes_)) or np.shape(decided) != (n,):
        return f"wrong shapes {proba.shape} {np.shape(decided)}"
    if not np.isfinite(proba).all() or np.abs(proba.sum(axis=1) - 1).max() > 1e-5:
        return "probabilities that are not"
    if not set(np.asarray(decided).tolist()) <= set(np.asarray(clf.classes_).tolist()):
        return "labels that are not of classes_"
    encoded = np.searchsorted(clf.classes_, np.asarray(y).ravel().astype(clf.classes_.dtype))
    weight = keywords.get("sample_weight")
    w = np.ones(n) if weight is None else weight
    if isinstance(alpha := parameters.get("focal_alpha"), list):
        # The probabilities of data in which rows count so.
        w = weight = w * np.array(alpha)[encoded]
    if w.sum() == 0:
        return "fitted without a weight"
    with np.errstate(divide="ignore"):
        loss = np.average(-np.log(np.maximum(proba[np.arange(n), encoded], 1e-300)), weights=w)
    prior = prior_loss(encoded, weight)
    return "ok" if loss <= prior + 1e-6 else f"worse than the prior: {loss:.4g} for {prior:.4g}"


def main(name, group):
    import skfocal

    warnings.simplefilter("ignore")
    cls, parent = getattr(skfocal, name), parent_of(name)
    known = cls().get_params()
    for case, data, given, keywords in GROUPS[group]():
        given = dict(given)
        if "n_estimators" in given and "max_iter" in known and "n_estimators" not in known:
            given["max_iter"] = given.pop("n_estimators")
        if not set(given) <= set(known) or (name == "FocalLogisticRegression" and "max_iter" in given):
            continue
        print(json.dumps({"case": case, "begins": True}), flush=True)
        ours = run_one(cls, data, {**FAST[name], **given}, keywords)
        focal = any(key.startswith("focal") for key in given)
        theirs = "" if focal else run_one(parent, data, {**FAST[name], **given}, keywords)
        print(json.dumps({"case": case, "ours": ours, "theirs": theirs}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
