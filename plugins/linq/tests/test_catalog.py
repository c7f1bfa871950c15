"""The catalogue against the tutorial's list of names and the model cards' values, written out a second time."""

from __future__ import annotations

import pluggy
import pytest

from FlagEmbedding.plugins import EmbedderConfig, hookimpl, hookspecs
from flagembedding_linq import hooks
from flagembedding_linq.catalog import EMBEDDERS


def test_names() -> None:
    assert list(EMBEDDERS) == ["Linq-Embed-Mistral"]


def test_model() -> None:
    config = EMBEDDERS["Linq-Embed-Mistral"]
    assert config.hub_id == "Linq-AI-Research/Linq-Embed-Mistral"
    assert config.model_class_reference == "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
    assert config.pooling_method == "last_token"
    assert (config.dimension, config.max_length) == (4096, 4096)
    assert (config.languages, config.licence) == (("en",), "CC-BY-NC-4.0")
    assert config.source


def test_instructions() -> None:
    config = EMBEDDERS["Linq-Embed-Mistral"]
    assert config.query_instruction_format == "Instruct: {}\nQuery: {}"
    assert config.query_instruction == "Given a question, retrieve Wikipedia passages that answer the question"
    assert config.query_instruction_required is True
    assert (config.passage_instruction, config.passage_instruction_format) == (None, "{}{}")


def test_other_needs() -> None:
    config = EMBEDDERS["Linq-Embed-Mistral"]
    assert (config.append_eos, config.is_causal) == (True, None)
    assert (config.trust_remote_code, config.matryoshka_dims) == (False, ())


@pytest.mark.parametrize("linq_first", [True, False])
def test_linq_is_listed_last(linq_first: bool) -> None:
    class Other:
        @hookimpl
        def flagembedding_embedder_configs(self) -> dict[str, EmbedderConfig]:
            return {"SFR-Embedding-2_R": EMBEDDERS["Linq-Embed-Mistral"]}

    manager = pluggy.PluginManager("flagembedding")
    manager.add_hookspecs(hookspecs)
    for plugin in [hooks, Other()] if linq_first else [Other(), hooks]:
        manager.register(plugin)
    tables = manager.hook.flagembedding_embedder_configs()
    assert [name for table in tables for name in table] == ["SFR-Embedding-2_R", "Linq-Embed-Mistral"]


def test_the_hook_returns_the_catalogue() -> None:
    assert hooks.flagembedding_embedder_configs() is EMBEDDERS
