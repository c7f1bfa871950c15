"""register_embedder and its kin: whatever a plugin contributes through hooks, a program contributes in a script."""

from __future__ import annotations

import json
import re

import pytest

import FlagEmbedding
from FlagEmbedding import (
    EmbedderConfig,
    RerankerConfig,
    RerankerModelClass,
    register_embedder,
    register_engine,
    register_locator,
    register_model_class,
    register_pooling,
    register_reranker,
    temporary_registration,
)
from FlagEmbedding.config import ModelClass
from FlagEmbedding.errors import ConfigError, ModelClassError, NameConflictError, OptionError
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import ENGINES, POOLING_FUNCTIONS
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS
from FlagEmbedding.registry.resolution import resolve_embedder, resolve_reranker

pytestmark = pytest.mark.usefixtures("registering")

EMBED = EmbedderConfig("acme.model:Embedder", "cls", hub_id="acme/acme-embed")
RERANK = RerankerConfig("acme.model:Reranker", hub_id="acme/acme-rerank")


def first_token(states, mask):
    return states[:, 0]


class Embedder:
    def encode_single_device(self, sentences):
        raise NotImplementedError


class Reranker:
    def compute_score_single_gpu(self, sentence_pairs):
        raise NotImplementedError


class TestModels:
    @pytest.mark.parametrize("name", ["acme-embed", "acme", "ACME", "acme/acme-embed"])
    def test_an_embedder_with_its_aliases(self, name):
        register_embedder("acme-embed", EMBED, aliases=("acme", "acme-e"))
        assert resolve_embedder(name).config == EMBEDDERS["acme-e"] == EMBED
        assert list(EMBEDDERS)[-3:] == ["acme-embed", "acme", "acme-e"]

    def test_a_reranker_with_its_aliases(self):
        register_reranker("acme-rerank", RERANK, ["acme"])
        assert resolve_reranker("acme").config == RERANK
        assert list(RERANKERS)[-2:] == ["acme-rerank", "acme"]
        assert "acme" not in EMBEDDERS

    def test_the_same_mapping_as_assignment(self):
        register_embedder("acme-embed", EMBED)
        EMBEDDERS["acme-embed"] = other = EMBED.replace(max_length=7)
        assert EMBEDDERS["acme-embed"] is other
        with pytest.raises(NameConflictError, match=r"the embedder 'acme-embed' is registered by this process \("):
            register_embedder("acme-embed", EMBED)

    def test_a_name_that_a_plugin_owns(self, register):
        register(embedders={"acme-embed": EMBED}, rerankers={"acme-rerank": RERANK})
        new = EMBED.replace(max_length=7)
        with pytest.raises(NameConflictError, match=r"'acme-embed' is registered by this process, and this process \("):
            register_embedder("acme-new", new, aliases=["acme-embed"])
        assert "acme-new" not in EMBEDDERS
        register_embedder("acme-new", new, aliases=["acme-embed"], replace=True)
        assert EMBEDDERS["acme-embed"] is new
        with pytest.raises(NameConflictError, match="the reranker 'acme-rerank' is registered by"):
            register_reranker("acme-rerank", RERANK.replace(max_length=3))

    def test_a_conflict_of_plugins_is_decided_by_saying_so(self, register):
        register(embedders={"acme-embed": EMBED})
        register(embedders={"acme-embed": EMBED.replace(max_length=3)})
        with pytest.raises(NameConflictError, match="is registered by this process and this process, and"):
            register_embedder("acme-embed", EMBED)
        register_embedder("acme-embed", EMBED, replace=True)
        assert resolve_embedder("acme-embed").config == EMBED

    @pytest.mark.parametrize(
        ("register_it", "value", "message"),
        [
            (
                register_embedder,
                RERANK,
                "needs EmbedderConfig(model_class, pooling_method, ...), not RerankerConfig.",
            ),
            (register_reranker, EMBED, "needs RerankerConfig(model_class, ...), not EmbedderConfig."),
            (
                register_embedder,
                "acme/acme-embed",
                "needs EmbedderConfig(model_class, pooling_method, ...), not str.",
            ),
            (register_reranker, Reranker, "needs RerankerConfig(model_class, ...), not type."),
            (
                register_embedder,
                None,
                "needs EmbedderConfig(model_class, pooling_method, ...), not NoneType.",
            ),
        ],
    )
    def test_what_is_no_configuration(self, register_it, value, message):
        with pytest.raises(ConfigError, match=rf"^the \w+ 'x' {re.escape(message)}$"):
            register_it("x", value)

    @pytest.mark.parametrize("name", ["", " x", None, 5, ["x"]])
    def test_what_is_no_name(self, name):
        with pytest.raises(ConfigError, match="names are strings without outer blanks"):
            register_embedder(name, EMBED)
        with pytest.raises(ConfigError, match="names are strings without outer blanks"):
            register_reranker("x", RERANK, [name])

    def test_one_string_is_no_list_of_aliases(self):
        with pytest.raises(ConfigError, match=r"^aliases are several names, \['acme'\], not one string\.$"):
            register_embedder("x", EMBED, aliases="acme")


