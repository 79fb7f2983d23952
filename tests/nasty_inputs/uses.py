"""Cases of predictions for another X, and of evaluation sets."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy.sparse as sp
from case import Case, N, X, Y

FRAME = pd.DataFrame(X, columns=list("abcd"))


def predictions() -> Iterator[Case]:
    """X of predictions that is not as that of the fit."""
    for label, at in {
        "reordered": FRAME[list("dcba")],
        "one missing": FRAME[list("abc")],
        "one more": FRAME.assign(e=1.0),
        "other names": FRAME.set_axis(list("efgh"), axis=1),
        "integer names": FRAME.set_axis(range(4), axis=1),
        "duplicate names": FRAME.set_axis(list("aabc"), axis=1),
        "array": X,
        "words": FRAME.astype({"a": object}).assign(a="x"),
        "other types": FRAME.astype("Float64"),
        "integers": FRAME.astype(int),
        "other index": FRAME.set_index(np.arange(N)[::-1]),
        "sparse": sp.csr_array(X),
        "no row": FRAME[:0],
        "one row": FRAME[:1],
        "NaN": FRAME * np.nan,
        "infinity": FRAME.assign(a=np.inf),
        "1e300": FRAME * 1e300,
    }.items():
        yield Case(f"frame, then {label}", FRAME, at=at)
    for label, at in {
        "frame": FRAME,
        "one column less": X[:, :3],
        "one column more": np.c_[X, X[:, 0]],
        "one axis": X[0],
        "three axes": X[:, :, np.newaxis],
        "a number": 1.0,
        "None": None,
        "words": X.astype(str).astype(object) + "x",
        "numbers as text": X.astype(str),
        "dates": X.astype("M8[s]"),
        "complex": X + 0j,
        "no row": X[:0],
        "one row": X[:1],
        "NaN": X * np.nan,
        "infinity": X + np.inf,
        "1e300": X * 1e300,
        "float32": X.astype(np.float32),
        "list": X.tolist(),
    }.items():
        yield Case(f"array, then {label}", at=at)
    for form in ("csc", "coo", "lil", "dia"):
        yield Case(f"sparse, then {form}", sp.csr_array(X), at=sp.csr_array(X).asformat(form))
    yield Case("sparse, then dense", sp.csr_array(X), at=X)
    level = np.array(list("xyz"))[np.arange(N) % 3]
    train = FRAME.assign(e=pd.Categorical(level))
    for label, categories in {
        "unseen": pd.Categorical(np.where(level == "x", "new", level)),
        "unused": pd.Categorical(level, categories=list("wxyz")),
        "fewer": pd.Categorical(np.where(level == "z", "x", level)),
        "other order": pd.Categorical(level, categories=list("zyx")),
        "missing": pd.Categorical(level, categories=list("xy")),
        "other kind": pd.Categorical(np.arange(N) % 3),
        "none": pd.Categorical([None] * N, categories=list("xyz")),
        "words": level.astype(object),
        "numbers": np.arange(N) % 3,
    }.items():
        yield Case(
            f"categories, then {label}", train, parameters={"enable_categorical": True}, at=train.assign(e=categories)
        )


def evaluation_sets() -> Iterator[Case]:
    """Evaluation sets of every kind."""
    A, b = X[::2], Y[::2]
    for label, pair in {
        "as it should be": (A, b),
        "the training data": (X, Y),
        "empty": (A[:0], b[:0]),
        "one class": (A, np.zeros_like(b)),
        "one row": (A[:1], b[:1]),
        "foreign labels": (A, b + 1),
        "foreign words": (A, np.array(["no", "yes"])[b]),
        "NaN label": (A, np.where(A[:, 0] > 1, np.nan, b)),
        "float labels": (A, b.astype(float)),
        "labels in a column": (A, b[:, np.newaxis]),
        "labels in two columns": (A, np.c_[b, b]),
        "too few labels": (A, b[1:]),
        "no labels": (A, None),
        "no X": (None, b),
        "a column less": (A[:, 1:], b),
        "a column more": (np.c_[A, A], b),
        "one axis": (A[:, 0], b),
        "words": (np.full(A.shape, "x", object), b),
        "NaN": (A * np.nan, b),
        "infinity": (A + np.inf, b),
        "lists": (A.tolist(), b.tolist()),
        "sparse": (sp.csr_array(A), b),
    }.items():
        yield Case(label, held_out=pair)
    yield Case("frame, then reordered", FRAME, held_out=(FRAME[list("dcba")], Y))
    yield Case("frame, then other names", FRAME, held_out=(FRAME.set_axis(list("efgh"), axis=1), Y))
    yield Case("frame, then array", FRAME, held_out=(X, Y))
    yield Case("array, then frame", held_out=(FRAME, Y))
