"""The catalogue against the model cards' values, written out a second time."""

from __future__ import annotations

import pytest

from FlagEmbedding.plugins import ModelClass
from flagembedding_qwen3 import hooks
from flagembedding_qwen3.catalog import EMBEDDERS, RERANKERS

TO_1024 = (32, 64, 128, 256, 512)


def test_names() -> None:
    assert list(EMBEDDERS) == ["Qwen3-Embedding-0.6B", "Qwen3-Embedding-4B", "Qwen3-Embedding-8B"]
    assert list(RERANKERS) == ["Qwen3-Reranker-0.6B", "Qwen3-Reranker-4B", "Qwen3-Reranker-8B"]


@pytest.mark.parametrize(
    ("name", "dimension", "shorter"),
    [
        ("Qwen3-Embedding-0.6B", 1024, TO_1024),
        ("Qwen3-Embedding-4B", 2560, (*TO_1024, 1024, 2048)),
        ("Qwen3-Embedding-8B", 4096, (*TO_1024, 1024, 2048)),
    ],
)
def test_model(name: str, dimension: int, shorter: tuple[int, ...]) -> None:
    config = EMBEDDERS[name]
    assert config.hub_id == f"Qwen/{name}"
    assert config.model_class_reference == "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
    assert config.pooling_method == "last_token"
    assert (config.dimension, config.matryoshka_dims, config.max_length) == (dimension, shorter, 8192)
    assert (config.languages, config.licence) == (("multilingual",), "Apache-2.0")
    assert config.source


@pytest.mark.parametrize("name", EMBEDDERS)
def test_instructions(name: str) -> None:
    config = EMBEDDERS[name]
    assert config.query_instruction_format == "Instruct: {}\nQuery:{}"
    assert config.query_instruction == "Given a web search query, retrieve relevant passages that answer the query"
    assert config.query_instruction_required is True
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")


@pytest.mark.parametrize("name", EMBEDDERS)
def test_other_needs(name: str) -> None:
    config = EMBEDDERS[name]
    assert (config.append_eos, config.is_causal, config.trust_remote_code) == ("<|endoftext|>", None, False)


@pytest.mark.parametrize("name", ["Qwen3-Reranker-0.6B", "Qwen3-Reranker-4B", "Qwen3-Reranker-8B"])
def test_reranker(name: str) -> None:
    config = RERANKERS[name]
    assert config.hub_id == f"Qwen/{name}"
    assert config.model_class_reference == "flagembedding_qwen3.reranker:Qwen3Reranker"
    assert config.max_length == 8192
    assert (config.languages, config.licence) == (("multilingual",), "Apache-2.0")
    assert (config.trust_remote_code, config.options, config.unsupported) == (False, {}, None)
    assert config.source
    assert config.model_class.__name__ == "Qwen3Reranker"


def test_the_hooks_return_the_catalogue_and_the_class() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS
    assert hooks.flagembedding_reranker_configs() is RERANKERS
    assert hooks.flagembedding_reranker_classes() == {
        "decoder-only-qwen3": ModelClass("flagembedding_qwen3.reranker:Qwen3Reranker", model_types=("qwen3",))
    }