class TestPoolings:
    def test_a_function(self):
        register_pooling("acme-first", first_token)
        assert POOLING_FUNCTIONS.load("acme-first") is first_token
        assert "acme-first" in POOLING_FUNCTIONS.names()

    def test_a_reference_is_not_imported_before_it_is_used(self):
        register_pooling("acme-gone", "acme_missing:pool")
        with pytest.raises(ModelClassError, match="package 'acme_missing' is not installed"):
            POOLING_FUNCTIONS.load("acme-gone")

    def test_a_name_of_the_core(self):
        with pytest.raises(NameConflictError, match="'mean' is registered by flagembedding-core, and"):
            register_pooling("mean", first_token)
        with temporary_registration():
            register_pooling("mean", first_token, replace=True)
            assert POOLING_FUNCTIONS.load("mean") is first_token
        assert POOLING_FUNCTIONS.reference("mean") == "FlagEmbedding.engine.pooling:mean"

    @pytest.mark.parametrize("function", ["max", None, 5, "acme.pooling"])
    def test_what_is_no_function(self, function):
        with pytest.raises(ConfigError, match=r"method 'x' needs a function of token vectors and a mask, or"):
            register_pooling("x", function)

    @pytest.mark.parametrize("name", ["mean+max", "acme:pool"])
    def test_a_name_that_would_be_read_as_something_else(self, name):
        with pytest.raises(ConfigError, match=rf"names hold no '\+' or ':', and {re.escape(repr(name))} does\.$"):
            register_pooling(name, first_token)


