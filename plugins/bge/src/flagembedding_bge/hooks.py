"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, EmbedderModelClass, ModelClass, PoolingMethod, hookimpl
from flagembedding_bge.catalog import EMBEDDERS


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the BGE embedding models."""
    return EMBEDDERS


@hookimpl
def flagembedding_embedder_classes() -> dict[str, ModelClass]:
    """Return the classes that only this family has, under the names that programs import them by."""
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
