from __future__ import annotations

import functools
import gc
import importlib
import logging
import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from FlagEmbedding.engine.workers.pool import WorkerPool
from FlagEmbedding.errors import DeviceError, WorkerError


def test_results_come_in_the_order_of_the_parts(pool):
    cpus = pool("cpu", "cpu")
    parts = [[0.2], [0.0], [0.1], [0.0], [0.05]]
    assert [seconds for _, seconds in cpus.run("sleep", parts, {})] == [0.2, 0.0, 0.1, 0.0, 0.05]
    assert cpus.run("double", [[number, -number] for number in range(40)], {}) == [[2 * n, -2 * n] for n in range(40)]


def test_the_next_part_goes_to_whoever_is_free(pool, tmp_path):
    cpus = pool("cpu", "cpu")
    cpus.run("wait_for_others", [[0], [0]], {"folder": str(tmp_path), "number": 2})  # both are there
    pids = [pid for pid, _ in cpus.run("sleep", [[0.6], *[[0.02]] * 6], {})]
    assert pids[0] not in pids[1:]
    assert len(set(pids)) == 2


def test_each_device_is_a_worker_with_its_own_model(pool, tmp_path):
    cards = pool("cuda:0", "cuda:1")
    cards.run("wait_for_others", [[0], [0]], {"folder": str(tmp_path), "number": 2})
    told = cards.run("whereabouts", [[n] for n in range(6)], {"seconds": 0.05})
    assert {one["device"] for one in told} == {"cuda:0", "cuda:1"}
    assert all(one["own"] == one["device"] for one in told)
    assert len({one["pid"] for one in told}) == 2
    assert os.getpid() not in {one["pid"] for one in told}


def test_settings_travel_with_each_call(pool):
    cpus = pool("cpu", "cpu")
    for options in ({"max_length": 8}, {"max_length": 9, "instruction": "x"}, {}):
        assert [one["options"] for one in cpus.run("whereabouts", [["a"], ["b"], ["c"]], options)] == [options] * 3


def test_workers_are_started_by_the_first_call_and_kept(standins, caplog, tmp_path):
    made = []
    cpus = WorkerPool(lambda device: made.append(device) or standins.Standin(device), ["cpu", "cpu"])
    with cpus, caplog.at_level(logging.INFO, "FlagEmbedding.engine.workers"):
        assert cpus.run("double", [], {}) == []
        assert made == []
        first = set(cpus.run("wait_for_others", [[0], [0]], {"folder": str(tmp_path), "number": 2}))
        assert made == ["cpu", "cpu"]
        later = {one["pid"] for one in cpus.run("whereabouts", [[n] for n in range(8)], {"seconds": 0.02})}
        assert made == ["cpu", "cpu"]
        assert later <= first
    assert [record.getMessage() for record in caplog.records] == ["starting workers on cpu, cpu"]


def test_no_more_workers_than_parts(pool):
    cpus = pool("cpu", "cpu", "cpu")
    cpus.run("double", [[1]], {})
    assert len(cpus._crew.workers) == 1
    cpus.run("double", [[1], [2]], {})
    assert len(cpus._crew.workers) == 2


def test_they_start_at_the_same_time(pool, standins, tmp_path):
    """Started one after the other, the first would wait in vain for the second."""
    slow = pool("cpu", "cpu", loading=(standins.meet, str(tmp_path), 2))
    assert slow.run("double", [[1], [2]], {}) == [[2], [4]]


def test_arrays_and_tensors(pool):
    cpus = pool("cpu")
    (array,) = cpus.run("array", [[5]], {})
    np.testing.assert_array_equal(array, np.arange(5, dtype=np.float32))
    array[0] = 7  # the caller's own
    (large,) = cpus.run("array", [[3_000_000]], {})
    assert large[-1] == 2_999_999
    (tensors,) = cpus.run("tensors", [[4]], {})
    assert tensors["bf16"].dtype == torch.bfloat16
    assert tensors["bf16"].tolist() == [0, 1, 2, 3]
    assert torch.equal(tensors["dense"], torch.ones(3, 2))
    assert not tensors["dense"].is_shared()  # no file descriptor of the worker behind it


def test_workers_on_the_cpu_share_its_threads(pool, monkeypatch):
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    cpus = pool("cpu", "cuda:0", "cpu", loading=(importlib.import_module, "torch"))
    assert cpus.run("variables", [[0]], {}) == [{"OMP_NUM_THREADS": "3", "RAYON_NUM_THREADS": "3"}]
    assert cpus.run("torch_threads", [[0]], {}) == [3]
    assert os.environ.get("OMP_NUM_THREADS") != "3"


@pytest.mark.parametrize(("threads", "devices", "share"), [(1, 2, "1"), (8, 1, "8")])
def test_at_least_one_thread_each(pool, monkeypatch, threads, devices, share):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    cpus = pool(*["cpu"] * devices)
    assert cpus.run("variables", [[0]], {})[0]["OMP_NUM_THREADS"] == share


