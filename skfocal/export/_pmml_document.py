"""A PMML document with its inputs and an empty chain of models. May import scikit-learn and sklearn2pmml.

If the classifier is alone, this file writes the document. If there are steps before the classifier, sklearn2pmml writes
it, from a pipeline of these steps and a linear model. The coefficients of the linear model show which field became
which column.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from skfocal.export._pmml_elements import Element, apply, derive, field, number

NAMESPACE = "http://www.dmg.org/PMML-4_4"


class Document:
    """A document with one model, which is a chain of models.

    Parameters
    ----------
    root : Element
    schema : list of Element
        The input fields of the model, and how missing values are treated.
    transformations : Element
        Derived fields for all models of the chain.
    columns : list of Element
        For each feature of the classifier, the expression that computes it.
    """

    def __init__(self, root: Element, schema: list[Element], transformations: Element, columns: list[Element]) -> None:
        self.root, self.transformations, self.columns = root, transformations, columns
        whole = ET.SubElement(root, "MiningModel", functionName="classification")
        ET.SubElement(whole, "MiningSchema").extend(schema)
        whole.append(transformations)
        treatment = {"multipleModelMethod": "modelChain", "missingPredictionTreatment": "returnMissing"}
        self.chain = ET.SubElement(whole, "Segmentation", treatment)

    def write_labels(self, target_name: str, kind: str, labels: list[str]) -> None:
        (target,) = (found for found in self.root.iter("DataField") if found.get("name") == target_name)
        target.set("dataType", {"b": "boolean", "i": "integer", "u": "integer", "f": "double"}.get(kind, "string"))
        for value in list(target):
            target.remove(value)
        for label in labels:
            ET.SubElement(target, "Value", value=label)

    def feature_names(self, kind: str, missing: float) -> list[str]:
        """Names of fields with the features as the classifier compares them.

        ``kind`` is the type of the fields in PMML. ``missing`` is the number that stands for a missing value.
        """
        types = {found.get("name", ""): found.get("dataType") for found in self.root.iter("DataField")}
        types |= {found.get("name", ""): found.get("dataType") for found in self.transformations}
        names = []
        for i, column in enumerate(self.columns):
            name = column.get("field", "")
            if not np.isnan(missing):
                nothing = Element("Constant", missing="true", dataType="double")
                is_missing = apply("equal", column, number(missing), mapMissingTo="false")
                column = apply("if", is_missing, nothing, column)
            if column.tag != "FieldRef" or types[name] != kind:
                name = derive(self.transformations, f"feature({i})", column, kind)
            names.append(name)
        return names

    def to_bytes(self) -> bytes:
        # NaN stands for a missing value, as in scikit-learn.
        for found in self.root.iter("DataField"):
            if found.get("optype") == "continuous" and found.find("Value") is None:
                ET.SubElement(found, "Value", value="NaN", property="missing")
        self.root.set("xmlns", NAMESPACE)
        ET.indent(self.root, "\t")
        text: bytes = ET.tostring(self.root, encoding="utf-8", xml_declaration=True)
        return text


def of_columns(names: list[str], target_name: str) -> Document:
    """A document for a classifier without steps before it."""
    root = Element("PMML", version="4.4")
    ET.SubElement(ET.SubElement(root, "Header"), "Application", name="skfocal")
    dictionary = ET.SubElement(root, "DataDictionary")
    ET.SubElement(dictionary, "DataField", name=target_name, optype="categorical")
    schema = [Element("MiningField", name=target_name, usageType="target")]
    for name in names:
        ET.SubElement(dictionary, "DataField", name=name, optype="continuous", dataType="double")
        schema.append(Element("MiningField", name=name))
    return Document(root, schema, Element("LocalTransformations"), [field(name) for name in names])


def of_steps(steps: list[Any], n_columns: int, names: list[str], target_name: str) -> Document:
    """A document for a classifier after ``steps``, which compute its ``n_columns`` features."""
    text = _converted(Pipeline([*steps, ("classifier", _probe(n_columns))]), names, target_name)
    root = ET.fromstring(text)
    for element in root.iter():  # names without the prefix of the namespace, as is usual in PMML
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    probe = root.find("RegressionModel")
    if probe is None:
        raise RuntimeError(UNKNOWN_FORM)
    root.remove(probe)
    transformations = probe.find("LocalTransformations")
    if transformations is None:
        transformations = Element("LocalTransformations")
    return Document(root, probe.findall("MiningSchema/MiningField"), transformations, _columns(probe, n_columns))


UNKNOWN_FORM = "sklearn2pmml wrote the steps before the classifier in a form that is not known here"


def _probe(n_columns: int) -> LogisticRegression:
    """A linear model of three classes. The coefficients of the first class are 1, 1, 1, ..., those of the second 1, 2,
    3, ...

    sklearn2pmml can move a factor of a step into both coefficients of a field. The coefficient of the first class is
    then this factor. The coefficient of the second class, divided by this factor, is the number of the column.
    """
    probe = LogisticRegression()
    probe.classes_, probe.n_features_in_ = np.arange(3), n_columns
    probe.coef_ = np.stack([np.ones(n_columns), np.arange(1.0, n_columns + 1), np.zeros(n_columns)])
    probe.intercept_, probe.n_iter_ = np.zeros(3), np.ones(1, np.int32)
    return probe


def _columns(probe: Element, n_columns: int) -> list[Element]:
    first, second, _ = probe.findall("RegressionTable")
    found: dict[int, Element] = {}
    for once, often in zip(first, second, strict=True):
        factor = float(once.get("coefficient", "nan"))
        place = round(float(often.get("coefficient", "nan")) / factor) - 1
        column = field(once.get("name", ""))
        if once.tag == "CategoricalPredictor":
            category = Element("Constant", dataType="string")
            category.text = once.get("value")
            is_it = apply("equal", column, category, mapMissingTo="false")
            column = apply("if", is_it, number(1.0), number(0.0))
        elif once.tag != "NumericPredictor" or once.get("exponent", "1") != "1":
            raise RuntimeError(UNKNOWN_FORM)
        found[place] = column if factor == 1.0 else apply("*", column, number(factor))
    if sorted(found) != list(range(n_columns)) or any(
        float(table.get("intercept", "nan")) for table in (first, second)
    ):
        raise RuntimeError(UNKNOWN_FORM)
    return [found[i] for i in range(n_columns)]


def _converted(model: Any, input_names: list[str], target_name: str) -> bytes:
    """The PMML text of a model, by the command line of sklearn2pmml. Its function would print to this process's output
    and set an environment variable.
    """
    if find_spec("sklearn2pmml") is None:
        raise ImportError(
            'to_pmml needs sklearn2pmml for the steps before a classifier: python -m pip install "skfocal[pmml]"'
        )
    if shutil.which("java") is None:
        raise RuntimeError(
            "to_pmml needs Java 11 or later for the steps before a classifier: sklearn2pmml runs the program java, "
            "which is not on the PATH"
        )
    from sklearn2pmml import make_pmml_pipeline

    with tempfile.TemporaryDirectory() as folder:
        pickled, converted, no_hosts = (Path(folder, name) for name in ("model.pkl", "model.pmml", "hosts"))
        pickled.write_bytes(pickle.dumps(make_pmml_pipeline(model, input_names, [target_name])))
        no_hosts.touch()
        # With an empty hosts file the program finds no host to send reports to. The other options halve its time.
        options = f'"-Djdk.net.hosts.file={no_hosts}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC'
        environment = os.environ | {"JDK_JAVA_OPTIONS": f"{options} {os.environ.get('JDK_JAVA_OPTIONS', '')}"}
        command = [sys.executable, "-m", "sklearn2pmml", "--input", str(pickled), "--output", str(converted)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not converted.exists():
            raise RuntimeError(
                "sklearn2pmml could not convert the steps before the classifier: " + _reason(done.stdout + done.stderr)
            )
        return converted.read_bytes()


def _reason(output: str) -> str:
    """The message of the exception in the output of sklearn2pmml, which also contains the advice."""
    found = re.search(r"^(?:[\w.]+\.)?\w*(?:Exception|Error): (.*?)(?=^Stack trace:|^\s+at |\Z)", output, re.M | re.S)
    return " ".join((found[1] if found else output).split())
