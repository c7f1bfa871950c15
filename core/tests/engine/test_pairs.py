from __future__ import annotations

import numpy as np
import pytest

from FlagEmbedding.engine.pairs import as_pairs
from FlagEmbedding.errors import InputError


class Name(str):
    __slots__ = ()


class Series:
    """What pandas has: iteration over the values, and an index that need not start at 0."""

    def __init__(self, values):
        self._values = values

    def __iter__(self):
        return iter(self._values)

    def __getitem__(self, index):
        raise KeyError(index)


PAIR = ("q", "p")
TWO = [("q", "p"), ("r", "s")]


@pytest.mark.parametrize(
    "pair",
    [
        ("q", "p"),
        ["q", "p"],
        np.array(["q", "p"]),
        np.array(["q", "p"], dtype=object),
        (Name("q"), np.str_("p")),
        iter(["q", "p"]),
        (text for text in "qp"),
        Series(["q", "p"]),
    ],
)
def test_one_pair(pair):
    assert as_pairs(pair) == ([PAIR], True)


@pytest.mark.parametrize(
    "pairs",
    [
        [("q", "p"), ("r", "s")],
        [["q", "p"], ["r", "s"]],
        (("q", "p"), ["r", "s"]),
        np.array([["q", "p"], ["r", "s"]]),
        np.array([["q", "p"], ["r", "s"]], dtype=object),
        (pair for pair in TWO),
        zip("qr", "ps", strict=True),
        Series([Series(["q", "p"]), Series(["r", "s"])]),
        [(Name("q"), "p"), iter("rs")],
    ],
)
def test_several_pairs(pairs):
    assert as_pairs(pairs) == (TWO, False)


@pytest.mark.parametrize("pairs", [[PAIR], (PAIR,), np.array([PAIR]), iter([PAIR]), [["q", "p"]]])
def test_a_list_of_one_pair_is_a_list(pairs):
    assert as_pairs(pairs) == ([PAIR], False)


@pytest.mark.parametrize("pairs", [[], (), iter([]), np.empty((0, 2), dtype=str), zip(), Series([])])
def test_no_pairs(pairs):
    assert as_pairs(pairs) == ([], False)


@pytest.mark.parametrize("text", ["", " ", "a\0b", "zürich 東京 👩‍🔬"])
def test_any_text_will_do(text):
    assert as_pairs([(text, text), ("", "")]) == ([(text, text), ("", "")], False)


def test_every_pair_is_a_plain_tuple():
    pairs, _ = as_pairs(np.array([["q", "p"]]))
    assert type(pairs[0]) is tuple


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        (None, "None"),
        (5, "int (5)"),
        (1.5, "float (1.5)"),
        (True, "bool (True)"),
        ("qp", "str ('qp')"),
        ("", "str ('')"),
        (Name("qp"), "Name ('qp')"),
        (b"qp", "bytes (b'qp')"),
        ({"q": "p"}, "dict ({'q': 'p'})"),
        ({}, "dict ({})"),
        (np.array("q"), "ndarray (array('q', dtype='<U1'))"),
        (tuple, "type (<class 'tuple'>)"),
    ],
)
def test_neither_a_pair_nor_pairs(pairs, named):
    with pytest.raises(InputError) as caught:
        as_pairs(pairs)
    assert str(caught.value) == f"sentence_pairs must be a pair or a list of pairs, not {named}."


