"""The catalogue against the tutorial's list of names and the model cards' values, written out a second time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flagembedding_sfr import hooks
from flagembedding_sfr.catalog import EMBEDDERS

MISTRAL = ["SFR-Embedding-2_R", "SFR-Embedding-Mistral"]


def test_names_in_the_order_of_the_tutorial_and_what_it_does_not_name() -> None:
    assert list(EMBEDDERS) == [*MISTRAL, "SFR-Embedding-Code-400M_R"]


@pytest.mark.parametrize("name", MISTRAL)
def test_model(name: str) -> None:
    config = EMBEDDERS[name]
    assert config.hub_id == f"Salesforce/{name}"
    assert config.model_class_reference == "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
    assert config.pooling_method == "last_token"
    assert (config.dimension, config.max_length) == (4096, 4096)
    assert (config.languages, config.licence) == (("en",), "CC-BY-NC-4.0")
    assert config.source


@pytest.mark.parametrize("name", MISTRAL)
def test_instructions(name: str) -> None:
    config = EMBEDDERS[name]
    assert config.query_instruction_format == "Instruct: {}\nQuery: {}"
    assert config.query_instruction == "Given a web search query, retrieve relevant passages that answer the query"
    assert config.query_instruction_required is True
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")


@pytest.mark.parametrize("name", MISTRAL)
def test_other_needs(name: str) -> None:
    config = EMBEDDERS[name]
    assert (config.append_eos, config.is_causal) == (True, None)
    assert (config.trust_remote_code, config.matryoshka_dims) == (False, ())


def test_the_model_for_code() -> None:
    config = EMBEDDERS["SFR-Embedding-Code-400M_R"]
    assert config.hub_id == "Salesforce/SFR-Embedding-Code-400M_R"
    assert config.model_class_reference == "flagembedding_gte.native:GteEmbedder"
    assert config.pooling_method == "cls"
    assert (config.dimension, config.max_length) == (1024, 8192)
    assert (config.languages, config.licence) == (("en",), "CC-BY-NC-4.0")
    assert (config.query_instruction, config.query_instruction_format) == (None, "{}{}")
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")
    assert (config.append_eos, config.is_causal) == (False, None)
    assert (config.trust_remote_code, config.matryoshka_dims) == (False, ())
    assert config.source


@pytest.mark.parametrize("name", EMBEDDERS)
def test_every_class_is_there(name: str) -> None:
    assert EMBEDDERS[name].model_class.__name__ in {"BaseLLMEmbedder", "GteEmbedder"}


def test_the_hook_returns_the_catalogue() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS


def test_listing_the_models_imports_no_torch() -> None:
    code = (
        "import sys, flagembedding_sfr.hooks as hooks; hooks.flagembedding_embedder_configs(); "
        "print(sorted({'torch', 'transformers', 'flagembedding_gte'} & set(sys.modules)))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"
