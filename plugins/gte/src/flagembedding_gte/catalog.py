"""The GTE embedding models and rerankers: what their cards say, as data.

None needs remote code: transformers has the ``gte`` encoder itself, and gte-Qwen is its Qwen2 without the causal mask.

Licences are those of the Hub pages as mteb 2.26 and our memory of the cards give them, no licence file was read: check
them before you rely on one.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod, RerankerConfig

GTE_ENCODER = "flagembedding_gte.native:GteEmbedder"
GTE_RERANKER = "flagembedding_gte.native:GteReranker"

_QWEN2 = EmbedderConfig(
    "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder",
    PoolingMethod.LAST_TOKEN,
    query_instruction_format="Instruct: {}\nQuery: {}",
    query_instruction="Given a web search query, retrieve relevant passages that answer the query",
    max_length=8192,  # the card's max_seq_length; the model takes 32768
    is_causal=False,  # native Qwen2 would read one way only; older copies of config.json do not say so themselves
    append_eos=True,  # <|endoftext|>, which gte-Qwen2's tokenizer.json does not add; Qwen1.5's was not read
    languages=("multilingual",),
    licence="Apache-2.0",
    source="mteb gte_models; vLLM tokenizers/hf.py and text-embeddings-inference (end of sequence)",
)

# Uncertain: card and config say bidirectional, but an old note in vLLM's list of models says that the published code in
# effect reads one way. To be settled by measurement on the checkpoint.
_QWEN2_SMALL = _QWEN2.replace(source="mteb gte_models (embed_dim 8960 there is the MLP's); vLLM supported_models (old)")

_QWEN15 = _QWEN2.replace(
    max_length=32768,  # the only length that is stated: "Max Seq. Length" in the gte-v1.5 cards
    # is_causal=False is our memory of the card, unverified.
    source="mteb gte_models; gte-v1.5 card, list of models; candle example gte-qwen; attention from memory",
)

_V15 = EmbedderConfig(
    GTE_ENCODER,
    PoolingMethod.CLS,
    max_length=8192,
    languages=("en",),
    licence="Apache-2.0",
    source="model card (copy); transformers modular_gte.py; mteb gte_models",
)

# matryoshka_dims stays empty: the card calls the output elastic, from 128 to 768, and names no lengths in between.
_MULTILINGUAL = _V15.replace(
    languages=("multilingual",),
    source="copy of config.json; transformers model_doc/gte.md; vLLM test_gte; mteb gte_models",
)

_BERT = _V15.replace(
    model_class="FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
    pooling_method=PoolingMethod.MEAN,
    max_length=512,
    licence="MIT",
    source="mteb misc_models; vLLM test_gte (mean)",
)

# mteb 2.26 says 1024 for all three dimensions; embedding parameters by the 21128 words give 1024, 768 and 512.
_CHINESE = _BERT.replace(
    pooling_method=PoolingMethod.CLS,
    languages=("zh",),
    source="mteb gte_models; FlagEmbedding model mapping (cls); pooling of the card from memory",
)

_MODERNBERT = _BERT.replace(
    pooling_method=PoolingMethod.CLS,
    max_length=8192,
    licence="Apache-2.0",
    source="read-out of config.json and 1_Pooling (GitHub); vLLM test_gte; mteb gte_models",
)

# In the order of the tutorial; what it does not name comes last.
_MODELS: list[tuple[str, EmbedderConfig, int]] = [
    ("Alibaba-NLP/gte-Qwen2-7B-instruct", _QWEN2, 3584),
    ("Alibaba-NLP/gte-Qwen2-1.5B-instruct", _QWEN2_SMALL, 1536),
    ("Alibaba-NLP/gte-Qwen1.5-7B-instruct", _QWEN15, 4096),
    ("Alibaba-NLP/gte-multilingual-base", _MULTILINGUAL, 768),
    ("Alibaba-NLP/gte-large-en-v1.5", _V15, 1024),
    ("Alibaba-NLP/gte-base-en-v1.5", _V15, 768),
    ("thenlper/gte-large", _BERT, 1024),
    ("thenlper/gte-base", _BERT, 768),
    ("thenlper/gte-small", _BERT, 384),
    ("thenlper/gte-large-zh", _CHINESE, 1024),
    ("thenlper/gte-base-zh", _CHINESE, 768),
    ("thenlper/gte-small-zh", _CHINESE, 512),
    ("Alibaba-NLP/gte-modernbert-base", _MODERNBERT, 768),
]

EMBEDDERS: dict[str, EmbedderConfig] = {
    hub_id.partition("/")[2]: like.replace(hub_id=hub_id, dimension=dimension) for hub_id, like, dimension in _MODELS
}

_MULTILINGUAL_RERANKER = RerankerConfig(
    GTE_RERANKER,
    hub_id="Alibaba-NLP/gte-multilingual-reranker-base",
    max_length=8192,
    languages=("multilingual",),
    licence="Apache-2.0",
    source="transformers model_doc/gte.md; sentence-transformers test_pretrained",
)

RERANKERS: dict[str, RerankerConfig] = {
    "gte-multilingual-reranker-base": _MULTILINGUAL_RERANKER,
    "gte-reranker-modernbert-base": _MULTILINGUAL_RERANKER.replace(
        hub_id="Alibaba-NLP/gte-reranker-modernbert-base",
        model_class="FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker",
        languages=("en",),
        source="vLLM test_gte; sentence-transformers test_pretrained",
    ),
}
