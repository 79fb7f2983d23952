"""Models for other programs: ONNX, and the parents' own classes. What a function needs, it says when it is called."""

from skfocal._common.public import is_public_in
from skfocal.export._native import with_native_objective
from skfocal.export._onnx import to_onnx

__all__ = ["to_onnx", "with_native_objective"]

is_public_in(__name__, to_onnx, with_native_objective)
