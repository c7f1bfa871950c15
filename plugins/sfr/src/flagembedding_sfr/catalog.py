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

# The hub's copy says "new" and brings its own code; the network is that of gte-v1.5, so its class loads it without.
_CODE = EmbedderConfig(
    "flagembedding_gte.native:GteEmbedder",
    PoolingMethod.CLS,
    max_length=8192,
    dimension=1024,
    languages=("en",),
    licence="CC-BY-NC-4.0",
    source="copy of 1_Pooling/config.json; Hub page (model type); no instruction: from memory of the card",
)

# In the order of the tutorial; what it does not name comes last.
_MODELS: list[tuple[str, EmbedderConfig]] = [
    ("SFR-Embedding-2_R", _MISTRAL),
    ("SFR-Embedding-Mistral", _MISTRAL),
    ("SFR-Embedding-Code-400M_R", _CODE),
]

EMBEDDERS: dict[str, EmbedderConfig] = {name: like.replace(hub_id=f"Salesforce/{name}") for name, like in _MODELS}
