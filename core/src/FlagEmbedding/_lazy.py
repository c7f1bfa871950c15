"""The lazy boundary (PEP 562): names that are imported when they are first used.

Only the facades (``FlagEmbedding``, ``FlagEmbedding.inference``, ...) use it; behind them, imports are plain.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_exports(module: str, exports: Mapping[str, str], top: str | None = None) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that finds names when they are asked for.

    Args:
        module: The module's name, for messages.
        exports: Name to the module that has it.
        top: A package that is asked for the classes that are not among them: those that plugins export.
    """

    def attribute(name: str) -> Any:
        if name in exports:
            return getattr(importlib.import_module(exports[name]), name)
        if top is not None and name[:1].isupper():
            return getattr(importlib.import_module(top), name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return attribute
