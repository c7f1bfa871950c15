"""Pairs as token ids: what transformers' own call makes of a pair, each text tokenised once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, processors
from transformers import AutoTokenizer

from FlagEmbedding.engine.pair_tokens import (
    Frame,
    PairIds,
    PairTokenizer,
    check_room,
    longest_first,
    only_second,
    template_frame,
)
from FlagEmbedding.errors import CheckpointError, OptionError

TEXTS = [
    "",
    " ",
    "\t\n",
    "river",
    " river ",
    "The question in the garden window, and all of the answer.",
    "a [SEP] b [CLS] c [PAD] d [MASK] e [UNK] f",
    "<s> the </s> river <pad> stone <mask><mask>",
    "zürich naïve straße москва 東京 北京 👩‍🔬 \0 \u200b",
    "unbelievablylongword" * 3,
]
PAIRS = [(query, passage) for query in TEXTS for passage in TEXTS]


def whole(query, passage):
    """Cut nothing."""
    return query, passage


@pytest.fixture(scope="module")
def load(checkpoint):
    """Another tokenizer at each call, so that no settings are shared."""
    return lambda model_type, **settings: AutoTokenizer.from_pretrained(checkpoint(model_type), **settings)


@pytest.fixture(scope="module")
def bert(load):
    return load("bert")


def theirs(tokenizer, query, passage, **options):
    """transformers' own ids and types. In lists, because its call for one pair takes an empty passage for none."""
    made = tokenizer([query], [passage], return_token_type_ids=True, **options)
    return made["input_ids"][0], made["token_type_ids"][0]


def frame_of(tokenizer):
    return template_frame("acme/model", tokenizer, typed=True)[0]


def type_ids(row):
    return [0] * row.before + [1] * (len(row) - row.before)


def test_whole_pairs_are_those_of_transformers(load, model_type):
    ours, plain = load(model_type), load(model_type)
    frame, numbered = template_frame("acme/model", ours, typed=True)
    tokens = PairTokenizer(ours)(PAIRS, frame, whole, 500)
    assert (tokens.cut, tokens.max_length) == (0, 500)
    assert numbered is (model_type == "bert")
    for row, pair in zip(tokens.rows, PAIRS, strict=True):
        assert (row.ids, type_ids(row) if numbered else [0] * len(row)) == theirs(plain, *pair)


def test_the_passages_place_in_a_row(load, model_type):
    tokenizer = load(model_type)
    (row,) = PairTokenizer(tokenizer)([("one of", "stone")], frame_of(tokenizer), whole, 500).rows
    passage = row.ids[row.before : row.before + row.passage]
    assert tokenizer.decode(passage).strip() == "stone"
    assert row.before + row.passage == len(row) - 1  # nothing but </s> or [SEP] comes after it


@pytest.fixture(scope="module")
def ours_and_plain(load):
    return {kind: (load(kind), load(kind)) for kind in ("bert", "xlm-roberta", "roberta")}


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "roberta"])
@given(
    query=st.text(st.characters(codec="utf-8"), max_size=40), passage=st.text(st.characters(codec="utf-8"), max_size=40)
)
def test_any_two_texts(ours_and_plain, kind, query, passage):
    ours, plain = ours_and_plain[kind]
    (row,) = PairTokenizer(ours)([(query, passage)], frame_of(ours), whole, 500).rows
    assert row.ids == theirs(plain, query, passage)[0]


def test_no_pairs(bert):
    tokens = PairTokenizer(bert)([], frame_of(bert), whole, 9)
    assert (tokens.rows, tokens.cut, tokens.max_length) == ([], 0, 9)


class CountingBackend:
    """A tokenizers object that keeps every text it is asked to encode."""

    def __init__(self, backend):
        self._backend, self.texts = backend, []

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def encode(self, text, *others, **options):
        self.texts += [text, *others]
        return self._backend.encode(text, *others, **options)

    def encode_batch_fast(self, texts, **options):
        self.texts += texts
        return self._backend.encode_batch_fast(texts, **options)


