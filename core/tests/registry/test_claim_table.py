"""ClaimTable: what this process says goes on top of what the plugins claim, and can be taken back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FlagEmbedding.claims import Claim
from FlagEmbedding.errors import ConfigError, NameConflictError
from FlagEmbedding.registry.claim_table import ClaimTable
from FlagEmbedding.registry.temporary import temporary_registration

CLAIMED = {
    "z": [Claim("z of acme", "acme 1.0")],
    "both": [Claim("both of acme", "acme 1.0"), Claim("both of other", "other 2.0")],
    "a": [Claim("a of other", "other 2.0")],
}


@pytest.fixture
def table():
    return ClaimTable("embedder", lambda: CLAIMED)


def values(table):
    return {name: [claim.value for claim in claims] for name, claims in table.claims().items()}


def everything(table):
    """All that can be seen of a table, in order."""
    return [(name, list(claims)) for name, claims in table.claims().items()]


def here(line):
    return f"this process ({__file__}:{line})"


def line_of(text):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == text)


class TestRegister:
    def test_a_new_name_comes_last_and_says_where_it_was_registered(self, table):
        table.register(["new", "other"], "mine", replace=False)  # this very line
        claim = Claim(
            "mine", here(line_of('table.register(["new", "other"], "mine", replace=False)  # this very line'))
        )
        assert everything(table) == [*CLAIMED.items(), ("new", [claim]), ("other", [claim])]

    def test_without_it_the_claims_are_the_plugins(self, table):
        assert table.claims() is CLAIMED

    @pytest.mark.parametrize(
        ("name", "owners"),
        [("z", r"acme 1\.0"), ("both", r"acme 1\.0 and other 2\.0"), ("mine", r"this process \(.*\)")],
    )
    def test_a_name_that_is_taken_is_an_error_that_names_both(self, table, name, owners):
        table.register(["mine"], "mine", replace=False)
        before = everything(table)
        with pytest.raises(
            NameConflictError,
            match=rf"^the embedder '{name}' is registered by {owners}, and this process \({__file__}:\d+\) registers "
            r"it again\. Say replace=True to put the new one in its place, or take another name\.$",
        ):
            table.register([name], "new", replace=False)
        assert everything(table) == before

    @pytest.mark.parametrize("name", ["z", "both", "mine"])
    def test_replacing_it_is_said(self, table, name):
        table.register(["mine"], "mine", replace=False)
        names = list(table.claims())
        table.register([name], "new", replace=True)
        assert list(table.claims()) == names
        assert values(table)[name] == ["new"]
        assert CLAIMED["z"][0].value == "z of acme"

    def test_to_say_the_same_again_is_no_conflict(self, table):
        table.register(["mine"], ["a value"], replace=False)
        table.register(["mine"], ["a value"], replace=False)
        assert values(table)["mine"] == [["a value"]]

    def test_what_a_plugin_says_is_taken_even_if_it_is_the_same(self, table):
        with pytest.raises(NameConflictError, match=r"is registered by acme 1\.0"):
            table.register(["z"], "z of acme", replace=False)

    def test_all_names_or_none(self, table):
        with pytest.raises(NameConflictError, match="'a'"):
            table.register(["new", "a"], "mine", replace=False)
        with pytest.raises(ConfigError, match=r"^embedder names are strings without outer blanks, not ' new'\.$"):
            table.register(["new", " new"], "mine", replace=True)
        assert table.claims() is CLAIMED


class TestDelete:
    @pytest.mark.parametrize("registered", [False, True])
    def test_a_name_is_gone_whoever_registered_it(self, table, registered):
        if registered:
            table.register(["z"], "mine", replace=True)
        table.delete("z")
        assert list(table.claims()) == ["both", "a"]

    def test_it_can_be_registered_again_and_comes_last(self, table):
        table.delete("z")
        table.register(["z"], "mine", replace=False)
        assert values(table) == {"both": ["both of acme", "both of other"], "a": ["a of other"], "z": ["mine"]}

    def test_an_unknown_name(self, table):
        with pytest.raises(KeyError, match="'nothing'"):
            table.delete("nothing")


class TestTemporary:
    def test_afterwards_all_is_as_before(self, table):
        table.register(["mine", "more", "most"], "mine", replace=False)
        table.delete("a")
        before = everything(table)
        with temporary_registration():
            table.register(["new"], "new", replace=False)
            table.register(["mine", "z"], "new", replace=True)
            table.delete("more")
            table.register(["more"], "new", replace=False)
            table.register(["a"], "new", replace=False)
            table.delete("both")
            assert values(table) == {
                "z": ["new"],
                "mine": ["new"],
                "most": ["mine"],
                "new": ["new"],
                "more": ["new"],
                "a": ["new"],
            }
        assert everything(table) == before

    def test_after_an_exception_too(self, table):
        def failing():
            with temporary_registration():
                table.register(["new"], "new", replace=False)
                raise RuntimeError("the test")

        with pytest.raises(RuntimeError, match="the test"):
            failing()
        assert table.claims() == CLAIMED

    def test_nested(self, table):
        with temporary_registration():
            table.register(["outer"], "outer", replace=False)
            with temporary_registration():
                table.register(["outer"], "inner", replace=True)
                table.register(["inner"], "inner", replace=False)
            assert values(table)["outer"] == ["outer"]
            assert "inner" not in table.claims()
            table.register(["later"], "outer", replace=False)
        assert table.claims() == CLAIMED

    def test_a_block_in_which_nothing_is_registered(self, table):
        with temporary_registration():
            pass
        table.register(["new"], "new", replace=False)
        assert "new" in table.claims()

    def test_a_block_takes_back_what_its_own_thread_registers(self, table):
        """Two blocks that overlap, and a thread that is in none."""
        started, ended, seen = threading.Barrier(3), threading.Barrier(2), {}

        def temporarily():
            with temporary_registration():
                table.register(["of a block"], "block", replace=False)
                started.wait(10)
                seen["both blocks"] = list(table.claims())
                ended.wait(10)
                ended.wait(10)
                seen["the second block"] = list(table.claims())

        def for_good():
            table.register(["for good"], "good", replace=False)
            started.wait(10)

        threads = [threading.Thread(target=work) for work in (temporarily, for_good)]
        with temporary_registration():
            table.register(["of the test"], "test", replace=False)
            for thread in threads:
                thread.start()
            started.wait(10)
            ended.wait(10)
        ended.wait(10)
        for thread in threads:
            thread.join(10)
        assert set(seen["both blocks"]) - set(CLAIMED) == {"of a block", "for good", "of the test"}
        assert set(seen["the second block"]) - set(CLAIMED) == {"of a block", "for good"}
        assert set(table.claims()) - set(CLAIMED) == {"for good"}

    @given(st.data())
    def test_any_changes_in_any_nesting(self, data):
        table = ClaimTable("embedder", lambda: CLAIMED)
        names = st.sampled_from(["z", "both", "a", "b", "c"])

        def change(depth):
            for _ in range(data.draw(st.integers(0, 4))):
                kind = data.draw(st.sampled_from(["register", "delete", "block"]))
                if kind == "register":
                    table.register([data.draw(names)], data.draw(st.integers()), replace=True)
                elif kind == "delete" and (known := list(table.claims())):
                    table.delete(data.draw(st.sampled_from(known)))
                elif depth:
                    block(depth - 1)

        def block(depth):
            before = everything(table)
            with temporary_registration():
                change(depth)
            assert everything(table) == before

        change(0)
        block(2)


def test_a_reader_never_sees_half_of_a_change(table):
    """Names that are always registered and deleted together are, to a reader, always both there or both not."""
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            found = list(table.claims())
            if len(found) != len(set(found)) or found[:3] != list(CLAIMED):
                wrong.append(found)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(300):
        with temporary_registration():
            table.register(["z", "new"], "mine", replace=True)
    stop.set()
    thread.join(10)
    assert wrong == []
