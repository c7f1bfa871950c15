"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from flagembedding_qwen3.catalog import EMBEDDERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the Qwen3 embedding models."""
    return EMBEDDERS
