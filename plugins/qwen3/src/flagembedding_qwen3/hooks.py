"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, ModelClass, RerankerConfig, hookimpl
from flagembedding_qwen3.catalog import EMBEDDERS, RERANKER_CLASS, RERANKERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the Qwen3 embedding models."""
    return EMBEDDERS


@hookimpl
def flagembedding_reranker_configs() -> dict[str, RerankerConfig]:
    """Return the Qwen3 rerankers."""
    return RERANKERS


@hookimpl
def flagembedding_reranker_classes() -> dict[str, ModelClass]:
    """Return the class of these rerankers, for their fine-tunes under other names."""
    return {"decoder-only-qwen3": ModelClass(RERANKER_CLASS, model_types=("qwen3",))}
