"""Scores, token names and sparse arrays: exact values on small inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from FlagEmbedding.errors import InputError

ONE = {"4": 0.5, "7": 2.0, "9": 1.0}
TWO = {"7": np.float32(0.25), "9": np.float32(3.0), "11": np.float32(8.0)}


def test_lexical_matching_of_two(m3):
    score = m3.compute_lexical_matching_score(ONE, TWO)
    assert type(score) is float
    assert score == 2.0 * 0.25 + 1.0 * 3.0
    assert m3.compute_lexical_matching_score(ONE, {"5": 1.0}) == 0.0
    assert m3.compute_lexical_matching_score({}, {}) == 0.0


def test_lexical_matching_of_lists_is_a_matrix(m3):
    rows, columns = [ONE, {}, {"11": 2.0}], [TWO, ONE]
    scores = m3.compute_lexical_matching_score(rows, columns)
    assert scores.tolist() == [[3.5, 0.25 + 4.0 + 1.0], [0.0, 0.0], [16.0, 0.0]]
    assert scores.dtype == np.float64
    assert m3.compute_lexical_matching_score([], columns).shape == (0, 2)
    assert m3.compute_lexical_matching_score(rows, []).shape == (3, 0)


@pytest.mark.parametrize(
    "pair", [(ONE, [TWO]), ([ONE], TWO), (ONE, None), (None, None), ([ONE, None], [TWO]), ("4", "4")]
)
def test_lexical_matching_of_anything_else(m3, pair):
    with pytest.raises(InputError, match="return_sparse=True"):
        m3.compute_lexical_matching_score(*pair)


def test_colbert_score_is_the_mean_of_the_best(m3):
    query = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    passage = np.array([[2, 0], [-1, 0.5]], np.float32)
    score = m3.colbert_score(query, passage)
    assert isinstance(score, torch.Tensor)
    assert score.shape == ()
    assert score.dtype == torch.float32
    assert score.item() == pytest.approx((2 + 0.5 + 2) / 3)


def test_colbert_score_takes_what_there_is(m3, tmp_path):
    query, passage = np.eye(3, dtype=np.float16), np.ones((2, 3), np.float64)
    np.save(tmp_path / "passage.npy", passage.astype(np.float32))
    stored = np.load(tmp_path / "passage.npy", mmap_mode="r")  # read-only, which torch would warn of
    for given in (passage, torch.tensor(passage).half(), stored, passage.tolist(), np.asfortranarray(passage)):
        assert m3.colbert_score(query, given).item() == 1.0


def test_colbert_scores_are_colbert_score_for_each(m3):
    generator = np.random.default_rng(7)
    query = generator.standard_normal((5, 16), np.float32)
    passages = [generator.standard_normal((size, 16), np.float32) for size in (1, 3, 40, 7)]
    scores = m3.colbert_scores(query, iter(passages))
    assert scores.dtype == np.float32
    assert scores.tolist() == [m3.colbert_score(query, passage).item() for passage in passages]
    assert m3.colbert_scores(query, []).shape == (0,)
    assert m3.colbert_scores(query, []).dtype == np.float32


@pytest.mark.parametrize(
    ("query", "passage", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "3 wide and p_reps 4"),
        (np.ones(3), np.ones((2, 3)), "q_reps must be"),
        (np.ones((2, 3)), np.ones((0, 3)), "p_reps must be"),
        (np.ones((2, 3)), [np.ones((2, 3)), np.ones((1, 3))], "p_reps must be"),
        (None, np.ones((2, 3)), "q_reps must be"),
        ("text", np.ones((2, 3)), "q_reps must be"),
    ],
)
def test_colbert_score_of_anything_else(m3, query, passage, message):
    with pytest.raises(InputError, match=message):
        m3.colbert_score(query, passage)


def test_ids_become_tokens_and_the_larger_weight_stays(m3):
    tokenizer = m3.tokenizer
    ids = {text: tokenizer.convert_tokens_to_ids(text) for text in ("▁a", "a", "▁river")}
    assert len(set(ids.values())) == 3
    weights = {str(ids["▁a"]): 0.5, str(ids["a"]): 0.75, str(ids["▁river"]): 0.25}
    expected = {"a": 0.75, "river": 0.25}
    assert m3.convert_id_to_token(weights) == expected
    assert m3.convert_id_to_token(dict(reversed(weights.items()))) == expected
    assert m3.convert_id_to_token([weights]) == [expected]
    assert m3.convert_id_to_token([weights, {}]) == [expected, {}]
    assert m3.convert_id_to_token([]) == []


def test_tokens_of_a_text(m3):
    weights = m3.encode(["the river in the garden window", "stone"], return_sparse=True)["lexical_weights"]
    named = m3.convert_id_to_token(weights)
    assert set(named[0]) <= {"the", "river", "in", "garden", "window"}
    assert named[0]
    assert sorted(map(float, named[0].values())) == sorted(map(float, weights[0].values()))


def test_sparse_arrays_are_sorted(m3):
    weights = {"30": 0.5, "4": np.float32(0.25), "100": 1}
    found = m3.sparse_arrays(weights)
    assert found["indices"].tolist() == [4, 30, 100]
    assert found["values"].tolist() == [0.25, 0.5, 1.0]
    assert found["indices"].dtype == np.int64
    assert found["values"].dtype == np.float32
    (alone,), empty = m3.sparse_arrays([weights]), m3.sparse_arrays({})
    assert alone["indices"].tolist() == [4, 30, 100]
    assert empty["indices"].shape == empty["values"].shape == (0,)
    assert empty["indices"].dtype == np.int64
    assert empty["values"].dtype == np.float32


@pytest.mark.parametrize("method", ["convert_id_to_token", "sparse_arrays"])
@pytest.mark.parametrize("given", [None, "4", [None], {"the": 1.0}, [{"▁the": 1.0}]])
def test_no_lexical_weights(m3, method, given):
    with pytest.raises(InputError, match=r"return_sparse=True|is no token id"):
        getattr(m3, method)(given)
