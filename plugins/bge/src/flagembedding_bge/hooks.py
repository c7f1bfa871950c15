"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from flagembedding_bge.catalog import EMBEDDERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the BGE embedding models."""
    return EMBEDDERS
