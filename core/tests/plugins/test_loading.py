"""What becomes of installed plugins that are as they should be."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig
from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.plugins.records import Contribution, PluginRecord, Status

EVERYTHING = """
@hookimpl
def flagembedding_embedder_configs():
    return {"acme-embed": EmbedderConfig("acme.model:Embedder", "acme-max", hub_id="acme/acme-embed")}

@hookimpl
def flagembedding_reranker_configs():
    return {"acme-rerank": RerankerConfig("acme.model:Reranker", hub_id="acme/acme-rerank")}

@hookimpl
def flagembedding_embedder_classes():
    return {"encoder-only-acme": ModelClass("acme.model:Embedder", exports=("AcmeModel",))}

@hookimpl
def flagembedding_reranker_classes():
    return {"encoder-only-acme": ModelClass("acme.model:Reranker", exports=("AcmeReranker",))}

@hookimpl
def flagembedding_pooling_functions():
    return {"acme-max": "acme.pooling:maximum"}
"""


def test_without_plugins_there_are_no_records(load):
    assert load().records() == []


def test_the_core_contributes_its_own_model_classes_and_poolings(load):
    manager = load()
    embedders = manager.claims("flagembedding_embedder_classes", lambda tables: tables.embedder_classes)
    rerankers = manager.claims("flagembedding_reranker_classes", lambda tables: tables.reranker_classes)
    poolings = manager.claims("flagembedding_pooling_functions", lambda tables: tables.poolings)
    for classes in (embedders, rerankers):
        assert {key: [claim.owner for claim in classes[key]] for key in classes} == {
            "encoder-only-base": ["flagembedding-core"],
            "decoder-only-base": ["flagembedding-core"],
        }
    assert {name: [claim.value for claim in poolings[name]] for name in poolings} == {
        "last_token": ["FlagEmbedding.engine.pooling:last_token"],
        "cls": ["FlagEmbedding.engine.pooling:cls"],
        "mean": ["FlagEmbedding.engine.pooling:mean"],
        "max": ["FlagEmbedding.engine.pooling:maximum"],
        "mean_sqrt_len": ["FlagEmbedding.engine.pooling:mean_sqrt_len"],
        "weighted_mean": ["FlagEmbedding.engine.pooling:weighted_mean"],
    }


def test_the_record_of_an_active_plugin(site, load_one):
    site.plugin("flagembedding-acme", EVERYTHING, entry_point="acme", version="2.1")
    config = EmbedderConfig("acme.model:Embedder", "acme-max", hub_id="acme/acme-embed")
    assert load_one() == PluginRecord(
        name="acme",
        distribution="flagembedding-acme",
        version="2.1",
        status=Status.ACTIVE,
        reason="",
        error=None,
        contribution=Contribution(
            embedders={"acme-embed": config},
            rerankers={"acme-rerank": RerankerConfig("acme.model:Reranker", hub_id="acme/acme-rerank")},
            embedder_classes={"encoder-only-acme": ModelClass("acme.model:Embedder", ("AcmeModel",))},
            reranker_classes={"encoder-only-acme": ModelClass("acme.model:Reranker", ("AcmeReranker",))},
            poolings={"acme-max": "acme.pooling:maximum"},
        ),
    )


@pytest.mark.parametrize(("version", "owner"), [("2.1", "acme 2.1"), ("", "acme")])
def test_the_owner_is_the_distribution_with_its_version(version, owner):
    assert PluginRecord("entry", "acme", version).owner == owner


def test_a_claim_names_its_owner(site, load, models):
    site.embedders("flagembedding-acme", "acme-embed", version="2.1")
    assert models(load()) == {"acme-embed": ["flagembedding-acme 2.1"]}


def test_an_entry_point_can_name_an_object_in_a_module(site, load, models):
    site.metadata("acme", entry_points="[flagembedding]\nacme = acme_objects:Holder.plugin\n")
    source = """
        from FlagEmbedding.plugins import EmbedderConfig, hookimpl

        class Plugin:
            @hookimpl
            def flagembedding_embedder_configs(self):
                return {"acme-embed": EmbedderConfig("acme.model:Embedder", "cls")}

        class Holder:
            plugin = Plugin()
    """
    site.write("acme_objects.py", "\n".join(line[8:] for line in source.splitlines()))
    assert models(load()) == {"acme-embed": ["acme 1.0"]}


def test_a_distribution_can_name_several_plugins(site, load):
    site.metadata("acme", entry_points="[flagembedding]\nacme-b = acme_b\nacme-a = acme_a\n")
    for module in ("acme_a", "acme_b"):
        site.write(
            f"{module}.py",
            "from FlagEmbedding.plugins import hookimpl\n"
            "@hookimpl\ndef flagembedding_pooling_functions():\n    return {}\n",
        )
    assert [(record.name, record.status) for record in load().records()] == [
        ("acme-a", Status.ACTIVE),
        ("acme-b", Status.ACTIVE),
    ]


def test_entry_points_of_other_groups_are_left_alone(site, load):
    site.metadata(
        "acme", entry_points="[flagembedding.other]\na = acme_never\n[console_scripts]\nflagembedding = x:y\n"
    )
    assert load().records() == []


def test_nothing_is_imported_before_the_first_question(site):
    site.embedders("acme", "acme-embed")
    PluginManager({})
    assert site.imported() == []


@pytest.mark.parametrize(
    "ask",
    [
        PluginManager.load,
        PluginManager.records,
        lambda manager: manager.claims("flagembedding_embedder_configs", lambda tables: tables.embedders),
        lambda manager: manager.locate("acme/acme-embed"),
    ],
)
def test_each_question_loads_the_plugins(site, ask):
    site.embedders("acme", "acme-embed")
    ask(PluginManager({}))
    assert site.imported() == ["acme_hooks"]


COUNTING = """
import sys, time
sys.acme_imports = getattr(sys, "acme_imports", 0) + 1

@hookimpl
def flagembedding_embedder_configs():
    sys.acme_calls = getattr(sys, "acme_calls", 0) + 1
    time.sleep(0.05)
    return {"acme-embed": EmbedderConfig("acme.model:Embedder", "cls")}
"""


@pytest.fixture
def counters(monkeypatch):
    monkeypatch.setattr(sys, "acme_imports", 0, raising=False)
    monkeypatch.setattr(sys, "acme_calls", 0, raising=False)
    return lambda: (sys.acme_imports, sys.acme_calls)


def test_a_plugin_is_imported_and_asked_for_its_tables_once(site, load, models, counters):
    site.plugin("acme", COUNTING)
    manager = load()
    manager.load()
    manager.records()
    models(manager)
    assert counters() == (1, 1)


def test_eight_threads_that_ask_at_once_load_once_and_all_wait_for_it(site, models, counters):
    site.plugin("acme", COUNTING)
    manager = PluginManager({})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: models(manager), range(8)))
    assert answers == [{"acme-embed": ["acme 1.0"]}] * 8
    assert counters() == (1, 1)


def test_a_good_plugin_logs_and_prints_nothing(site, load, caplog, capfd):
    caplog.set_level(logging.DEBUG, logger="FlagEmbedding")
    site.embedders("acme", "acme-embed")
    load()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
