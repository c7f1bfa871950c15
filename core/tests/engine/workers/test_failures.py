"""What goes wrong in a worker, and how the caller hears of it."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import threading
import time
import traceback
from collections import Counter

import pytest

from FlagEmbedding.engine.workers.endings import ending
from FlagEmbedding.engine.workers.pool import WorkerPool
from FlagEmbedding.errors import WorkerError

DEVICES = ("cuda:0", "cuda:1")


def pids(cpus):
    return {worker.process.pid for worker in cpus._crew.workers}


def test_an_exception_arrives_as_it_was_raised_and_says_where(pool):
    cpus = pool("cpu", "cpu")
    cpus.run("double", [[1], [2]], {})
    before = pids(cpus)
    with pytest.raises(ZeroDivisionError, match=r"^by two$") as caught:
        cpus.run("fails_with", [["a"], ["b"]], {"wrong": ZeroDivisionError("by two"), "where": "b"})
    printed = "".join(traceback.format_exception(caught.value))
    assert "in fails_with\n    raise wrong" in printed
    assert printed.count("worker_standins.py") == 1
    assert "direct cause" in printed
    assert cpus.run("double", [[1], [2]], {}) == [[2], [4]]
    assert pids(cpus) == before


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("full")])
def test_whatever_was_raised(pool, error):
    cpus = pool("cpu")
    with pytest.raises(type(error)) as caught:
        cpus.run("fails_with", [["a"]], {"wrong": error, "where": "a"})
    assert caught.value.args == error.args
    before = pids(cpus)
    assert cpus.run("double", [[1]], {}) == [[2]]
    assert pids(cpus) == before


@pytest.mark.parametrize(
    ("method", "said", "line"),
    [
        ("fails_unpicklably", "DemandingError: one and two", 'raise DemandingError("one", "two")'),
        ("fails_with_a_lock", "ValueError: holds a lock", "raise error"),
    ],
)
def test_an_exception_that_cannot_be_pickled(pool, method, said, line):
    cpus = pool("cpu")
    with pytest.raises(WorkerError, match=said) as caught:
        cpus.run(method, [[1]], {})
    assert line in "".join(traceback.format_exception(caught.value))
    assert cpus.run("double", [[1]], {}) == [[2]]


def test_a_result_that_cannot_be_pickled(pool):
    cpus = pool("cpu")
    with pytest.raises(WorkerError, match="the result cannot be sent from process to process"):
        cpus.run("unpicklable", [[1]], {})
    assert cpus.run("double", [[1]], {}) == [[2]]


def test_a_result_that_cannot_be_unpickled(pool):
    cpus = pool("cpu")
    with pytest.raises(WorkerError, match="the result of a worker cannot be read: LookupError") as caught:
        cpus.run("grumpy", [[1]], {})
    assert isinstance(caught.value.__cause__, LookupError)
    assert cpus.run("double", [[1]], {}) == [[2]]


def test_a_method_that_the_model_does_not_have(pool):
    with pytest.raises(AttributeError, match="compute"):
        pool("cpu").run("compute", [[1]], {})


def test_an_exception_does_not_wait_for_the_others_nor_leave_their_results(pool, tmp_path):
    cpus = pool("cpu", "cpu")
    cpus.run("wait_for_others", [[0], [0]], {"folder": str(tmp_path), "number": 2})
    before = pids(cpus)
    until = tmp_path / "the other may go on"
    with pytest.raises(ValueError, match="early"):
        cpus.run("fails_or_waits", [[1], ["early"]], {"until": str(until)})
    until.touch()  # who would have waited for the other has waited until now
    assert cpus.run("double", [[number] for number in range(30)], {"seconds": 0.1}) == [[2 * n] for n in range(30)]
    assert pids(cpus) == before


def test_a_model_that_cannot_be_loaded(standins, gone):
    failing = WorkerPool(lambda device: standins.Grumpy() if device == "cuda:1" else standins.Standin(device), DEVICES)
    with failing:
        with pytest.raises(LookupError, match="no such file: weights") as caught:
            failing.run("sleep", [[0.5]] * 8, {})
        assert "in grumble" in "".join(traceback.format_exception(caught.value))
        # The other one has loaded its model, and waits.
        assert [worker.device for worker in failing._crew.workers] == ["cuda:0"]
        with pytest.raises(LookupError, match="no such file: weights"):
            failing.run("double", [[1], [2]], {"seconds": 3})


def test_what_a_dead_worker_had_to_do_is_done_by_another(pool, tmp_path, standins, caplog):
    cpus = pool("cpu", "cpu")
    cpus.run("wait_for_others", [[0], [0]], {"folder": str(tmp_path), "number": 2})
    before = pids(cpus)
    parts = [["first"], *[[number] for number in range(10)]]
    with caplog.at_level(logging.WARNING, "FlagEmbedding"):
        assert cpus.run("ends", parts, {"how": standins.killed, "folder": str(tmp_path)}) == parts
    assert [record.getMessage() for record in caplog.records] == [
        "the worker on cpu was killed by SIGKILL: what it had to do is done anew"
    ]
    assert len(pids(cpus) & before) == 1
    assert len(pids(cpus)) == 1
    assert cpus.run("double", [[1], [2]], {}) == [[2], [4]]
    assert len(pids(cpus)) == 2


def test_without_another_one_a_new_one_does_it(pool, tmp_path, standins):
    cpus = pool("cpu")
    parts = [["first"], [1], ["second"], ["third"]]
    assert cpus.run("ends", parts, {"how": standins.exited, "folder": str(tmp_path)}) == parts


@pytest.mark.parametrize(
    ("how", "said", "advice"),
    [
        ("killed", "was killed by SIGKILL", "a smaller batch_size, a smaller max_length or fewer devices need less"),
        ("exited", "ended with exit code 7", "what it wrote to stderr says more"),
        ("crashed", "was killed by SIGSEGV", "PYTHONFAULTHANDLER=1"),
    ],
)
@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cpu"), ("cpu", "cpu", "cpu")])
def test_inputs_that_kill_two_workers_are_given_up(pool, standins, devices, how, said, advice):
    cpus = pool(*devices)
    with pytest.raises(WorkerError) as caught:
        cpus.run("ends", [["deadly", 2, 3]], {"how": getattr(standins, how)})
    twice = f"the worker on cpu {said}, then the worker on cpu {said}. "
    assert str(caught.value).startswith(f"ends() was given up: with the same 3 inputs, {twice}")
    assert advice in str(caught.value)
    assert cpus.run("double", [[1], [2]], {}) == [[2], [4]]


def test_a_worker_that_died_between_two_calls(pool, caplog):
    cpus = pool("cpu")
    cpus.run("double", [[1]], {})
    (pid,) = pids(cpus)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    with caplog.at_level(logging.WARNING, "FlagEmbedding"):
        assert cpus.run("double", [[1]], {}) == [[2]]
    assert "on cpu has ended since the last call: starting another one" in caplog.text


def test_a_message_cut_short_by_death(pool, tmp_path):
    cpus = pool("cpu", "cpu")
    results = cpus.run("half_a_message", [[1], [0], [0]], {"folder": str(tmp_path)})
    assert [len(result) for result in results] == [4_000_000] * 3
    assert (tmp_path / "half").exists()


def test_a_death_that_the_pipe_does_not_tell(pool, tmp_path):
    """The worker has forked a process that keeps its end of the pipe open."""
    cpus = pool("cpu")
    cpus.run("double", [[1]], {})
    start = time.monotonic()
    assert cpus.run("forks_and_dies", [[1], [0]], {"folder": str(tmp_path)}) == [[1], [0]]
    assert time.monotonic() - start < 3


def test_deaths_leave_no_file_open(pool, tmp_path, standins):
    cpus = pool("cpu")
    cpus.run("double", [[1]], {})
    before = standins.open_files()
    cpus.run("ends", [["one"], ["two"], ["three"]], {"how": standins.killed, "folder": str(tmp_path)})
    assert standins.open_files() == before
    cpus.close()
    assert standins.open_files() < before


def test_one_of_two_dies_while_it_loads(pool, standins, tmp_path):
    cpus = pool("cpu", "cpu", loading=(standins.killed_once, str(tmp_path), "start"))
    assert cpus.run("double", [[1], [2], [3]], {}) == [[2], [4], [6]]
    assert (tmp_path / "start").exists()


def test_the_only_one_dies_while_it_loads(pool, standins, tmp_path):
    cpus = pool("cpu", loading=(standins.killed_once, str(tmp_path), "start"))
    assert cpus.run("double", [[1], [2]], {}) == [[2], [4]]


def test_all_of_them_die_while_they_load(pool, standins):
    cpus = pool("cpu", "cpu", loading=(standins.killed,))
    start = time.monotonic()
    with pytest.raises(
        WorkerError, match=r"a worker on cpu was killed by SIGKILL before its model was loaded\. .* out of memory"
    ):
        cpus.run("double", [[1], [2]], {})
    assert time.monotonic() - start < 10
    assert cpus._crew.workers == []


def test_the_system_starts_no_process(pool, monkeypatch):
    def refused(self):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refused)
    with pytest.raises(WorkerError, match=r"the system starts no worker for cpu: .*temporarily unavailable"):
        pool("cpu").run("double", [[1]], {})


def test_an_interruption_kills_who_is_busy_and_keeps_who_is_not(pool, tmp_path, gone, exit_codes):
    """Whatever is raised in the middle of a call, here by a handler of a signal."""
    cpus = pool("cpu", "cpu")
    cpus.run("wait_for_others", [[0], [0]], {"folder": str(tmp_path), "number": 2})
    before = pids(cpus)

    def interrupt(*_):
        raise InterruptedByTestError

    handler = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    with pytest.raises(InterruptedByTestError):
        cpus.run("sleep", [[30], [0.01]], {})
    assert exit_codes == [-signal.SIGKILL]  # killed, and not asked to end
    signal.signal(signal.SIGUSR1, handler)
    assert len(pids(cpus)) == 1
    assert gone(before - pids(cpus), seconds=0)
    assert cpus.run("double", [[number] for number in range(6)], {}) == [[2 * number] for number in range(6)]


class InterruptedByTestError(BaseException):
    """No Exception, as KeyboardInterrupt is none."""


def test_a_timeout_of_the_program_is_no_death(pool, tmp_path):
    """``TimeoutError`` is an ``OSError``, as a broken pipe is one; it is raised in the middle of a message here."""
    cpus = pool("cpu")
    cpus.run("double", [[1]], {})

    def give_up(*_):
        raise TimeoutError("of the program")

    handler = signal.signal(signal.SIGUSR1, give_up)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    with pytest.raises(TimeoutError, match="of the program"):
        cpus.run("half_a_message", [[1]], {"folder": str(tmp_path), "then": 60})
    signal.signal(signal.SIGUSR1, handler)
    assert cpus._crew.workers == []


def test_an_interruption_while_they_start(pool, standins):
    cpus = pool("cpu", "cpu", loading=(time.sleep, 1.0))
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cpus.run("double", [[1], [2]], {})
    assert cpus._crew.workers == []
    assert standins.children(os.getpid()) == []
    assert cpus.run("double", [[1], [2]], {}) == [[2], [4]]


@pytest.mark.slow
def test_workers_killed_at_random(pool):
    """Whenever it happens, a call ends: with the right result, or saying what was killed."""
    cpus = pool("cpu", "cpu")
    parts = [[number, number + 1] for number in range(16)]
    right = [[2 * number, 2 * number + 2] for number in range(16)]
    outcomes = Counter()
    for seed in range(50):
        killer = threading.Thread(target=kill_some, args=(cpus, random.Random(seed), outcomes))
        killer.start()
        try:
            assert cpus.run("double", parts, {"seconds": 0.004}) == right
            outcomes["right"] += 1
        except WorkerError as error:
            outcomes["said"] += "was killed by SIGKILL" in str(error)
        killer.join()
    assert outcomes["right"] + outcomes["said"] == 50
    assert outcomes["right"] > 10
    assert outcomes["killed"] > 30


def kill_some(cpus, chance, outcomes):
    for _ in range(chance.randint(1, 3)):
        time.sleep(chance.uniform(0, chance.choice([0.02, 0.2])))
        with contextlib.suppress(IndexError, ValueError, ProcessLookupError):  # nobody there, or gone meanwhile
            os.kill(chance.choice(cpus._crew.workers).process.pid, signal.SIGKILL)
            outcomes["killed"] += 1


@pytest.mark.parametrize(
    ("exitcode", "words"),
    [
        (None, "ended"),
        (0, "ended with exit code 0"),
        (-9, "was killed by SIGKILL"),
        (-signal.SIGRTMIN - 1, f"was killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_endings_in_words(exitcode, words):
    assert ending(exitcode) == words
