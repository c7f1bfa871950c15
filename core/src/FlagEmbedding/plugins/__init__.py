"""For plugin authors: the hook marker and the data that hooks return. Importing this imports no torch."""

from FlagEmbedding.config import (
    EmbedderConfig,
    EmbedderModelClass,
    ModelClass,
    PoolingMethod,
    RerankerConfig,
    RerankerModelClass,
)
from FlagEmbedding.plugins.hookspecs import hookimpl

__all__ = [
    "EmbedderConfig",
    "EmbedderModelClass",
    "ModelClass",
    "PoolingMethod",
    "RerankerConfig",
    "RerankerModelClass",
    "hookimpl",
]
