"""``to_pmml``. May import ``_common`` and this folder. A ``Pipeline`` with transformers also needs sklearn2pmml."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skfocal._common.classifier import FocalClassifierMixin
from skfocal._common.files import complete_file
from skfocal.export._labels import check_labels, check_one_label
from skfocal.export._pmml_document import Document, of_columns, of_steps
from skfocal.export._pmml_elements import add_segment
from skfocal.export._pmml_posterior import Posterior
from skfocal.export._pmml_scores import scores_of
from skfocal.export._trees import LESS, Forest, forest_of


def to_pmml(model: Any, path: Any, *, input_names: Any = None, target_name: Any = "y") -> None:
    """Write a fitted model to a PMML file. The file computes the labels and the probabilities of the model.

    Parameters
    ----------
    model : estimator
        A fitted focal classifier, or a ``Pipeline`` that ends in a focal classifier. sklearn2pmml must be able to
        convert the other steps of the ``Pipeline``.
    path : path-like
        Path of the file to write.
    input_names : sequence of str, default=None
        Names of the n_features columns of X. None: the names are ``feature_names_in_`` or, without it, "x0", "x1" and
        so on.
    target_name : str, default="y"
        Name of the field that contains the label of `predict`.

    Raises
    ------
    ValueError, TypeError
        If the model has labels or leaves that PMML does not support, or an argument is not as described here.
    ImportError
        If the model is a ``Pipeline`` with transformers, and the extra ``pmml`` is not installed.
    RuntimeError
        If the model is a ``Pipeline`` with transformers, and Java is missing or sklearn2pmml can't convert them. If
        the conversion failed, the message contains the error of sklearn2pmml.

    Notes
    -----
    The field ``target_name`` contains the label of `predict`. The fields ``probability(a)``, ``probability(b)`` and so
    on contain the probabilities of `predict_proba` for the labels a, b and so on. Evaluators of the file need neither
    skfocal nor the boosters. Categories are the numbers that the booster was trained on; for pandas columns these are
    the category codes. ``categorical_features`` of `skfocal.ensemble.FocalHistGradientBoostingClassifier` and
    ``linear_tree=True`` are not supported and raise an error.

    sklearn2pmml converts the transformers of a ``Pipeline``. It is a Java program under the AGPL. A release of
    sklearn2pmml refuses newer releases of scikit-learn, and stops working a year after its publication. If a conversion
    fails, sklearn2pmml sends a report to its authors. `to_pmml` prevents this.

    References
    ----------
    PMML 4.4, http://dmg.org/pmml/v4-4-1/GeneralStructure.html

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skfocal.export import to_pmml
    >>> from skfocal.linear_model import FocalLogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> path = Path(tempfile.mkdtemp(), "iris.pmml")
    >>> to_pmml(FocalLogisticRegression().fit(X, y), path, target_name="species")
    >>> path.read_text().count("probability(")
    3
    """
    steps, focal = _parts(model)
    if not isinstance(focal, FocalClassifierMixin):
        raise TypeError(f"model must be a focal classifier or a Pipeline that ends in one, got {type(model).__name__}")
    check_is_fitted(model)
    check_labels(focal.classes_)
    check_one_label(focal, "PMML")
    names = _input_names(steps[0][1] if steps else focal, input_names)
    if not isinstance(target_name, str) or target_name in names:
        raise ValueError(f"target_name must be a text that is no name of an input, got {target_name!r}")
    forest = None if hasattr(focal, "coef_") else forest_of(focal)
    n_columns = focal.n_features_in_  # type: ignore[attr-defined]
    document = of_steps(steps, n_columns, names, target_name) if steps else of_columns(names, target_name)
    _write(document, focal, forest, target_name)
    with complete_file(path) as complete:
        complete.write_bytes(document.to_bytes())


def _write(document: Document, model: Any, forest: Forest | None, target_name: str) -> None:
    labels = [_text(label) for label in model.classes_]
    scores = [f"score({label})" for label in labels]
    document.write_labels(target_name, model.classes_.dtype.kind, labels)
    # XGBoost compares in float32.
    is_narrow = forest is not None and LESS in forest.mode
    features = document.feature_names("float" if is_narrow else "double", getattr(model, "missing", np.nan))
    for of_class in scores_of(model, features, scores, forest):
        add_segment(document.chain, of_class)
    add_segment(document.chain, Posterior(model, target_name, labels, scores).model())


def _text(label: Any) -> str:
    if isinstance(label, (bool, np.bool_)):
        return "true" if label else "false"
    return str(label)


def _parts(model: Any) -> tuple[list[Any], Any]:
    """The steps without "passthrough", and the classifier after them."""
    steps: list[Any] = []
    while isinstance(model, Pipeline):
        steps += [step for step in model.steps[:-1] if step[1] not in (None, "passthrough")]
        model = model.steps[-1][1]
    return [(f"step{i}", step) for i, (_, step) in enumerate(steps)], model


def _input_names(first: Any, given: Any) -> list[str]:
    """Names of the inputs of the first step, which is the classifier if there are no other steps."""
    names = getattr(first, "feature_names_in_", None) if given is None else given
    if names is None:
        return [f"x{i}" for i in range(first.n_features_in_)]
    names = list(names)
    is_legal = all(isinstance(name, str) for name in names) and len(set(names)) == len(names) == first.n_features_in_
    if not is_legal:
        raise ValueError(f"input_names must be {first.n_features_in_} different texts, got {names!r}")
    return names
