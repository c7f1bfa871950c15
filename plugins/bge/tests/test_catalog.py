"""The catalogue against the tutorial's list of names and the model cards' values, written out a second time."""

from __future__ import annotations

import pytest

from FlagEmbedding import AbsReranker
from FlagEmbedding.plugins import ModelClass
from flagembedding_bge import hooks
from flagembedding_bge.catalog import EMBEDDERS, RERANKERS

ENCODER = "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
DECODER = "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
ICL = "flagembedding_bge.icl:ICLLLMEmbedder"
M3 = "flagembedding_bge.m3:M3Embedder"
CROSS_ENCODER = "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker"
LANGUAGE_MODEL = "FlagEmbedding.inference.reranker.decoder_only.base:BaseLLMReranker"
LAYERWISE = "flagembedding_bge.layerwise:LayerWiseLLMReranker"
LIGHTWEIGHT = "flagembedding_bge.lightweight:LightweightLLMReranker"

EN = "Represent this sentence for searching relevant passages: "
ZH = "为这个句子生成表示以用于检索相关文章："
TASK = "Given a web search query, retrieve relevant passages that answer the query."


def test_names_in_the_order_of_the_tutorial() -> None:
    assert list(EMBEDDERS) == [
        "bge-en-icl",
        "bge-multilingual-gemma2",
        "bge-m3",
        "bge-large-en-v1.5",
        "bge-base-en-v1.5",
        "bge-small-en-v1.5",
        "bge-large-zh-v1.5",
        "bge-base-zh-v1.5",
        "bge-small-zh-v1.5",
        "bge-large-en",
        "bge-base-en",
        "bge-small-en",
        "bge-large-zh",
        "bge-base-zh",
        "bge-small-zh",
        "bge-code-v1",
        "bge-reasoner-embed-qwen3-8b-0923",
    ]


@pytest.mark.parametrize(
    ("name", "model_class", "pooling", "dimension", "max_length", "language", "licence"),
    [
        ("bge-en-icl", ICL, "last_token", 4096, 512, "en", "Apache-2.0"),
        ("bge-multilingual-gemma2", DECODER, "last_token", 3584, 4096, "multilingual", "Gemma"),
        ("bge-m3", M3, "cls", 1024, 8192, "multilingual", "MIT"),
        ("bge-large-en-v1.5", ENCODER, "cls", 1024, 512, "en", "MIT"),
        ("bge-base-en-v1.5", ENCODER, "cls", 768, 512, "en", "MIT"),
        ("bge-small-en-v1.5", ENCODER, "cls", 384, 512, "en", "MIT"),
        ("bge-large-zh-v1.5", ENCODER, "cls", 1024, 512, "zh", "MIT"),
        ("bge-base-zh-v1.5", ENCODER, "cls", 768, 512, "zh", "MIT"),
        ("bge-small-zh-v1.5", ENCODER, "cls", 512, 512, "zh", "MIT"),
        ("bge-large-en", ENCODER, "cls", 1024, 512, "en", "MIT"),
        ("bge-base-en", ENCODER, "cls", 768, 512, "en", "MIT"),
        ("bge-small-en", ENCODER, "cls", 384, 512, "en", "MIT"),
        ("bge-large-zh", ENCODER, "cls", 1024, 512, "zh", "MIT"),
        ("bge-base-zh", ENCODER, "cls", 768, 512, "zh", "MIT"),
        ("bge-small-zh", ENCODER, "cls", 512, 512, "zh", "MIT"),
        ("bge-code-v1", DECODER, "last_token", 1536, 4096, "multilingual", "Apache-2.0"),
        ("bge-reasoner-embed-qwen3-8b-0923", DECODER, "last_token", 4096, 8192, "multilingual", "Apache-2.0"),
    ],
)
def test_model(
    name: str, model_class: str, pooling: str, dimension: int, max_length: int, language: str, licence: str
) -> None:
    config = EMBEDDERS[name]
    assert config.hub_id == f"BAAI/{name}"
    assert config.model_class_reference == model_class
    assert config.pooling_method == pooling
    assert (config.dimension, config.max_length) == (dimension, max_length)
    assert (config.languages, config.licence) == ((language,), licence)
    assert config.source


