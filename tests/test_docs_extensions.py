"""What the pages' own Sphinx extensions make of a small page."""

import io
import re
import sys
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("myst_parser")

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

CONF = """
import sys
sys.path.insert(0, {extensions!r})
extensions = ["myst_parser", "run_blocks", "link_names"]
run_blocks_may_be_missing = ["no_such_library"]
link_names_exclude = ["generated/"]
link_names_of_others = ["kornia", "other-pack"]
link_names_columns_of_others = ["you wrote"]
link_names_aliases = {{"xgboost": ["xgb"], "torch": ["pytorch"]}}
nitpicky = True
"""

API = """
API
===

.. py:class:: pack.Loss
   :canonical: pack._file.Loss

   .. py:method:: value
.. py:class:: pack.lightgbm.Objective

   .. py:method:: value
.. py:class:: pack.xgboost.Objective
.. py:class:: pack.torch.Objective
.. py:function:: pack.metrics.score
.. py:function:: pack.torch.value
"""


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A function from the text of a page to its HTML, built with nothing but the two extensions."""
    monkeypatch.setattr(sys, "path", sys.path[:])

    def build(page):
        source = tmp_path / "source"
        (source / "generated").mkdir(parents=True)
        (source / "conf.py").write_text(CONF.format(extensions=str(DOCS / "_extensions")))
        (source / "generated" / "api.rst").write_text(API)
        (source / "index.md").write_text(f"{page}\n\n```{{toctree}}\n:hidden:\n\ngenerated/api\n```\n")
        warnings = io.StringIO()
        out = tmp_path / "out"
        with docutils_namespace():
            Sphinx(source, source, out, tmp_path / "trees", "html", status=None, warning=warnings).build()
        assert warnings.getvalue() == ""
        body = (out / "index.html").read_text().partition('<div class="body" role="main">')[2]
        return unescape(body.partition('<div class="sphinxsidebar"')[0])

    return build


def outputs(html):
    return re.findall(r'<div class="output[^"]*">.*?<pre>(?:<span></span>)?(.*?)\n?</pre>', html, flags=re.DOTALL)


def links(html):
    """Target and text of each link to the API's page."""
    found = re.findall(r'<a class="reference internal" href="generated/api.html#([^"]+)"[^>]*>(.*?)</a>', html)
    return [(target, re.sub("<[^>]+>", "", text)) for target, text in found]


# Blocks


def test_blocks_of_a_page_run_in_order_and_show_what_they_print(built):
    html = built("# T\n\n```python\nx = 3\nprint(x)\nprint('a < b')\n```\n\ntext\n\n```py\nx += 1\nprint(x)\n```\n")
    assert outputs(html) == ["3\na < b", "4"]
    assert html.index("3\na < b\n</pre>") < html.index("text</p>")


def test_blocks_that_print_nothing_have_no_output(built):
    assert outputs(built("# T\n\n```python\nx = 3\n```\n")) == []


def test_directives_and_other_languages_are_not_run(built):
    html = built("# T\n\n```{code-block} python\nprint(1 / 0)\n```\n\n```sh\nexit 1\n```\n")
    assert outputs(html) == []


def test_an_exception_fails_the_build(built):
    with pytest.raises(ExtensionError, match=r"index: code block 2 raised(.|\n)*ZeroDivisionError"):
        built("# T\n\n```python\nx = 0\n```\n\n```python\n1 / x\n```\n")


def test_a_process_that_ends_fails_the_build(built):
    with pytest.raises(ExtensionError, match="index: the code blocks ended with exit status 3"):
        built("# T\n\n```python\nimport os\nos._exit(3)\n```\n")


def test_pages_whose_libraries_may_be_missing_have_no_output(built):
    assert outputs(built("# T\n\n```python\nprint(1)\nimport no_such_library.part\n```\n")) == []


def test_other_libraries_may_not_be_missing(built):
    with pytest.raises(ExtensionError, match="No module named 'no_such_other_library'"):
        built("# T\n\n```python\nimport no_such_other_library\n```\n")


def test_blocks_leave_no_file(built, monkeypatch, tmp_path):
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    html = built("# T\n\n```python\nopen('left.txt', 'w').close()\nimport os\nprint(os.listdir())\n```\n")
    assert outputs(html) == ["['left.txt']"]
    assert list(here.iterdir()) == []


def test_output_is_not_copied():
    conf = (DOCS / "conf.py").read_text()
    (selector,) = re.findall(r'^copybutton_selector = "(.*)"$', conf, flags=re.MULTILINE)
    # A browser's rule: the parent of div.highlight has the class of the block.
    assert selector == "div:not(.output):not(.sphx-glr-script-out) > div.highlight > pre"


