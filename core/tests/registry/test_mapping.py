"""ModelMapping: what the plugins claim, and on top of it what the user assigned."""

from __future__ import annotations

import pytest

from FlagEmbedding.claims import Claim
from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.errors import ConfigError, NameConflictError
from FlagEmbedding.registry.mapping import EMBEDDERS, ModelMapping


def config(hub_id: str) -> EmbedderConfig:
    return EmbedderConfig("acme.model:Embedder", "cls", hub_id=hub_id)


Z, BOTH_A, BOTH_B, A, NEW = (config(f"acme/{name}") for name in ("z", "both-a", "both-b", "a", "new"))


@pytest.fixture
def claims():
    return {
        "z": [Claim(Z, "acme 1.0")],
        "both": [Claim(BOTH_A, "acme 1.0"), Claim(BOTH_B, "other 2.0")],
        "a": [Claim(A, "other 2.0")],
    }


@pytest.fixture
def mapping(claims):
    return ModelMapping("embedder", EmbedderConfig, lambda: claims)


class TestReading:
    def test_a_claimed_name_gives_its_configuration(self, mapping):
        assert mapping["z"] is Z
        assert mapping.get("a") is A

    def test_an_unknown_name_is_a_key_error(self, mapping):
        with pytest.raises(KeyError, match="'nothing'"):
            mapping["nothing"]
        assert mapping.get("nothing") is None
        assert mapping.get("nothing", NEW) is NEW

    @pytest.mark.parametrize(("name", "expected"), [("z", True), ("both", False), ("nothing", False), (3, False)])
    def test_contains(self, mapping, name, expected):
        assert (name in mapping) is expected

    def test_iteration_keeps_the_order_of_the_claims(self, mapping):
        assert list(mapping) == ["z", "a"]
        assert list(mapping.items()) == [("z", Z), ("a", A)]
        assert len(mapping) == 2

    def test_it_unpacks_and_compares_like_a_dict(self, mapping):
        assert {**mapping} == {"z": Z, "a": A}
        assert mapping == {"z": Z, "a": A}

    def test_later_claims_count(self, mapping, claims):
        claims["late"] = [Claim(NEW, "late 3.0")]
        assert mapping["late"] is NEW
        assert list(mapping) == ["z", "a", "late"]

    def test_repr_says_how_many_there_are(self, mapping):
        assert repr(mapping) == "<ModelMapping of 2 embedder names>"
        mapping["new"] = NEW
        assert repr(mapping) == "<ModelMapping of 3 embedder names>"


class TestConflict:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda mapping: mapping["both"],
            lambda mapping: mapping.get("both"),
            lambda mapping: mapping.pop("both", None),
            lambda mapping: mapping.setdefault("both", NEW),
            lambda mapping: mapping.owner("both"),
        ],
    )
    def test_asking_for_the_name_names_both_owners(self, mapping, ask):
        with pytest.raises(NameConflictError, match=r"the embedder 'both' is claimed by acme 1\.0 and other 2\.0"):
            ask(mapping)

    def test_it_is_listed(self, mapping):
        assert mapping.conflicts() == {"both": ["acme 1.0", "other 2.0"]}

    def test_assigning_decides_it(self, mapping):
        mapping["both"] = BOTH_B
        assert mapping["both"] is BOTH_B
        assert mapping.conflicts() == {}
        assert list(mapping) == ["z", "both", "a"]
        assert mapping.owner("both").startswith(f"this process ({__file__}:")


