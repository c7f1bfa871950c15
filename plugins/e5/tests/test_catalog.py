"""The catalogue against the tutorial's list of names and the model cards' values, written out a second time."""

from __future__ import annotations

import pytest

from flagembedding_e5 import hooks
from flagembedding_e5.catalog import EMBEDDERS

ENCODER = "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
DECODER = "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"

TASK = "Given a web search query, retrieve relevant passages that answer the query"


def test_names_in_the_order_of_the_tutorial() -> None:
    assert list(EMBEDDERS) == [
        "e5-mistral-7b-instruct",
        "e5-large-v2",
        "e5-base-v2",
        "e5-small-v2",
        "multilingual-e5-large-instruct",
        "multilingual-e5-large",
        "multilingual-e5-base",
        "multilingual-e5-small",
        "e5-large",
        "e5-base",
        "e5-small",
    ]


@pytest.mark.parametrize(
    ("name", "model_class", "pooling", "dimension", "max_length", "language"),
    [
        ("e5-mistral-7b-instruct", DECODER, "last_token", 4096, 4096, "en"),
        ("e5-large-v2", ENCODER, "mean", 1024, 512, "en"),
        ("e5-base-v2", ENCODER, "mean", 768, 512, "en"),
        ("e5-small-v2", ENCODER, "mean", 384, 512, "en"),
        ("multilingual-e5-large-instruct", ENCODER, "mean", 1024, 512, "multilingual"),
        ("multilingual-e5-large", ENCODER, "mean", 1024, 512, "multilingual"),
        ("multilingual-e5-base", ENCODER, "mean", 768, 512, "multilingual"),
        ("multilingual-e5-small", ENCODER, "mean", 384, 512, "multilingual"),
        ("e5-large", ENCODER, "mean", 1024, 512, "en"),
        ("e5-base", ENCODER, "mean", 768, 512, "en"),
        ("e5-small", ENCODER, "mean", 384, 512, "en"),
    ],
)
def test_model(name: str, model_class: str, pooling: str, dimension: int, max_length: int, language: str) -> None:
    config = EMBEDDERS[name]
    assert config.hub_id == f"intfloat/{name}"
    assert config.model_class_reference == model_class
    assert config.pooling_method == pooling
    assert (config.dimension, config.max_length) == (dimension, max_length)
    assert (config.languages, config.licence) == ((language,), "MIT")
    assert config.source


@pytest.mark.parametrize(
    ("name", "query_format", "instruction", "passage_instruction"),
    [
        ("e5-mistral-7b-instruct", "Instruct: {}\nQuery: {}", TASK, None),
        ("e5-large-v2", "{}{}", "query: ", "passage: "),
        ("e5-base-v2", "{}{}", "query: ", "passage: "),
        ("e5-small-v2", "{}{}", "query: ", "passage: "),
        ("multilingual-e5-large-instruct", "Instruct: {}\nQuery: {}", TASK, None),
        ("multilingual-e5-large", "{}{}", "query: ", "passage: "),
        ("multilingual-e5-base", "{}{}", "query: ", "passage: "),
        ("multilingual-e5-small", "{}{}", "query: ", "passage: "),
        ("e5-large", "{}{}", "query: ", "passage: "),
        ("e5-base", "{}{}", "query: ", "passage: "),
        ("e5-small", "{}{}", "query: ", "passage: "),
    ],
)
def test_instructions(name: str, query_format: str, instruction: str, passage_instruction: str | None) -> None:
    config = EMBEDDERS[name]
    assert config.query_instruction_format == query_format
    assert (config.query_instruction, config.query_instruction_required) == (instruction, True)
    assert (config.passage_instruction, config.passage_instruction_format) == (passage_instruction, "{}{}")


def test_only_the_decoder_ends_in_eos() -> None:
    assert [name for name, config in EMBEDDERS.items() if config.append_eos] == ["e5-mistral-7b-instruct"]


@pytest.mark.parametrize("name", EMBEDDERS)
def test_no_model_needs_anything_else(name: str) -> None:
    config = EMBEDDERS[name]
    assert (config.trust_remote_code, config.is_causal, config.matryoshka_dims) == (False, None, ())


def test_the_hook_returns_the_catalogue() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS
