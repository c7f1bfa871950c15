"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from flagembedding_e5.catalog import EMBEDDERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the E5 embedding models."""
    return EMBEDDERS
