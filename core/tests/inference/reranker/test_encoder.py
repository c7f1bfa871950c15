"""Cross-encoders: scores are those of plain transformers, whatever a pair is scored with and however."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FlagEmbedding import FlagReranker
from FlagEmbedding.inference.reranker.encoder_only.base import BaseReranker

PASSAGE = "the river of stone, light seven garden. window paper (letter) zürich 東京 [SEP] <pad> q"
WORDS = PASSAGE.split()

PAIRS = [
    ("where is the river?", "The question in the garden window, and all of the answer."),
    ("river", "stone"),
    ("stone", "river"),
    ("", "paper"),
    ("paper", ""),
    ("", ""),
    ("one of the [SEP] and [PAD] tokens", "<s> in <pad> a text"),
    ("zürich naïve straße", "москва 東京 北京 👩‍🔬 \0"),
    ("q", "light " * 40),
]

a_text = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(
    st.characters(codec="utf-8"), max_size=12
)
some_pairs = st.lists(st.tuples(a_text, a_text), min_size=1, max_size=8)

TYPES = pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert", "roberta", "mpnet"])


def assert_same(found, expected, tolerance=1e-5):
    assert [type(score) for score in found] == [float] * len(expected)
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= tolerance


def test_its_names():
    assert FlagReranker is BaseReranker


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert", "roberta", "mpnet", "electra", "distilbert"])
def test_scores_are_those_of_transformers(reranker, plain, kind):
    assert_same(reranker(kind).compute_score(PAIRS), plain(kind).scores(PAIRS))


def test_query_and_passage_are_not_the_same(reranker):
    there, back = reranker("bert").compute_score([("river", "stone"), ("stone", "river")])
    assert abs(there - back) > 1e-3


def test_types_of_tokens_count_where_a_model_has_them(cross_encoder, plain):
    """BERT's passage has tokens of another type; scored without, every pair would be off."""
    tokenizer, model = plain("bert").tokenizer, plain("bert").model
    inputs = tokenizer(["river"], ["stone of light"], return_tensors="pt")
    inputs["token_type_ids"].zero_()
    untyped = model(**inputs).logits.item()
    (found,) = FlagReranker(str(cross_encoder("bert"))).compute_score(("river", "stone of light"))
    assert abs(found - untyped) > 1e-3


@TYPES
@settings(max_examples=15)
@given(pairs=some_pairs, batch_size=st.integers(1, 9), data=st.data())
def test_company_batch_size_and_order(reranker, kind, pairs, batch_size, data):
    model = reranker(kind)
    alone = [model.compute_score(pair)[0] for pair in pairs]
    order = data.draw(st.permutations(range(len(pairs))))
    together = model.compute_score([pairs[index] for index in order], batch_size=batch_size)
    assert_same(together, [alone[index] for index in order])


@TYPES
def test_duplicates(reranker, kind):
    pairs = [PAIRS[0], PAIRS[3], PAIRS[0], PAIRS[8], PAIRS[0]] * 9
    alone = {pair: reranker(kind).compute_score(pair)[0] for pair in pairs}
    assert_same(reranker(kind).compute_score(pairs), [alone[pair] for pair in pairs])


def test_hundreds_of_pairs_come_back_in_their_order(reranker, plain):
    """More than one batch at any setting, lengths up and down."""
    pairs = [
        (" ".join(WORDS[: index % 5]), " ".join(WORDS[(index * 7 + word) % len(WORDS)] for word in range(index % 23)))
        for index in range(150)
    ]
    expected = plain("bert").scores(pairs)
    for batch_size in (1, 7, 256):
        assert_same(reranker("bert").compute_score(pairs, batch_size=batch_size), expected)


@pytest.mark.parametrize("pair", [("river", "stone"), ["river", "stone"], np.array(["river", "stone"])])
def test_one_pair_gives_a_list_of_one(reranker, plain, pair):
    assert_same(reranker("bert").compute_score(pair), plain("bert").scores([("river", "stone")]))


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, lambda pairs: map(list, pairs)])
def test_each_kind_of_list(reranker, plain, kind):
    pairs = [("river", "stone"), ("light", "seven garden")]
    assert_same(reranker("bert").compute_score(kind(pairs)), plain("bert").scores(pairs))


@pytest.mark.parametrize("options", [{}, {"normalize": True}, {"batch_size": 3}, {"max_length": 9}])
def test_no_pairs_give_no_scores(reranker, options):
    assert reranker("bert").compute_score([], **options) == []


@pytest.mark.parametrize("where", ["constructor", "call"])
def test_normalised_scores_are_sigmoids(cross_encoder, reranker, where):
    option = {"normalize": True}
    model = FlagReranker(str(cross_encoder("bert")), **(option if where == "constructor" else {}))
    found = model.compute_score(PAIRS, **(option if where == "call" else {}))
    expected = [1 / (1 + math.exp(-score)) for score in reranker("bert").compute_score(PAIRS)]
    assert_same(found, expected, tolerance=1e-12)


def test_a_call_may_want_plain_scores_of_a_model_that_normalises(cross_encoder, reranker):
    model = FlagReranker(str(cross_encoder("bert")), normalize=True)
    assert model.compute_score(PAIRS, normalize=False) == reranker("bert").compute_score(PAIRS)


def test_sigmoids_of_large_scores(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "large", "bert")
    model = FlagReranker(str(folder))
    weight = model.model.classifier.weight
    weight.mul_(1e5)
    model.model.classifier.bias.zero_()
    scores = model.compute_score(PAIRS)
    model.model.classifier.weight.neg_()
    opposite = model.compute_score(PAIRS, normalize=True)
    model.model.classifier.weight.neg_()
    found = model.compute_score(PAIRS, normalize=True)
    assert max(map(abs, scores)) > 800  # beyond what exp() takes
    assert found == [float(score > 0) for score in scores]
    assert opposite == [1 - score for score in found]


def test_threads_that_share_a_model(reranker):
    """Long texts cut short: most of the time goes to the tokenizer, where threads could meet."""
    pairs = [(" ".join(WORDS[:length]), " ".join(WORDS[:length]) * 60) for length in range(1, len(WORDS))]
    lengths = [5, 6, 7, 8, 9, 10, 11, 12]
    model = reranker("bert")
    expected = {length: model.compute_score(pairs, max_length=length) for length in lengths}
    together = threading.Barrier(len(lengths))

    def distance(length):
        together.wait()
        runs = [model.compute_score(pairs, max_length=length) for _ in range(3)]
        return max(np.abs(np.array(run) - expected[length]).max() for run in runs)

    with ThreadPoolExecutor(len(lengths)) as pool:
        assert max(pool.map(distance, lengths)) <= 1e-5
    assert len({tuple(scores) for scores in expected.values()}) == len(lengths)
