"""Each way in which a plugin can fail: it is recorded with its cause, and the others work on."""

from __future__ import annotations

import logging
import sys
import traceback

import pytest

from FlagEmbedding.errors import PluginError
from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.plugins.records import Contribution, PluginRecord, Status

HOOKS = (
    "flagembedding_embedder_configs, flagembedding_reranker_configs, flagembedding_embedder_classes, "
    "flagembedding_reranker_classes, flagembedding_pooling_functions, flagembedding_engines, "
    "flagembedding_locate_model"
)

FAR = f"flagembedding_{'q' * 60}"

AT_IMPORT = {
    "import error": ("import acme_missing", ModuleNotFoundError, "ModuleNotFoundError: No module named 'acme_missing'"),
    "syntax error": ("def hooks(:", SyntaxError, "SyntaxError: invalid syntax (acme_hooks.py, line 4)"),
    "exception": ("raise ValueError('first\\nsecond')", ValueError, "ValueError: first"),
    "exception without text": ("raise RuntimeError", RuntimeError, "RuntimeError: "),
    "exit": ("import sys; sys.exit('goodbye')", SystemExit, "SystemExit: goodbye"),
}

TABLE = "@hookimpl\ndef {hook}():\n    {body}\n"


def table(body: str, hook: str = "flagembedding_embedder_configs") -> str:
    return TABLE.format(hook=hook, body=body)


IN_A_HOOK = {
    "raises": (table("raise KeyError('acme')"), "KeyError: 'acme'"),
    "exits": (table("raise SystemExit(3)"), "SystemExit: 3"),
    "none": (table("pass"), "its hook flagembedding_embedder_configs returned NoneType, not a mapping of names"),
    "list": (table("return []"), "its hook flagembedding_embedder_configs returned list, not a mapping of names"),
    "key of another type": (
        table("return {3: None}"),
        "its hook flagembedding_embedder_configs names an entry 3; a name is a string without outer blanks",
    ),
    "empty key": (
        table("return {'': None}"),
        "its hook flagembedding_embedder_configs names an entry ''; a name is a string without outer blanks",
    ),
    "blank key": (
        table("return {' acme': None}"),
        "its hook flagembedding_embedder_configs names an entry ' acme'; a name is a string without outer blanks",
    ),
    "embedder of another type": (
        table("return {'acme-embed': {'pooling_method': 'cls'}}"),
        "its hook flagembedding_embedder_configs gives 'acme-embed' a dict, not a EmbedderConfig",
    ),
    "invalid embedder": (
        table("return {'acme-embed': EmbedderConfig('acme', 'cls')}"),
        "ConfigError: model_class is a class or 'module:Class', not 'acme'.",
    ),
    "reranker of another type": (
        table("return {'acme-rerank': EmbedderConfig('acme.model:A', 'cls')}", "flagembedding_reranker_configs"),
        "its hook flagembedding_reranker_configs gives 'acme-rerank' a EmbedderConfig, not a RerankerConfig",
    ),
    "invalid reranker": (
        table("return {'acme-rerank': RerankerConfig('acme')}", "flagembedding_reranker_configs"),
        "ConfigError: model_class is a class or 'module:Class', not 'acme'.",
    ),
    "embedder class of another type": (
        table("return {'encoder-only-acme': 'acme.model:Embedder'}", "flagembedding_embedder_classes"),
        "its hook flagembedding_embedder_classes gives 'encoder-only-acme' a str, not a ModelClass",
    ),
    "reranker class of another type": (
        table("return {'encoder-only-acme': 'acme.model:Reranker'}", "flagembedding_reranker_classes"),
        "its hook flagembedding_reranker_classes gives 'encoder-only-acme' a str, not a ModelClass",
    ),
    "pooling of another type": (
        table("return {'acme-max': max}", "flagembedding_pooling_functions"),
        "its hook flagembedding_pooling_functions gives 'acme-max' a builtin_function_or_method, not a str",
    ),
    "pooling that is no reference": (
        table("return {'acme-max': 'acme.pooling.maximum'}", "flagembedding_pooling_functions"),
        (
            "its hook flagembedding_pooling_functions gives 'acme-max' the value 'acme.pooling.maximum', "
            "which is not 'module:name'"
        ),
    ),
}

