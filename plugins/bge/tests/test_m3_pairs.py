"""compute_score: pairwise, each text encoded once, combined by weights that never divide by 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FlagEmbedding.errors import InputError, OptionError
from flagembedding_bge import m3_pairs
from flagembedding_bge.m3 import M3Embedder

MODES = ["colbert", "sparse", "dense", "sparse+dense", "colbert+sparse+dense"]
QUERIES = ["the question in a window", "river river stone", "answer"]
PASSAGES = ["All of the answer is in the garden window.", "", "search engine " * 40, "a small question, a stone"]
PAIRS = [(query, passage) for query in QUERIES for passage in PASSAGES]


def expected(reference, query, passage, weights=(1, 1, 1), query_length=64, passage_length=64):
    dense = float(reference.dense(query, query_length) @ reference.dense(passage, passage_length))
    one, two = reference.lexical(query, query_length), reference.lexical(passage, passage_length)
    sparse = sum(one[token] * two[token] for token in one.keys() & two.keys())
    products = reference.multi(query, query_length) @ reference.multi(passage, passage_length).T
    colbert = products.max(axis=1).sum() / len(products)
    both, total = sum(weights[:2]), sum(weights)
    return {
        "colbert": colbert,
        "sparse": sparse,
        "dense": dense,
        "sparse+dense": (weights[0] * dense + weights[1] * sparse) / both if both else 0.0,
        "colbert+sparse+dense": (weights[0] * dense + weights[1] * sparse + weights[2] * colbert) / total,
    }


def assert_scores(found, reference, pairs, **settings):
    assert list(found) == MODES
    wanted = [expected(reference, *pair, **settings) for pair in pairs]
    for mode in MODES:
        assert found[mode] == pytest.approx([scores[mode] for scores in wanted], abs=2e-5)
        assert all(type(score) is float for score in found[mode])


@pytest.mark.parametrize("weights", [(1, 1, 1), (0.4, 0.2, 0.4), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (0, 2, 3)])
def test_scores(m3, m3_reference, weights):
    found = m3.compute_score(PAIRS, weights_for_different_modes=list(weights))
    assert_scores(found, m3_reference, PAIRS, weights=weights)


def test_the_scores_test_something(m3_reference):
    assert sum(expected(m3_reference, *pair)["sparse"] > 0 for pair in PAIRS) >= 3


def test_equal_weights_by_default(m3, m3_reference):
    assert_scores(m3.compute_score(sentence_pairs=PAIRS, batch_size=2), m3_reference, PAIRS)


@pytest.mark.parametrize("pair", [PAIRS[0], list(PAIRS[0]), np.array(PAIRS[0])], ids=["tuple", "list", "array"])
def test_one_pair_gives_floats(m3, m3_reference, pair):
    found = m3.compute_score(pair)
    assert all(type(score) is float for score in found.values())
    assert found == pytest.approx(expected(m3_reference, *PAIRS[0]), abs=2e-5)


def test_a_list_of_one_pair_gives_lists(m3):
    assert all(len(scores) == 1 for scores in m3.compute_score([PAIRS[0]]).values())
    assert all(scores == [] for scores in m3.compute_score([]).values())
    assert list(m3.compute_score([])) == MODES


def test_lengths(m3, m3_checkpoint, m3_reference):
    settings = {"query_length": 5, "passage_length": 9}
    assert_scores(m3.compute_score(PAIRS, None, 5, 9), m3_reference, PAIRS, **settings)
    model = M3Embedder(str(m3_checkpoint), devices="cpu", query_max_length=5, passage_max_length=9)
    assert_scores(model.compute_score(PAIRS), m3_reference, PAIRS, **settings)
    model = M3Embedder(str(m3_checkpoint), devices="cpu", passage_max_length=9)
    assert_scores(model.compute_score(PAIRS), m3_reference, PAIRS, passage_length=9)


@given(st.lists(st.sampled_from(PAIRS), max_size=8), st.integers(1, 60))
@settings(max_examples=25)
def test_order_repetition_and_chunks_do_not_matter(m3, m3_reference, pairs, characters):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(m3_pairs, "_CHUNK_CHARACTERS", characters)
        assert_scores(m3.compute_score(pairs), m3_reference, pairs)


@pytest.mark.parametrize("characters", [1, 60, 10**6])
def test_each_text_is_encoded_once(m3_checkpoint, monkeypatch, characters):
    monkeypatch.setattr(m3_pairs, "_CHUNK_CHARACTERS", characters)
    seen = []

    class Counting(M3Embedder):
        def encode_single_device(self, sentences, **kwargs):
            seen.append(list(sentences))
            return super().encode_single_device(sentences, **kwargs)

    Counting(str(m3_checkpoint), devices="cpu").compute_score(PAIRS * 2)
    assert seen[0] == QUERIES
    assert [text for chunk in seen[1:] for text in chunk] == PASSAGES
    assert len(seen) == {1: 5, 60: 4, 10**6: 2}[characters]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("text", "a pair or a list of pairs, not str"),
        (None, "a pair or a list of pairs, not None"),
        (7, "a pair or a list of pairs, not int"),
        ({"a": "b"}, "a pair or a list of pairs, not dict"),
        ({("a", "b")}, "a pair or a list of pairs, not set"),
        (["a"], "not 1 texts"),
        (["a", "b", "c"], "not 3 texts"),
        (["a", None], r"sentence_pairs\[1\] must be a string, not None"),
        ([("a", "b"), ("c",)], r"sentence_pairs\[1\] must be a query and a passage, not 1 texts"),
        ([("a", "b", "c")], r"sentence_pairs\[0\] must be a query and a passage, not 3 texts"),
        ([("a", "b"), "cd"], r"sentence_pairs\[1\] must be a query and a passage, not str"),
        ([("a", None)], r"sentence_pairs\[0\]\[1\] must be a string, not None"),
        ([("a", 5)], r"sentence_pairs\[0\]\[1\] must be a string, not int"),
        ([None], r"sentence_pairs\[0\] must be"),
        ([("a", "\ud800")], "lone surrogate"),
    ],
)
def test_no_pairs(m3, pairs, message):
    with pytest.raises(InputError, match=message):
        m3.compute_score(pairs)


@pytest.mark.parametrize(
    "weights", [[0, 0, 0], [1, 1], [1, 1, 1, 1], [1, -1, 1], [float("nan"), 1, 1], [float("inf"), 1, 1], 1, ["a", 1, 1]]
)
def test_no_weights(m3, weights):
    with pytest.raises(OptionError, match="weights_for_different_modes are three numbers"):
        m3.compute_score(PAIRS, weights_for_different_modes=weights)
