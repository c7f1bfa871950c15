"""The lazy boundary (PEP 562): names that are imported when they are first used.

Only the facades (``FlagEmbedding``, ``FlagEmbedding.inference``, ...) use it; behind them, imports are plain.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_exports(module: str, exports: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that finds each of ``exports`` (name to module) when it is asked for."""

    def attribute(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(importlib.import_module(exports[name]), name)

    return attribute
