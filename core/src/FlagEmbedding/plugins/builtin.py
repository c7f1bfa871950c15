"""What the core itself contributes, through the hooks that plugins use."""

from __future__ import annotations

from FlagEmbedding.config import EmbedderModelClass, ModelClass, PoolingMethod
from FlagEmbedding.plugins.hookspecs import hookimpl

NAME = "core"


@hookimpl
def flagembedding_model_classes() -> dict[str, ModelClass]:
    """The classes of one architecture each that every family shares."""
    return {
        EmbedderModelClass.ENCODER_ONLY_BASE.value: ModelClass(
            "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
        )
    }


@hookimpl
def flagembedding_pooling_functions() -> dict[str, str]:
    """The three well-known ways of pooling."""
    return {method.value: f"FlagEmbedding.engine.pooling:{method.value}" for method in PoolingMethod}