@pytest.mark.parametrize(
    "pairs",
    [{"q", "p"}, {("q", "p")}, frozenset({("q", "p"), ("r", "s")}), {"q": "p"}.keys(), set()],
)
def test_a_set_has_no_order_to_give_scores_in(pairs):
    with pytest.raises(InputError, match=r"^sentence_pairs must be a pair or a list of pairs, not "):
        as_pairs(pairs)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (("q",), "sentence_pairs must be a query and a passage, not 1 texts."),
        (("q", "p", "r"), "sentence_pairs must be a query and a passage, not 3 texts."),
        (("q", None), "sentence_pairs[1] must be a string, not None."),
        (["q", ("p", "r")], "sentence_pairs[1] must be a string, not tuple (('p', 'r'))."),
        (["q", 5], "sentence_pairs[1] must be a string, not int (5)."),
        ((None, "p"), "sentence_pairs[0] must be a query and a passage, not None."),
        ([5, 6], "sentence_pairs[0] must be a query and a passage, not int (5)."),
        (bytearray(b"qp"), "sentence_pairs[0] must be a query and a passage, not int (113)."),
        ([PAIR, ("q",)], "sentence_pairs[1] must be a query and a passage, not 1 texts."),
        ([PAIR, ()], "sentence_pairs[1] must be a query and a passage, not 0 texts."),
        ([PAIR, ("q", "p", "r")], "sentence_pairs[1] must be a query and a passage, not 3 texts."),
        (np.array([["q", "p", "r"]]), "sentence_pairs[0] must be a query and a passage, not 3 texts."),
        ([PAIR, None], "sentence_pairs[1] must be a query and a passage, not None."),
        ([PAIR, 5, None], "sentence_pairs[1] must be a query and a passage, not int (5)."),
        ([PAIR, "qp"], "sentence_pairs[1] must be a query and a passage, not str ('qp')."),
        ([PAIR, b"qp"], "sentence_pairs[1] must be a query and a passage, not bytes (b'qp')."),
        ([{"q": "p"}], "sentence_pairs[0] must be a query and a passage, not dict ({'q': 'p'})."),
        ([{"text": "q", "pair": "p"}], "sentence_pairs[0] must be a query and a passage, not dict"),
        ([PAIR, ("q", None)], "sentence_pairs[1][1] must be a string, not None."),
        ([PAIR, PAIR, (5, "p")], "sentence_pairs[2][0] must be a string, not int (5)."),
        ([("q", b"p")], "sentence_pairs[0][1] must be a string, not bytes (b'p')."),
        ([("q", ["p"])], "sentence_pairs[0][1] must be a string, not list (['p'])."),
        ([(("q", "p"), ("r", "s"))], "sentence_pairs[0][0] must be a string, not tuple (('q', 'p'))."),
        ([[["q", "p"]]], "sentence_pairs[0][0] must be a string, not list (['q', 'p'])."),
        (np.array([[1, 2]]), "sentence_pairs[0][0] must be a string, not int64 "),
        ([np.array("qp")], "sentence_pairs[0] must be a "),
    ],
)
def test_the_position_of_what_is_no_pair(pairs, message):
    with pytest.raises(InputError) as caught:
        as_pairs(pairs)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("pair", [{"q", "p"}, frozenset({"q", "p"})])
def test_a_set_is_no_pair(pair):
    """Which of the two would be the query?"""
    with pytest.raises(InputError, match=r"^sentence_pairs\[1\] must be a "):
        as_pairs([PAIR, pair])


@pytest.mark.parametrize(
    ("pairs", "where"),
    [
        (("ab\ud83d", "p"), "sentence_pairs[0] holds a lone surrogate (U+D83D at character 2)"),
        ([PAIR, ("q", "é\udc00")], "sentence_pairs[1][1] holds a lone surrogate (U+DC00 at character 1)"),
    ],
)
def test_the_position_of_a_lone_surrogate(pairs, where):
    with pytest.raises(InputError) as caught:
        as_pairs(pairs)
    assert str(caught.value).startswith(where)


def test_the_message_does_not_repeat_a_long_value():
    with pytest.raises(InputError) as caught:
        as_pairs([PAIR, "x" * 10_000])
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_a_generator_that_fails_says_so_itself(error):
    def broken():
        yield PAIR
        raise error("the file is gone")

    with pytest.raises(error, match=r"^the file is gone$") as caught:
        as_pairs(broken())
    assert type(caught.value) is error


def test_a_data_frame_is_not_taken_for_a_pair_of_its_column_names():
    class Frame:
        columns = ("query", "passage")

        def __iter__(self):
            return iter(self.columns)

    with pytest.raises(InputError, match="sentence_pairs must be a pair or a list of pairs, not Frame"):
        as_pairs(Frame())