def test_each_different_text_is_tokenised_once(load):
    tokenizer = load("bert")
    counting = CountingBackend(tokenizer.backend_tokenizer)
    ours = PairTokenizer(SimpleNamespace(backend_tokenizer=counting, truncation_side="right"))
    pairs = [("river", "stone"), ("river", "the garden"), ("stone", "river"), ("light", "stone"), ("light", "light")]
    rows = ours(pairs, frame_of(tokenizer), whole, 500).rows
    assert sorted(counting.texts) == ["light", "river", "stone", "the garden"]
    assert [row.ids for row in rows] == [theirs(tokenizer, *pair)[0] for pair in pairs]


@pytest.mark.parametrize("side", ["left", "right"])
def test_from_which_end_a_text_is_cut(load, side):
    tokenizer = load("bert", truncation_side=side)
    pair = ("one of the more", "river stone light seven garden")
    tokens = PairTokenizer(tokenizer)([pair], frame_of(tokenizer), lambda *_: (2, 3), 8)
    expected = {
        "right": "[CLS] one of [SEP] river stone light [SEP]",
        "left": "[CLS] the more [SEP] light seven garden [SEP]",
    }
    assert tokenizer.decode(tokens.rows[0].ids) == expected[side]
    assert (tokens.rows[0].before, tokens.rows[0].passage, tokens.cut) == (4, 3, 1)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kept", [(0, 2), (2, 0), (0, 0)])
def test_a_text_may_be_cut_away(load, side, kept):
    """With the truncation side on the left, ``ids[-0:]`` would be the whole text."""
    tokenizer = load("bert", truncation_side=side)
    (row,) = PairTokenizer(tokenizer)([("one of", "river stone")], Frame([], [], []), lambda *_: kept, 8).rows
    assert (len(row), row.before, row.passage) == (sum(kept), *kept)


def test_how_many_pairs_were_cut_is_counted(bert):
    pairs = [("one", "river"), ("one of", "river"), ("one", "river stone"), ("one of", "river stone")]
    limits = [(9, 9), (1, 9), (9, 1), (1, 1)]
    counts = [
        PairTokenizer(bert)(
            pairs, frame_of(bert), lambda query, passage, at=limit: tuple(map(min, (query, passage), at)), 9
        )
        for limit in limits
    ]
    assert [tokens.cut for tokens in counts] == [0, 2, 2, 3]


def test_a_frame_around_two_texts():
    row = Frame([1, 2], [3], [4, 5, 6]).around([10, 11], [20])
    assert row == PairIds([1, 2, 10, 11, 3, 20, 4, 5, 6], before=5, passage=1)
    assert (len(row), len(Frame([1, 2], [3], [4, 5, 6]))) == (9, 6)


