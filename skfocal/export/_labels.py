"""Labels that other formats support."""

from __future__ import annotations

from typing import Any


def check_labels(classes: Any) -> None:
    """Check that ONNX and PMML have a type for the labels."""
    is_legal = classes.dtype.kind in "biuUTO" or (classes.dtype.kind == "f" and (classes == classes.astype(int)).all())
    if not is_legal:
        raise ValueError(
            "model must have labels that are texts, integers or Booleans for another format, got "
            f"{classes.tolist()[0]!r} of dtype {classes.dtype}"
        )


def check_one_label(model: Any, file_format: str) -> None:
    """Check that an estimator was fitted to one label per row."""
    loss = getattr(model, "focal_loss_", None)
    if isinstance(loss, tuple):
        raise ValueError(
            f"model must have one label per row for {file_format}, got one with {len(loss)}: fit a model to each "
            "label, or save FocalXGBClassifier's own file"
        )
