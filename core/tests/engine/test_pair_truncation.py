"""The two rules of cutting a pair, against transformers' own and against the published code's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from FlagEmbedding.engine.pair_tokens import PairTokenizer, longest_first, only_second, template_frame

KINDS = pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "roberta", "mpnet", "modernbert"])
SIDES = pytest.mark.parametrize("side", ["left", "right"])

lengths = st.integers(0, 40)

TEXT = "river stone light seven garden window paper letter engine small"
TOKENS = TEXT.split()


@pytest.fixture(scope="module")
def load(checkpoint):
    cached = {}

    def loaded(kind, side, who):
        key = (kind, side, who)
        if key not in cached:
            cached[key] = AutoTokenizer.from_pretrained(checkpoint(kind), truncation_side=side)
        return cached[key]

    return loaded


def words(count, start):
    """As many tokens in every one of the tiny vocabularies, each in its place another one."""
    return "".join(f" {TOKENS[(start + index) % len(TOKENS)]}" for index in range(count))


def ours(tokenizer, pair, rule, max_length):
    frame, _ = template_frame("acme/model", tokenizer, typed=True)
    (row,) = PairTokenizer(tokenizer)([pair], frame, rule(max_length - len(frame)), max_length).rows
    return row


def theirs(tokenizer, pair, **options):
    """transformers' own ids and types. In lists, because its call for one pair takes an empty passage for none."""
    made = tokenizer(*([text] for text in pair), return_token_type_ids=True, **options)
    return made["input_ids"][0], made["token_type_ids"][0]


@KINDS
@SIDES
@given(query=lengths, passage=lengths, max_length=st.integers(6, 90))
def test_longest_first_is_transformers_own(load, kind, side, query, passage, max_length):
    pair = (words(query, 0), words(passage, 3))
    ids, types = theirs(load(kind, side, "theirs"), pair, truncation=True, max_length=max_length)
    row = ours(load(kind, side, "ours"), pair, longest_first, max_length)
    assert row.ids == ids
    if kind == "bert":
        assert [0] * row.before + [1] * (len(row) - row.before) == types


@SIDES
def test_longest_first_for_every_small_length(load, side):
    plain = load("bert", side, "theirs")
    for query in range(9):
        for passage in range(9):
            pair = (words(query, 0), words(passage, 3))
            for max_length in range(5, 20):
                expected, _ = theirs(plain, pair, truncation="longest_first", max_length=max_length)
                assert ours(load("bert", side, "ours"), pair, longest_first, max_length).ids == expected


def published(tokenizer, pair, query_max_length, max_length):
    """``prepare_for_model(query, passage, truncation="only_second")`` as transformers 4 had it, by hand.

    FlagEmbedding cuts the query to its limit and the passage to ``max_length`` before; what is too long in all is then
    taken from the passage. Returns the two parts.
    """
    left = tokenizer.truncation_side == "left"
    query, passage = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in pair)
    query = query[-query_max_length:] if left else query[:query_max_length]
    passage = passage[-max_length:] if left else passage[:max_length]
    special = len(theirs(tokenizer, ("", ""))[0])
    too_many = len(query) + len(passage) + special - max_length
    if too_many > 0:
        assert len(passage) > too_many  # otherwise transformers logged an error and cut nothing
        passage = passage[too_many:] if left else passage[:-too_many]
    return query, passage


@KINDS
@SIDES
@given(data=st.data(), query=lengths, passage=st.integers(1, 40), max_length=st.integers(6, 90))
def test_only_second_is_that_of_the_published_code(load, kind, side, data, query, passage, max_length):
    tokenizer, pair = load(kind, side, "ours"), (words(query, 0), words(passage, 3))
    start, *_, end = around = theirs(tokenizer, ("", ""))[0]
    query_max_length = data.draw(st.integers(1, max_length - len(around) - 1))  # beyond it the published code fails
    row = ours(tokenizer, pair, lambda room: only_second(query_max_length, room, max_length), max_length)
    query, passage = published(tokenizer, pair, query_max_length, max_length)
    assert row.ids == [start, *query, *around[1:-1], *passage, end]
    assert (row.before, row.passage) == (len(row) - 1 - len(passage), len(passage))


@given(query=lengths, passage=lengths, limit=st.integers(1, 60), room=st.integers(2, 60), length=st.integers(1, 60))
def test_what_only_second_promises(query, passage, limit, room, length):
    kept_query, kept_passage = only_second(limit, room, length)(query, passage)
    assert 0 <= kept_query <= min(query, limit)
    assert 0 <= kept_passage <= min(passage, length)
    assert kept_query + kept_passage <= room
    assert kept_passage >= min(1, passage)  # a token of the passage is always left
    if query <= limit and query < room:
        assert kept_query == query  # a query that fits is whole
    if kept_passage < min(passage, length):
        assert kept_query + kept_passage == room  # nothing is cut that would fit


@pytest.mark.parametrize(
    ("query_max_length", "room", "max_length", "lengths", "kept"),
    [
        (8, 10, 99, (3, 4), (3, 4)),
        (8, 10, 99, (8, 2), (8, 2)),
        (8, 10, 99, (9, 2), (8, 2)),
        (8, 10, 99, (3, 9), (3, 7)),
        (8, 10, 99, (20, 20), (8, 2)),
        (10, 10, 99, (20, 20), (9, 1)),  # a token of the passage stays
        (99, 10, 99, (20, 20), (9, 1)),
        (99, 2, 99, (20, 20), (1, 1)),
        (99, 10, 99, (20, 0), (9, 0)),
        (99, 10, 99, (0, 20), (0, 10)),
        (8, 10, 5, (3, 9), (3, 5)),  # a passage is cut to max_length before
        (None, 90, 64, (99, 99), (48, 42)),  # three quarters of max_length are the query's
        (None, 90, 7, (99, 99), (5, 7)),
        (None, 4, 8, (99, 99), (3, 1)),
        (None, 9, 1, (5, 5), (0, 1)),
    ],
)
def test_only_second_in_numbers(query_max_length, room, max_length, lengths, kept):
    assert only_second(query_max_length, room, max_length)(*lengths) == kept


@pytest.mark.parametrize(
    ("room", "lengths", "kept"),
    [
        (10, (5, 5), (5, 5)),
        (10, (9, 3), (7, 3)),
        (10, (3, 9), (3, 7)),
        (10, (9, 9), (5, 5)),
        (11, (9, 9), (5, 6)),
        (11, (8, 20), (5, 6)),
        (11, (20, 8), (6, 5)),
        (2, (9, 9), (1, 1)),
        (10, (20, 0), (10, 0)),
    ],
)
def test_longest_first_in_numbers(room, lengths, kept):
    assert longest_first(room)(*lengths) == kept
