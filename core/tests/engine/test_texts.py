from __future__ import annotations

import numpy as np
import pytest

from FlagEmbedding.engine.texts import as_texts
from FlagEmbedding.errors import InputError


class Name(str):
    __slots__ = ()


class Series:
    """What pandas has: an index, values, and iteration over the values."""

    def __init__(self, values):
        self._values = values

    def __iter__(self):
        return iter(self._values)


@pytest.mark.parametrize("text", ["", " ", "a", "a\0b", "zürich 東京 👩‍🔬", Name("a"), np.str_("a")])
def test_one_text(text):
    assert as_texts(text) == ([text], True)


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b"],
        ("a", "b"),
        (text for text in "ab"),
        iter(["a", "b"]),
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        Series(["a", "b"]),
        [Name("a"), np.str_("b")],
    ],
)
def test_several_texts(texts):
    assert as_texts(texts) == (["a", "b"], False)


@pytest.mark.parametrize("texts", [[], (), np.array([], dtype=str), iter([])])
def test_no_texts(texts):
    assert as_texts(texts) == ([], False)


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (None, "None"),
        (5, "int (5)"),
        (1.5, "float (1.5)"),
        (True, "bool (True)"),
        (b"a", "bytes (b'a')"),
        ({"a": 1}, "dict ({'a': 1})"),
        ({"a"}, "set ({'a'})"),
        (frozenset({"a"}), "frozenset (frozenset({'a'}))"),
        (np.array("a"), "ndarray (array('a', dtype='<U1'))"),
    ],
)
def test_neither_a_text_nor_texts(texts, named):
    with pytest.raises(InputError) as caught:
        as_texts(texts, "queries")
    assert str(caught.value) == f"queries must be a string or a list of strings, not {named}."


def test_the_message_does_not_repeat_a_long_value():
    with pytest.raises(InputError, match=r"not dict \(\{1: 'xxx.*\.\.\.") as caught:
        as_texts({1: "x" * 10_000})
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("texts", "index", "named"),
    [
        (["a", None], 1, "None"),
        (["a", 5, None], 1, "int (5)"),
        ([["a"]], 0, "list (['a'])"),
        ([("a", "b")], 0, "tuple (('a', 'b'))"),
        (["a", "b", b"c"], 2, "bytes (b'c')"),
        ([True], 0, "bool (True)"),
        ([float("nan")], 0, "float (nan)"),
        (bytearray(b"a"), 0, "int (97)"),
        (np.array([["a"]]), 0, "ndarray (array(['a'], dtype='<U1'))"),
        (({} for _ in range(2)), 0, "dict ({})"),
    ],
)
def test_the_position_of_what_is_no_text(texts, index, named):
    with pytest.raises(InputError) as caught:
        as_texts(texts)
    assert str(caught.value) == f"sentences[{index}] must be a string, not {named}."
    assert isinstance(caught.value, (ValueError, TypeError))


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        ("ab\ud83d", "sentences holds a lone surrogate (U+D83D at character 2)"),
        (["a", "\udc00\ud83d"], "sentences[1] holds a lone surrogate (U+DC00 at character 0)"),
        (["é", "é", "éa\udfff"], "sentences[2] holds a lone surrogate (U+DFFF at character 2)"),
    ],
)
def test_the_position_of_a_lone_surrogate(texts, where):
    with pytest.raises(InputError) as caught:
        as_texts(texts)
    assert str(caught.value).startswith(where)
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)


def test_the_repair_that_the_message_names():
    repaired = "a\ud83d\ude00b\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert as_texts(repaired) == (["a😀b\ufffd"], True)
