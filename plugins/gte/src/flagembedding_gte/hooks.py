"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, ModelClass, RerankerConfig, hookimpl
from flagembedding_gte.catalog import EMBEDDERS, GTE_ENCODER, GTE_RERANKER, RERANKERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the GTE embedding models."""
    return EMBEDDERS


@hookimpl
def flagembedding_reranker_configs() -> dict[str, RerankerConfig]:
    """Return the GTE rerankers."""
    return RERANKERS


@hookimpl
def flagembedding_embedder_classes() -> dict[str, ModelClass]:
    """Return the class of GTE's own encoder, for its fine-tunes under other names."""
    return {"encoder-only-gte": ModelClass(GTE_ENCODER, model_types=("new", "gte"))}


@hookimpl
def flagembedding_reranker_classes() -> dict[str, ModelClass]:
    """Return the class of rerankers on that encoder, likewise."""
    return {
        "encoder-only-gte": ModelClass(
            GTE_RERANKER, model_types=("new", "gte"), architecture="ForSequenceClassification"
        )
    }