def test_accelerators_keep_their_threads(pool, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert pool("cuda:0", "cpu").run("variables", [[0]], {})[0]["OMP_NUM_THREADS"] == "5"


def test_a_worker_needs_no_torch_and_no_registry(pool):
    heavy = ["torch", "transformers", "pluggy", "FlagEmbedding.registry", "FlagEmbedding.plugins", "tqdm"]
    assert pool("cpu").run("modules", [heavy], {}) == [["tqdm"]]


def test_calls_from_many_threads(pool):
    cpus = pool("cpu", "cpu")
    wrong = []

    def work(thread):
        for turn in range(25):
            number = 1000 * thread + turn
            if cpus.run("double", [[number], [number, 1]], {}) != [[2 * number], [2 * number, 2]]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cpus._crew.workers) == 2


def test_an_exception_in_one_thread_is_not_seen_by_another(pool):
    cpus = pool("cpu", "cpu")
    outcomes = []

    def fail():
        for _ in range(10):
            try:
                cpus.run("fails_with", [["a"], ["b"], ["c"]], {"wrong": wrong, "where": "b"})
            except KeyError as error:
                outcomes.append(error.args)

    wrong = KeyError("wrong")
    cpus.run("double", [[1]], {})
    thread = threading.Thread(target=fail)
    thread.start()
    for number in range(40):
        assert cpus.run("double", [[number], [number]], {}) == [[2 * number]] * 2
    thread.join()
    assert outcomes == [("wrong",)] * 10


def test_close_ends_them_once_and_for_all(pool, gone, exit_codes):
    cpus = pool("cpu", "cpu")
    pids = {one["pid"] for one in cpus.run("whereabouts", [[n] for n in range(4)], {"seconds": 0.05})}
    cpus.close()
    assert exit_codes == [0, 0]  # by themselves
    assert gone(pids, seconds=0)
    cpus.close()
    with pytest.raises(WorkerError, match=r"closed: make another one"):
        cpus.run("double", [[1]], {})


def test_a_pool_that_was_never_called_is_closed_as_well(pool):
    cpus = pool("cpu")
    cpus.close()
    with pytest.raises(WorkerError, match="closed"):
        cpus.run("double", [[1]], {})


def test_it_closes_at_the_end_of_a_with_block(standins, gone):
    with WorkerPool(standins.Standin, ["cpu"]) as cpus:
        pids = {one["pid"] for one in cpus.run("whereabouts", [[0]], {})}
    assert gone(pids, seconds=0)


def test_closing_ends_the_call_of_another_thread(pool):
    cpus = pool("cpu", "cpu")
    cpus.run("double", [[1], [2]], {})
    caught = []

    def work():
        with pytest.raises(WorkerError) as error:
            cpus.run("sleep", [[30], [30], [30]], {})
        caught.append(str(error.value))

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    cpus.close()
    thread.join(5)
    assert caught == ["sleep() was given up: its workers were closed while they were at work."]


def test_workers_end_with_their_pool(standins, gone):
    """Also when the function that makes models refers to the pool, as a model's own method does."""

    class Owner:
        def __init__(self):
            self.workers = WorkerPool(self.replica, ["cpu"])

        def replica(self, device):
            return standins.Standin(device)

    owner = Owner()
    pids = {one["pid"] for one in owner.workers.run("whereabouts", [[0]], {})}
    del owner
    gc.collect()
    assert gone(pids)


def test_no_devices(standins):
    with pytest.raises(DeviceError, match="at least one device"):
        WorkerPool(standins.Standin, [])


def test_a_call_within_a_call(standins):
    def replica(device):
        return cpus.run("double", [[1]], {})

    with WorkerPool(replica, ["cpu"]) as cpus, pytest.raises(WorkerError, match="from within a call of its own"):
        cpus.run("double", [[1]], {})


def test_closing_from_a_signal_handler(pool):
    """The call it interrupts comes to its end, and then the pool is closed."""
    cpus = pool("cpu")
    before = signal.signal(signal.SIGUSR1, lambda *_: cpus.close())
    timer = threading.Timer(0.5, functools.partial(os.kill, os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        assert cpus.run("double", [[1]], {"seconds": 1}) == [[2]]
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()
    with pytest.raises(WorkerError, match="closed"):
        cpus.run("double", [[1]], {})


def test_what_cannot_be_sent_is_said_before_a_process_starts(pool):
    cpus = pool("cpu")
    with pytest.raises(WorkerError, match=r"the options of double\(\) cannot be sent") as caught:
        cpus.run("double", [[1]], {"key": lambda: None})
    assert caught.value.__cause__ is not None
    assert cpus._crew.workers == []
    with WorkerPool(lambda device: lambda: device, ["cpu"]) as wrong:
        with pytest.raises(WorkerError, match=r"the model for a worker on cpu cannot be sent .* top level of a module"):
            wrong.run("double", [[1]], {})
        assert wrong._crew.workers == []


def test_inputs_that_cannot_be_sent(pool):
    cpus = pool("cpu")
    with pytest.raises(WorkerError, match=r"the inputs of double\(\) cannot be sent"):
        cpus.run("double", [[1], [lambda: None]], {})
    assert cpus.run("double", [[1]], {}) == [[2]]
