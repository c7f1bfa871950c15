"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import RerankerConfig, hookimpl
from flagembedding_jina.catalog import RERANKERS


@hookimpl
def flagembedding_reranker_configs() -> dict[str, RerankerConfig]:
    """Return the Jina rerankers."""
    return RERANKERS
