"""Functions that make XML elements of PMML. May import the standard library."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

Element = ET.Element


def field(name: str) -> Element:
    return Element("FieldRef", field=name)


def number(value: float) -> Element:
    return _constant(repr(float(value)), "double")


def integer(value: int) -> Element:
    return _constant(str(value), "integer")


def _constant(text: str, kind: str) -> Element:
    element = Element("Constant", dataType=kind)
    element.text = text
    return element


def apply(function: str, *arguments: Element, **attributes: str) -> Element:
    element = Element("Apply", {"function": function} | attributes)
    element.extend(arguments)
    return element


def derive(into: Element, name: str, expression: Element, kind: str = "double", optype: str = "continuous") -> str:
    """Append a derived field. Returns its name."""
    element = ET.SubElement(into, "DerivedField", name=name, optype=optype, dataType=kind)
    element.append(expression)
    return name


def model_of(tag: str, inputs: Iterable[str], **attributes: str) -> Element:
    """A model with its mining schema, which lists the names of its input fields."""
    model = Element(tag, attributes)
    schema = ET.SubElement(model, "MiningSchema")
    for name in inputs:
        ET.SubElement(schema, "MiningField", name=name)
    return model


def add_segment(chain: Element, model: Element) -> None:
    segment = ET.SubElement(chain, "Segment", id=str(len(chain) + 1))
    ET.SubElement(segment, "True")
    segment.append(model)
