"""The mapping of embedding models, at the import path that programs know. It holds no name: the plugins do."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, PoolingMethod
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.registry.mapping import EMBEDDERS as AUTO_EMBEDDER_MAPPING

__all__ = [
    "AUTO_EMBEDDER_MAPPING",
    "EmbedderConfig",
    "EmbedderModelClass",
    "PoolingMethod",
    "support_model_list",
]


def support_model_list() -> list[str]:
    """Return the names of all registered embedding models."""
    return list(AUTO_EMBEDDER_MAPPING)


def __getattr__(name: str) -> Callable[[], list[str]]:
    """Return ``support_native_FAMILY_model_list``: upstream has one such function, ours serves every family."""
    match = re.fullmatch(r"support_native_(\w+)_model_list", name)
    if match is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return functools.partial(_models_of, match[1])


def _models_of(family: str) -> list[str]:
    """Return the names that the plugin ``family`` registers; none when it is not installed."""
    records = [record for record in plugin_manager().records() if record.name == family]
    return [name for record in records for name in record.contribution.embedders]
