"""The E5 embedding models: what their cards say, as data.

Licences are those of the Hub pages as mteb 2.26 and our memory of the cards give them, no licence file was read: check
them before you rely on one. (For e5-base and e5-large mteb says Apache-2.0; their Hub pages say MIT.)
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod

# The cards require both prefixes: without them the vectors are worse, for queries and passages alike.
_MULTILINGUAL = EmbedderConfig(
    "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
    PoolingMethod.MEAN,
    query_instruction="query: ",
    passage_instruction="passage: ",
    max_length=512,
    languages=("multilingual",),
    licence="MIT",
    source="mteb e5_models; sentence-transformers README (prompts); vLLM test_intfloat",
)

_V2 = _MULTILINGUAL.replace(languages=("en",), source="model card (copy); mteb e5_models")

_V1 = _V2.replace(source="mteb e5_models; mirror of the model card; unilm/e5 README (dimensions)")

_INSTRUCT = _MULTILINGUAL.replace(
    query_instruction_format="Instruct: {}\nQuery: {}",
    query_instruction="Given a web search query, retrieve relevant passages that answer the query",
    passage_instruction=None,
    source="model card (copy); mteb e5_instruct",
)

_MISTRAL = _INSTRUCT.replace(
    model_class="FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder",
    pooling_method=PoolingMethod.LAST_TOKEN,
    max_length=4096,  # the model takes 32768; as we remember its card, it advises against more than 4096
    # Its tokenizer.json adds none, and without it WebFAQRetrieval fell from 0.722 to 0.366:
    # https://github.com/embeddings-benchmark/results/pull/656
    append_eos=True,
    languages=("en",),
    source="model card (copy); mteb e5_instruct and pull request 5237 (end of sequence)",
)

# In the order of the tutorial.
_MODELS: list[tuple[str, EmbedderConfig, int]] = [
    ("intfloat/e5-mistral-7b-instruct", _MISTRAL, 4096),
    ("intfloat/e5-large-v2", _V2, 1024),
    ("intfloat/e5-base-v2", _V2, 768),
    ("intfloat/e5-small-v2", _V2, 384),
    ("intfloat/multilingual-e5-large-instruct", _INSTRUCT, 1024),
    ("intfloat/multilingual-e5-large", _MULTILINGUAL, 1024),
    ("intfloat/multilingual-e5-base", _MULTILINGUAL, 768),
    ("intfloat/multilingual-e5-small", _MULTILINGUAL, 384),
    ("intfloat/e5-large", _V1, 1024),
    ("intfloat/e5-base", _V1, 768),
    ("intfloat/e5-small", _V1, 384),
]

EMBEDDERS: dict[str, EmbedderConfig] = {
    hub_id.partition("/")[2]: like.replace(hub_id=hub_id, dimension=dimension) for hub_id, like, dimension in _MODELS
}
