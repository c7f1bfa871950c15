"""What the core itself contributes, through the hooks that plugins use."""

from __future__ import annotations

from FlagEmbedding.config import EmbedderModelClass, ModelClass, PoolingMethod, RerankerModelClass
from FlagEmbedding.plugins.hookspecs import hookimpl

NAME = "core"
OWNER = "flagembedding-core"

# Backbones that read left to right (transformers 5 has no flag for it); what no class lists is taken for an encoder.
_DECODERS = tuple("mistral llama qwen2 qwen3 gemma gemma2 gemma3_text phi phi3 gpt2 gpt_neox opt".split())  # noqa: SIM905

_OTHER_POOLINGS = {"max": "maximum", "mean_sqrt_len": "mean_sqrt_len", "weighted_mean": "weighted_mean"}


@hookimpl
def flagembedding_embedder_classes() -> dict[str, ModelClass]:
    """The embedders of one architecture each that every family shares."""
    package = "FlagEmbedding.inference.embedder"
    return {
        EmbedderModelClass.ENCODER_ONLY_BASE.value: ModelClass(f"{package}.encoder_only.base:BaseEmbedder"),
        EmbedderModelClass.DECODER_ONLY_BASE.value: ModelClass(
            f"{package}.decoder_only.base:BaseLLMEmbedder", model_types=_DECODERS, pooling=PoolingMethod.LAST_TOKEN
        ),
    }


@hookimpl
def flagembedding_reranker_classes() -> dict[str, ModelClass]:
    """The rerankers that every family shares: a classifier on any backbone, and a language model that says yes."""
    package = "FlagEmbedding.inference.reranker"
    return {
        RerankerModelClass.ENCODER_ONLY_BASE.value: ModelClass(
            f"{package}.encoder_only.base:BaseReranker", architecture="ForSequenceClassification"
        ),
        RerankerModelClass.DECODER_ONLY_BASE.value: ModelClass(
            f"{package}.decoder_only.base:BaseLLMReranker", model_types=_DECODERS
        ),
    }


@hookimpl
def flagembedding_pooling_functions() -> dict[str, str]:
    """The three well-known ways of pooling, and the others that sentence-transformers writes."""
    functions = {**{method.value: method.value for method in PoolingMethod}, **_OTHER_POOLINGS}
    return {name: f"FlagEmbedding.engine.pooling:{function}" for name, function in functions.items()}
