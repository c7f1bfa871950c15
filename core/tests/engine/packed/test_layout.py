from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine.packed.layout import Group, Layout
from FlagEmbedding.engine.packed.states import PackedStates

CPU = torch.device("cpu")


def test_neighbours_of_equal_length_are_a_group():
    layout = Layout([2, 3, 2, 1], CPU)
    assert layout.order == [1, 0, 2, 3]
    assert layout.groups == [Group(0, 1, 3), Group(3, 2, 2), Group(7, 1, 1)]
    assert (layout.tokens, layout.longest) == (8, 3)
    assert layout.offsets.tolist() == [0, 3, 5, 7, 8]
    assert layout.offsets.dtype == torch.int32
    assert layout.first.tolist() == [0, 3, 5, 7]
    assert layout.last.tolist() == [2, 4, 6, 7]


def test_positions_begin_anew_with_each_text():
    assert Layout([2, 3, 2], CPU).positions().tolist() == [0, 1, 2, 0, 1, 0, 1]
    assert Layout([1, 2], CPU).positions(start=5).tolist() == [5, 6, 5]


def test_ids_lie_longest_text_first():
    assert Layout([1, 3, 2], CPU).pack([[1], [2, 3, 4], [5, 6]]).tolist() == [2, 3, 4, 5, 6, 1]


@pytest.mark.parametrize("lengths", [[1, 3, 2], [3, 2, 1], [2, 2]])
def test_rows_return_to_the_callers_order(lengths):
    layout = Layout(lengths, CPU)
    packed = torch.tensor([[float(lengths[index])] for index in layout.order])
    assert layout.restore(packed).flatten().tolist() == lengths


def test_a_filler_makes_up_the_step():
    layout = Layout([2, 3], CPU, step=8)
    assert layout.groups == [Group(0, 1, 3), Group(3, 1, 2), Group(5, 1, 3)]
    assert (layout.tokens, layout.longest) == (5, 3)
    assert layout.real_groups == layout.groups[:2]
    assert layout.pack([[1, 2], [3, 4, 5]]).tolist() == [3, 4, 5, 1, 2, 0, 0, 0]
    assert layout.positions().tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert layout.offsets.tolist() == [0, 3, 5, 8]
    assert (layout.first.tolist(), layout.last.tolist()) == ([0, 3], [2, 4])


def test_a_filler_longer_than_the_texts_has_positions():
    assert Layout([1], CPU, step=4).positions().tolist() == [0, 0, 1, 2]


def test_a_whole_step_needs_no_filler():
    assert Layout([5, 3], CPU, step=8).groups == [Group(0, 1, 5), Group(5, 1, 3)]


def states(step=1, dtype=torch.float32):
    layout = Layout([1, 3, 2], CPU, step)
    ids = layout.pack([[1], [2, 3, 4], [5, 6]])
    return PackedStates(ids.unsqueeze(1).to(dtype), ids, layout)


@pytest.mark.parametrize("step", [1, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_by_text(step, dtype):
    given = states(step, dtype)
    assert given.first().tolist() == [[1.0], [2.0], [5.0]]
    assert given.last().tolist() == [[1.0], [4.0], [6.0]]
    assert given.mean().tolist() == [[1.0], [3.0], [5.5]]
    assert [text.flatten().tolist() for text in given.split()] == [[1.0], [2.0, 3.0, 4.0], [5.0, 6.0]]
    assert {part.dtype for part in (given.first(), given.last(), given.mean(), *given.split())} == {torch.float32}


@pytest.mark.parametrize("step", [1, 8])
def test_states_as_rectangles(step):
    padded = states(step).padded()
    assert padded.states.squeeze(-1).tolist() == [[1.0, 0.0, 0.0], [2.0, 3.0, 4.0], [5.0, 6.0, 0.0]]
    assert padded.mask.tolist() == [[True, False, False], [True, True, True], [True, True, False]]
    assert padded.ids.tolist() == [[1, 0, 0], [2, 3, 4], [5, 6, 0]]