class TestClasses:
    @pytest.mark.parametrize(("offered", "table"), [(Embedder, EMBEDDER_CLASSES), (Reranker, RERANKER_CLASSES)])
    def test_a_class_shows_what_it_is(self, offered, table):
        register_model_class("encoder-only-acme", offered)
        assert table.reference("encoder-only-acme") is offered

    def test_a_class_of_a_function(self):
        class Local(Embedder):
            pass

        register_embedder("acme-embed", EMBED)
        register_model_class("encoder-only-acme", Local)
        assert resolve_embedder("acme-embed", model_class="encoder-only-acme").config.model_class is Local

    @pytest.mark.parametrize("kind", ["embedder", "reranker"])
    def test_a_reference_is_said_to_be_one(self, kind):
        register_model_class("encoder-only-acme", "acme_missing:Model", kind=kind)
        table, other = (EMBEDDER_CLASSES, RERANKER_CLASSES)[:: 1 if kind == "embedder" else -1]
        assert table.reference("encoder-only-acme") == "acme_missing:Model"
        with pytest.raises(ModelClassError, match="unknown"):
            other.reference("encoder-only-acme")

    def test_a_reference_is_not_imported_to_find_out(self):
        with pytest.raises(ConfigError, match=r"say kind='embedder' or kind='reranker' for the model class 'acme'\.$"):
            register_model_class("acme", "acme_missing:Model")

    def test_all_that_a_plugin_says_of_a_class(self, model_folder):
        offered = ModelClass(Embedder, exports=("AcmeModel",), model_types=("acme",), pooling="mean")
        register_model_class("encoder-only-acme", offered)
        assert FlagEmbedding.AcmeModel is Embedder
        assert "AcmeModel" in dir(FlagEmbedding)
        config = resolve_embedder(str(model_folder({"config.json": {"model_type": "acme"}}))).config
        assert (config.model_class, config.pooling_method) == (Embedder, "mean")

    def test_a_key_of_the_enumeration(self):
        register_model_class(RerankerModelClass.DECODER_ONLY_BASE, Reranker, replace=True)
        assert RERANKER_CLASSES.reference("decoder-only-base") is Reranker

    def test_the_class_of_the_core_is_still_its_own(self):
        register_model_class("encoder-only-base", Embedder, replace=True)
        assert EMBEDDER_CLASSES.own("encoder-only-base").path.endswith("encoder_only.base:BaseEmbedder")

    def test_a_key_that_is_taken(self):
        with pytest.raises(NameConflictError, match="class 'encoder-only-base' is registered by flagembedding-c"):
            register_model_class("encoder-only-base", Embedder)

    @pytest.mark.parametrize(("offered", "kind"), [(Embedder, "reranker"), (Reranker, "embedder"), (dict, None)])
    def test_a_class_that_is_none(self, offered, kind):
        with pytest.raises(ConfigError, match=r"is no \w+ class: a subclass of AbsEmbedder has encode_"):
            register_model_class("acme", offered, kind=kind)

    @pytest.mark.parametrize("offered", ["acme", 5, None, first_token])
    def test_what_is_no_class(self, offered):
        with pytest.raises(ConfigError, match=r"^a model class is 'module:Class', not "):
            register_model_class("acme", offered)

    def test_a_kind_that_is_none(self):
        with pytest.raises(ConfigError, match=r"^kind is one of 'embedder', 'reranker', not 'embeder'\.$"):
            register_model_class("acme", Embedder, kind="embeder")


class TestEngines:
    @pytest.mark.parametrize("function", [json.loads, "json:loads"])
    def test_workers_are_told_where_it_stands(self, function):
        register_engine("acme", function)
        assert ENGINES.load("acme") is json.loads
        assert isinstance(ENGINES.reference("acme"), str)

    def test_a_function_that_workers_could_not_find(self):
        with pytest.raises(ConfigError, match=r"cannot be imported \(.*<lambda>\), so worker processes could"):
            register_engine("acme", lambda backbone: None)
        with pytest.raises(ConfigError, match="the engine 'acme' needs a function or 'module:function', not 5"):
            register_engine("acme", 5)
        with pytest.raises(OptionError, match="unknown engine 'acme'"):
            ENGINES.reference("acme")


class TestLocators:
    def test_the_last_one_is_asked_first_and_before_plugins(self, register, tmp_path):
        folders = {name: tmp_path / name for name in ("plugin", "first", "last")}
        for folder in folders.values():
            folder.mkdir()
        register(folders={"acme": folders["plugin"], "other": folders["plugin"]})
        register_locator({"acme": folders["first"], "more": folders["first"]}.get)
        register_locator({"acme": folders["last"]}.get)
        found = [plugin_manager().locate(name) for name in ("acme", "more", "other", "nobody")]
        assert found == [*map(str, (folders["last"], folders["first"], folders["plugin"])), None]

    def test_it_is_taken_back(self, tmp_path):
        before = plugin_manager().records()
        with temporary_registration():
            register_locator({"acme": tmp_path}.get)
            assert plugin_manager().locate("acme") == str(tmp_path)
        assert plugin_manager().locate("acme") is None
        assert plugin_manager().records() == before

    def test_what_is_no_function(self, tmp_path):
        with pytest.raises(ConfigError, match="a locator is a function from a model's name to its folder or None, not"):
            register_locator(tmp_path)
