"""Cases of X: rows, values, types, frames."""

import decimal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from case import RNG, WEIGHTED, Case, N, X, Y


def rows() -> Iterator[Case]:
    """Few rows, few of a class, many classes, many rows."""
    for n in range(1, 6):
        yield Case(f"{n} rows", X[:n], np.arange(n) % 2)
    yield Case("no rows", X[:0], Y[:0])
    yield Case("no columns", X[:, :0], Y)
    yield Case("one row per class", X[:3], [0, 1, 2])
    yield Case("two of the rare class", X, np.r_[1, 1, np.zeros(N - 2, int)])
    yield Case("one class", X, np.zeros(N, int))
    yield Case("1 to 1,000,000", RNG.normal(size=(1_000_001, 1)), np.r_[1, np.zeros(1_000_000, int)])
    many = np.arange(2000) % 1000
    yield Case("1,000 classes", many[:, np.newaxis] + RNG.normal(size=(2000, 2)), many, {"n_estimators": 1})
    yield Case("40 classes", X, np.arange(N) % 40)


def values() -> Iterator[Case]:
    """Columns and numbers."""
    yield Case("duplicate columns", np.c_[X, X])
    yield Case("constant columns", np.c_[X, np.ones(N), np.zeros(N)])
    yield Case("constant only", np.ones((N, 2)))
    yield Case("all-NaN column", np.c_[X, np.full(N, np.nan)])
    yield Case("all-NaN row", np.r_[X[:-1], np.full((1, 4), np.nan)])
    yield Case("only NaN", np.full((N, 4), np.nan))
    for value in (np.inf, -np.inf):
        yield Case(f"row of {value}", np.r_[X[:-1], np.full((1, 4), value)])
        yield Case(f"a {value}", np.where(np.arange(4 * N).reshape(N, 4) == 7, value, X))
    for size in (1e300, 1e-300, 1e30, 1e12):
        yield Case(f"{size:g}", X * size)
    yield Case("one column at 1e300", X * [1, 1, 1e300, 1])
    yield Case("one value of 1e300", np.where(np.arange(4 * N).reshape(N, 4) == 7, 1e300, X))
    yield Case("one value of 1e39", np.where(np.arange(4 * N).reshape(N, 4) == 7, 1e39, X))
    yield Case("smallest number", np.where(X > 0, 5e-324, 0))
    yield Case("negative zero", np.where(X > 0, -0.0, X))


