"""The catalogue against the model cards' values, written out a second time."""

from __future__ import annotations

from flagembedding_bce import hooks
from flagembedding_bce.catalog import EMBEDDERS, RERANKERS


def test_names() -> None:
    assert list(EMBEDDERS) == ["bce-embedding-base_v1"]
    assert list(RERANKERS) == ["bce-reranker-base_v1"]


def test_model() -> None:
    config = EMBEDDERS["bce-embedding-base_v1"]
    assert config.hub_id == "maidalun1020/bce-embedding-base_v1"
    assert config.model_class_reference == "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
    assert config.pooling_method == "cls"
    assert (config.dimension, config.max_length) == (768, 512)
    assert (config.languages, config.licence) == (("en", "zh"), "Apache-2.0")
    assert config.source


def test_no_instructions() -> None:
    config = EMBEDDERS["bce-embedding-base_v1"]
    assert (config.query_instruction, config.query_instruction_format) == (None, "{}{}")
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")


def test_no_other_needs() -> None:
    config = EMBEDDERS["bce-embedding-base_v1"]
    assert (config.append_eos, config.is_causal) == (False, None)
    assert (config.trust_remote_code, config.matryoshka_dims) == (False, ())


def test_reranker() -> None:
    config = RERANKERS["bce-reranker-base_v1"]
    assert config.hub_id == "maidalun1020/bce-reranker-base_v1"
    assert config.model_class_reference == "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker"
    assert config.max_length == 512
    assert (config.languages, config.licence) == (("en", "zh", "ja", "ko"), "Apache-2.0")
    assert (config.trust_remote_code, config.options, config.unsupported) == (False, {}, None)
    assert config.source


def test_the_hooks_return_the_catalogue() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS
    assert hooks.flagembedding_reranker_configs() is RERANKERS


def test_the_classes_are_there() -> None:
    assert EMBEDDERS["bce-embedding-base_v1"].model_class.__name__ == "BaseEmbedder"
    assert RERANKERS["bce-reranker-base_v1"].model_class.__name__ == "BaseReranker"
