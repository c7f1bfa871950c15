"""What counts of a pair that is too long, in scores of pairs that are short enough."""

from __future__ import annotations

import logging

import pytest

from FlagEmbedding import FlagReranker
from FlagEmbedding.errors import OptionError

# One token each in BERT's tiny vocabulary, which puts three around a pair.
PAIR = (
    "one of the more all can this",
    "river stone light seven garden window paper letter engine small answer question search vector",
)
QUERY, PASSAGE = map(str.split, PAIR)


def near(found, expected):
    return abs(found - expected) <= 1e-5


@pytest.fixture
def score(plain):
    """``score(2, 5)`` is the score of the first two tokens of the query with the first five of the passage."""
    return lambda query, passage: plain("bert").score(" ".join(QUERY[:query]), " ".join(PASSAGE[:passage]))


@pytest.fixture
def make(cross_encoder):
    return lambda **options: FlagReranker(str(cross_encoder("bert")), devices="cpu", **options)


@pytest.mark.parametrize(
    ("options", "query", "passage"),
    [
        ({}, 7, 14),
        ({"max_length": 24}, 7, 14),
        ({"max_length": 23}, 7, 13),
        ({"max_length": 12}, 7, 2),
        ({"max_length": 9}, 5, 1),  # a token of the passage is left
        ({"max_length": 8}, 4, 1),
        ({"max_length": 5}, 1, 1),
        ({"max_length": 12, "query_max_length": 3}, 3, 6),
        ({"max_length": 12, "query_max_length": 1}, 1, 8),
        ({"max_length": 12, "query_max_length": 100}, 7, 2),
        ({"query_max_length": 2}, 2, 14),
        ({"max_length": 100_000}, 7, 14),
        ({"max_length": 12, "truncation": "longest_first"}, 4, 5),
        ({"max_length": 13, "truncation": "longest_first"}, 5, 5),
        ({"max_length": 18, "truncation": "longest_first"}, 7, 8),
        ({"max_length": 12, "truncation": "longest_first", "query_max_length": 1}, 4, 5),  # it has no say there
        ({"max_length": 12, "truncation": "only_second"}, 7, 2),
    ],
)
@pytest.mark.parametrize("where", ["constructor", "call"])
def test_what_is_kept(make, score, where, options, query, passage):
    model = make(**(options if where == "constructor" else {}))
    (found,) = model.compute_score(PAIR, **(options if where == "call" else {}))
    assert near(found, score(query, passage))


def test_what_a_call_says_goes_before_what_the_constructor_said(make, score):
    model = make(max_length=12, query_max_length=3, truncation="longest_first")
    assert near(model.compute_score(PAIR)[0], score(4, 5))
    assert near(model.compute_score(PAIR, truncation="only_second")[0], score(3, 6))
    assert near(model.compute_score(PAIR, truncation="only_second", query_max_length=2)[0], score(2, 7))
    assert near(model.compute_score(PAIR, truncation="only_second", max_length=20)[0], score(3, 14))
    assert near(model.compute_score(PAIR, max_length=None, truncation=None)[0], score(4, 5))


def test_three_quarters_of_the_calls_length_are_the_querys(make, score):
    model = make(max_length=60)
    assert near(model.compute_score(PAIR, max_length=8)[0], score(4, 1))
    assert near(model.compute_score(("one of", PAIR[1]), max_length=8)[0], score(2, 3))


def test_nothing_is_cut_from_what_is_short(make, score):
    found = make(max_length=12).compute_score([("one of", "river stone"), PAIR])
    assert near(found[0], score(2, 2))
    assert near(found[1], score(7, 2))


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert", "roberta", "mpnet"])
@pytest.mark.parametrize("length", [6, 7, 8, 20, 63, 64])
def test_longest_first_is_the_snippet_of_the_model_cards(reranker, plain, kind, length):
    pairs = [PAIR, PAIR[::-1], ("river", PAIR[1]), (PAIR[0] * 3, PAIR[1] * 5)]
    found = reranker(kind).compute_score(pairs, truncation="longest_first", max_length=length)
    expected = plain(kind).scores(pairs, max_length=length)
    assert all(map(near, found, expected))


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert", "roberta", "mpnet"])
@pytest.mark.parametrize("length", [None, 64, 65, 512, 100_000])
def test_never_more_than_the_model_has_positions_for(reranker, plain, kind, length):
    """Each of the tiny models has 64; with the query whole, all that is cut is the passage."""
    pair = ("river stone", " river" * 200)
    (found,) = reranker(kind).compute_score(pair, max_length=length)
    assert near(found, plain(kind).score(*pair, max_length=64))


@pytest.mark.parametrize("side", ["left", "right"])
def test_from_which_end(tiny, tmp_path, plain_classifier, side):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    tiny.change_json(folder / "tokenizer_config.json", truncation_side=side)
    model, plain = FlagReranker(str(folder), devices="cpu"), plain_classifier(folder)
    kept = {"right": ("one of the", "river stone"), "left": ("all can this", "search vector")}[side]
    assert near(model.compute_score(PAIR, max_length=8, query_max_length=3)[0], plain.score(*kept))
    (found,) = model.compute_score(PAIR, max_length=12, truncation="longest_first")
    assert near(found, plain.score(*PAIR, max_length=12))


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"max_length": 12}, 12),
        ({"max_length": 12, "truncation": "longest_first"}, 12),
        ({"query_max_length": 6}, 64),
    ],
)
def test_how_many_pairs_were_cut_is_said_once(reranker, caplog, options, length):
    model = reranker("bert")
    caplog.set_level(logging.INFO, "FlagEmbedding")
    model.compute_score([PAIR, ("one", "river"), (PAIR[0], PAIR[1][:-1])], **options)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("2 of 3 ")
    assert line.endswith(f"pairs were cut to {length} tokens")


def test_nothing_is_said_when_nothing_was_cut(reranker, caplog):
    model = reranker("bert")
    caplog.set_level(logging.DEBUG, "FlagEmbedding")
    model.compute_score([PAIR, ("one", "river")])
    assert caplog.messages == []


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_length_that_leaves_no_room(reranker, length):
    with pytest.raises(OptionError) as caught:
        reranker("bert").compute_score(PAIR, max_length=length)
    assert str(caught.value) == (
        f"max_length={length} leaves no room for a query and a passage: 3 tokens are put around them."
    )
    with pytest.raises(OptionError, match=r"^max_length=5 leaves no room .*: 4 tokens are put around"):
        reranker("xlm-roberta").compute_score(PAIR, max_length=5)


@pytest.mark.parametrize("truncation", ["longest", "only_first", True, "", 3])
def test_an_unknown_truncation(reranker, make, truncation):
    for refused in (
        lambda: make(truncation=truncation),
        lambda: reranker("bert").compute_score(PAIR, truncation=truncation),
    ):
        with pytest.raises(OptionError) as caught:
            refused()
        assert str(caught.value) == f"truncation is one of 'only_second', 'longest_first', not {truncation!r}."


def test_a_model_without_a_limit_of_its_own_is_not_run_on_tens_of_thousands_of_tokens(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "long", "modernbert", max_position_embeddings=20_000)
    model = FlagReranker(str(folder), devices="cpu")
    seen, tokenized = [], model._tokenized
    model._tokenized = lambda pairs, max_length, **options: seen.append(max_length) or tokenized(pairs, 9, **options)
    for length in (None, 100, 8192, 9000, 30_000):
        model.compute_score(PAIR, max_length=length)
    assert seen == [8192, 100, 8192, 9000, 20_000]
