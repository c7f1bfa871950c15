"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, ModelClass, hookimpl
from flagembedding_gte.catalog import EMBEDDERS, GTE_ENCODER


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the GTE embedding models."""
    return EMBEDDERS


@hookimpl
def flagembedding_embedder_classes() -> dict[str, ModelClass]:
    """Return the class of GTE's own encoder, for its fine-tunes under other names."""
    return {"encoder-only-gte": ModelClass(GTE_ENCODER, model_types=("new", "gte"))}
