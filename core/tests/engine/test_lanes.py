"""Several batches at once: each on a thread of its own, every one of them done, and nothing left of a failure."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagModel
from FlagEmbedding.engine import lanes
from FlagEmbedding.engine.lanes import in_lanes


@pytest.fixture
def two_threads():
    """Give torch two threads, whatever the tests run with."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_each_item_is_done_on_a_lane_where_torch_has_one_thread():
    meet = threading.Barrier(2, timeout=10)

    def work(item):
        if item < 2:
            meet.wait()  # so both lanes are at work
        return threading.get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled(), item * item

    done = dict(in_lanes(work, iter(range(20)), 2))
    assert {item: result[3] for item, result in done.items()} == {item: item * item for item in range(20)}
    assert len({result[0] for result in done.values()} - {threading.get_ident()}) == 2
    assert {result[1:3] for result in done.values()} == {(1, True)}


def test_one_lane_is_this_thread():
    assert list(in_lanes(lambda item: (item, threading.get_ident()), iter("ab"), 1)) == [
        ("a", ("a", threading.get_ident())),
        ("b", ("b", threading.get_ident())),
    ]


@pytest.mark.usefixtures("two_threads")
def test_no_more_are_begun_than_there_are_lanes():
    asked = []

    def items():
        for item in range(6):
            asked.append(item)
            yield item

    seen = [(item, len(asked)) for item, _ in in_lanes(lambda item: item, items(), 2)]
    assert all(count <= done + 2 for done, (_, count) in enumerate(seen, 1))


@pytest.mark.usefixtures("two_threads")
def test_an_item_that_is_put_back_at_the_end_is_done_again():
    waiting = [1, 2, 3]

    class Items:
        def __iter__(self):
            while waiting:
                yield waiting.pop()

    done = []
    for item, _ in in_lanes(lambda item: item, Items(), 2):
        done.append(item)
        if item == 1:
            waiting.append(9)
    assert sorted(done) == [1, 2, 3, 9]


@pytest.mark.usefixtures("two_threads")
def test_an_exception_passes_when_the_others_are_done():
    begun, ended = [], []

    def work(item):
        begun.append(item)
        if item == "bad":
            raise ZeroDivisionError(item)
        time.sleep(0.2)
        ended.append(item)

    with pytest.raises(ZeroDivisionError, match="bad"):
        list(in_lanes(work, iter(["good", "bad", "late"]), 2))
    assert "good" in ended
    assert len(begun) == len(ended) + 1


@pytest.mark.usefixtures("two_threads")
def test_a_forked_child_has_lanes_of_its_own():
    assert len(list(in_lanes(lambda item: item, iter(range(3)), 2))) == 3
    child = os.fork()
    if child == 0:
        os._exit(lanes._executor.cache_info().currsize)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.usefixtures("two_threads")
def test_vectors_are_the_same_with_lanes(checkpoint, monkeypatch):
    texts = [" ".join(["the river of light"] * (1 + index % 9)) + " " + "x" * (index % 70) for index in range(300)]
    model = FlagModel(str(checkpoint("bert")), pooling_method="mean", devices="cpu", use_fp16=False)
    asked = []
    monkeypatch.setattr(
        "FlagEmbedding.engine.runner.in_lanes",
        lambda work, items, count: asked.append(count) or in_lanes(work, items, count),
    )
    found = model.encode(texts)
    model.encode(texts[:2])  # too little to share
    torch.set_num_threads(1)
    wanted = model.encode(texts)
    torch.set_num_threads(2)
    assert asked == [2, 1, 1]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("two_threads")
def test_a_batch_without_memory_is_halved_in_its_lane(checkpoint):
    texts = [f"the river {index} of light" * (1 + index % 5) for index in range(300)]
    model = FlagModel(str(checkpoint("bert")), pooling_method="mean", devices="cpu", use_fp16=False)
    wanted, forward, failed = model.encode(texts), model._engine._forward, []

    def scarce(rows):
        if len(rows) > 20:
            failed.append(len(rows))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(rows)

    model._engine._forward = scarce
    np.testing.assert_allclose(model.encode(texts), wanted, rtol=0, atol=1e-5)
    assert failed
