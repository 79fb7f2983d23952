"""Columns of X: which of them LightGBM can read, and their names. Imports nothing of the package."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

# Names in Arrow and, apart from upper and lower case, in polars of the types that LightGBM can read.
READABLE_DTYPES = {
    "float",
    "double",
    "bool",
    "boolean",
    "float32",
    "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


def check_columns(X: Any, name: str = "X") -> None:
    """Raise an error for a column of an Arrow table or a polars frame that LightGBM cannot read: it would crash."""
    library = type(X).__module__.partition(".")[0]
    if library == "pyarrow" and hasattr(X, "column_names"):
        columns = [(field.name, str(field.type)) for field in X.schema]
    elif library == "polars" and type(X).__name__ == "DataFrame":
        columns = [(column, str(dtype)) for column, dtype in X.schema.items()]
    else:
        return
    for column, dtype in columns:
        if dtype.lower() not in READABLE_DTYPES:
            raise ValueError(
                f"{name} must have numeric or Boolean columns, got {dtype} in column {column!r}: encode it, for "
                "example as integers with categorical_feature, or give pandas' frame with a category column"
            )


def column_names(X: Any, feature_name: Any) -> list[str] | None:
    """Column names of X if scikit-learn finds strings there, otherwise the names that were given with an array."""
    if hasattr(X, "columns"):
        if column_kinds(X) == {True, False}:
            return None
        reader = BaseEstimator()
        validate_data(reader, X, reset=True, skip_check_array=True)
        return list(reader.feature_names_in_) if hasattr(reader, "feature_names_in_") else None
    names = feature_name if isinstance(feature_name, (list, tuple)) else ()
    return list(names) if names and all(isinstance(name, str) for name in names) else None


def column_kinds(X: Any) -> set[bool]:
    """Whether column names are strings: True, False or both."""
    return {isinstance(name, str) for name in X.columns}
