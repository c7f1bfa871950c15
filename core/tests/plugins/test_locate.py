"""locate(): the plugins' local folders for a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from FlagEmbedding.errors import PluginError
from FlagEmbedding.plugins import hookimpl


class Locator:
    """Answers with a fixed value, or raises it; remembers what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    @hookimpl
    def flagembedding_locate_model(self, model_name):
        self.asked.append(model_name)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Folder:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


@pytest.fixture
def manager(load):
    return load()


def test_without_locators_nothing_is_located(manager):
    assert manager.locate("acme/acme-embed") is None


@pytest.mark.parametrize("kind", [str, Path, Folder])
def test_the_answer_is_the_folder_as_text(manager, tmp_path, kind):
    manager.register(Locator(kind(tmp_path)), "acme")
    found = manager.locate("acme/acme-embed")
    assert type(found) is str
    assert found == str(tmp_path)


def test_the_locator_gets_the_name_as_it_is(manager):
    locator = Locator(None)
    manager.register(locator, "acme")
    assert manager.locate("Acme/acme-embed") is None
    assert locator.asked == ["Acme/acme-embed"]


def test_the_first_answer_counts_and_none_passes_the_question_on(manager, tmp_path):
    asked_last, answering, passing = Locator(tmp_path / "missing"), Locator(tmp_path), Locator(None)
    for name, locator in [("c", asked_last), ("b", answering), ("a", passing)]:
        manager.register(locator, name)  # the last one that is registered is asked first
    assert manager.locate("acme/acme-embed") == str(tmp_path)
    assert [len(locator.asked) for locator in (passing, answering, asked_last)] == [1, 1, 0]


def test_a_locator_need_not_take_the_name(manager, tmp_path):
    class Constant:
        @hookimpl
        def flagembedding_locate_model(self):
            return tmp_path

    manager.register(Constant(), "acme")
    assert manager.locate("acme/acme-embed") == str(tmp_path)


@pytest.fixture
def installed(site, load):
    def with_locator(body: str):
        source = f"@hookimpl\ndef flagembedding_locate_model(model_name):\n    {body}"
        site.plugin("flagembedding-acme", source, entry_point="acme", version="2.1")
        return load()

    return with_locator


HINT = "Switch it off with FLAGEMBEDDING_DISABLE_PLUGINS=acme to load the model from elsewhere."


@pytest.mark.parametrize(
    ("body", "cause", "message"),
    [
        ("raise OSError('mirror is down')", OSError, "mirror is down"),
        ("return 3", TypeError, "expected str, bytes or os.PathLike object, not int"),
    ],
)
def test_an_exception_ends_the_search(installed, body, cause, message):
    with pytest.raises(PluginError) as caught:
        installed(body).locate("acme/acme-embed")
    assert str(caught.value) == (
        f"the plugin 'acme' (flagembedding-acme 2.1) failed to locate 'acme/acme-embed': {message} {HINT}"
    )
    assert type(caught.value.__cause__) is cause


def test_a_folder_that_does_not_exist_ends_the_search(installed, tmp_path):
    missing = str(tmp_path / "missing")
    with pytest.raises(PluginError) as caught:
        installed(f"return {missing!r}").locate("acme/acme-embed")
    assert str(caught.value) == (
        f"the plugin 'acme' (flagembedding-acme 2.1) located 'acme/acme-embed' in {missing!r}, which is no folder. "
        f"{HINT}"
    )


@pytest.mark.parametrize("make", [lambda folder: (folder / "file").write_text("") or folder / "file", lambda _: ""])
def test_what_is_no_folder_ends_the_search(manager, tmp_path, make):
    manager.register(Locator(make(tmp_path)), "acme")
    with pytest.raises(PluginError, match="which is no folder"):
        manager.locate("acme/acme-embed")


def test_an_exception_is_not_covered_by_a_later_locator(manager, tmp_path):
    later = Locator(tmp_path)
    manager.register(later, "later")
    manager.register(Locator(ValueError("broken")), "broken")
    with pytest.raises(PluginError, match=r"the plugin 'broken' \(this process\) failed to locate"):
        manager.locate("acme/acme-embed")
    assert later.asked == []


def test_a_failing_locator_does_not_make_the_plugin_fail(manager, caplog):
    record = manager.register(Locator(ValueError("broken")), "acme")
    with pytest.raises(PluginError):
        manager.locate("acme/acme-embed")
    assert manager.records() == [record]
    assert record.reason == ""
    assert caplog.messages == []
