"""Sphinx extension: names of the API in inline code become links to their pages.

A literal such as ``FocalLoss``, ``FocalLoss.predict_proba`` or ``FocalLoss(gamma=2.0)`` is a link. In a longer piece of
code each name is a link. What stands in quotes is not a name. In doubt there is no link:

- A name that several modules have, such as ``FocalObjective``, is a link where it is qualified
  (``xgboost.FocalObjective``), where the same piece of code names one of the modules (``xgb.train(..., obj=...)``), and
  below a heading of one of them, unless the paragraph or table row names another. Above a cell of a table the nearest
  heading is that of its column.
- A function that has the name of some class's method or attribute is a link only where it is qualified.
- What follows the name of a package of ``link_names_of_others`` (MONAI ``FocalLoss()``), shares a table cell with it or
  stands in a column of ``link_names_columns_of_others`` ("you wrote") is a name of that package.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# Quoted texts come first, so that nothing inside them is taken for a name.
TOKEN = re.compile(r"""(?P<text>"[^"]*"|'[^']*')|(?P<name>(?<![\w./-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?![\w/-]))""")
TOP_LEVEL = {"class", "function", "data", "exception"}


class LinkNames(SphinxPostTransform):
    """Runs before references are resolved, when every page is read and all objects are known."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        if any(self.env.docname.startswith(prefix) for prefix in self.config.link_names_exclude):
            return
        objects = {name: entry.objtype for name, entry in self.env.domains["py"].objects.items() if not entry.aliased}
        for literal in list(self.document.findall(nodes.literal)):
            if not _is_linked_or_title(literal):
                self._link(literal, objects)

    def _is_of_others(self, literal: nodes.literal) -> bool:
        """Whether the text says that the name is one of another package."""
        if isinstance(cell := literal.parent.parent, nodes.entry):
            column = _column_title(cell).lower()
            return column in self.config.link_names_columns_of_others or self._names_others(cell.astext())
        place = literal.parent.index(literal)
        before = literal.parent[place - 1].astext() if place else ""
        return self._names_others(before, r"([\u2019']s)?\s+$")

    def _names_others(self, text: str, end: str = "") -> bool:
        return any(re.search(rf"(?i)(?<!\w){re.escape(n)}(?!\w){end}", text) for n in self.config.link_names_of_others)

    def _link(self, literal: nodes.literal, objects: dict[str, str]) -> None:
        text, children, end = literal.astext(), [], 0
        for token in TOKEN.finditer(text):
            if token["name"] is None or (target := self._target(token["name"], literal, objects)) is None:
                continue
            if token.start() == 0 and re.fullmatch(r"(\(.*\))?", text[token.end() :], re.DOTALL):
                # The name alone, or called: all of it is the link.
                literal.replace_self(_reference(target, literal.deepcopy(), self.env.docname))
                return
            children += [nodes.Text(text[end : token.start()])] if token.start() > end else []
            children.append(_reference(target, nodes.inline(token["name"], token["name"]), self.env.docname))
            end = token.end()
        if children:
            literal.children = []
            literal.extend([*children, *([nodes.Text(text[end:])] if end < len(text) else [])])

    def _target(self, name: str, literal: nodes.literal, objects: dict[str, str]) -> str | None:
        """The full name of the one object that is meant, or None."""
        if name in objects:
            return name
        if self._is_of_others(literal):
            return None
        candidates = [full for full in objects if full.endswith("." + name)]
        if "." not in name and any(objects[full] not in TOP_LEVEL for full in candidates):
            return None
        if len(candidates) > 1:
            meant = self._libraries_meant(literal, candidates)
            candidates = [full for full in candidates if full.split(".")[1] in meant]
        return candidates[0] if len(candidates) == 1 else None

    def _libraries_meant(self, literal: nodes.literal, candidates: list[str]) -> set[str]:
        """Modules of the candidates of which the nearest heading names one, unless the text around names others."""
        modules = {full.split(".")[1] for full in candidates}
        if own := self._named(literal.astext(), modules):
            return own if len(own) == 1 else set()
        around = literal.parent
        while around.parent is not None and not isinstance(around, nodes.entry | nodes.paragraph | nodes.list_item):
            around = around.parent
        if isinstance(around.parent, nodes.entry):
            around = around.parent
        heading: set[str] = set()
        if isinstance(around, nodes.entry):
            heading = self._named(_column_title(around), modules)
            # Under a column's own heading the other cells of the row are of other libraries.
            around = around if heading else around.parent
        section = literal.parent
        while section is not None and not heading:
            if isinstance(section, nodes.section):
                title = section.next_node(nodes.title).astext()
                if self._names_others(title):
                    return set()
                heading = self._named(title, modules)
            section = section.parent
        return heading if len(heading | self._named(around.astext(), modules)) == 1 else set()

    def _named(self, text: str, modules: set[str]) -> set[str]:
        """Modules that a text names, by their own names or by others that the configuration lists."""
        aliases = self.config.link_names_aliases
        return {
            module
            for module in modules
            if any(re.search(rf"(?i)(?<![a-z]){name}(?![a-z])", text) for name in (module, *aliases.get(module, ())))
        }


def _column_title(cell: nodes.entry) -> str:
    """Text of the head of the cell's column, or nothing."""
    row, group = cell.parent, cell.parent.parent.parent
    head = next(iter(group.findall(nodes.thead)), None)
    return head[0][row.index(cell)].astext() if head is not None and row.parent is not head else ""


def _is_linked_or_title(literal: nodes.literal) -> bool:
    node = literal.parent
    while node is not None:
        if isinstance(node, nodes.reference | addnodes.pending_xref | nodes.title | addnodes.desc_signature):
            return True
        node = node.parent
    return False


def _reference(target: str, content: nodes.Node, docname: str) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        content,
        refdomain="py",
        reftype="obj",
        reftarget=target,
        refexplicit=True,
        refspecific=False,
        refdoc=docname,
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_config_value("link_names_exclude", [], "env", list)
    app.add_config_value("link_names_of_others", [], "env", list)
    app.add_config_value("link_names_columns_of_others", [], "env", list)
    app.add_config_value("link_names_aliases", {}, "env", dict)
    app.add_post_transform(LinkNames)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
