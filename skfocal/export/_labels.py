"""Labels that other formats can say."""

from __future__ import annotations

from typing import Any


def check_labels(classes: Any) -> None:
    """Labels that ONNX and PMML have a type for."""
    is_legal = classes.dtype.kind in "biuUTO" or (classes.dtype.kind == "f" and (classes == classes.astype(int)).all())
    if not is_legal:
        raise ValueError(
            "model must have labels that are texts, integers or Booleans for another format, got "
            f"{classes.tolist()[0]!r} of dtype {classes.dtype}"
        )
