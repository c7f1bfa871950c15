"""The contract of rerankers: what an author gets and what a caller gets, with the smallest class there can be."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FlagEmbedding import AbsReranker
from FlagEmbedding.errors import ConfigError, DeviceError, InputError, OptionError


class LengthReranker(AbsReranker):
    """What the smallest plugin writes: a pair's score is its passage's length. It keeps what it was called with."""

    def __init__(self, *args, offset=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.offset = offset
        self.calls = []

    def compute_score_single_gpu(self, sentence_pairs, **options):
        self.calls.append((sentence_pairs, options))
        return [len(passage) + self.offset for _, passage in sentence_pairs]


def model(**options):
    return LengthReranker("toy", devices="cpu", **options)


def given_pairs(reranker):
    return reranker.calls[-1][0]


def test_a_subclass_with_one_method_is_a_model():
    assert model(offset=0.5).compute_score([("q", "a"), ("q", "abc")]) == [1.5, 3.5]
    assert model().compute_score(("q", "ab")) == [2]
    assert model().compute_score([]) == []


def test_without_that_method_it_is_none():
    with pytest.raises(TypeError, match=r"abstract.*compute_score_single_gpu"):
        type("Incomplete", (AbsReranker,), {})("toy")


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, lambda pairs: map(list, pairs)])
def test_the_author_always_gets_a_list_of_tuples(kind):
    reranker = model()
    reranker.compute_score(kind([("q", "a"), ("r", "b")]))
    assert given_pairs(reranker) == [("q", "a"), ("r", "b")]
    assert all(type(pair) is tuple for pair in given_pairs(reranker))


@pytest.mark.parametrize("pairs", [None, 5, "qp", ("q",), [("q", None)], [("q", "p", "r")], {"q": "p"}, {("q", "p")}])
def test_what_is_no_pair_reaches_no_author(pairs):
    reranker = model()
    with pytest.raises(InputError, match=r"^sentence_pairs"):
        reranker.compute_score(pairs)
    assert reranker.calls == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("{q}", "{p}")),
        ({"query_instruction_for_rerank": "", "passage_instruction_for_rerank": ""}, ("{q}", "{p}")),
        ({"query_instruction_for_rerank": "Find: "}, ("Find: {q}", "{p}")),
        ({"passage_instruction_for_rerank": "Is: "}, ("{q}", "Is: {p}")),
        (
            {
                "query_instruction_for_rerank": "Find.",
                "query_instruction_format": r"Instruct: {}\nQuery: {}",
                "passage_instruction_for_rerank": "Is.",
                "passage_instruction_format": "{} {}",
            },
            ("Instruct: Find.\nQuery: {q}", "Is. {p}"),
        ),
        ({"query_instruction_format": "never {} {}", "passage_instruction_format": "never {} {}"}, ("{q}", "{p}")),
    ],
)
def test_instructions(options, expected):
    reranker = model(**options)
    reranker.compute_score([("{q}", "{p}")] * 2)
    assert given_pairs(reranker) == [expected] * 2
    assert reranker.get_detailed_inputs([("{q}", "{p}")]) == [expected]


def test_an_instruction_can_be_changed_later():
    reranker = model(query_instruction_for_rerank="before: ")
    reranker.query_instruction_for_rerank = "after: "
    reranker.compute_score(("q", "p"))
    assert given_pairs(reranker) == [("after: q", "p")]


def test_get_detailed_instruct():
    assert AbsReranker.get_detailed_instruct("Instruct: {}\nQuery: {}", "Find it.", "text") == (
        "Instruct: Find it.\nQuery: text"
    )


@pytest.mark.parametrize("option", ["query_instruction_format", "passage_instruction_format"])
def test_a_format_is_checked_when_the_model_is_made(option):
    with pytest.raises(ConfigError, match=f"^{option} must have exactly two"):
        model(**{option: "{}"})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"device": "cpu"}),
        ({"batch_size": 3, "normalize": True}, {"device": "cpu", "batch_size": 3, "normalize": True}),
        ({"flavour": "sweet"}, {"device": "cpu", "flavour": "sweet"}),
        ({"device": "meta"}, {"device": "meta"}),
    ],
)
def test_options_of_a_call_reach_the_author_and_so_does_the_device(options, expected):
    reranker = model(batch_size=7)
    reranker.compute_score(("q", "p"), **options)
    reranker.rank("q", ["p"], **options)
    assert [options for _, options in reranker.calls] == [expected] * 2


SETTINGS = {
    "use_fp16": True,
    "use_bf16": True,
    "batch_size": 7,
    "query_max_length": 11,
    "max_length": 22,
    "normalize": True,
    "query_instruction_for_rerank": "q",
    "passage_instruction_for_rerank": "p",
}


@pytest.mark.parametrize(("option", "value"), SETTINGS.items())
def test_settings_are_attributes(option, value):
    assert getattr(model(**{option: value}), option) == value


@pytest.mark.parametrize("option", ["batch_size", "query_max_length", "max_length"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_counts_are_checked(option, value):
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        model(**{option: value})


@pytest.mark.parametrize(
    ("option", "nearest"),
    [("normalise", "normalize"), ("batchsize", "batch_size"), ("offsett", "offset"), ("Device", "device")],
)
def test_an_unknown_option_names_the_nearest(option, nearest):
    with pytest.raises(
        OptionError, match=rf"^LengthReranker got an unknown option '{option}'\. Did you mean '{nearest}'"
    ):
        model(**{option: 1})


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        ({}, ["cpu"]),
        ({"devices": "cpu"}, ["cpu"]),
        ({"device": "cpu"}, ["cpu"]),
        ({"devices": ["cpu"] * 2}, ["cpu"] * 2),
    ],
)
@pytest.mark.usefixtures("no_accelerator")
def test_device_is_another_word_for_devices(options, devices):
    assert LengthReranker("toy", **options).target_devices == devices


def test_one_of_the_two_words_is_enough():
    with pytest.raises(OptionError, match=r"^give devices= or device=, not both\.$"):
        LengthReranker("toy", devices="cpu", device="cpu")


@pytest.mark.parametrize("word", ["device", "devices"])
def test_a_wrong_device(word):
    with pytest.raises(DeviceError, match="'invalid:0' is no device"):
        LengthReranker("toy", **{word: ["cpu", "invalid:0"]})


class TestRank:
    DOCUMENTS = ("bb", "a", "dddd", "cc", "ccc")

    def test_best_first_with_index_score_and_text(self):
        assert model().rank("q", self.DOCUMENTS, top_n=2) == [
            {"index": 2, "corpus_id": 2, "score": 4, "text": "dddd"},
            {"index": 4, "corpus_id": 4, "score": 3, "text": "ccc"},
        ]

    def test_equal_scores_stay_in_the_order_given(self):
        assert [one["index"] for one in model().rank("q", self.DOCUMENTS)] == [2, 4, 0, 3, 1]

    @given(st.lists(st.text(max_size=3)), st.integers(1, 9) | st.none())
    def test_any_documents(self, documents, top_n):
        found = model().rank("q", documents, top_n)
        best = sorted(enumerate(documents), key=lambda pair: (-len(pair[1]), pair[0]))[:top_n]
        assert found == [{"index": index, "corpus_id": index, "score": len(text), "text": text} for index, text in best]

    @pytest.mark.parametrize("kind", [tuple, iter, np.array])
    def test_each_kind_of_list(self, kind):
        found = model().rank("q", kind(self.DOCUMENTS), 1)
        assert found == [{"index": 2, "corpus_id": 2, "score": 4, "text": "dddd"}]

    def test_the_query_comes_first_and_the_texts_come_back_without_instructions(self):
        reranker = model(query_instruction_for_rerank="Find: ", passage_instruction_for_rerank="Is: ")
        found = reranker.rank("q", ["p"])
        assert given_pairs(reranker) == [("Find: q", "Is: p")]
        assert [one["text"] for one in found] == ["p"]

    def test_no_documents(self):
        assert model().rank("q", []) == []
        assert model().rank("q", [], top_n=3) == []

    def test_more_than_there_are(self):
        assert len(model().rank("q", self.DOCUMENTS, top_n=99)) == 5

    @pytest.mark.parametrize("top_n", [0, -1, 1.5, True, "3"])
    def test_what_is_no_number(self, top_n):
        reranker = model()
        with pytest.raises(OptionError, match=r"^top_n must be a positive number"):
            reranker.rank("q", self.DOCUMENTS, top_n=top_n)
        assert reranker.calls == []  # said before the work is done

    @pytest.mark.parametrize(
        ("query", "documents"), [("q", "bb"), (["q"], ["bb"]), (None, ["bb"]), (("q", "r"), ["b"])]
    )
    def test_one_query_and_a_list(self, query, documents):
        with pytest.raises(InputError, match=r"^rank\(\) takes one query \(a string\) and a list of documents\.$"):
            model().rank(query, documents)

    @pytest.mark.parametrize(
        ("documents", "message"),
        [
            (["a", None], r"^documents\[1\] must be a string, not None\.$"),
            ([("q", "a")], r"^documents\[0\] must be a string, not tuple"),
            (None, r"^documents must be a string or a list of strings, not None\.$"),
            ({"a": 1}, r"^documents must be a string or a list of strings, not dict"),
        ],
    )
    def test_documents_that_are_none(self, documents, message):
        with pytest.raises(InputError, match=message):
            model().rank("q", documents)

    def test_several_scores_a_document_give_no_order(self):
        class Layered(LengthReranker):
            def compute_score_single_gpu(self, sentence_pairs, **options):
                return [[1.0] * len(sentence_pairs)] * 2

        with pytest.raises(OptionError, match="several layers were asked for"):
            Layered("toy", devices="cpu").rank("q", ["a", "b", "c"])

    def test_scores_of_numpy_are_plain_numbers(self):
        """An author may give an array; what comes back can be written as JSON."""

        class Array(LengthReranker):
            def compute_score_single_gpu(self, sentence_pairs, **options):
                return np.array([float(len(passage)) for _, passage in sentence_pairs], dtype=np.float32)

        found = Array("toy", devices="cpu").rank("q", ["a", "bbb"])
        assert found == [
            {"index": 1, "corpus_id": 1, "score": 3.0, "text": "bbb"},
            {"index": 0, "corpus_id": 0, "score": 1.0, "text": "a"},
        ]
        assert [type(one["score"]) for one in found] == [float] * 2


def test_the_signature_that_programs_rely_on():
    parameters = inspect.signature(AbsReranker.__init__).parameters.values()
    assert [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD] == [
        "self",
        "model_name_or_path",
        "use_fp16",
        "query_instruction_for_rerank",
        "query_instruction_format",
        "passage_instruction_for_rerank",
        "passage_instruction_format",
        "devices",
        "batch_size",
        "query_max_length",
        "max_length",
        "normalize",
    ]
