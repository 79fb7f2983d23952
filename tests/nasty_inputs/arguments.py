"""Cases of labels, weights and parameters."""

import datetime
import decimal
import enum
import fractions
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from case import Case, N, X, Y


class Kind(enum.Enum):
    NO, YES = 0, 1


class Level(enum.IntEnum):
    NO, YES = 0, 1


def two(no: object, yes: object, dtype: object = None) -> np.ndarray:
    """Labels of two classes."""
    of = np.empty(2, object)
    of[0], of[1] = no, yes
    return of[Y] if dtype is object else np.array([no, yes], dtype=dtype)[Y]


def labels() -> Iterator[Case]:
    """Labels of every kind."""
    for label, y in {
        "strings": two("no", "yes"),
        "bytes": two(b"no", b"yes"),
        "StringDType": two("no", "yes").astype(np.dtypes.StringDType()),
        "objects": two("no", "yes", object),
        "other alphabets": two("нет", "はい", object),
        "empty string": two("", "x"),
        "bool": Y.astype(bool),
        "objects that are bool": two(False, True, object),
        "float": Y.astype(float),
        "float16": Y.astype(np.float16),
        "other byte order": Y.astype(">i4"),
        "fractions": two(0.5, 1.5),
        "int8 ends": two(-128, 127, np.int8),
        "uint64 ends": two(0, 2**64 - 1, np.uint64),
        "int64 ends": two(-(2**63), 2**63 - 1, np.int64),
        "neighbors beyond float64": two(2**60, 2**60 + 1, np.int64),
        "gaps": two(-7, 1000),
        "dates": two("2020-01-01", "2021-01-01", "M8[D]"),
        "durations": two(1, 5, "m8[s]"),
        "complex": two(0, 1j),
        "dates as objects": two(datetime.date(2020, 1, 1), datetime.date(2021, 1, 1), object),
        "decimals": two(decimal.Decimal(0), decimal.Decimal(1), object),
        "ratios": two(fractions.Fraction(1, 3), fractions.Fraction(2, 3), object),
        "tuples": two((0, 1), (1, 0), object),
        "enum": two(Kind.NO, Kind.YES, object),
        "int enum": two(Level.NO, Level.YES, object),
        "column": Y[:, np.newaxis],
        "row": Y[np.newaxis],
        "continuous": X[:, 0],
        "infinity": two(0.0, np.inf),
        "NaN label": np.where(X[:, 0] > 1, np.nan, Y),
        "NaT label": two("2020-01-01", "NaT", "M8[D]"),
        "None label": two(None, "a", object),
        "NA label": two(pd.NA, "a", object),
        "mixed": two(1, "a", object),
        "list": Y.tolist(),
        "tuple": tuple(Y.tolist()),
        "wrong length": Y[:-1],
        "two columns": np.c_[Y, 1 - Y],
        "a number": 1,
        "None": None,
        "Int64": pd.Series(Y, dtype="Int64"),
        "Int64 with NA": pd.Series(Y, dtype="Int64").mask(X[:, 0] > 1),
        "boolean": pd.Series(Y.astype(bool), dtype="boolean"),
        "category": pd.Series(two("no", "yes"), dtype="category"),
        "unused category": pd.Categorical(two("no", "yes"), categories=["yes", "no", "maybe"]),
        "string series": pd.Series(two("no", "yes"), dtype="string"),
        "dates with a zone": pd.Series(two("2020-01-01", "2021-01-01", "M8[ns]")).dt.tz_localize("UTC"),
        "index": pd.Index(two("no", "yes")),
    }.items():
        yield Case(label, X, y)
    try:
        import pyarrow as pa

        yield Case("Arrow", X, pa.array(Y))
        yield Case("Arrow-backed", X, pd.Series(Y, dtype="int64[pyarrow]"))
        yield Case("Arrow-backed words", X, pd.Series(two("no", "yes"), dtype="string[pyarrow]"))
    except ImportError:
        pass


