"""When work leaves the process, and what the contract makes of it: with models that have no weights."""

from __future__ import annotations

import multiprocessing
import os
import pickle

import numpy as np
import pytest
from worker_embedder import LengthEmbedder, PairLengths

from FlagEmbedding.abc.inference import on_devices
from FlagEmbedding.errors import InputError

TEXTS = ["x" * (index * 7 % 50) for index in range(300)]


def load(count=2, **options):
    return LengthEmbedder("none", devices=["cpu"] * count, **options)


def test_few_texts_start_nothing():
    with load() as model:
        assert model.encode("a river").tolist() == [7, os.getpid()]
        assert set(model.encode(TEXTS[:127])[:, 1]) == {os.getpid()}
    assert not multiprocessing.active_children()


def test_one_device_starts_nothing():
    with load(1) as model:
        assert set(model.encode(TEXTS)[:, 1]) == {os.getpid()}


def test_many_texts_are_shared_out_and_come_back_in_order():
    with load() as model:
        rows = model.encode(TEXTS)
        assert rows[:, 0].tolist() == list(map(len, TEXTS))
        workers = {process.pid for process in multiprocessing.active_children()}
        assert len(workers) == 2
        assert set(rows[:, 1]) <= workers
        assert set(model.encode(TEXTS)[:, 1]) <= workers  # they are kept
        assert set(model.encode(TEXTS[:3])[:, 1]) == {os.getpid()}  # and left alone with what is nothing to share


def test_a_device_that_is_named_for_a_call_is_used_alone():
    with load() as model:
        assert set(model.encode(TEXTS, device="cpu")[:, 1]) == {os.getpid()}


def test_settings_travel_with_the_task():
    with load() as model:
        before = model.encode(TEXTS)[:, 0]
        model.factor = 3
        np.testing.assert_array_equal(model.encode(TEXTS)[:, 0], 3 * before)
        np.testing.assert_array_equal(model.encode(TEXTS, instruction="ab")[:, 0], 3 * (before + 2))


def test_an_error_of_a_worker_says_what_its_numbers_count():
    with load() as model, pytest.raises(InputError, match="is refused") as caught:
        model.encode([*TEXTS, "refused"])
    (note,) = caught.value.__notes__
    assert "inputs of one worker: the first is 'x" in note


def test_a_daemon_that_nobody_told_of_several_devices_stays_alone(monkeypatch):
    model = load()
    model._named = False
    monkeypatch.setattr(on_devices, "_PAYS_S", 0)
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": True}, raising=False)
    with model:
        assert set(model.encode(["x"] * 2000)[:, 1]) == {os.getpid()}


def test_close_ends_the_workers_and_not_the_model():
    model = load()
    model.encode(TEXTS)
    model.close()
    model.close()
    assert not multiprocessing.active_children()
    assert model.encode(TEXTS)[:, 0].tolist() == list(map(len, TEXTS))
    model.stop_self_pool()
    assert not multiprocessing.active_children()


def test_a_copy_starts_workers_of_its_own():
    with load() as model:
        model.encode(TEXTS)
        first = set(multiprocessing.active_children())
        with pickle.loads(pickle.dumps(model)) as copy:
            copy.encode(TEXTS)
            assert len(multiprocessing.active_children()) == 4
        assert set(multiprocessing.active_children()) == first


def test_a_model_that_is_dropped_takes_its_workers_along():
    model = load()
    model.encode(TEXTS)
    del model
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("pays", "started"), [(0.0, 2), (1e9, 0)])
def test_devices_that_nobody_named_are_touched_when_the_rest_takes_long(pays, started, monkeypatch):
    monkeypatch.setattr(on_devices, "_PAYS_S", pays)
    monkeypatch.setattr(on_devices, "_SAMPLE", 130)
    with load(1) as model:
        model.target_devices, model._named = ["cpu", "cpu"], False  # as on a machine with two cards
        rows = model.encode(TEXTS)
        assert rows[:, 0].tolist() == list(map(len, TEXTS))
        assert set(rows[:130, 1]) == {os.getpid()}
        assert len(multiprocessing.active_children()) == started


def test_an_error_in_a_worker_is_the_callers():
    with load() as model:
        with pytest.raises(KeyError, match="boom") as caught:
            model.encode([*TEXTS, "boom"])
        assert "encode_single_device" in str(caught.value.__cause__)
        assert model.encode(TEXTS)[:, 0].tolist() == list(map(len, TEXTS))


def test_scores_come_back_in_order_also_layer_by_layer():
    pairs = [(text, "q" * (index % 5)) for index, text in enumerate(TEXTS)]
    wanted = [float(len(query) + 100 * len(passage)) for query, passage in pairs]
    with PairLengths("none", devices=["cpu", "cpu"]) as model:
        assert model.compute_score(pairs) == wanted
        assert model.compute_score(pairs, layers=2) == [wanted, [2 * score for score in wanted]]
        assert len(multiprocessing.active_children()) == 2
