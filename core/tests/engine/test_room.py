"""Room: lanes only where there is a batch for each."""

from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine import room as room_module
from FlagEmbedding.engine.planner import CPU_TOKENS, LANE_TOKENS
from FlagEmbedding.engine.room import Room


@pytest.fixture(autouse=True)
def four_threads():
    """Give torch four threads, whatever the tests run with."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("lengths", "lanes"),
    [
        ([8192], 1),  # a text for one lane: all threads share its products
        ([8192] * 3, 1),
        ([8192] * 4, 4),
        ([100] * 39, 1),  # less than a batch for each
        ([100] * 41, 4),
        ([1] * 4, 1),
    ],
)
def test_how_many_batches_run_at_a_time(lengths, lanes):
    plan, found = Room("cpu").plan(lengths, 256)
    assert found == lanes
    assert plan.budget.tokens == (LANE_TOKENS if lanes > 1 else CPU_TOKENS)


def test_one_at_a_time_where_several_may_not_run_side_by_side():
    assert Room("cpu", side_by_side=False).plan([8192] * 9, 256)[1] == 1
    assert Room("cuda:0").plan([8192] * 9, 256)[1] == 1


@pytest.mark.parametrize(("device", "times"), [("cpu", 2), ("cuda:0", 0)])
def test_free_memory_is_given_back_now_and_then(device, times, monkeypatch):
    given = []
    monkeypatch.setattr(room_module, "release", given.append)
    room = Room(device)
    for calls in range(1, 7):
        room.computed(30_000)
        assert given == [device] * (times * (calls // 3) // 2)
