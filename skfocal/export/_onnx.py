"""``to_onnx``. May import ``_common`` and this folder. Imports ONNX and skl2onnx when it is called."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.utils.validation import check_is_fitted

from skfocal.export._labels import check_labels, check_one_label


def to_onnx(model: Any, initial_types: Any = None, target_opset: Any = None) -> Any:
    """Convert a fitted model to ONNX, including the correction of its probabilities.

    Parameters
    ----------
    model : estimator
        A fitted focal estimator, or a ``Pipeline``, ``VotingClassifier``, ``StackingClassifier`` or
        ``CalibratedClassifierCV`` that contains focal estimators, or a `skfocal.calibration.FocalTemperatureScaling` of
        any classifier. Their other parts can be anything that skl2onnx converts.
    initial_types : list of (name, type), default=None
        Names and types of the inputs, as in skl2onnx, with types of ``skl2onnx.common.data_types``. None: one float32
        input ``"X"`` of shape (n, n_features). If the first step of the model is a ``ColumnTransformer``, the types are
        required. A category is given as the number with which the booster was trained; for a pandas column this is its
        code.
    target_opset : int or dict, default=None
        Opset of ONNX. None: the latest opset that skl2onnx has been tested with.

    Returns
    -------
    onnx.ModelProto
        A model with two outputs. ``label`` is the result of ``predict``. ``probabilities``, of shape (n, n_classes), is
        the result of ``predict_proba``. The probabilities are float64 if the inputs are float64, and float32 otherwise.
        The model runs without skfocal and without the boosters.

    Raises
    ------
    ImportError
        If the extra ``onnx`` is not installed.
    ValueError, TypeError
        If ONNX cannot represent the labels or the leaves of the model, or if an argument is not as described here.

    Notes
    -----
    For the same float32 rows, the probabilities were within 1e-5 of ``predict_proba``. If float64 rows are rounded to
    float32, a value can move to the other side of a threshold.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skfocal.export import to_onnx
    >>> from skfocal.linear_model import FocalLogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> onnx_model = to_onnx(FocalLogisticRegression().fit(X, y))
    >>> [output.name for output in onnx_model.graph.output]
    ['label', 'probabilities']
    """
    try:
        import onnx  # noqa: F401
        import skl2onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise ImportError('to_onnx needs ONNX and skl2onnx: python -m pip install "skfocal[onnx]"') from error
    from skfocal.export import _onnx_converters, _onnx_meta

    check_is_fitted(model)
    check_labels(model.classes_)
    parts = list(_onnx_meta.parts_of(model))
    for part in parts:
        check_one_label(part, "ONNX")
        _onnx_converters.register(part)
    if initial_types is None:
        if any(isinstance(part, ColumnTransformer) for part in parts):
            raise ValueError(
                "initial_types must be given for a model with a ColumnTransformer: a list of a name and a type for "
                "each input"
            )
        initial_types = [("X", FloatTensorType([None, model.n_features_in_]))]
    options: dict[Any, Any] = {id(part): {"raw_scores": True} for part in _onnx_meta.asked_for_scores(model)}
    options[id(model)] = {"zipmap": False}
    return skl2onnx.convert_sklearn(
        model,
        name=type(model).__name__,
        initial_types=initial_types,
        target_opset=target_opset,
        options=options,
        custom_conversion_functions=_onnx_meta.CONVERTERS,
    )
