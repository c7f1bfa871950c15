"""The public names of the facades: listed here, and every one of them there."""

from __future__ import annotations

import importlib
import pickle

import pytest

import FlagEmbedding

FACADES = {
    "FlagEmbedding": [
        "AbsEmbedder",
        "AbsReranker",
        "EmbedderConfig",
        "EmbedderModelClass",
        "FlagAutoModel",
        "FlagAutoReranker",
        "FlagLLMModel",
        "FlagLLMReranker",
        "FlagModel",
        "FlagReranker",
        "PoolingMethod",
        "RerankerConfig",
        "RerankerModelClass",
        "register_embedder",
        "register_engine",
        "register_locator",
        "register_model_class",
        "register_pooling",
        "register_reranker",
        "temporary_registration",
    ],
    "FlagEmbedding.abc.inference": ["AbsEmbedder", "AbsReranker"],
    "FlagEmbedding.inference": [
        "EmbedderModelClass",
        "FlagAutoModel",
        "FlagAutoReranker",
        "FlagLLMModel",
        "FlagLLMReranker",
        "FlagModel",
        "FlagReranker",
        "RerankerModelClass",
    ],
    "FlagEmbedding.inference.embedder": ["EmbedderModelClass", "FlagLLMModel", "FlagModel"],
    "FlagEmbedding.inference.embedder.decoder_only": ["BaseLLMEmbedder", "FlagLLMModel"],
    "FlagEmbedding.inference.embedder.encoder_only": ["BaseEmbedder", "FlagModel"],
    "FlagEmbedding.inference.embedder.model_mapping": [
        "AUTO_EMBEDDER_MAPPING",
        "EmbedderConfig",
        "EmbedderModelClass",
        "PoolingMethod",
        "support_model_list",
    ],
    "FlagEmbedding.inference.reranker": ["FlagLLMReranker", "FlagReranker", "RerankerModelClass"],
    "FlagEmbedding.inference.reranker.decoder_only": ["BaseLLMReranker", "FlagLLMReranker"],
    "FlagEmbedding.inference.reranker.encoder_only": ["BaseReranker", "FlagReranker"],
    "FlagEmbedding.inference.reranker.model_mapping": [
        "AUTO_RERANKER_MAPPING",
        "RerankerConfig",
        "RerankerModelClass",
    ],
    "FlagEmbedding.plugins": [
        "EmbedderConfig",
        "EmbedderModelClass",
        "ModelClass",
        "PoolingMethod",
        "RerankerConfig",
        "RerankerModelClass",
        "hookimpl",
    ],
}
BASES = {"BaseEmbedder", "BaseLLMEmbedder", "BaseReranker", "BaseLLMReranker"}


@pytest.mark.parametrize("facade", FACADES)
def test_public_names(facade: str) -> None:
    module = importlib.import_module(facade)
    assert sorted(module.__all__) == sorted(FACADES[facade])
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize(("facade", "name"), [(facade, name) for facade, names in FACADES.items() for name in names])
def test_every_public_name_is_there(facade: str, name: str) -> None:
    found = getattr(importlib.import_module(facade), name)
    assert getattr(found, "__name__", name) in {name, *BASES}


@pytest.mark.parametrize(
    ("name", "model_class"),
    [
        ("BGEM3FlagModel", "flagembedding_bge.m3:M3Embedder"),
        ("FlagM3Model", "flagembedding_bge.m3:M3Embedder"),
        ("FlagICLModel", "flagembedding_bge.icl:ICLLLMEmbedder"),
        ("FlagPseudoMoEModel", "flagembedding_bge.pseudo_moe:PseudoMoELLMEmbedder"),
        ("LayerWiseFlagLLMReranker", "flagembedding_bge.layerwise:LayerWiseLLMReranker"),
        ("LightWeightFlagLLMReranker", "flagembedding_bge.lightweight:LightweightLLMReranker"),
    ],
)
def test_classes_that_plugins_add(name: str, model_class: str) -> None:
    found = getattr(FlagEmbedding, name)
    assert (f"{found.__module__}:{found.__qualname__}", name in dir(FlagEmbedding)) == (model_class, True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'FlagEmbedding' has no attribute 'FlagModle'"):
        _ = FlagEmbedding.FlagModle


def test_a_dunder_name_asks_no_plugin() -> None:
    assert not hasattr(FlagEmbedding, "__wrapped__")


def test_a_class_of_a_plugin_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"models": {}, "model_classes": {}, "exports": {"FlagAcmeModel": "flagembedding-acme"}}
    monkeypatch.setattr("FlagEmbedding.registry.hints._table", lambda: table)
    with pytest.raises(ImportError, match="pip install flagembedding-acme"):
        from FlagEmbedding import FlagAcmeModel  # noqa: F401, PLC0415


@pytest.mark.parametrize("name", ["FlagAutoModel", "FlagAutoReranker"])
def test_a_factory_is_not_an_object(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}\.from_finetuned\(name\)"):
        getattr(FlagEmbedding, name)()


PICKLED = ["FlagAutoModel", "FlagModel", "EmbedderConfig", "FlagAutoReranker", "FlagReranker", "RerankerConfig"]


@pytest.mark.parametrize("name", PICKLED)
def test_public_classes_can_be_pickled(name: str) -> None:
    assert pickle.loads(pickle.dumps(getattr(FlagEmbedding, name))) is getattr(FlagEmbedding, name)


@pytest.mark.parametrize(
    ("facade", "name"),
    [
        ("FlagEmbedding.inference", "BGEM3FlagModel"),
        ("FlagEmbedding.inference", "LayerWiseFlagLLMReranker"),
        ("FlagEmbedding.inference.embedder", "FlagICLModel"),
        ("FlagEmbedding.inference.reranker", "LightWeightFlagLLMReranker"),
    ],
)
def test_what_plugins_export_is_there_too_as_programs_import_it(facade: str, name: str) -> None:
    assert getattr(importlib.import_module(facade), name) is getattr(FlagEmbedding, name)


def test_a_name_that_nobody_exports_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'FlagNonsense'"):
        FlagEmbedding.inference.FlagNonsense  # noqa: B018 - looking it up is the test
    assert not hasattr(FlagEmbedding.inference, "nonsense")
