from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine.outputs import DenseSink, ScoreSink, check_finite
from FlagEmbedding.errors import NotFiniteError


def test_rows_go_to_the_places_of_their_texts():
    sink = DenseSink(3, 2)
    sink.put([2, 0], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    sink.put([1], torch.tensor([[5.0, 6.0]]))
    assert sink.vectors.tolist() == [[3.0, 4.0], [5.0, 6.0], [1.0, 2.0]]


def test_no_texts():
    assert DenseSink(0, 5).vectors.shape == (0, 5)


def test_scores_go_to_the_places_of_their_pairs():
    sink = ScoreSink(3, 1)
    sink.put([2, 0], torch.tensor([[1.0], [3.0]]))
    sink.put([1], torch.tensor([[5.0]]))
    assert sink.scores.tolist() == [[3.0], [5.0], [1.0]]


def test_a_score_a_list():
    sink = ScoreSink(2, 3)
    sink.put([1], torch.tensor([[4.0, 5.0, 6.0]]))
    sink.put([0], torch.tensor([[1.0, 2.0, 3.0]]))
    assert sink.scores.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_what_is_equal_is_kept_again():
    dense, scores = DenseSink(4, 2), ScoreSink(4, 2)
    for sink in (dense, scores):
        sink.put([0, 2], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        sink.repeat([2, 0], [1, 3])
    assert dense.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]
    assert scores.scores.tolist() == dense.vectors.tolist()


@pytest.mark.parametrize("lists", [1, 4])
def test_no_pairs(lists):
    assert ScoreSink(0, lists).scores.shape == (0, lists)


def test_the_positions_may_be_any_sequence():
    sink = ScoreSink(3, 1)
    sink.put(range(3), torch.tensor([[1.0], [2.0], [3.0]]))
    assert sink.scores.tolist() == [[1.0], [2.0], [3.0]]


def test_more_lists_than_there_are_do_not_fit():
    with pytest.raises(RuntimeError, match="shape mismatch"):
        ScoreSink(2, 1).put([0], torch.tensor([[1.0, 2.0]]))


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64_by_default")
def test_float32_whatever_the_program_chose_as_torchs_default():
    assert DenseSink(1, 2).vectors.dtype == torch.float32
    assert ScoreSink(1, 2).scores.dtype == torch.float32


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 16), (2, 384), (50, 33)])
def test_a_number_that_is_none_is_found_wherever_it_is(shape, wrong):
    rows = torch.randn(shape)
    check_finite(rows, "vectors", "here", torch.float32)
    for row, column in {(0, 0), (shape[0] // 2, shape[1] // 2), (shape[0] - 1, shape[1] - 1)}:
        faulty = rows.clone()
        faulty[row, column] = wrong
        with pytest.raises(NotFiniteError, match=rf"^1 of {shape[0]} vectors of 'here' hold NaN or infinity \({row}\)"):
            check_finite(faulty, "vectors", "here", torch.float32)
    check_finite(rows[:0], "vectors", "here", torch.float32)


def test_looking_at_a_corpus_takes_no_memory():
    rows = torch.zeros(4000, 5000)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        check_finite(rows, "vectors", "here", torch.float32)
    assert sum(max(0, event.self_cpu_memory_usage) for event in profile.key_averages()) < 10_000
