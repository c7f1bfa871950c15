"""Plugins that the environment switches off: decided before anything of them is imported."""

from __future__ import annotations

import pytest

from FlagEmbedding.plugins.records import Contribution, PluginRecord, Status

DISABLE = "FLAGEMBEDDING_DISABLE_PLUGINS"
ALLOW = "FLAGEMBEDDING_PLUGINS"

# The plugin "Acme.Embed_X" of the distribution "FlagEmbedding-Acme".
SPELLINGS = [
    "Acme.Embed_X",
    "acme-embed-x",
    "ACME__embed..x",
    "FlagEmbedding-Acme",
    "flagembedding_acme",
    "flagembedding.ACME",
]


@pytest.fixture
def two(site):
    site.embedders("FlagEmbedding-Acme", "acme-embed", entry_point="Acme.Embed_X", version="2.1")
    site.embedders("other", "other-embed")
    return site


def statuses(manager) -> dict[str, str]:
    return {record.name: record.status.value for record in manager.records()}


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestOneSpelling:
    def test_disabled(self, two, load, models, spelling):
        manager = load(**{DISABLE: spelling})
        assert statuses(manager) == {"Acme.Embed_X": "disabled", "other": "active"}
        assert models(manager) == {"other-embed": ["other 1.0"]}
        assert two.imported() == ["other_hooks"]

    def test_allowed(self, two, load, models, spelling):
        manager = load(**{ALLOW: spelling})
        assert statuses(manager) == {"Acme.Embed_X": "active", "other": "disabled"}
        assert models(manager) == {"acme-embed": ["FlagEmbedding-Acme 2.1"]}
        assert two.imported() == ["flagembedding_acme_hooks"]


@pytest.mark.parametrize(
    ("environ", "reason"), [({DISABLE: "acme"}, f"named in {DISABLE}"), ({ALLOW: "other"}, f"not named in {ALLOW}")]
)
def test_the_record_of_a_disabled_plugin(site, load_one, caplog, environ, reason):
    site.plugin("acme", "raise AssertionError('imported')", version="2.1")
    assert load_one(**environ) == PluginRecord("acme", "acme", "2.1", Status.DISABLED, reason, None, Contribution())
    assert site.imported() == []
    assert caplog.messages == []


@pytest.mark.parametrize("listed", ["aaa,ccc", " aaa , ccc ", "aaa ccc", "aaa,,ccc,", "aaa\nccc", "ccc aaa unknown"])
@pytest.mark.parametrize(("variable", "active"), [(DISABLE, ["bbb"]), (ALLOW, ["aaa", "ccc"])])
def test_lists_of_several(site, load, listed, variable, active):
    for name in ("aaa", "bbb", "ccc"):
        site.embedders(name, f"{name}-embed")
    assert [name for name, status in statuses(load(**{variable: listed})).items() if status == "active"] == active
    assert site.imported() == [f"{name}_hooks" for name in active]


@pytest.mark.parametrize("empty", ["", " ", ","])
def test_an_empty_allow_list_disables_all(two, load, models, empty):
    manager = load(**{ALLOW: empty})
    assert statuses(manager) == {"Acme.Embed_X": "disabled", "other": "disabled"}
    assert models(manager) == {}
    assert two.imported() == []


@pytest.mark.parametrize("empty", ["", " ", ","])
def test_an_empty_disable_list_disables_none(two, load, empty):
    assert statuses(load(**{DISABLE: empty})) == {"Acme.Embed_X": "active", "other": "active"}


def test_a_plugin_on_both_lists_is_disabled(two, load):
    manager = load(**{ALLOW: "other", DISABLE: "other"})
    assert {record.name: record.reason for record in manager.records()} == {
        "Acme.Embed_X": f"not named in {ALLOW}",
        "other": f"named in {DISABLE}",
    }


def test_no_list_disables_the_core(load):
    manager = load(**{ALLOW: "", DISABLE: "core,flagembedding-core"})
    assert sorted(manager.claims("flagembedding_pooling_functions", lambda tables: tables.poolings)) == [
        "cls",
        "last_token",
        "max",
        "mean",
        "mean_sqrt_len",
        "weighted_mean",
    ]


def test_part_of_a_name_is_not_the_name(two, load):
    assert statuses(load(**{DISABLE: "acme,oth,other2"})) == {"Acme.Embed_X": "active", "other": "active"}


def test_a_disabled_plugin_does_not_conflict(site, load, models):
    site.embedders("aaa", "acme-embed")
    site.embedders("bbb", "acme-embed")
    assert models(load(**{DISABLE: "aaa"})) == {"acme-embed": ["bbb 1.0"]}


def test_the_lists_do_not_apply_to_objects_of_this_process(load, in_process):
    manager = load(**{ALLOW: ""})
    assert manager.register(in_process("acme-embed"), "acme").status is Status.ACTIVE
