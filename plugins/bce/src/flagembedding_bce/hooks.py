"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, RerankerConfig, hookimpl
from flagembedding_bce.catalog import EMBEDDERS, RERANKERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the BCE embedding model."""
    return EMBEDDERS


@hookimpl
def flagembedding_reranker_configs() -> dict[str, RerankerConfig]:
    """Return the BCE reranker."""
    return RERANKERS