# Links


@pytest.mark.parametrize(("literal", "expected"), [
    ("Loss", [("pack.Loss", "Loss")]),
    ("Loss()", [("pack.Loss", "Loss()")]),
    ("Loss(gamma=2.0)", [("pack.Loss", "Loss(gamma=2.0)")]),
    ("Loss.value", [("pack.Loss.value", "Loss.value")]),
    ("pack.Loss.value", [("pack.Loss.value", "pack.Loss.value")]),
    ("score", [("pack.metrics.score", "score")]),
    ("pack.metrics.score", [("pack.metrics.score", "pack.metrics.score")]),
    ("xgboost.Objective", [("pack.xgboost.Objective", "xgboost.Objective")]),
    ("pack.xgboost.Objective", [("pack.xgboost.Objective", "pack.xgboost.Objective")]),
    ("train(obj=xgboost.Objective(1.0), of=Loss())", [("pack.xgboost.Objective", "xgboost.Objective"),
                                                      ("pack.Loss", "Loss")]),
    ("xgb.train(obj=Objective())", [("pack.xgboost.Objective", "Objective")]),
    ("torch.value", [("pack.torch.value", "torch.value")]),
])  # fmt: skip
def test_names_in_inline_code_are_links(built, literal, expected):
    assert links(built(f"# T\n\nUse `{literal}` here.\n")) == expected


@pytest.mark.parametrize(
    "literal",
    ["Objective", "value", "Loss.no_method", "other.Loss", '"Loss"', "'score'", "pack", "path/Loss", "Loss.py",
     "Losses", "my-score", "loss", "score-1", "Objective.value.x", "self.score"],
)  # fmt: skip
def test_other_code_is_left_alone(built, literal):
    html = built(f"# T\n\nUse `{literal}` here.\n")
    assert links(html) == []


def test_headings_qualify_names_of_several_libraries(built):
    html = built(
        "# Objectives of XGBoost\n\n`Objective`\n\n## In LightGBM\n\n`Objective`\n\n### Details\n\n`Objective`\n\n"
        "## XGBoost\n\n`Objective`\n\n## PyTorch\n\n`Objective`\n\n## LightGBM and XGBoost\n\n`Objective`\n"
    )
    assert [target for target, _ in links(html)] == [
        "pack.xgboost.Objective",
        "pack.lightgbm.Objective",
        "pack.lightgbm.Objective",
        "pack.xgboost.Objective",
        "pack.torch.Objective",
    ]


def test_headings_of_columns_qualify(built):
    table = (
        "| what | LightGBM | XGBoost | both |\n|---|---|---|---|\n"
        "| `Objective` | `obj=Objective()` | `Objective(1.0)` | `Objective` |\n"
        "| other | not of XGBoost: `Objective` | `lightgbm.Objective` | |"
    )
    assert links(built(f"# LightGBM and XGBoost\n\n{table}\n")) == [
        ("pack.lightgbm.Objective", "Objective"),
        ("pack.xgboost.Objective", "Objective(1.0)"),
        ("pack.lightgbm.Objective", "lightgbm.Objective"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "XGBoost has an `Objective`, too.",
        "- with `xgboost.train`: `Objective`",
        "as `xgb.train` does with an `Objective`",
        "with `xgb.train` or lightgbm's: `xgb.train(lightgbm, Objective)`",
        "| a | b |\n|---|---|\n| `Objective` | XGBoost |",
    ],
)
def test_headings_do_not_qualify_where_the_text_names_another_library(built, text):
    assert links(built(f"# LightGBM\n\n{text}\n")) == []


@pytest.mark.parametrize(
    ("text", "n_links"),
    [
        ("Use kornia's `Loss` here.", 0),
        ("Kornia `Loss(2)`", 0),
        ("| there |\n|---|\n| `Loss(2)` of other-pack |", 0),
        ("| there | here |\n|---|---|\n| kornia `Loss(2)` | `Loss(1)` |", 1),
        ("In kornia it is another one than `Loss` here.", 1),
        ("not mykornia `Loss`", 1),
        ("| You wrote | write |\n|---|---|\n| `score` | `Loss` |", 1),
        ("| You wrote | write |\n|---|---|\n| `pack.metrics.score` | |", 1),
        ("## Coming from kornia and PyTorch\n\n`Objective`", 0),
    ],
)
def test_names_of_other_packages_are_left_alone(built, text, n_links):
    assert len(links(built(f"# T\n\n{text}\n"))) == n_links


def test_links_and_titles_stay_as_they_are(built):
    html = built("# `Loss`\n\n[see `Loss`](https://example.org)\n")
    assert links(html) == []
    assert '<a class="reference external" href="https://example.org">' in html
