"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from flagembedding_sfr.catalog import EMBEDDERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the SFR embedding models."""
    return EMBEDDERS
