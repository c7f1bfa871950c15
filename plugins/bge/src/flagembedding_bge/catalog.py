"""The BGE embedding models: what their cards say, as data.

Licences are those of the Hub pages as mteb 2.26 and our memory of the cards give them, no licence file was read: check
them before you rely on one.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod

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