CONTRACT = {
    "no hook": ("", f"it implements none of the hooks ({HOOKS})"),
    "no hook, but a value of that spelling": (
        "flagembedding_version = 3",
        f"it implements none of the hooks ({HOOKS})",
    ),
    "no marker": (
        "def flagembedding_embedder_configs():\n    return {}",
        "its function flagembedding_embedder_configs is not marked with @hookimpl, so it would never be called",
    ),
    "unknown hook, near a known one": (
        table("return {}", "flagembedding_embeder_configs"),
        (
            "this version of flagembedding-core has no hook flagembedding_embeder_configs. "
            "Did you mean 'flagembedding_embedder_configs'"
        ),
    ),
    "unknown hook": (
        table("return {}", FAR),
        f"this version of flagembedding-core has no hook {FAR}. Known: {HOOKS}.",
    ),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef flagembedding_embedder_configs():\n    return (yield)",
        "its hook flagembedding_embedder_configs is a wrapper; wrappers around other plugins are not supported",
    ),
    "old-style wrapper": (
        "@hookimpl(hookwrapper=True)\ndef flagembedding_embedder_configs():\n    yield",
        "its hook flagembedding_embedder_configs is a wrapper; wrappers around other plugins are not supported",
    ),
}


def cases(table: dict[str, tuple]) -> list:
    return [pytest.param(*values, id=name) for name, values in table.items()]


