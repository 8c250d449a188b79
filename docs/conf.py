"""How Sphinx makes the documentation: ``make docs``.

Nothing is fetched while it is made. Notebooks are shown as they are unless ``MOLVAE_DOCS_EXECUTE``
is set, which runs those that have changed (minutes) and shows what comes out.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

# Pages are large trees of objects: to look for cycles among them as often as Python does takes an
# eighth of the time.
gc.set_threshold(100_000, 50, 100)

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import molvae  # noqa: E402

# Links are written for the repository, where some pages lie elsewhere than in this folder.
MOVED = {
    r"\]\((\.\./\.\./)?docs/": "](",
    r"\]\(\.\./data/README\.md": "](datasets.md",
    r"\]\(\.\./scripts/bench/README\.md": "](bench.md",
    r"\]\((\.\./)?CONTRIBUTING\.md": "](contributing.md",
    r"\[([^]]+)\]\(\.\./notebooks/(\w+)\.ipynb\)": r"{doc}`\1 </notebooks/\2>`",
}

project = "molvae"
author = "The molvae developers"
copyright = author
version = release = molvae.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "commands",
]
exclude_patterns = ["_build", "_ext", "data/README.md"]
smartquotes = False  # they make one dash of the two of a flag

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "cache" if os.environ.get("MOLVAE_DOCS_EXECUTE") else "off"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_cache_path = str(HERE / "_build" / "notebooks")

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
# What pydantic adds to every record, and scikit-learn to every estimator, is left out.
ADDED = ("model_config", "set_predict_request", "set_inverse_transform_request")
autodoc_default_options = {"members": True, "exclude-members": ",".join(ADDED)}
python_use_unqualified_type_names = True
# Fields of several classes have one name, such as z; none of them is what a docstring's z means.
suppress_warnings = ["ref.python"]
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = f"molvae {release}"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}


def _moved(app: Sphinx, *about: object) -> None:
    source = about[-1]  # a list of one text, to be changed in place
    for here, there in MOVED.items():
        source[0] = re.sub(here, there, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", _moved)
    app.connect("include-read", _moved)
