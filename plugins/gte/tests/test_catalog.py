"""The catalogue against the tutorial's list of names and the model cards' values, written out a second time."""

from __future__ import annotations

import pytest

from FlagEmbedding.plugins import ModelClass
from flagembedding_gte import hooks
from flagembedding_gte.catalog import EMBEDDERS, RERANKERS

ENCODER = "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
DECODER = "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
NATIVE = "flagembedding_gte.native:GteEmbedder"
CROSS_ENCODER = "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker"
NATIVE_RERANKER = "flagembedding_gte.native:GteReranker"

TASK = "Given a web search query, retrieve relevant passages that answer the query"


def test_names_in_the_order_of_the_tutorial_and_what_it_does_not_name() -> None:
    assert list(EMBEDDERS) == [
        "gte-Qwen2-7B-instruct",
        "gte-Qwen2-1.5B-instruct",
        "gte-Qwen1.5-7B-instruct",
        "gte-multilingual-base",
        "gte-large-en-v1.5",
        "gte-base-en-v1.5",
        "gte-large",
        "gte-base",
        "gte-small",
        "gte-large-zh",
        "gte-base-zh",
        "gte-small-zh",
        "gte-modernbert-base",
    ]


@pytest.mark.parametrize(
    ("hub_id", "model_class", "pooling", "dimension", "max_length", "language", "licence"),
    [
        ("Alibaba-NLP/gte-Qwen2-7B-instruct", DECODER, "last_token", 3584, 8192, "multilingual", "Apache-2.0"),
        ("Alibaba-NLP/gte-Qwen2-1.5B-instruct", DECODER, "last_token", 1536, 8192, "multilingual", "Apache-2.0"),
        ("Alibaba-NLP/gte-Qwen1.5-7B-instruct", DECODER, "last_token", 4096, 32768, "multilingual", "Apache-2.0"),
        ("Alibaba-NLP/gte-multilingual-base", NATIVE, "cls", 768, 8192, "multilingual", "Apache-2.0"),
        ("Alibaba-NLP/gte-large-en-v1.5", NATIVE, "cls", 1024, 8192, "en", "Apache-2.0"),
        ("Alibaba-NLP/gte-base-en-v1.5", NATIVE, "cls", 768, 8192, "en", "Apache-2.0"),
        ("thenlper/gte-large", ENCODER, "mean", 1024, 512, "en", "MIT"),
        ("thenlper/gte-base", ENCODER, "mean", 768, 512, "en", "MIT"),
        ("thenlper/gte-small", ENCODER, "mean", 384, 512, "en", "MIT"),
        ("thenlper/gte-large-zh", ENCODER, "cls", 1024, 512, "zh", "MIT"),
        ("thenlper/gte-base-zh", ENCODER, "cls", 768, 512, "zh", "MIT"),
        ("thenlper/gte-small-zh", ENCODER, "cls", 512, 512, "zh", "MIT"),
        ("Alibaba-NLP/gte-modernbert-base", ENCODER, "cls", 768, 8192, "en", "Apache-2.0"),
    ],
)
def test_model(
    hub_id: str, model_class: str, pooling: str, dimension: int, max_length: int, language: str, licence: str
) -> None:
    config = EMBEDDERS[hub_id.split("/")[1]]
    assert config.hub_id == hub_id
    assert config.model_class_reference == model_class
    assert config.pooling_method == pooling
    assert (config.dimension, config.max_length) == (dimension, max_length)
    assert (config.languages, config.licence) == ((language,), licence)
    assert config.source


@pytest.mark.parametrize(
    ("name", "query_format", "instruction", "is_causal", "append_eos"),
    [
        ("gte-Qwen2-7B-instruct", "Instruct: {}\nQuery: {}", TASK, False, True),
        ("gte-Qwen2-1.5B-instruct", "Instruct: {}\nQuery: {}", TASK, False, True),
        ("gte-Qwen1.5-7B-instruct", "Instruct: {}\nQuery: {}", TASK, False, True),
        ("gte-multilingual-base", "{}{}", None, None, False),
        ("gte-large-en-v1.5", "{}{}", None, None, False),
        ("gte-base-en-v1.5", "{}{}", None, None, False),
        ("gte-large", "{}{}", None, None, False),
        ("gte-base", "{}{}", None, None, False),
        ("gte-small", "{}{}", None, None, False),
        ("gte-large-zh", "{}{}", None, None, False),
        ("gte-base-zh", "{}{}", None, None, False),
        ("gte-small-zh", "{}{}", None, None, False),
        ("gte-modernbert-base", "{}{}", None, None, False),
    ],
)
def test_instructions_and_attention(
    name: str, query_format: str, instruction: str | None, is_causal: bool | None, append_eos: bool
) -> None:
    config = EMBEDDERS[name]
    assert config.query_instruction_format == query_format
    assert (config.query_instruction, config.query_instruction_required) == (instruction, True)
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")
    assert (config.is_causal, config.append_eos) == (is_causal, append_eos)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_no_model_needs_anything_else(name: str) -> None:
    config = EMBEDDERS[name]
    assert (config.trust_remote_code, config.matryoshka_dims) == (False, ())


def test_names_of_the_rerankers() -> None:
    assert list(RERANKERS) == ["gte-multilingual-reranker-base", "gte-reranker-modernbert-base"]


@pytest.mark.parametrize(
    ("name", "model_class", "language"),
    [
        ("gte-multilingual-reranker-base", NATIVE_RERANKER, "multilingual"),
        ("gte-reranker-modernbert-base", CROSS_ENCODER, "en"),
    ],
)
def test_reranker(name: str, model_class: str, language: str) -> None:
    config = RERANKERS[name]
    assert config.hub_id == f"Alibaba-NLP/{name}"
    assert config.model_class_reference == model_class
    assert config.max_length == 8192
    assert (config.languages, config.licence) == ((language,), "Apache-2.0")
    assert (config.trust_remote_code, config.options, config.unsupported) == (False, {}, None)
    assert config.source


def test_the_hooks_return_the_catalogue_and_the_classes() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS
    assert hooks.flagembedding_reranker_configs() is RERANKERS
    assert hooks.flagembedding_embedder_classes() == {
        "encoder-only-gte": ModelClass(NATIVE, model_types=("new", "gte"))
    }
    assert hooks.flagembedding_reranker_classes() == {
        "encoder-only-gte": ModelClass(
            NATIVE_RERANKER, model_types=("new", "gte"), architecture="ForSequenceClassification"
        )
    }


@pytest.mark.parametrize("name", EMBEDDERS)
def test_every_class_is_there(name: str) -> None:
    assert EMBEDDERS[name].model_class.__name__ in {"BaseEmbedder", "BaseLLMEmbedder", "GteEmbedder"}


@pytest.mark.parametrize("name", RERANKERS)
def test_every_class_of_a_reranker_is_there(name: str) -> None:
    assert RERANKERS[name].model_class.__name__ in {"BaseReranker", "GteReranker"}
