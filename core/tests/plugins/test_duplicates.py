"""Two of a kind: entry points, distributions, modules, owners of the package."""

from __future__ import annotations

import sys
import warnings

import pytest

from FlagEmbedding.plugins.discovery import second_owner
from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.plugins.records import Status

HOOK = "from FlagEmbedding.plugins import hookimpl\n@hookimpl\ndef flagembedding_pooling_functions():\n    return {}\n"


def test_two_distributions_with_the_same_entry_point_name_both_load(site, load, models):
    site.embedders("aaa", "aaa-embed", entry_point="acme", version="1.0")
    site.embedders("bbb", "bbb-embed", entry_point="acme", version="2.0")
    manager = load()
    assert [(record.name, record.owner, record.status) for record in manager.records()] == [
        ("acme", "aaa 1.0", Status.ACTIVE),
        ("acme", "bbb 2.0", Status.ACTIVE),
    ]
    assert models(manager) == {"aaa-embed": ["aaa 1.0"], "bbb-embed": ["bbb 2.0"]}


@pytest.mark.parametrize("spelling", ["Acme-Embed", "acme_embed", "ACME.EMBED"])
def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(new_site, load, models, spelling):
    first, second = new_site(), new_site()
    first.embedders("Acme-Embed", "first-embed", version="1.0")
    second.embedders(spelling, "second-embed", version="9.0")
    manager = load()
    assert [record.owner for record in manager.records()] == ["Acme-Embed 1.0"]
    assert models(manager) == {"first-embed": ["Acme-Embed 1.0"]}


def test_a_first_copy_without_plugins_hides_the_second(new_site, load):
    first, second = new_site(), new_site()
    first.metadata("acme")
    second.embedders("acme", "acme-embed")
    assert load().records() == []


def test_a_folder_that_is_twice_on_the_path_counts_once(site, load, models):
    site.embedders("acme", "acme-embed")
    sys.path.insert(0, str(site.folder))
    assert models(load()) == {"acme-embed": ["acme 1.0"]}


def test_of_two_versions_that_an_upgrade_left_in_one_folder_one_counts(site, load, models):
    entry_points = "[flagembedding]\nacme = acme_hooks\n"
    site.embedders("acme", "acme-embed", version="1.0")
    site.metadata("acme", "2.0", entry_points)
    manager = load()
    (record,) = manager.records()
    assert (record.status, record.reason) == (Status.ACTIVE, "")
    assert models(manager) == {"acme-embed": [record.owner]}


def test_a_module_that_two_distributions_name_counts_once_and_the_other_one_fails(site, load):
    for name in ("aaa", "bbb"):
        site.metadata(name, entry_points="[flagembedding]\nacme = acme_shared\n")
    site.write("acme_shared.py", HOOK)
    failed, active = load().records()
    assert (active.owner, active.status) == ("bbb 1.0", Status.ACTIVE)
    assert (failed.owner, failed.status) == ("aaa 1.0", Status.FAILED)
    assert "already registered" in failed.reason


class TestOneNameTwoClaims:
    @pytest.fixture
    def manager(self, site, load):
        site.embedders("aaa", "acme-embed", "aaa-embed", version="1.0")
        site.embedders("bbb", "acme-embed", "bbb-embed", version="2.0")
        return load()

    def test_both_plugins_are_active(self, manager):
        assert [record.status for record in manager.records()] == [Status.ACTIVE, Status.ACTIVE]

    def test_both_claims_are_kept(self, manager, models):
        assert models(manager) == {
            "acme-embed": ["aaa 1.0", "bbb 2.0"],
            "aaa-embed": ["aaa 1.0"],
            "bbb-embed": ["bbb 2.0"],
        }


class TestSecondOwner:
    @pytest.mark.parametrize("folder", ["FlagEmbedding-1.3.5.dist-info", "flagembedding-1.3.5.dist-info"])
    def test_a_warning_names_both(self, site, folder):
        site.write(f"{folder}/METADATA", "Metadata-Version: 2.1\nName: FlagEmbedding\nVersion: 1.3.5\n")
        with pytest.warns(RuntimeWarning) as caught:
            PluginManager({}).load()
        assert [str(warning.message) for warning in caught] == [
            (
                "two installed distributions own the package 'FlagEmbedding': flagembedding-core and "
                "FlagEmbedding 1.3.5; they overwrite each other's files. Run: pip uninstall FlagEmbedding && "
                "pip install --force-reinstall --no-deps flagembedding-core"
            )
        ]

    @pytest.mark.parametrize("metadata", [None, "", "Name: FlagEmbedding\n"])
    def test_one_without_metadata_is_warned_of_too(self, site, metadata):
        site.write("flagembedding-1.3.5.dist-info/RECORD", "")
        if metadata is not None:
            site.write("flagembedding-1.3.5.dist-info/METADATA", metadata)
        with pytest.warns(RuntimeWarning, match="two installed distributions own the package 'FlagEmbedding'"):
            PluginManager({}).load()

    def test_the_plugins_work_nevertheless(self, site, models):
        site.metadata("FlagEmbedding", "1.3.5")
        site.embedders("acme", "acme-embed")
        manager = PluginManager({})
        with pytest.warns(RuntimeWarning, match="two installed distributions"):
            assert models(manager) == {"acme-embed": ["acme 1.0"]}

    def test_it_is_said_once(self, site):
        site.metadata("FlagEmbedding", "1.3.5")
        manager = PluginManager({})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            manager.load()
            manager.records()
        assert [warning.category for warning in caught] == [RuntimeWarning]

    def test_the_core_and_its_families_are_no_second_owner(self, site):
        site.metadata("flagembedding-core", "0.1.0")
        site.metadata("flagembedding-acme", "0.1.0")
        assert second_owner() is None
