"""The BGE embedding models and rerankers: what their cards say, as data.

Licences are those of the Hub pages as mteb 2.26 and our memory of the cards give them, no licence file was read: check
them before you rely on one.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod, RerankerConfig

# Both decoders were trained with an end-of-sequence token (FlagEmbedding's own runners set add_eos_token=True).
_GEMMA2 = EmbedderConfig(
    "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder",
    PoolingMethod.LAST_TOKEN,
    query_instruction_format="<instruct>{}\n<query>{}",
    # The cards fix no instruction; this is their example, with its final full stop.
    query_instruction="Given a web search query, retrieve relevant passages that answer the query.",
    max_length=4096,
    append_eos=True,
    languages=("multilingual",),
    licence="Gemma",
    source="FlagEmbedding README and finetune/decoder_only/base/runner.py; mteb bge_models",
)

_ICL = _GEMMA2.replace(
    model_class="flagembedding_bge.icl:ICLLLMEmbedder",
    max_length=512,  # of the query alone, as of the passage alone, in the card's example; the model takes 32768
    languages=("en",),
    licence="Apache-2.0",
    source="FlagEmbedding inference/embedder README and finetune icl/runner.py; mteb bge_models",
)

# Its instructions are one a task (16 are listed), and none is the default: without one a query goes in as it is.
_CODE = _GEMMA2.replace(
    query_instruction=None,
    licence="Apache-2.0",
    source="FlagEmbedding research/BGE_Coder README; vLLM test_baai (causal); licence from memory of the card",
)

# As above; and with "Query: ", which has a blank where Qwen3-Embedding's own format has none.
_REASONER = _CODE.replace(
    query_instruction_format="Instruct: {}\nQuery: {}",
    max_length=8192,
    source="FlagEmbedding eval_bright_short.sh, BGE_Reasoner README; dimension: Qwen3-8B's; licence from memory",
)

_M3 = EmbedderConfig(
    "flagembedding_bge.m3:M3Embedder",
    PoolingMethod.CLS,
    max_length=8192,
    languages=("multilingual",),
    licence="MIT",
    source="FlagEmbedding docs bge_m3.rst; mteb bge_models (no instruction)",
)

_ENGLISH = EmbedderConfig(
    "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
    PoolingMethod.CLS,
    query_instruction="Represent this sentence for searching relevant passages: ",
    query_instruction_required=False,  # the cards recommend it, for short queries to long passages
    max_length=512,
    languages=("en",),
    licence="MIT",
    source="FlagEmbedding inference/embedder README, list of models; mteb bge_models",
)

_CHINESE = _ENGLISH.replace(query_instruction="为这个句子生成表示以用于检索相关文章：", languages=("zh",))

# In the order of the tutorial, then what is newer. The small Chinese models are wider than the small English ones.
_MODELS: list[tuple[str, EmbedderConfig, int]] = [
    ("BAAI/bge-en-icl", _ICL, 4096),
    ("BAAI/bge-multilingual-gemma2", _GEMMA2, 3584),
    ("BAAI/bge-m3", _M3, 1024),
    ("BAAI/bge-large-en-v1.5", _ENGLISH, 1024),
    ("BAAI/bge-base-en-v1.5", _ENGLISH, 768),
    ("BAAI/bge-small-en-v1.5", _ENGLISH, 384),
    ("BAAI/bge-large-zh-v1.5", _CHINESE, 1024),
    ("BAAI/bge-base-zh-v1.5", _CHINESE, 768),
    ("BAAI/bge-small-zh-v1.5", _CHINESE, 512),
    ("BAAI/bge-large-en", _ENGLISH, 1024),
    ("BAAI/bge-base-en", _ENGLISH, 768),
    ("BAAI/bge-small-en", _ENGLISH, 384),
    ("BAAI/bge-large-zh", _CHINESE, 1024),
    ("BAAI/bge-base-zh", _CHINESE, 768),
    ("BAAI/bge-small-zh", _CHINESE, 512),
    ("BAAI/bge-code-v1", _CODE, 1536),
    ("BAAI/bge-reasoner-embed-qwen3-8b-0923", _REASONER, 4096),
]

EMBEDDERS: dict[str, EmbedderConfig] = {
    hub_id.partition("/")[2]: like.replace(hub_id=hub_id, dimension=dimension) for hub_id, like, dimension in _MODELS
}

_CROSS_ENCODER = RerankerConfig(
    "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker",
    max_length=512,
    languages=("en", "zh"),
    licence="MIT",
    source="FlagEmbedding inference/reranker README; sentence-transformers test_pretrained",
)

_GEMMA = _CROSS_ENCODER.replace(
    model_class="FlagEmbedding.inference.reranker.decoder_only.base:BaseLLMReranker",
    max_length=1024,
    languages=("multilingual",),
    licence="Gemma",
    source="FlagEmbedding inference/reranker README; vLLM test_bge_reranker_v2_gemma",
)

# The last two score with their last layer and without compression unless a call says otherwise, as the published code
# does; their cards' examples ask for cutoff_layers=[28], and for compress_ratio=2, compress_layers=[24, 40].
RERANKERS: dict[str, RerankerConfig] = {
    "bge-reranker-base": _CROSS_ENCODER.replace(hub_id="BAAI/bge-reranker-base"),
    "bge-reranker-large": _CROSS_ENCODER.replace(hub_id="BAAI/bge-reranker-large"),
    "bge-reranker-v2-m3": _CROSS_ENCODER.replace(
        hub_id="BAAI/bge-reranker-v2-m3",
        max_length=8192,  # the model's; the card's snippet uses 512
        languages=("multilingual",),
        licence="Apache-2.0",
        source="FlagEmbedding inference/reranker README; xinference rerank specification (length)",
    ),
    "bge-reranker-v2-gemma": _GEMMA.replace(hub_id="BAAI/bge-reranker-v2-gemma"),
    "bge-reranker-v2-minicpm-layerwise": _GEMMA.replace(
        hub_id="BAAI/bge-reranker-v2-minicpm-layerwise",
        model_class="flagembedding_bge.layerwise:LayerWiseLLMReranker",
        licence="Apache-2.0",
        source="FlagEmbedding inference/reranker README and code; licence from memory of the card",
    ),
    "bge-reranker-v2.5-gemma2-lightweight": _GEMMA.replace(
        hub_id="BAAI/bge-reranker-v2.5-gemma2-lightweight",
        model_class="flagembedding_bge.lightweight:LightweightLLMReranker",
        source="FlagEmbedding inference/reranker README and code",
    ),
}
