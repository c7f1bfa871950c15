"""Which distribution would bring a name: for the errors about names that no installed plugin registers.

The table ``hints.json`` is generated from the plugins (``tools/generate_hints.py``); it is the only place where the
core spells a family's name, and nothing but messages is made of it.
"""

from __future__ import annotations

import functools
import json
from importlib import resources


def distribution_of_model(name: str) -> str | None:
    """Return the distribution that registers the model ``name``, ignoring case."""
    return _section("models").get(name.casefold())


def distribution_of_class(key: str) -> str | None:
    """Return the distribution that registers the model class ``key``."""
    return _section("model_classes").get(key.casefold())


def distribution_of_export(name: str) -> str | None:
    """Return the distribution that adds ``name`` to the package ``FlagEmbedding``."""
    return _table()["exports"].get(name)


def distribution_of_engine(name: str) -> str | None:
    """Return the distribution that registers the engine ``name``."""
    return _section("engines").get(name.casefold())


def hinted_models() -> list[str]:
    """Return every model name in the table."""
    return list(_table()["models"])


def _section(section: str) -> dict[str, str]:
    return {name.casefold(): distribution for name, distribution in _table()[section].items()}


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    text = resources.files("FlagEmbedding.registry").joinpath("hints.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return table
