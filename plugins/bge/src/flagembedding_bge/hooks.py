"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import (
    EmbedderConfig,
    EmbedderModelClass,
    ModelClass,
    PoolingMethod,
    RerankerConfig,
    RerankerModelClass,
    hookimpl,
)
from flagembedding_bge.catalog import EMBEDDERS, RERANKERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the BGE embedding models."""
    return EMBEDDERS


@hookimpl
def flagembedding_reranker_configs() -> dict[str, RerankerConfig]:
    """Return the BGE rerankers."""
    return RERANKERS


@hookimpl
def flagembedding_embedder_classes() -> dict[str, ModelClass]:
    """Return the embedders that only this family has, under the names that programs import them by."""
    last = PoolingMethod.LAST_TOKEN
    return {
        EmbedderModelClass.ENCODER_ONLY_M3.value: ModelClass(
            "flagembedding_bge.m3:M3Embedder", exports=("BGEM3FlagModel", "FlagM3Model")
        ),
        EmbedderModelClass.DECODER_ONLY_ICL.value: ModelClass(
            "flagembedding_bge.icl:ICLLLMEmbedder", exports=("FlagICLModel",), pooling=last
        ),
        EmbedderModelClass.DECODER_ONLY_PSEUDO_MOE.value: ModelClass(
            "flagembedding_bge.pseudo_moe:PseudoMoELLMEmbedder", exports=("FlagPseudoMoEModel",), pooling=last
        ),
    }


@hookimpl
def flagembedding_reranker_classes() -> dict[str, ModelClass]:
    """Return the rerankers that only this family has, under the names that programs import them by."""
    return {
        RerankerModelClass.DECODER_ONLY_LAYERWISE.value: ModelClass(
            "flagembedding_bge.layerwise:LayerWiseLLMReranker",
            exports=("LayerWiseFlagLLMReranker",),
            model_types=("minicpm",),
        ),
        RerankerModelClass.DECODER_ONLY_LIGHTWEIGHT.value: ModelClass(
            "flagembedding_bge.lightweight:LightweightLLMReranker",
            exports=("LightWeightFlagLLMReranker",),
            model_types=("cost_wise_gemma",),
        ),
    }
