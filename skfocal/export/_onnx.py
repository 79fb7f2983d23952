"""``to_onnx``. May import ``_common`` and this folder; ONNX and skl2onnx when it is called."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.utils.validation import check_is_fitted

from skfocal.export._labels import check_labels


def to_onnx(model: Any, initial_types: Any = None, target_opset: Any = None) -> Any:
    """Convert a fitted model to ONNX, the focal loss's posterior included.

    Parameters
    ----------
    model : estimator
        A fitted focal estimator, or a ``Pipeline``, ``VotingClassifier``, ``StackingClassifier`` or
        ``CalibratedClassifierCV`` with some in it, a `skfocal.calibration.FocalTemperatureScaling` of any classifier,
        and whatever else skl2onnx converts.
    initial_types : list of (name, type), default=None
        The inputs, of types of ``skl2onnx.common.data_types``, as skl2onnx takes them. None: one input ``"X"`` of
        float32, (n, n_features). A model whose first step is a ``ColumnTransformer`` needs them. A category is the
        number that the booster was trained on, for a pandas column its code.
    target_opset : int or dict, default=None
        Of ONNX. None: the latest that skl2onnx has been tested with.

    Returns
    -------
    onnx.ModelProto
        Its outputs are ``label``, of `predict`, and ``probabilities``, of `predict_proba`, an array (n, n_classes): of
        float64 if the inputs are, else of float32. It runs without skfocal and without the boosters.

    Raises
    ------
    ImportError
        Without the extra ``onnx``.
    ValueError, TypeError
        If the model has labels or leaves that ONNX can't say, or an argument is not as described here.

    Notes
    -----
    Probabilities were within 1e-5 of ``predict_proba`` for the same float32 rows. A row that is rounded to float32 may
    fall on the other side of a threshold.

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
