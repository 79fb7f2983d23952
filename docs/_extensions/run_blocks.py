"""Sphinx extension: runs the Python blocks of a Markdown page and shows what they print below them.

The blocks of a page (three backticks and ``python`` or ``py``) run in order, in one process of their own. An exception
fails the build. Blocks of the directive ``code-block`` are not run. A page is shown without output if it imports a
module of ``run_blocks_may_be_missing`` that is not installed.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

# Reads the blocks from standard input and writes what each printed to the file named in its argument: the standard
# output of the process belongs to the blocks, and to libraries that write there past Python.
RUNNER = """
import contextlib, io, json, sys, traceback
page, blocks = json.load(sys.stdin)
names, outputs, error = {"__name__": page}, [], None
for number, block in enumerate(blocks, 1):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(block, f"{page}, block {number}", "exec"), names)
    except BaseException:
        error = traceback.format_exc()
        break
    outputs.append(printed.getvalue())
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump([outputs, error], file)
"""


class RunBlocks(SphinxTransform):
    """Puts the output of each block below it, as the page is read."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        if self.env.doc2path(self.env.docname).suffix != ".md":
            return
        blocks = [node for node in self.document.findall(nodes.literal_block) if _is_fenced_python(node)]
        code = [node.astext() for node in blocks]
        if not code or _missing(code, self.config.run_blocks_may_be_missing):
            return
        for node, printed in zip(blocks, run(self.env.docname, code), strict=True):
            if printed.strip():
                text = printed.rstrip()
                output = nodes.literal_block(text, text, language="none", classes=["output"])
                node.parent.insert(node.parent.index(node) + 1, output)


def _is_fenced_python(node: nodes.literal_block) -> bool:
    # The directive code-block, which is for code that is not to be run, sets "force".
    return node.get("language") in ("python", "py") and "force" not in node


def _missing(blocks: list[str], may_be_missing: list[str]) -> set[str]:
    """Libraries that the blocks import and that are not installed; those that may not be missing fail when they run."""
    imported = set()
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    return {name for name in imported & set(may_be_missing) if importlib.util.find_spec(name) is None}


def run(page: str, blocks: list[str]) -> list[str]:
    """What each block prints. They run in an empty folder, which is deleted afterwards, and draw on no screen."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        (cwd := Path(folder) / "work").mkdir()
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, str(answer)],
            input=json.dumps([page, blocks]),
            capture_output=True,
            encoding="utf-8",
            cwd=cwd,
            env=os.environ | {"MPLBACKEND": "agg", "PYTHONIOENCODING": "utf-8"},
            check=False,
        )
        if not answer.exists():  # the process itself has died
            raise ExtensionError(f"{page}: the code blocks ended with exit status {done.returncode}\n{done.stderr}")
        outputs, error = json.loads(answer.read_text(encoding="utf-8"))
    if error is not None:
        raise ExtensionError(f"{page}: code block {len(outputs) + 1} raised an exception\n{error}")
    return outputs


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_config_value("run_blocks_may_be_missing", [], "env", list)
    app.add_transform(RunBlocks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
