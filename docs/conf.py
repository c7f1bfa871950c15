"""Settings of the documentation's site. ``make docs`` builds it: no network, and every warning is an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

from FlagEmbedding import __version__  # noqa: E402 - after the path, as all imports of Sphinx's own

project = "FlagEmbedding"
author = "The flagembedding-core contributors"
copyright = author  # noqa: A001 - Sphinx's name; without a year, so that two builds are equal
release = __version__
version = ".".join(release.split(".")[:2])
language = "en"

extensions = [
    "myst_nb",  # Markdown, and notebooks in it
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "command_options",
    "plots",
    "public_names",
    "repository_links",
]
exclude_patterns = ["_build", "extensions"]

# Furo: static pages that read well on a telephone and in the dark, with no script but the search and the menu.
html_theme = "furo"
html_title = "FlagEmbedding"
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # links to headings, as GitHub has them

# The notebook runs at each build. An exception or a line on stderr (a warning, say) fails it.
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_output_stderr = "error"
nb_merge_streams = True  # else what a cell prints is cut where the kernel happened to send it
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # the notebook has no bars to show
copybutton_exclude = ".linenos, .gp, .go"

# What a class says to its base, not to a caller.
FOR_AUTHORS = "checks, shown, model_class, packs, set_up_anew, extra_files, unused_weights, refuses_unknown_options"
autodoc_default_options = {
    "members": True,
    "inherited-members": True,
    "member-order": "bysource",
    "exclude-members": FOR_AUTHORS,
}
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_mock_imports = ["pyarrow"]  # FlagEmbedding.jobs: its page needs no 40 MB
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # the attributes of a dataclass, once
napoleon_use_rtype = False
napoleon_attr_annotations = False  # the signature has the types

# Names of other projects: a link to them would need the network at build.
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(torch|numpy|np|transformers|tokenizers|pytest|_pytest|pluggy|pathlib|os|enum|abc|collections|typing)\..*",
    ),
    (r"py:.*", r"(Any|Callable|Enum|Iterable|Iterator|Mapping|Path|Self|Sequence|StrEnum|Tensor|None|ABC|Generic)"),
    (r"py:.*", r"(bool|bytes|dict|float|int|list|object|set|str|tuple|type)"),
    (r"py:class", r"FlagEmbedding\..*\.Derived"),  # a type variable
    (r"py:.*", r"FlagEmbedding\.jobs\.(model\.JobModel|run\.run|ray)"),  # by the paths of a package that may be missing
    (r"py:.*", r"(ValueError|RuntimeError|TypeError|Exception|ImportError|AssertionError|LookupError)"),
]
