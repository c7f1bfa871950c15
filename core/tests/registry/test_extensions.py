"""The classes that plugins export, and the pooling functions and engines that they register."""

from __future__ import annotations

import json

import pytest

import FlagEmbedding
from FlagEmbedding.claims import Claim
from FlagEmbedding.config import ModelClass
from FlagEmbedding.errors import NameConflictError, OptionError
from FlagEmbedding.references import ENGINES, POOLING_FUNCTIONS
from FlagEmbedding.registry import extensions
from FlagEmbedding.registry.extensions import exported_class, exported_names

DECODER = ModelClass("json:JSONDecoder", exports=("AcmeModel", "AcmeDecoder"))
ENCODER = ModelClass("json:JSONEncoder", exports=("AcmeEncoder",))


class TestExports:
    def test_names_and_classes(self, register):
        before = exported_names()
        register(classes={"decoder-only-acme": DECODER})
        assert exported_names() == sorted([*before, "AcmeModel", "AcmeDecoder"])
        assert exported_class("AcmeModel") is json.JSONDecoder
        assert exported_class("AcmeDecoder") is json.JSONDecoder

    def test_rerankers_are_exported_like_embedders(self, register):
        before = exported_names()
        register(classes={"decoder-only-acme": DECODER}, reranker_classes={"encoder-only-acme": ENCODER})
        assert exported_names() == sorted([*before, "AcmeModel", "AcmeDecoder", "AcmeEncoder"])
        assert exported_class("AcmeEncoder") is json.JSONEncoder

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

    def test_a_name_that_an_embedder_and_a_reranker_export(self, register):
        register(classes={"decoder-only-acme": DECODER}, reranker_classes={"decoder-only-acme": DECODER})
        with pytest.raises(NameConflictError, match="the export 'AcmeModel' is claimed by"):
            exported_class("AcmeModel")


class TestPoolings:
    def test_claims(self, register):
        register(poolings={"acme-max": "json:loads"})
        assert extensions.POOLINGS.claims()["acme-max"] == [Claim("json:loads", "this process")]

    def test_the_ground_floor_sees_them(self, register):
        register(poolings={"acme-max": "json:loads"})
        assert POOLING_FUNCTIONS.load("acme-max") is json.loads
        assert POOLING_FUNCTIONS.reference("mean") == "FlagEmbedding.engine.pooling:mean"


class TestEngines:
    def test_claims(self, register):
        register(engines={"acme": "json:loads"})
        assert extensions.ENGINES.claims()["acme"] == [Claim("json:loads", "this process")]

    def test_the_ground_floor_sees_them(self, register):
        register(engines={"acme": "json:loads"})
        assert ENGINES.load("acme") is json.loads

    def test_an_engine_that_a_distribution_would_bring(self, hint):
        hint(engines={"acme": "flagembedding-acme"})
        with pytest.raises(OptionError) as caught:
            ENGINES.reference("acme")
        assert str(caught.value).startswith(
            "unknown engine 'acme'. It comes with flagembedding-acme, which is not installed or not active. Run: pip "
            "install flagembedding-acme (and see: flagembedding plugins). Known: "
        )

    def test_an_engine_that_two_plugins_register(self, register):
        register(engines={"acme": "json:loads"})
        register(engines={"acme": "json:dumps"})
        with pytest.raises(NameConflictError, match="the engine 'acme' is claimed by this process and this process"):
            ENGINES.reference("acme")
