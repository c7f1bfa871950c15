"""The mapping of rerankers, at the import path that programs know. It holds no name: the plugins do."""

from __future__ import annotations

from FlagEmbedding.config import RerankerConfig, RerankerModelClass
from FlagEmbedding.registry.mapping import RERANKERS as AUTO_RERANKER_MAPPING

__all__ = ["AUTO_RERANKER_MAPPING", "RerankerConfig", "RerankerModelClass"]
