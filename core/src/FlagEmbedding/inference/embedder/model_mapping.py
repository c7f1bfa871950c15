"""The mapping of embedding models, at the import path that programs know. It holds no name: the plugins do."""

from __future__ import annotations

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, PoolingMethod
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