class TestTemplate:
    @pytest.fixture
    def joined(self, load):
        """``joined("[CLS] $A $B:1")``: a tokenizer that joins pairs so."""

        def made(pair):
            tokenizer = load("bert")
            special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]", "[MASK]")]
            tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
                single="[CLS] $A [SEP]", pair=pair, special_tokens=special
            )
            return tokenizer

        return made

    @pytest.mark.parametrize(
        ("pair", "frame", "numbered"),
        [
            ("[CLS] $A [SEP] $B [SEP]", ("[CLS]", "[SEP]", "[SEP]"), False),
            ("[CLS] $A [SEP] $B:1 [SEP]:1", ("[CLS]", "[SEP]", "[SEP]"), True),
            ("$A $B", ("", "", ""), False),
            ("$A [SEP] [MASK] [SEP] $B", ("", "[SEP] [MASK] [SEP]", ""), False),
            ("[CLS] [CLS] $A $B:1 [SEP]:1 [MASK]:1", ("[CLS] [CLS]", "", "[SEP] [MASK]"), True),
        ],
    )
    def test_any_ids_before_between_and_after(self, joined, pair, frame, numbered):
        tokenizer = joined(pair)
        expected = Frame(*[tokenizer.convert_tokens_to_ids(part.split()) for part in frame])
        assert template_frame("acme/model", tokenizer, typed=True) == (expected, numbered)
        (row,) = PairTokenizer(tokenizer)([("one of", "river stone")], expected, whole, 99).rows
        assert row.ids == theirs(joined(pair), "one of", "river stone")[0]

    @pytest.mark.parametrize(
        ("pair", "tokens"),
        [
            ("[CLS] $B [SEP] $A [SEP]", "['[CLS]', 'b', '[SEP]', 'a', '[SEP]']"),  # the wrong way round
            ("[CLS] $A [SEP]:1 $B:1 [SEP]:1", "['[CLS]', 'a', '[SEP]', 'b', '[SEP]']"),  # numbered in another way
            ("[CLS] $A [SEP] $B:1 [SEP]", "['[CLS]', 'a', '[SEP]', 'b', '[SEP]']"),
            ("[CLS]:2 $A [SEP] $B:1 [SEP]:1", "['[CLS]', 'a', '[SEP]', 'b', '[SEP]']"),
            ("[CLS] $A $B $A", "['[CLS]', 'a', 'b', 'a']"),  # the query twice
        ],
    )
    def test_another_way_is_refused(self, joined, pair, tokens):
        with pytest.raises(CheckpointError) as caught:
            template_frame("acme/model", joined(pair), typed=True)
        assert str(caught.value) == (
            f"the tokenizer of 'acme/model' joins a pair in a way that is not known here: {tokens}. "
            "Correct the post_processor in its tokenizer.json."
        )

    @pytest.mark.parametrize(
        ("pair", "middle"),
        [
            ("[CLS] $A [SEP]:1 $B:1", "[SEP]"),  # Llama's second <s> is numbered like the text that it begins
            ("[CLS]:2 $A $B:3", ""),
            ("[CLS] $A [SEP] $B", "[SEP]"),
        ],
    )
    def test_any_numbers_will_do_for_a_model_that_reads_none(self, joined, pair, middle):
        tokenizer = joined(pair)
        expected = Frame(*[tokenizer.convert_tokens_to_ids(part.split()) for part in ("[CLS]", middle, "")])
        assert template_frame("acme/model", tokenizer, typed=False)[0] == expected

    def test_the_wrong_way_round_will_not_do_for_it_either(self, joined):
        with pytest.raises(CheckpointError, match="joins a pair in a way that is not known here"):
            template_frame("acme/model", joined("[CLS] $B [SEP] $A [SEP]"), typed=False)

    @pytest.mark.parametrize("known", [{}, {"a": 2}, {"b": 2}])
    def test_a_tokenizer_that_has_no_token_for_the_probe_is_refused(self, known):
        """Nothing shows where its texts would stand."""
        backend = Tokenizer(models.BPE({"[CLS]": 0, "[SEP]": 1, **known}, [], unk_token=None))
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
        )
        with pytest.raises(CheckpointError, match=r"joins a pair in a way that is not known here: \['\[CLS\]'"):
            template_frame("acme/model", SimpleNamespace(backend_tokenizer=backend), typed=True)


@pytest.mark.parametrize("room", [1, 0, -3])
def test_no_room_for_a_token_of_each(room):
    with pytest.raises(OptionError) as caught:
        check_room(room, 5, 4)
    assert str(caught.value) == ("max_length=5 leaves no room for a query and a passage: 4 tokens are put around them.")
    check_room(2, 6, 4)


def test_threads_with_lengths_of_their_own(load):
    tokenizer = load("bert")
    ours, frame = PairTokenizer(tokenizer), frame_of(tokenizer)
    pairs = [("one of the more " * 10, "river stone light seven garden " * 10)] * 3
    rules = [(rule, room) for rule in (longest_first, lambda room: only_second(9, room, 99)) for room in (2, 5, 9, 30)]
    expected = [ours(pairs, frame, rule(room), 99) for rule, room in rules]
    together = threading.Barrier(len(rules))

    def encode(index):
        together.wait()
        rule, room = rules[index]
        return all(ours(pairs, frame, rule(room), 99) == expected[index] for _ in range(40))

    with ThreadPoolExecutor(len(rules)) as pool:
        assert all(pool.map(encode, range(len(rules))))
