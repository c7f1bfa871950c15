"""The Qwen3 embedding models and rerankers: what their cards say, as data.

The licence is that of the Hub pages as mteb 2.26 gives it, no licence file was read: check it before you rely on it.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod, RerankerConfig

_QWEN3 = EmbedderConfig(
    "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder",
    PoolingMethod.LAST_TOKEN,
    query_instruction_format="Instruct: {}\nQuery:{}",  # no space after the colon, unlike in every other family
    query_instruction="Given a web search query, retrieve relevant passages that answer the query",
    max_length=8192,  # the card's usage; the models take 32768
    # By its text: the tokenizer's own end-of-sequence token is another one, the end of a turn in a chat. That
    # tokenizer.json appends it was not read but follows from mteb and sentence-transformers, which set no flag.
    append_eos="<|endoftext|>",
    languages=("multilingual",),
    licence="Apache-2.0",
    source="mteb qwen3_models; QwenLM/Qwen3-Embedding (deepwiki); FlagEmbedding model mapping",
)

# The cards allow every length from 32 up; these are its powers of two.
_SHORTER = (32, 64, 128, 256, 512, 1024, 2048)

_MODELS: list[tuple[str, int]] = [
    ("Qwen3-Embedding-0.6B", 1024),
    ("Qwen3-Embedding-4B", 2560),
    ("Qwen3-Embedding-8B", 4096),
]

EMBEDDERS: dict[str, EmbedderConfig] = {
    name: _QWEN3.replace(
        hub_id=f"Qwen/{name}",
        dimension=dimension,
        matryoshka_dims=tuple(shorter for shorter in _SHORTER if shorter < dimension),
    )
    for name, dimension in _MODELS
}

RERANKER_CLASS = "flagembedding_qwen3.reranker:Qwen3Reranker"

RERANKERS: dict[str, RerankerConfig] = {
    name: RerankerConfig(
        RERANKER_CLASS,
        hub_id=f"Qwen/{name}",
        max_length=8192,  # the card's usage; the models take 32768
        languages=("multilingual",),
        licence="Apache-2.0",
        source="mteb qwen3_reranker; sentence-transformers documentation, custom_models; instruction from memory",
    )
    for name in ("Qwen3-Reranker-0.6B", "Qwen3-Reranker-4B", "Qwen3-Reranker-8B")
}