def origin(error: BaseException) -> str:
    """Return the file in which an error was raised."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


@pytest.mark.parametrize(("source", "error", "reason"), cases(AT_IMPORT))
def test_failure_at_import(site, load_one, source, error, reason):
    site.plugin("acme", source)
    record = load_one()
    assert (record.name, record.distribution, record.version) == ("acme", "acme", "1.0")
    assert (record.status, record.reason, record.contribution) == (Status.FAILED, reason, Contribution())
    assert type(record.error) is error


@pytest.mark.parametrize(("source", "reason"), cases(IN_A_HOOK))
def test_failure_in_a_hook_that_returns_a_table(site, load_one, models, source, reason):
    site.plugin("acme", source)
    record = load_one()
    assert (record.status, record.contribution) == (Status.FAILED, Contribution())
    assert record.reason in (reason, f"PluginError: {reason}")


@pytest.mark.parametrize(("source", "reason"), cases(CONTRACT))
def test_breach_of_the_contract(site, load_one, source, reason):
    site.plugin("acme", source)
    record = load_one()
    assert record.status is Status.FAILED
    assert type(record.error) is PluginError
    assert record.reason.startswith(f"PluginError: {reason}")


def test_an_unknown_hook_may_be_marked_as_optional(site, load_one):
    site.plugin("acme", "@hookimpl(optionalhook=True)\ndef flagembedding_of_tomorrow():\n    return {}")
    assert load_one().status is Status.ACTIVE


@pytest.mark.parametrize(
    ("hook", "arguments"), [("flagembedding_locate_model", "name"), ("flagembedding_embedder_configs", "model_name")]
)
def test_a_hook_with_a_wrong_argument(site, load, load_one, hook, arguments):
    site.plugin("acme", f"@hookimpl\ndef {hook}({arguments}):\n    raise AssertionError")
    record = load_one()
    assert record.status is Status.FAILED
    assert type(record.error).__name__ == "PluginValidationError"
    assert hook in str(record.error)
    assert arguments in str(record.error)
    assert load().locate("acme/acme-embed") is None


@pytest.mark.parametrize(
    ("target", "error", "reason"),
    [
        ("acme_nowhere", ModuleNotFoundError, "ModuleNotFoundError: No module named 'acme_nowhere'"),
        ("json:nothing", AttributeError, "AttributeError: module 'json' has no attribute 'nothing'"),
        ("not a module!", ValueError, "ValueError: ("),
    ],
)
def test_an_entry_point_that_leads_nowhere(site, load_one, target, error, reason):
    site.metadata("acme", entry_points=f"[flagembedding]\nacme = {target}\n")
    record = load_one()
    assert record.status is Status.FAILED
    assert type(record.error) is error
    assert record.reason.startswith(reason)


def test_the_error_keeps_its_traceback(site, load_one):
    site.plugin("acme", "def deep():\n    raise ValueError('here')\ndeep()")
    assert origin(load_one().error) == str(site.folder / "acme_hooks.py")


DAMAGED = {
    "no value": (b"[flagembedding]\nacme\n", TypeError),
    "binary": (b"[flagembedding]\nacme = \xff\xfe\x00\n", UnicodeDecodeError),
}


@pytest.mark.parametrize(("content", "error"), cases(DAMAGED))
class TestDamagedEntryPoints:
    def test_they_are_recorded_under_the_name_of_the_distribution(self, site, load_one, content, error):
        site.metadata("acme", "3.0", content)
        record = load_one()
        assert (record.name, record.owner, record.status) == ("acme", "acme 3.0", Status.FAILED)
        assert record.reason.startswith(f"its entry_points.txt cannot be read: {error.__name__}: ")
        assert type(record.error) is error

    def test_the_other_plugins_work(self, site, load, models, content, error):
        site.metadata("acme", "3.0", content)
        site.embedders("other", "other-embed")
        assert models(load()) == {"other-embed": ["other 1.0"]}

    def test_they_are_logged_like_any_failure(self, site, load, caplog, content, error):
        site.metadata("acme", "3.0", content)
        load()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert caplog.messages[0].startswith("plugin 'acme' (acme 3.0) failed: its entry_points.txt cannot be read: ")

    def test_they_can_be_disabled(self, site, load_one, caplog, content, error):
        site.metadata("acme", "3.0", content)
        expected = PluginRecord("acme", "acme", "3.0", Status.DISABLED, "named in FLAGEMBEDDING_DISABLE_PLUGINS")
        assert load_one(FLAGEMBEDDING_DISABLE_PLUGINS="acme") == expected
        assert caplog.messages == []


class TestDamagedMetadata:
    ENTRY_POINTS = "[flagembedding]\nacme = acme_hooks\n"

    @pytest.fixture
    def damage(self, site):
        def write(metadata: str | None) -> None:
            site.embedders("acme", "acme-embed")
            path = site.folder / "acme-1.0.dist-info" / "METADATA"
            path.unlink() if metadata is None else path.write_text(metadata, encoding="utf-8")

        return write

    @pytest.mark.parametrize(("metadata", "version"), [(None, ""), ("", ""), ("Version: 1.0\n", "1.0")])
    def test_without_a_name_the_folder_names_the_distribution(self, damage, site, load_one, metadata, version):
        damage(metadata)
        record = load_one()
        assert (record.name, record.status, record.version) == ("acme", Status.ACTIVE, version)
        assert record.distribution == str(site.folder / "acme-1.0.dist-info")

    def test_without_a_version_the_owner_is_the_name_alone(self, damage, load_one):
        damage("Name: acme\n")
        assert (load_one().version, load_one().owner) == ("", "acme")

    def test_the_other_plugins_work(self, damage, site, load, models):
        damage(None)
        site.embedders("other", "other-embed")
        assert models(load())["other-embed"] == ["other 1.0"]


class TestTheOthers:
    @pytest.mark.parametrize("source", ["import acme_missing", "", table("return None"), "raise SystemExit"])
    @pytest.mark.parametrize("name", ["aaa", "zzz"])
    def test_they_work_whether_they_come_before_or_after(self, site, load, models, name, source):
        site.plugin(name, source)
        site.embedders("mmm", "acme-embed")
        manager = load()
        assert models(manager) == {"acme-embed": ["mmm 1.0"]}
        assert {record.name: record.status for record in manager.records()} == {
            name: Status.FAILED,
            "mmm": Status.ACTIVE,
        }

    def test_nothing_of_a_failed_plugin_counts(self, site, load, models):
        good = table("return {'acme-embed': EmbedderConfig('acme.model:Embedder', 'cls')}")
        locator = "@hookimpl\ndef flagembedding_locate_model(model_name):\n    raise AssertionError\n"
        site.plugin("acme", good + locator + table("return None", "flagembedding_pooling_functions"))
        manager = load()
        assert models(manager) == {}
        assert manager.locate("acme/acme-embed") is None


class TestKeyboardInterrupt:
    @pytest.mark.parametrize("source", ["raise KeyboardInterrupt", table("raise KeyboardInterrupt")])
    def test_it_passes_through(self, site, load, source):
        site.plugin("acme", source)
        with pytest.raises(KeyboardInterrupt):
            load()

    def test_the_next_question_loads_afresh(self, site, models, monkeypatch):
        monkeypatch.setattr(sys, "acme_interrupts", [KeyboardInterrupt()], raising=False)
        interrupted_once = "import sys\nif sys.acme_interrupts:\n    raise sys.acme_interrupts.pop()\n"
        site.plugin("aaa", interrupted_once + table("return {}"))
        site.embedders("bbb", "acme-embed")
        manager = PluginManager({})
        with pytest.raises(KeyboardInterrupt):
            manager.load()
        assert [(record.name, record.status, record.reason) for record in manager.records()] == [
            ("aaa", Status.ACTIVE, ""),
            ("bbb", Status.ACTIVE, ""),
        ]
        assert models(manager) == {"acme-embed": ["bbb 1.0"]}
        assert "cls" in manager.claims("flagembedding_pooling_functions", lambda tables: tables.poolings)


class TestLogging:
    def test_a_failure_is_one_warning(self, site, load, caplog):
        caplog.set_level(logging.DEBUG, logger="FlagEmbedding")
        site.plugin("flagembedding-acme", "raise ValueError('broken')", entry_point="acme", version="2.1")
        manager = load()
        manager.records()
        manager.locate("acme/acme-embed")
        assert [(record.name.partition(".")[0], record.levelname) for record in caplog.records] == [
            ("FlagEmbedding", "WARNING")
        ]
        assert caplog.messages == ["plugin 'acme' (flagembedding-acme 2.1) failed: ValueError: broken"]

    def test_nothing_is_printed(self, site, load, capfd):
        site.plugin("acme", "raise ValueError('broken')")
        load()
        assert capfd.readouterr() == ("", "")
