from __future__ import annotations

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from FlagEmbedding.engine.workers.handle import Worker
from FlagEmbedding.engine.workers.pool import WorkerPool

HERE = str(Path(__file__).parent)
LIMIT_S = 60


@pytest.fixture(scope="session")
def standins():
    """The module ``worker_standins``, which the workers import by that name: they inherit the path."""
    sys.path.append(HERE)
    yield importlib.import_module("worker_standins")
    sys.path.remove(HERE)


@pytest.fixture(autouse=True)
def time_limit():
    """A pool that hangs fails the test, wherever it hangs."""

    def give_up(*_):
        pytest.fail(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def control_c():
    """As at a terminal; where tests run in the background the signal may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def nobody_left(standins):
    """No test leaves a process behind."""
    before = set(standins.children(os.getpid()))
    yield
    assert multiprocessing.active_children() == []
    assert set(standins.children(os.getpid())) <= before


@pytest.fixture
def exit_codes(monkeypatch):
    """Of the workers that are ended from here on: 0 of one that ended by itself, -9 of one that was killed."""
    codes, end = [], Worker.end
    monkeypatch.setattr(Worker, "end", lambda worker: codes.append(end(worker)) or codes[-1])
    return codes


@pytest.fixture
def pool(standins, nobody_left):
    """``pool("cpu", "cpu")`` is a pool of stand-ins; what follows the devices is called when one loads."""
    pools = []

    def make(*devices, loading=()):
        pools.append(WorkerPool(functools.partial(standin, standins, loading), devices))
        return pools[-1]

    yield make
    for each in pools:
        each.close()


def standin(standins, loading, device):
    return standins.Standin(device, *loading)


def environment():
    path = os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""}  # empty: not set


@pytest.fixture
def program(tmp_path):
    """``program(text)`` is that program, running, in a session of its own."""
    running = []

    def start(text):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(text))
        running.append(
            subprocess.Popen(
                [sys.executable, path],
                env=environment(),
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):  # it may have ended, and left children
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def gone(standins):
    """``gone(pids)`` waits some seconds at most, and says whether the processes have ended."""

    def wait(pids, seconds=5):
        end = time.monotonic() + seconds
        while any(map(standins.alive, pids)) and time.monotonic() < end:
            time.sleep(0.02)
        return not any(map(standins.alive, pids))

    return wait
