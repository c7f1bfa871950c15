"""Model classes by key, and the classes that plugins export."""

from __future__ import annotations

import json
from enum import Enum

import pytest

import FlagEmbedding
from FlagEmbedding.claims import Claim
from FlagEmbedding.config import EmbedderModelClass, ModelClass
from FlagEmbedding.errors import ModelClassError, NameConflictError
from FlagEmbedding.references import POOLING_FUNCTIONS
from FlagEmbedding.registry.extensions import (
    class_of_model_type,
    exported_class,
    exported_names,
    model_class_reference,
    pooling_claims,
)

DECODER = ModelClass("json:JSONDecoder", exports=("AcmeModel", "AcmeDecoder"))
ENCODER = ModelClass("json:JSONEncoder", exports=("AcmeEncoder",))


class Key(Enum):
    ACME = "encoder-only-acme"


class TestModelTypes:
    @pytest.mark.parametrize("model_type", ["mistral", "llama", "qwen2", "qwen3", "gemma2", "phi3", "gpt2", "opt"])
    def test_decoders_of_the_core(self, model_type):
        found = class_of_model_type(model_type)
        assert found.reference == "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
        assert found.pooling == "last_token"

    @pytest.mark.parametrize("model_type", ["bert", "nobodys", "None", "mistral3"])
    def test_every_other_type_is_an_encoder(self, model_type):
        found = class_of_model_type(model_type)
        assert found.reference == "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
        assert found.pooling == "cls"

    def test_a_type_that_a_plugin_claims(self, register):
        acme = ModelClass("json:JSONEncoder", model_types=("acme", "acme2"), pooling="mean")
        register(classes={"encoder-only-acme": acme})
        assert class_of_model_type("acme2") == acme

    def test_a_type_that_two_claim(self, register):
        register(classes={"encoder-only-acme": ModelClass("json:JSONEncoder", model_types=("bert",))})
        register(classes={"encoder-only-other": ModelClass("json:JSONEncoder", model_types=("bert",))})
        with pytest.raises(
            NameConflictError, match="the model type 'bert' is claimed by this process and this process"
        ):
            class_of_model_type("bert")


class TestModelClasses:
    @pytest.mark.parametrize("key", ["encoder-only-acme", Key.ACME])
    def test_a_key_of_a_plugin(self, register, key):
        register(classes={"encoder-only-acme": ENCODER})
        assert model_class_reference(key) == "json:JSONEncoder"

    @pytest.mark.parametrize("key", ["encoder-only-base", EmbedderModelClass.ENCODER_ONLY_BASE])
    def test_a_key_of_the_core(self, key):
        assert model_class_reference(key) == "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"

    def test_an_unknown_key_names_the_near_and_the_known(self, register):
        register(classes={"encoder-only-acme": ENCODER})
        with pytest.raises(ModelClassError) as caught:
            model_class_reference("encoder_only_acme")
        message = str(caught.value)
        assert message.startswith("unknown model class 'encoder_only_acme'. Did you mean 'encoder-only-acme'")
        assert "encoder-only-acme, encoder-only-base" in message.partition("Known: ")[2]

    def test_an_unknown_key_that_is_near_none(self):
        with pytest.raises(ModelClassError, match=r"^unknown model class 'qqqqqqqqqqqqqqqqq'\. Known: "):
            model_class_reference("q" * 17)

    def test_a_key_that_a_distribution_would_bring(self, hint):
        hint(model_classes={"Encoder-Only-Hinted": "flagembedding-hinted"})
        with pytest.raises(ModelClassError) as caught:
            model_class_reference("encoder-only-hinted")
        assert str(caught.value) == (
            "the model class 'encoder-only-hinted' comes with flagembedding-hinted. "
            "Run: pip install flagembedding-hinted"
        )

    def test_a_key_that_two_plugins_register(self, register):
        register(classes={"encoder-only-acme": ENCODER})
        register(classes={"encoder-only-acme": DECODER})
        with pytest.raises(
            NameConflictError, match="the model class 'encoder-only-acme' is claimed by this process and"
        ):
            model_class_reference("encoder-only-acme")


class TestExports:
    def test_names_and_classes(self, register):
        before = exported_names()
        register(classes={"decoder-only-acme": DECODER})
        assert exported_names() == sorted([*before, "AcmeModel", "AcmeDecoder"])
        assert exported_class("AcmeModel") is json.JSONDecoder
        assert exported_class("AcmeDecoder") is json.JSONDecoder

    def test_the_package_has_them(self, register):
        register(classes={"decoder-only-acme": DECODER})
        assert FlagEmbedding.AcmeModel is json.JSONDecoder
        assert "AcmeModel" in dir(FlagEmbedding)

    def test_an_unknown_name_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match=r"^module 'FlagEmbedding' has no attribute 'AcmeModel'$"):
            exported_class("AcmeModel")
        assert not hasattr(FlagEmbedding, "AcmeModel")

    def test_a_name_that_a_distribution_would_bring_is_an_import_error(self, hint):
        hint(exports={"AcmeModel": "flagembedding-acme"})
        with pytest.raises(ImportError) as caught:
            exported_class("AcmeModel")
        assert str(caught.value) == (
            "AcmeModel comes with flagembedding-acme, which is not installed or not active. "
            "Run: pip install flagembedding-acme (and see: flagembedding plugins)"
        )

    def test_a_name_that_two_classes_export(self, register):
        register(classes={"decoder-only-acme": DECODER})
        register(classes={"encoder-only-acme": ModelClass("json:JSONEncoder", exports=("AcmeModel",))})
        assert exported_class("AcmeDecoder") is json.JSONDecoder
        with pytest.raises(NameConflictError, match="the export 'AcmeModel' is claimed by this process and this proc"):
            exported_class("AcmeModel")


class TestPoolings:
    def test_claims(self, register):
        register(poolings={"acme-max": "json:loads"})
        assert pooling_claims()["acme-max"] == [Claim("json:loads", "this process")]

    def test_the_ground_floor_sees_them(self, register):
        register(poolings={"acme-max": "json:loads"})
        assert POOLING_FUNCTIONS.load("acme-max") is json.loads
        assert POOLING_FUNCTIONS.reference("mean") == "FlagEmbedding.engine.pooling:mean"
