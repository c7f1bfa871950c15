"""The SFR embedding models: what their cards say, as data.

The licence is that of the Hub pages as mteb 2.26 and our memory of the cards give it, no licence file was read: check
it before you rely on it. CC-BY-NC-4.0 allows no commercial use.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod

_MISTRAL = EmbedderConfig(
    "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder",
    PoolingMethod.LAST_TOKEN,
    query_instruction_format="Instruct: {}\nQuery: {}",
    query_instruction="Given a web search query, retrieve relevant passages that answer the query",
    max_length=4096,  # the cards' usage; the models take 32768
    dimension=4096,
    append_eos=True,  # descends from e5-mistral-7b-instruct, which needs it; their tokenizer files were not read
    languages=("en",),
    licence="CC-BY-NC-4.0",
    source="mteb salesforce_models; summary of the model card",
)

# In the order of the tutorial.
EMBEDDERS: dict[str, EmbedderConfig] = {
    name: _MISTRAL.replace(hub_id=f"Salesforce/{name}") for name in ("SFR-Embedding-2_R", "SFR-Embedding-Mistral")
}