@pytest.mark.parametrize(
    ("name", "query_format", "instruction", "required"),
    [
        ("bge-en-icl", "<instruct>{}\n<query>{}", TASK, True),
        ("bge-multilingual-gemma2", "<instruct>{}\n<query>{}", TASK, True),
        ("bge-m3", "{}{}", None, True),
        ("bge-large-en-v1.5", "{}{}", EN, False),
        ("bge-base-en-v1.5", "{}{}", EN, False),
        ("bge-small-en-v1.5", "{}{}", EN, False),
        ("bge-large-zh-v1.5", "{}{}", ZH, False),
        ("bge-base-zh-v1.5", "{}{}", ZH, False),
        ("bge-small-zh-v1.5", "{}{}", ZH, False),
        ("bge-large-en", "{}{}", EN, False),
        ("bge-base-en", "{}{}", EN, False),
        ("bge-small-en", "{}{}", EN, False),
        ("bge-large-zh", "{}{}", ZH, False),
        ("bge-base-zh", "{}{}", ZH, False),
        ("bge-small-zh", "{}{}", ZH, False),
        ("bge-code-v1", "<instruct>{}\n<query>{}", None, True),
        ("bge-reasoner-embed-qwen3-8b-0923", "Instruct: {}\nQuery: {}", None, True),
    ],
)
def test_instructions(name: str, query_format: str, instruction: str | None, required: bool) -> None:
    config = EMBEDDERS[name]
    assert config.query_instruction_format == query_format
    assert (config.query_instruction, config.query_instruction_required) == (instruction, required)
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")


def test_only_the_decoders_end_in_eos() -> None:
    ending = [name for name, config in EMBEDDERS.items() if config.append_eos]
    assert ending == [
        "bge-en-icl",
        "bge-multilingual-gemma2",
        "bge-code-v1",
        "bge-reasoner-embed-qwen3-8b-0923",
    ]


@pytest.mark.parametrize("name", EMBEDDERS)
def test_no_model_needs_anything_else(name: str) -> None:
    config = EMBEDDERS[name]
    assert (config.trust_remote_code, config.is_causal, config.matryoshka_dims) == (False, None, ())


def test_names_of_the_rerankers() -> None:
    assert list(RERANKERS) == [
        "bge-reranker-base",
        "bge-reranker-large",
        "bge-reranker-v2-m3",
        "bge-reranker-v2-gemma",
        "bge-reranker-v2-minicpm-layerwise",
        "bge-reranker-v2.5-gemma2-lightweight",
    ]


@pytest.mark.parametrize(
    ("name", "model_class", "max_length", "languages", "licence"),
    [
        ("bge-reranker-base", CROSS_ENCODER, 512, ("en", "zh"), "MIT"),
        ("bge-reranker-large", CROSS_ENCODER, 512, ("en", "zh"), "MIT"),
        ("bge-reranker-v2-m3", CROSS_ENCODER, 8192, ("multilingual",), "Apache-2.0"),
        ("bge-reranker-v2-gemma", LANGUAGE_MODEL, 1024, ("multilingual",), "Gemma"),
        ("bge-reranker-v2-minicpm-layerwise", LAYERWISE, 1024, ("multilingual",), "Apache-2.0"),
        ("bge-reranker-v2.5-gemma2-lightweight", LIGHTWEIGHT, 1024, ("multilingual",), "Gemma"),
    ],
)
def test_reranker(name: str, model_class: str, max_length: int, languages: tuple[str, ...], licence: str) -> None:
    config = RERANKERS[name]
    assert config.hub_id == f"BAAI/{name}"
    assert config.model_class_reference == model_class
    assert config.max_length == max_length
    assert (config.languages, config.licence) == (languages, licence)
    # the layers and the compression that the cards' examples use are the caller's to choose, as in FlagEmbedding 1.x
    assert (config.trust_remote_code, config.options, config.unsupported) == (False, {}, None)
    assert config.source


@pytest.mark.parametrize("name", RERANKERS)
def test_every_class_of_a_reranker_is_there(name: str) -> None:
    assert issubclass(RERANKERS[name].model_class, AbsReranker)


def test_the_hooks_return_the_catalogue() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS
    assert hooks.flagembedding_reranker_configs() is RERANKERS


def test_the_classes_and_what_they_are_called() -> None:
    embedders = hooks.flagembedding_embedder_classes()
    assert {key: (entry.exports, entry.pooling) for key, entry in embedders.items()} == {
        "encoder-only-m3": (("BGEM3FlagModel", "FlagM3Model"), "cls"),
        "decoder-only-icl": (("FlagICLModel",), "last_token"),
        "decoder-only-pseudo_moe": (("FlagPseudoMoEModel",), "last_token"),
    }
    assert hooks.flagembedding_reranker_classes() == {
        "decoder-only-layerwise": ModelClass(
            LAYERWISE, exports=("LayerWiseFlagLLMReranker",), model_types=("minicpm",)
        ),
        "decoder-only-lightweight": ModelClass(
            LIGHTWEIGHT, exports=("LightWeightFlagLLMReranker",), model_types=("cost_wise_gemma",)
        ),
    }
