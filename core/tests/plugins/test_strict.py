"""The strict switch: any failed plugin raises, at the load and at each later question."""

from __future__ import annotations

import pytest

from FlagEmbedding.errors import PluginError
from FlagEmbedding.plugins.manager import PluginManager

STRICT = "FLAGEMBEDDING_STRICT_PLUGINS"
MESSAGE = r"^plugin 'acme' \(flagembedding-acme 2\.1\) failed: ValueError: broken$"

QUESTIONS = {
    "load": PluginManager.load,
    "records": PluginManager.records,
    "claims": lambda manager: manager.claims("flagembedding_embedder_configs", lambda tables: tables.embedders),
    "locate": lambda manager: manager.locate("acme/acme-embed"),
    "register": lambda manager: manager.register(object(), "mine"),
}


@pytest.fixture
def broken(site):
    site.plugin("flagembedding-acme", "raise ValueError('broken')", entry_point="acme", version="2.1")
    site.embedders("other", "other-embed")
    return site


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("value", ["1", "yes"])
def test_each_question_raises_every_time(broken, question, value):
    manager = PluginManager({STRICT: value})
    for _ in range(3):
        with pytest.raises(PluginError, match=MESSAGE) as caught:
            question(manager)
        assert type(caught.value.__cause__) is ValueError


@pytest.mark.parametrize("environ", [{}, {STRICT: ""}, {STRICT: "0"}])
def test_it_is_off_by_default(broken, load, models, environ):
    assert models(load(**environ)) == {"other-embed": ["other 1.0"]}


def test_it_raises_for_damaged_entry_points(site, load):
    site.metadata("acme", entry_points=b"[flagembedding]\nacme = \xff\n")
    with pytest.raises(PluginError, match=r"^plugin 'acme' \(acme 1\.0\) failed: its entry_points\.txt cannot be read"):
        load(**{STRICT: "1"})


def test_without_a_failure_nothing_is_raised(site, load, models):
    site.embedders("acme", "acme-embed")
    assert models(load(**{STRICT: "1"})) == {"acme-embed": ["acme 1.0"]}


def test_a_disabled_plugin_is_no_failure(broken, load, models):
    assert models(load(**{STRICT: "1", "FLAGEMBEDDING_DISABLE_PLUGINS": "acme"})) == {"other-embed": ["other 1.0"]}


def test_a_refused_registration_is_no_lasting_failure(load):
    manager = load(**{STRICT: "1"})
    with pytest.raises(PluginError, match="the plugin 'mine' was refused"):
        manager.register(object(), "mine")
    assert manager.records() == []
