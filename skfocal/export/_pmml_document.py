"""A PMML document: inputs, and a chain without models. May import scikit-learn and sklearn2pmml.

Without steps before the classifier the document is written here. With steps, sklearn2pmml writes it: it is handed the
steps with a linear model behind them, whose coefficients tell afterwards which field has become which column.
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
    """A document whose one model is a chain.

    Parameters
    ----------
    root : Element
    schema : list of Element
        The fields that the model takes, with what becomes of missing values.
    transformations : Element
        What is derived of the fields, for all models of the chain.
    columns : list of Element
        For each feature of the classifier the expression that it is.
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
        """Names of fields that have the features as the classifier compares them: numbers of a PMML type, in which a
        number may mean a missing value.
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
        # A number that is none is a missing one, as scikit-learn has it.
        for found in self.root.iter("DataField"):
            if found.get("optype") == "continuous" and found.find("Value") is None:
                ET.SubElement(found, "Value", value="NaN", property="missing")
        self.root.set("xmlns", NAMESPACE)
        ET.indent(self.root, "\t")
        text: bytes = ET.tostring(self.root, encoding="utf-8", xml_declaration=True)
        return text


def of_columns(names: list[str], target_name: str) -> Document:
    """A document of a classifier that takes its inputs as they come."""
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
    """A document of the steps before a classifier that takes so many columns of them."""
    text = _converted(Pipeline([*steps, ("classifier", _probe(n_columns))]), names, target_name)
    root = ET.fromstring(text)
    for element in root.iter():  # names without a prefix, as people write PMML
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
    """A linear model of three classes. The score of the first is the sum of its columns; that of the second counts each
    as often as its place says. So a field's coefficients tell its column, and a factor that was moved into them.
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
    """What sklearn2pmml makes of a model. By its command line: a call would print, and set an environment variable."""
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
        # A hosts file with no host in it: the program finds no one to report to. The rest halves its time.
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
    """What went wrong and what helps, out of all that it prints."""
    found = re.search(r"^(?:[\w.]+\.)?\w*(?:Exception|Error): (.*?)(?=^Stack trace:|^\s+at |\Z)", output, re.M | re.S)
    return " ".join((found[1] if found else output).split())
