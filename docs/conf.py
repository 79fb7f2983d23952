"""Sphinx configuration: the pages build without a network, without PyTorch and without Keras."""

import importlib
import importlib.util
import sys
import tomllib
import types
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))


class _StubType(type):
    """What stands for a class or a decorator of a library that is not installed."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _StubType(name, (), {})

    def __call__(cls, *args, **kwargs):
        # As a decorator it hands back what it decorates; as a factory of decorators, itself.
        return args[0] if len(args) == 1 and callable(args[0]) else cls


class _StubModule(types.ModuleType):
    """A library that is not installed: every name in it is a class."""

    __path__: list[str] = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _StubType(name, (), {})


# The API pages of skfocal.torch and skfocal.keras need their docstrings only. The stubs stay for the imports alone:
# other libraries look for PyTorch among the loaded modules.
for name, modules in (("torch", ["torch", "torch.autograd", "torch.nn", "torch.nn.functional"]), ("keras", ["keras"])):
    stubs = {} if importlib.util.find_spec(name) else {module: _StubModule(module) for module in modules}
    sys.modules.update(stubs)
    importlib.import_module(f"skfocal.{name}")
    for module in stubs:
        del sys.modules[module]

project = "skfocal"
author = "The skfocal developers"
copyright = author
release = version = installed_version("skfocal")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "run_blocks",
    "link_names",
    "sphinx_codeautolink",
]
exclude_patterns = ["_build", "_templates", "_extensions"]
templates_path = ["_templates"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
# A name in single backticks is a link where autosummary finds it, and plain where not.
default_role = "autolink"
toc_object_entries_show_parents = "hide"
nitpicky = True
# numpydoc 1.11 links an attribute that is a property to a page of its own, but the class pages describe it in a table.
nitpick_ignore = [("py:obj", "array"), ("py:obj", "classes_")]
# Not installed where the pages are built; their own pages are on the network.
nitpick_ignore_regex = [("py:obj", r"(torch|keras)\..*")]

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "substitution"]
myst_heading_anchors = 3

# Where bugs are reported: the one address of the project is in pyproject.toml, and is a placeholder at first.
issues = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Issues"]
has_address = "//example.org/" not in issues
myst_substitutions = {
    "report_a_bug": f"Open a [new issue]({issues}/new)."
    if has_address
    else "This copy of skfocal has no public issue tracker. Send the report to the person or team that gave it to you."
}

# Not installed where the pages are built: pages that import them are shown without output.
run_blocks_may_be_missing = ["torch", "keras", "skorch", "onnx", "skl2onnx", "onnxruntime", "dask", "distributed"]
# These are the pages that are linked to.
link_names_exclude = ["generated/"]
# Packages with a FocalLoss or a focal_loss of their own.
link_names_of_others = ["torchvision", "kornia", "MONAI", "optax", "imlightgbm", "imbalance-xgboost", "gbdtCBL"]
link_names_of_others.append("CatBoost")
link_names_columns_of_others = ["there", "you wrote", "you have", "instead of"]
link_names_aliases = {"lightgbm": ["lgb"], "xgboost": ["xgb"], "torch": ["pytorch"]}

# sphinx_codeautolink links names in the code of the guide. It does not find its place in code of the gallery, which has
# the gallery's own links, nor in a docstring's example with an empty line.
suppress_warnings = ["codeautolink.match_name", "codeautolink.match_block"]

# Prompts and output are not copied.
copybutton_selector = "div:not(.output):not(.sphx-glr-script-out) > div.highlight > pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    # Shown but not run: the quickstart, which the tests run, and the network where PyTorch is missing.
    "filename_pattern": "/plot_" if importlib.util.find_spec("torch") else "/plot_(?!neural_network)",
    "ignore_pattern": r"__init__\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "plot_gallery": "True",
    "abort_on_example_error": True,
    "min_reported_time": 1,
    "copyfile_regex": "",
    "remove_config_comments": True,
    # Names in the scripts' code link to the API as well.
    "doc_module": ("skfocal",),
    "reference_url": {"skfocal": None},
}

html_theme = "pydata_sphinx_theme"
html_title = f"skfocal {release}"
html_static_path = ["_static"]
html_css_files = ["skfocal.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "external_links": [{"name": "Report a bug", "url": f"{issues}/new"}] if has_address else [],
}
# Pages without others below them: room for wide formulas instead of an empty list.
html_sidebars = {"index": [], "theory": [], "performance": [], "evidence": [], "how_a_fit_travels": []}


def _mathml(translator, node: nodes.Element, as_block: bool) -> None:
    formula = tex2mathml(node.astext(), as_block=as_block)
    # docutils sets a function tight to its argument.
    formula = formula.replace("<mi>log</mi>", '<mrow><mi>log</mi><mspace width="0.2em"/></mrow>')
    translator.body.append(f'<div class="formula">{formula}</div>' if as_block else formula)
    raise nodes.SkipNode


def _only_rst_headers(app: Sphinx) -> None:
    # examples/data/README.md would be the header of a gallery of its own.
    app.config.sphinx_gallery_conf["source_suffix"] = {".rst": "restructuredtext"}


def setup(app: Sphinx) -> None:
    """Formulas as MathML, which browsers draw themselves: no script, no network."""
    app.connect("builder-inited", _only_rst_headers, priority=1)
    app.add_html_math_renderer(
        "mathml",
        (lambda translator, node: _mathml(translator, node, False), None),
        (lambda translator, node: _mathml(translator, node, True), None),
    )


html_math_renderer = "mathml"
