"""References: strings that stand for an object until it is needed, and tables of them."""

from __future__ import annotations

import json
import string
import sys

import pytest

from FlagEmbedding.claims import Claim
from FlagEmbedding.errors import ModelClassError, NameConflictError, OptionError
from FlagEmbedding.references import ReferenceTable, is_reference, load_reference


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Return a function that writes modules to import; they are forgotten after the test."""

    def write(modules: dict[str, str]) -> None:
        for name, source in modules.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")

    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("module:Class", True),
        ("package.module:Class", True),
        ("_p.m2:Outer.Inner_3", True),
        ("", False),
        ("module", False),
        ("module:", False),
        (":Class", False),
        ("a.b.C", False),
        ("module:Class:more", False),
        ("encoder-only-base", False),
        ("my-package.module:Class", False),
        ("package..module:Class", False),
        (".module:Class", False),
        ("2module:Class", False),
        ("module:2Class", False),
        ("module: Class", False),
        ("module:Class\n", False),
        ("C:/models/acme", False),
    ],
)
def test_is_reference(text, expected):
    assert is_reference(text) is expected


class TestLoadReference:
    def test_gives_the_object(self):
        assert load_reference("json:loads") is json.loads

    def test_gives_an_object_in_a_class(self):
        assert load_reference("string:Formatter.parse") is string.Formatter.parse

    def test_package_not_installed(self):
        with pytest.raises(ModelClassError) as caught:
            load_reference("acme_missing.model:Embedder")
        assert str(caught.value) == (
            "'acme_missing.model:Embedder' could not be imported: package 'acme_missing' is not installed."
        )
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)

    @pytest.mark.parametrize(
        ("reference", "module"),
        [("acme_old.model:Embedder", "acme_old.model"), ("acme_old.new.model:Embedder", "acme_old.new")],
    )
    def test_module_that_an_installed_package_does_not_have_yet(self, packages, reference, module):
        packages({"acme_old/__init__.py": ""})
        with pytest.raises(ModelClassError) as caught:
            load_reference(reference)
        assert str(caught.value) == (
            f"{reference!r} is not there yet: the installed version of package 'acme_old' has no module "
            f"{module!r}. Install a version that ships it, or name another class with model_class=."
        )
        assert caught.value.__cause__.name == module

    def test_import_error_for_something_else_that_the_module_needs(self, packages):
        packages({"acme_needs.py": "import acme_missing_dependency"})
        with pytest.raises(ModelClassError) as caught:
            load_reference("acme_needs:Embedder")
        assert str(caught.value) == (
            "'acme_needs:Embedder' could not be imported: No module named 'acme_missing_dependency'"
        )
        assert caught.value.__cause__.name == "acme_missing_dependency"

    def test_import_error_for_a_sibling_is_not_said_of_the_module_itself(self, packages):
        packages({"acme_half/__init__.py": "", "acme_half/model.py": "import acme_half.modeling"})
        with pytest.raises(ModelClassError, match=r"could not be imported: No module named 'acme_half\.modeling'"):
            load_reference("acme_half.model:Embedder")

    def test_name_that_the_module_cannot_import(self, packages):
        packages({"acme_from.py": "from json import nothing"})
        with pytest.raises(ModelClassError, match="could not be imported: cannot import name 'nothing' from 'json'"):
            load_reference("acme_from:Embedder")

    @pytest.mark.parametrize("attribute", ["Nothing", "Formatter.nothing", "nothing.parse"])
    def test_attribute_that_the_module_does_not_have(self, attribute):
        with pytest.raises(ModelClassError) as caught:
            load_reference(f"string:{attribute}")
        assert str(caught.value) == f"'string:{attribute}' names no object: module 'string' has no {attribute!r}."

    def test_attribute_that_a_lazy_module_cannot_import(self, packages):
        packages({"acme_lazy.py": "def __getattr__(name):\n    raise ImportError(f'{name} comes with acme-extra')"})
        with pytest.raises(ModelClassError, match="'acme_lazy:Model' could not be imported: Model comes with acme-ext"):
            load_reference("acme_lazy:Model")


class TestReferenceTable:
    @pytest.fixture
    def claims(self):
        return {
            "loads": [Claim("json:loads", "acme 1.0")],
            "gone": [Claim("acme_missing:gone", "acme 1.0")],
            "both": [Claim("json:load", "acme 1.0"), Claim("json:loads", "other 2.0")],
        }

    @pytest.fixture
    def table(self, claims):
        table = ReferenceTable("pooling method")
        table.fill_from(lambda: claims)
        return table

    def test_names_are_sorted(self, table):
        assert table.names() == ["both", "gone", "loads"]

    def test_a_new_table_is_empty(self):
        assert ReferenceTable("pooling method").names() == []

    def test_a_name_stands_for_its_reference(self, table):
        assert table.reference("loads") == "json:loads"
        assert table.load("loads") is json.loads

    def test_a_reference_stands_for_itself(self, table):
        assert table.reference("json:dumps") == "json:dumps"
        assert table.load("json:dumps") is json.dumps

    def test_the_source_is_asked_at_every_look_up(self, table, claims):
        claims["late"] = [Claim("json:dump", "acme 1.0")]
        assert table.load("late") is json.dump

    def test_naming_a_reference_imports_nothing(self, table):
        assert table.reference("gone") == "acme_missing:gone"
        with pytest.raises(ModelClassError, match="package 'acme_missing' is not installed"):
            table.load("gone")

    def test_a_name_that_nobody_registered(self, table):
        with pytest.raises(ModelClassError) as caught:
            table.reference("load")
        assert str(caught.value) == (
            "unknown pooling method 'load'. Did you mean 'loads'? Known: both, gone, loads. A plugin can register "
            "others, and 'module:name' stands for any importable one."
        )

    def test_a_name_that_two_plugins_registered(self, table):
        with pytest.raises(NameConflictError, match=r"method 'both' is claimed by acme 1\.0 and other 2\.0"):
            table.load("both")

    def test_a_table_with_an_error_of_its_own_that_knows_what_would_bring_a_name(self):
        table = ReferenceTable("engine", OptionError)
        table.fill_from(dict, {"acme": "acme-dist"}.get)
        with pytest.raises(OptionError, match=r"unknown engine 'acme'\. It comes with acme-dist, .* Known: none\."):
            table.reference("acme")
        with pytest.raises(OptionError, match=r"unknown engine 'other'\. Known: none\. A plugin"):
            table.reference("other")