def weights() -> Iterator[Case]:
    """Weights of every kind."""
    ones = np.ones(N)
    for label, w in {
        "0 and 1": (np.arange(N) % 2).astype(float),
        "zeros": np.zeros(N),
        "one row": (np.arange(N) == 3).astype(float),
        "1e-300": np.full(N, 1e-300),
        "1e-30": np.full(N, 1e-30),
        "1e12": np.full(N, 1e12),
        "1e300": np.full(N, 1e300),
        "1e-12 and 1e12": np.where(np.arange(N) % 2, 1e12, 1e-12),
        "NaN": np.full(N, np.nan),
        "a NaN": np.where(np.arange(N) == 3, np.nan, 1.0),
        "a infinity": np.where(np.arange(N) == 3, np.inf, 1.0),
        "negative": np.full(N, -1.0),
        "a negative": np.where(np.arange(N) == 3, -1.0, 1.0),
        "too short": ones[1:],
        "too long": np.ones(N + 1),
        "none": ones[:0],
        "column": ones[:, np.newaxis],
        "two columns": np.ones((N, 2)),
        "a number": 2.0,
        "a class without": (1 - Y).astype(float),
        "integers": np.arange(1, N + 1),
        "bool": np.arange(N) % 2 == 0,
        "float16": np.full(N, 0.5, np.float16),
        "other byte order": ones.astype(">f8"),
        "objects": ones.astype(object),
        "complex": ones.astype(complex),
        "words": np.full(N, "x"),
        "numbers as text": np.full(N, "1"),
        "dates": np.full(N, "2020-01-01", "M8[D]"),
        "list": ones.tolist(),
        "Series": pd.Series(ones, index=np.arange(N)[::-1]),
        "frame": pd.DataFrame({"w": ones}),
        "Float64": pd.Series(ones, dtype="Float64"),
        "Float64 with NA": pd.Series(ones, dtype="Float64").mask(X[:, 0] > 1),
    }.items():
        yield Case(label, keywords={"sample_weight": w})


def parameters() -> Iterator[Case]:
    """Gamma, alpha and extreme training."""
    for gamma in (
        0,
        -0.0,
        1e-300,
        0.1,
        10,
        100,
        np.float16(2),
        np.array(2.0),
        fractions.Fraction(1, 2),
        np.int8(2),
        (1, 2),
        np.array([1.0, 2.0]),
        pd.Series([1, 2]),
        range(1, 3),
        1e4,
        -1,
        -1e-300,
        "2",
        b"2",
        "",
        None,
        np.nan,
        np.inf,
        True,
        np.True_,
        [],
        [1],
        [1, 2, 3],
        [[1, 2]],
        [1, -1],
        [1, None],
        [1, np.nan],
        [1, "2"],
        [True, False],
        {1: 2},
        {},
        {1, 2},
        1j,
        np.complex128(1),
        np.array([[1.0, 2.0]]),
        10**400,
        decimal.Decimal(2),
        np.datetime64("2020"),
        object,
        len,
    ):
        yield Case(f"gamma {gamma!r}"[:60], parameters={"focal_gamma": gamma})
    for alpha in (
        None,
        0.25,
        1e-300,
        [1e-5, 1e5],
        (1, 3),
        np.array([1, 3]),
        pd.Series([1, 3]),
        {0: 1, 1: 3},
        {1: 3},
        {},
        Counter(Y.tolist()),
        {np.int64(1): 3},
        {True: 3},
        "balanced",
        "effective",
        0,
        1,
        -1,
        10,
        np.nan,
        np.inf,
        True,
        "x",
        "",
        "Balanced",
        b"balanced",
        [],
        [1],
        [0, 1],
        [1, -1],
        [1, np.nan],
        [1, np.inf],
        [1, None],
        [1, "2"],
        [1, 2, 3],
        [[1, 2]],
        np.ones((2, 1)),
        {2: 1},
        {"1": 1},
        {1: 0},
        {1: -1},
        {1: np.nan},
        {1: np.inf},
        {1: "2"},
        {1: None},
        {1: True},
        {1: [1]},
        {0, 1},
        1j,
        10**400,
        decimal.Decimal("0.5"),
        object,
        len,
        [1e-300, 1e300],
        {0: 1e-300, 1: 1e300},
    ):
        parameters = {"focal_alpha": alpha, "calibration": "focus" if isinstance(alpha, list) else "full"}
        yield Case(f"alpha {alpha!r}"[:60], parameters=parameters)
    yield Case("learning rate 10", parameters={"learning_rate": 10.0})
    separable = (X[:, 0] > 0).astype(int)
    yield Case(
        "1,000 trees, separable",
        y=separable,
        parameters={"n_estimators": 1000, "max_leaf_nodes": 4, "num_leaves": 4, "max_depth": 2},
    )
    yield Case("no tree", parameters={"n_estimators": 0})