def dtypes() -> Iterator[Case]:
    """Types of columns and forms of memory."""
    whole = np.abs(np.round(X * 10)).astype(np.int64)
    for dtype in ("i1", "u1", "u4", "u8", "O", ">i4"):
        yield Case(f"dtype {dtype}", whole.astype(dtype), plain=whole.astype(float))
    for dtype in ("?", "c16", "M8[s]", "m8[s]", "U5", "S5", "V8"):
        yield Case(f"dtype {dtype}", whole.astype(dtype))
    for dtype in ("f2", "f4", ">f4", ">f8", "g"):
        yield Case(f"dtype {dtype}", X.astype(dtype), plain=X.astype(dtype).astype(float))
    yield Case("huge integers", whole.astype(np.uint64) + np.uint64(2**63))
    words = np.array([["one", "two", "three", "four"]] * N)
    yield Case("dtype words", words)
    yield Case("dtype StringDType", words.astype(np.dtypes.StringDType()))
    yield Case("dtype StringDType of numbers", whole.astype("U5").astype(np.dtypes.StringDType()))
    for value in (None, np.nan, pd.NA, "x", "1.5", b"1.5", decimal.Decimal("1.5"), 1j, [1], pd.Timestamp("2020-01-01")):
        table = X.astype(object)
        table[7, 1] = value
        yield Case(f"object with {value!r}", table)
    yield Case("record array", np.rec.fromarrays(X.T))
    yield Case("masked array", np.ma.masked_greater(X, 1))
    yield Case("list of lists", X.tolist(), plain=X)
    yield Case("ragged", [[1.0, 2.0], [3.0]] * (N // 2))
    for form, table in {"a column": X[:, 0], "three axes": X[:, :, np.newaxis], "a number": 3.0, "a word": "X"}.items():
        yield Case(f"shape {form}", table)
    yield Case("None", None)
    yield Case("negative strides", X[::-1, ::-1], Y[::-1], plain=X[::-1, ::-1].copy())
    yield Case("every other row and column", np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2], plain=X)
    strided = {"sample_weight": np.repeat(WEIGHTED, 2)[::2]}
    yield Case("labels and weights with strides", X, np.repeat(Y, 3)[::3], keywords=strided)
    with tempfile.TemporaryDirectory() as folder:
        np.save(path := Path(folder, "X.npy"), X)
        yield Case("read-only memory map", np.load(path, mmap_mode="r"), plain=X)
    frozen = [X.copy(), Y.copy(), WEIGHTED.copy()]
    for array in frozen:
        array.flags.writeable = False
    yield Case("read-only", *frozen[:2], keywords={"sample_weight": frozen[2]})
    yield Case("Fortran order", np.asfortranarray(X), plain=X)
    unaligned = np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view(np.float64).reshape(X.shape)
    yield Case("unaligned", unaligned, plain=X)


def sparse() -> Iterator[Case]:
    """Sparse matrices and arrays."""
    half = sp.csr_matrix(np.where(X > 0, X, 0))
    for form in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr"):
        yield Case(form, half.asformat(form), plain=half)
    for form in ("csr", "csc", "coo"):
        wide = sp.coo_array(half).asformat(form)
        for name in ("indices", "indptr", "row", "col") if form != "coo" else ():
            if hasattr(wide, name):
                setattr(wide, name, getattr(wide, name).astype(np.int64))
        if form == "coo":
            wide.coords = tuple(index.astype(np.int64) for index in wide.coords)
        yield Case(f"{form} with 64-bit indices", wide, plain=half)
        explicit = sp.coo_array(X).asformat(form)
        explicit.data[::3] = 0.0
        yield Case(f"{form} with explicit zeros", explicit)
        missing = sp.coo_array(half).asformat(form)
        missing.data[::5] = np.nan
        yield Case(f"{form} with NaN", missing)
    for dtype in ("f4", "i4", "?", ">f8", "g", "c16"):
        yield Case(f"dtype {dtype}", sp.csr_array((half.data.astype(dtype), half.indices, half.indptr), half.shape))
    yield Case("without an entry", sp.csr_array((N, 4)))
    order = np.arange(half.nnz)[::-1]
    rows, columns = half.nonzero()
    yield Case(
        "unsorted, twice",
        sp.coo_array(
            (np.r_[half.data, half.data[order]], (np.r_[rows, rows[order]], np.r_[columns, columns[order]])), half.shape
        ),
    )
    yield Case("infinite", sp.csr_array(np.where(X > 1, np.inf, 0)))
    frame = pd.DataFrame.sparse.from_spmatrix(half, columns=list("abcd"))
    yield Case("frame", frame)


def frames() -> Iterator[Case]:
    """Data frames."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    yield Case("frame", frame, plain=X)
    yield Case("Series of another index", frame, pd.Series(Y, index=np.arange(N)[::-1] + 5))
    weight = pd.Series(WEIGHTED, index=np.arange(N)[::-1])
    yield Case("weights of another index", frame, keywords={"sample_weight": weight})
    yield Case("index of duplicates", frame.set_index(np.zeros(N, int)), pd.Series(Y, index=np.zeros(N, int)))
    yield Case("index of dates", frame.set_index(pd.date_range("2020", periods=N)), plain=X)
    yield Case("another byte order", frame.astype({"a": ">f8", "c": ">f4"}), plain=frame.astype({"c": "f4"}))
    yield Case("labels in a frame", frame, pd.DataFrame({"y": Y}))
    for label, columns in {
        "duplicate names": list("aabc"),
        "integer names": [3, 2, 1, 0],
        "float names": [0.5, 1.5, 2.5, np.nan],
        "names of bytes": [b"a", b"b", b"c", b"d"],
        "names of tuples": [("a", 1), ("b", 2), ("c", 3), ("d", 4)],
        "mixed names": ["a", 1, "b", 2],
        "MultiIndex": pd.MultiIndex.from_product([["a", "b"], ["c", "d"]]),
        "names with blanks": ["a b", "c d", "e f", " "],
        "names of other alphabets": ["ä", "列", "ش", "é"],
        "names with special characters": ["[c]", "d<", 'e"', "f,:"],
        "empty names": ["", "b", "c", "d"],
    }.items():
        yield Case(label, pd.DataFrame(X, columns=columns))
    whole = pd.DataFrame(np.round(X * 10).astype(int), columns=list("abcd"))
    for dtype in ("Float64", "Float32"):
        yield Case(f"nullable {dtype}", frame.astype(dtype), plain=frame.astype(dtype.lower()))
        missing = frame.mask(frame > 1)
        yield Case(f"nullable {dtype} with NA", missing.astype(dtype), plain=missing.astype(dtype.lower()))
    yield Case("nullable Int64", whole.astype("Int64"))
    yield Case("nullable Int64 with NA", whole.astype("Int64").mask(whole > 10))
    yield Case("nullable boolean", (frame > 0).astype("boolean"))
    for label, column in {
        "words": "x",
        "numbers as text": "1.5",
        "dates": pd.Timestamp("2020-01-01"),
        "dates with a zone": pd.Timestamp("2020-01-01", tz="UTC"),
        "durations": pd.Timedelta(3, "s"),
        "complex": 1j,
        "objects that are numbers": pd.Series(X[:, 0], dtype=object),
        "float16": X[:, 0].astype(np.float16),
        "uint64": whole["a"].abs().astype(np.uint64) + np.uint64(2**63),
        "bool": X[:, 0] > 0,
        "NaN": np.nan,
        "None": None,
        "periods": pd.period_range("2020", periods=N, freq="D"),
        "intervals": pd.cut(frame["a"], 3).astype("interval"),
        "string": pd.Series(["x"] * N, dtype="string"),
    }.items():
        yield Case(f"column of {label}", frame.assign(e=column))
    level = np.array(list("xyz"))[np.arange(N) % 3]
    for label, categories in {
        "unused level": pd.Categorical(level, categories=list("wxyz")),
        "missing": pd.Categorical(level, categories=list("xy")),
        "numbers": pd.Categorical(np.arange(N) % 3),
        "one level": pd.Categorical(["x"] * N),
        "only missing": pd.Categorical([None] * N),
        "300 levels": pd.Categorical(np.arange(N), categories=range(300)),
        "order": pd.Categorical(level, categories=list("zyx"), ordered=True),
    }.items():
        yield Case(f"categories, {label}", frame.assign(e=categories))
        yield Case(f"categories, {label}, enabled", frame.assign(e=categories), parameters={"enable_categorical": True})
    yield from _of_other_libraries(frame)


def _of_other_libraries(frame: pd.DataFrame) -> Iterator[Case]:
    try:
        import pyarrow as pa

        yield Case("Arrow-backed", frame.astype("float64[pyarrow]"), plain=X)
        yield Case("Arrow-backed with NA", frame.mask(frame > 1).astype("float64[pyarrow]"))
        yield Case("Arrow-backed words", frame.assign(e=pd.Series(["x"] * N, dtype="string[pyarrow]")))
        yield Case("Arrow table", pa.Table.from_pandas(frame), plain=X)
    except ImportError:
        pass
    try:
        import polars as pl

        yield Case("polars", pl.from_numpy(X, schema=list("abcd")), pl.Series(Y), plain=X)
        yield Case("polars, words", pl.from_numpy(X, schema=list("abcd")).with_columns(e=pl.lit("x")))
        yield Case("polars, lazy", pl.from_numpy(X, schema=list("abcd")).lazy())
    except ImportError:
        pass
