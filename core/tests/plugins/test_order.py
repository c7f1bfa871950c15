"""The order of plugins depends on their names, and not on where or when they were installed."""

from __future__ import annotations

import itertools

import pytest

from FlagEmbedding.plugins.discovery import find_candidates

LAST = """
@hookimpl(trylast=True)
def flagembedding_embedder_configs():
    return {"aaa-embed": EmbedderConfig("acme.model:Embedder", "cls")}
"""

FIRST = LAST.replace("trylast", "tryfirst").replace("aaa", "zzz")


@pytest.mark.parametrize("order", list(itertools.permutations(["Bbb", "aaa", "ccc"])))
class TestPermuted:
    def test_on_the_path(self, new_site, load, models, order):
        for name in order:
            new_site().embedders(name, f"{name}-embed", entry_point=name.lower())
        manager = load()
        assert [record.name for record in manager.records()] == ["aaa", "bbb", "ccc"]
        assert list(models(manager)) == ["aaa-embed", "Bbb-embed", "ccc-embed"]

    def test_in_one_folder(self, site, load, models, order):
        for name in order:
            site.embedders(name, f"{name}-embed", entry_point=name.lower())
        assert list(models(load())) == ["aaa-embed", "Bbb-embed", "ccc-embed"]

    def test_equal_names_are_in_order_of_distribution(self, new_site, load, models, order):
        for name in order:
            new_site().embedders(name, "acme-embed", entry_point="acme")
        assert models(load()) == {"acme-embed": ["aaa 1.0", "Bbb 1.0", "ccc 1.0"]}

    def test_the_first_locator_in_the_order_answers(self, new_site, load, tmp_path, order):
        for name in order:
            (tmp_path / name).mkdir()
            source = f"@hookimpl\ndef flagembedding_locate_model():\n    return {str(tmp_path / name)!r}"
            new_site().plugin(name, source, entry_point=name.lower())
        assert load().locate("acme/acme-embed") == str(tmp_path / "aaa")


def test_models_of_one_plugin_keep_its_order(site, load, models):
    site.embedders("acme", "b-embed", "c-embed", "a-embed")
    assert list(models(load())) == ["b-embed", "c-embed", "a-embed"]


def test_trylast_goes_last_and_tryfirst_first(site, load, models):
    site.plugin("aaa", LAST)
    site.embedders("mmm", "mmm-embed")
    site.plugin("zzz", FIRST)
    manager = load()
    assert list(models(manager)) == ["zzz-embed", "mmm-embed", "aaa-embed"]
    assert [record.name for record in manager.records()] == ["aaa", "mmm", "zzz"]


def test_candidates_are_found_in_order_without_an_import(site):
    site.embedders("bbb", "bbb-embed")
    site.embedders("aaa", "aaa-embed")
    site.metadata("ccc", entry_points="[flagembedding]\nccc = acme_missing\naab = acme_missing\n")
    assert [candidate.record.name for candidate in find_candidates({})] == ["aaa", "aab", "bbb", "ccc"]
    assert site.imported() == []
