"""register() and unregister(): objects of this process as plugins, for notebooks and tests."""

from __future__ import annotations

import re
import sys

import pytest

from FlagEmbedding.errors import PluginError
from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.plugins.records import Status

OWN_POOLINGS = ["cls", "last_token", "max", "mean", "mean_sqrt_len", "weighted_mean"]


class NoHooks:
    pass


class Unmarked:
    def flagembedding_embedder_configs(self):
        return {}


class Raising:
    @hookimpl
    def flagembedding_pooling_functions(self):
        return {"acme-max": "acme.pooling:maximum"}

    @hookimpl
    def flagembedding_embedder_configs(self):
        raise ValueError("broken")


class WrongArgument:
    @hookimpl
    def flagembedding_locate_model(self, name):
        raise AssertionError

    @hookimpl
    def flagembedding_embedder_configs(self):
        raise AssertionError


REFUSED = {
    "no hooks": (NoHooks, "PluginError: it implements none of the hooks ("),
    "unmarked": (Unmarked, "PluginError: its function flagembedding_embedder_configs is not marked with @hookimpl"),
    "raising": (Raising, "ValueError: broken"),
    "wrong argument": (WrongArgument, "PluginValidationError: "),
}


def poolings(manager: PluginManager) -> list[str]:
    return sorted(manager.claims("flagembedding_pooling_functions", lambda tables: tables.poolings))


def test_a_registered_object_counts_at_once(load, in_process, models):
    manager = load()
    record = manager.register(in_process("acme-embed"), "acme")
    assert (record.name, record.owner, record.status) == ("acme", "this process", Status.ACTIVE)
    assert manager.records() == [record]
    assert models(manager) == {"acme-embed": ["this process"]}


def test_it_loads_the_installed_plugins_first(site, in_process, models):
    site.embedders("zzz", "zzz-embed")
    manager = PluginManager({})
    manager.register(in_process("acme-embed"), "acme")
    assert [record.name for record in manager.records()] == ["zzz", "acme"]
    assert list(models(manager)) == ["acme-embed", "zzz-embed"]


def test_it_conflicts_like_an_installed_one(site, load, in_process, models):
    site.embedders("acme", "acme-embed")
    manager = load()
    manager.register(in_process("acme-embed"), "acme")
    assert models(manager) == {"acme-embed": ["this process", "acme 1.0"]}


def test_unregister_takes_it_back(load, in_process, models):
    manager = load()
    manager.register(in_process("acme-embed"), "acme")
    manager.unregister("acme")
    assert manager.records() == []
    assert models(manager) == {}


def test_it_can_be_registered_again(load, in_process, models):
    manager = load()
    plugin = in_process("acme-embed")
    manager.register(plugin, "acme")
    manager.unregister("acme")
    manager.register(plugin, "acme")
    assert models(manager) == {"acme-embed": ["this process"]}


@pytest.mark.parametrize(("plugin", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_refused_registration_says_why_and_leaves_no_trace(load, in_process, models, plugin, reason):
    manager = load()
    with pytest.raises(PluginError) as caught:
        manager.register(plugin(), "acme")
    assert str(caught.value).startswith(f"the plugin 'acme' was refused: {reason}")
    assert caught.value.__cause__ is not None
    assert manager.records() == []
    assert models(manager) == {}
    assert poolings(manager) == OWN_POOLINGS
    assert manager.locate("acme/acme-embed") is None
    manager.register(in_process("acme-embed"), "acme")
    assert models(manager) == {"acme-embed": ["this process"]}


def test_a_name_that_is_taken_is_refused(load, in_process, models):
    manager = load()
    manager.register(in_process("acme-embed"), "acme")
    with pytest.raises(PluginError, match=r"^a plugin named 'acme' is registered already \(this process\)\.$"):
        manager.register(in_process("other-embed"), "acme")
    assert models(manager) == {"acme-embed": ["this process"]}


def test_the_name_of_the_core_is_taken(load, in_process):
    manager = load()
    with pytest.raises(PluginError, match="a plugin named 'core' is registered already"):
        manager.register(in_process("acme-embed"), "core")
    assert poolings(manager) == OWN_POOLINGS


def test_an_object_that_is_registered_under_another_name_is_refused(load, in_process, models):
    manager = load()
    plugin = in_process("acme-embed")
    manager.register(plugin, "acme")
    with pytest.raises(PluginError, match="'again' was refused: ValueError: Plugin already registered under a diff"):
        manager.register(plugin, "again")
    assert models(manager) == {"acme-embed": ["this process"]}


@pytest.mark.parametrize("name", ["acme", "core", "other (other)", ""])
def test_unregister_takes_back_nothing_else(site, load, models, name):
    site.embedders("other", "other-embed")
    manager = load()
    with pytest.raises(PluginError, match=re.escape(f"no plugin named {name!r}")):
        manager.unregister(name)
    assert models(manager) == {"other-embed": ["other 1.0"]}
    assert poolings(manager) == OWN_POOLINGS


ASKING = """
import sys
sys.acme_manager.records()

@hookimpl
def flagembedding_embedder_configs():
    return {}
"""


def test_a_plugin_that_asks_for_plugins_while_it_is_loaded_fails_alone(site, models, monkeypatch):
    """For instance ``from FlagEmbedding import AClassThatAPluginExports`` in a module of hooks."""
    manager = PluginManager({})
    monkeypatch.setattr(sys, "acme_manager", manager, raising=False)
    site.embedders("aaa", "aaa-embed")
    site.plugin("mmm", ASKING)
    site.embedders("zzz", "zzz-embed")
    assert {record.name: record.status.value for record in manager.records()} == {
        "aaa": "active",
        "mmm": "failed",
        "zzz": "active",
    }
    assert models(manager) == {"aaa-embed": ["aaa 1.0"], "zzz-embed": ["zzz 1.0"]}
    assert poolings(manager) == OWN_POOLINGS
