"""Public classes are documented under their public names, and found there by any other path that leads to them.

``FlagModel`` is the class ``BaseEmbedder`` of a module that no program names: its page says
``FlagEmbedding.FlagModel``, and a docstring that refers to the module's name links there.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import FlagEmbedding
from FlagEmbedding import errors, plugins, testing
from FlagEmbedding.errors import ModelClassError
from FlagEmbedding.references import load_reference
from FlagEmbedding.registry.extensions import exported_names


@cache
def documented() -> dict[int, str]:
    """Return the name under which the pages have each class that several paths lead to, by the class's identity."""
    found = {
        id(value): f"FlagEmbedding.errors.{name}" for name, value in vars(errors).items() if isinstance(value, type)
    }
    found[id(plugins.ModelClass)] = "FlagEmbedding.plugins.ModelClass"
    found |= {id(getattr(testing, name)): f"FlagEmbedding.testing.{name}" for name in testing.__all__}
    return found | {id(getattr(FlagEmbedding, name)): f"FlagEmbedding.{name}" for name in reversed(facade())}


def facade() -> list[str]:
    """Return the names that programs import from the package; of several for one class the first counts."""
    return [*FlagEmbedding.__all__, *exported_names()]


def rename(_app: Sphinx) -> None:
    """Give each class the name that programs use, so that autodoc does not show it as an alias of another."""
    for name in facade():
        found = getattr(FlagEmbedding, name)
        if documented()[id(found)] == f"FlagEmbedding.{name}":
            found.__name__ = found.__qualname__ = name


def show_what_is_given(*event: Any) -> tuple[str | None, str | None]:
    """Return a signature with what a caller gives: no descriptor for a model class, no factory for an empty mapping."""
    signature, returned = event[-2:]
    given = re.sub(r"(?:\w+\.)*ModelClassAttribute\[(.*?)\]", r"type[\1] | str", signature or "")
    return given.replace("<factory>", "{}") or None, returned


def resolve(app: Sphinx, env: Any, node: Any, contnode: nodes.Element) -> nodes.Element | None:
    """Return the link for a reference by another path, or None to leave it missing."""
    if node.get("refdomain") != "py":
        return None
    owner, attributes = _object(node["reftarget"])
    if id(owner) not in documented():
        return None
    target = ".".join([documented()[id(owner)], *attributes])
    found: nodes.Element | None = env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, "obj", target, node, contnode
    )
    return found


def _object(path: str) -> tuple[object, list[str]]:
    """Return the class that ``path`` names, or the one whose attribute it names; errors go by their last name."""
    if "." not in path:
        return getattr(errors, path, None), []
    parts = path.split(".")
    for end in (len(parts), len(parts) - 1):
        for module_end in range(end - 1, 0, -1):
            try:
                return load_reference(f"{'.'.join(parts[:module_end])}:{'.'.join(parts[module_end:end])}"), parts[end:]
            except (ModelClassError, ValueError):
                continue
    return None, []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    app.connect("builder-inited", rename)
    app.connect("autodoc-process-signature", show_what_is_given)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