class TestAssigning:
    def test_a_new_name_comes_last(self, mapping):
        mapping["new"] = NEW
        assert mapping["new"] is NEW
        assert list(mapping) == ["z", "a", "new"]

    def test_a_claimed_name_is_replaced_in_its_place(self, mapping, claims):
        mapping["z"] = NEW
        assert mapping["z"] is NEW
        assert list(mapping) == ["z", "a"]
        assert claims["z"][0].value is Z

    def test_update(self, mapping):
        mapping.update({"new": NEW}, a=Z)
        assert {**mapping} == {"z": Z, "a": Z, "new": NEW}

    def test_setdefault(self, mapping):
        assert mapping.setdefault("z", NEW) is Z
        assert mapping.setdefault("new", NEW) is NEW
        assert mapping["new"] is NEW

    @pytest.mark.parametrize("name", ["", " ", " new", "new\n", 3, None, ("new",)])
    def test_a_name_that_is_no_usable_string_is_refused(self, mapping, name):
        with pytest.raises(ConfigError) as caught:
            mapping[name] = NEW
        assert str(caught.value) == f"embedder names are strings without outer blanks, not {name!r}."
        assert list(mapping) == ["z", "a"]

    @pytest.mark.parametrize(("value", "kind"), [({}, "dict"), (None, "NoneType"), (EmbedderConfig, "type")])
    def test_a_value_that_is_no_configuration_is_refused(self, mapping, value, kind):
        with pytest.raises(ConfigError) as caught:
            mapping["new"] = value
        assert (
            str(caught.value)
            == f"the embedder 'new' needs EmbedderConfig(model_class, pooling_method, ...), not {kind}."
        )
        assert "new" not in mapping

    @pytest.mark.parametrize(("name", "owner"), [("z", "acme 1.0"), ("a", "other 2.0"), ("new", "this process")])
    def test_owner(self, mapping, name, owner):
        mapping["new"] = NEW
        assert mapping.owner(name).partition(" (")[0] == owner

    @pytest.mark.parametrize("assign", ["update", "setdefault"])
    def test_the_owner_is_where_the_program_says_it(self, mapping, assign):
        getattr(mapping, assign)(*([{"new": NEW}] if assign == "update" else ["new", NEW]))
        assert mapping.owner("new").startswith(f"this process ({__file__}:")

    def test_owner_of_an_unknown_name(self, mapping):
        with pytest.raises(KeyError, match="'nothing'"):
            mapping.owner("nothing")


class TestDeleting:
    @pytest.mark.parametrize("assigned", [False, True])
    def test_a_claimed_name_is_gone_even_if_it_was_replaced(self, mapping, claims, assigned):
        if assigned:
            mapping["z"] = NEW
        del mapping["z"]
        assert "z" not in mapping
        assert list(mapping) == ["a"]
        assert claims["z"][0].value is Z
        with pytest.raises(KeyError, match="'z'"):
            mapping["z"]

    def test_an_assigned_name(self, mapping):
        mapping["new"] = NEW
        del mapping["new"]
        assert list(mapping) == ["z", "a"]

    def test_a_deleted_name_can_be_assigned_again_and_comes_last(self, mapping):
        del mapping["z"]
        mapping["z"] = NEW
        assert mapping["z"] is NEW
        assert list(mapping) == ["a", "z"]
        del mapping["z"]
        assert list(mapping) == ["a"]

    def test_a_decided_conflict_is_gone(self, mapping):
        mapping["both"] = BOTH_A
        del mapping["both"]
        assert "both" not in mapping
        assert mapping.conflicts() == {}

    def test_an_unknown_name_is_a_key_error(self, mapping):
        with pytest.raises(KeyError, match="'nothing'"):
            del mapping["nothing"]

    def test_pop(self, mapping):
        assert mapping.pop("z") is Z
        assert mapping.pop("z", None) is None
        assert list(mapping) == ["a"]

    def test_clear(self, mapping):
        mapping["new"] = NEW
        mapping.clear()
        assert list(mapping) == []
        assert len(mapping) == 0


class TestTheMappingOfTheProcess:
    def test_a_registered_plugin_counts_at_once_and_until_it_is_taken_back(self, register):
        register(embedders={"acme-embed": NEW})
        assert EMBEDDERS["acme-embed"] is NEW
        assert EMBEDDERS.owner("acme-embed") == "this process"

    def test_it_is_gone_afterwards(self):
        assert "acme-embed" not in EMBEDDERS

    @pytest.mark.usefixtures("registering")
    def test_two_plugins_conflict_until_the_name_is_assigned(self, register):
        register(embedders={"acme-embed": NEW, "acme-other": A})
        register(embedders={"acme-embed": Z})
        with pytest.raises(NameConflictError, match="is claimed by this process and this process"):
            EMBEDDERS["acme-embed"]
        assert EMBEDDERS["acme-other"] is A
        assert EMBEDDERS.conflicts()["acme-embed"] == ["this process", "this process"]
        EMBEDDERS["acme-embed"] = Z
        assert EMBEDDERS["acme-embed"] is Z
