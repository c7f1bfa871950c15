"""Whole programs: how they start workers, are interrupted, end."""

from __future__ import annotations

import os
import signal
import time

import pytest

HEAD = """
import os, signal, sys, tempfile, threading, time
import worker_standins
from FlagEmbedding.engine.workers.pool import WorkerPool
"""

POOL = """
pool = WorkerPool(worker_standins.Standin, ["cpu", "cpu"])
pids = set()
def look():
    "Both are there."
    pids.update(pool.run("wait_for_others", [[0], [0]], {"folder": tempfile.mkdtemp(dir="."), "number": 2}))
"""


def finished(process, seconds=30):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def main(*lines):
    return "\n".join(["if __name__ == '__main__':", *[f"    {line}" for line in "\n".join(lines).splitlines()]])


def test_a_model_that_the_program_defines_itself(program):
    text = """
        from FlagEmbedding.engine.workers.pool import WorkerPool

        class Result:
            def __init__(self, value):
                self.value = value

        class MineError(Exception):
            pass

        class Mine:
            def __init__(self, device):
                self.device = device

            def compute(self, part, device, power):
                if not part:
                    raise MineError("nothing to do")
                return Result([item ** power for item in part])

        if __name__ == "__main__":
            pool = WorkerPool(Mine, ["cpu", "cpu"])
            print([result.value for result in pool.run("compute", [[2, 3], [4]], {"power": 2})])
            try:
                pool.run("compute", [[]], {"power": 2})
            except MineError as error:
                print(type(error).__name__, error)
    """
    assert finished(program(text)) == (0, "[[4, 9], [16]]\nMineError nothing to do\n", "")


def test_a_program_without_a_main_guard(program):
    start = time.monotonic()
    code, out, err = finished(program(HEAD + POOL + "look()\nprint('done')"))
    assert time.monotonic() - start < 20
    assert code == 1
    assert out == ""
    assert err.count("Traceback") == 1
    assert "WorkerError: " in err
    assert "program.py starts workers while it is imported, and each worker imports it." in err
    assert 'under `if __name__ == "__main__":`' in err


def test_a_program_that_workers_cannot_import(program):
    code, out, err = finished(program(HEAD + POOL + "if __name__ != '__main__': raise OSError('here')\nlook()"))
    assert code == 1
    assert out == ""
    assert "OSError: here" in err
    assert "a worker on cpu ended with exit code 1 before its model was loaded. It imports " in err
    assert "program.py first" in err


@pytest.mark.parametrize(
    "ending",
    [
        "look()",
        "look(); raise SystemExit(0)",
        "look(); pool.close(); pool.close()",
        "pass",
        # one is killed while it has a bar: its lock must be no semaphore that Python finds leaked
        "look()\ntry: pool.run('draws_a_bar', [[1, 2]], {})\nexcept RuntimeError: pass",
        # an idle worker ends by itself, and cleans up
        "look()\npool.run('keeps_a_lock', [[1]], {})",
        # others are at work when it ends
        "look()\ntry: pool.run('fails_or_waits', [[20], ['x']], {'until': 'never'})\nexcept ValueError: pass",
        "look()\nthreading.Thread(target=pool.run, args=('double', [[1]], {'seconds': 1})).start()",
        "look()\nkept = pool.run.__self__; del pool\nimport gc; gc.collect()",
        "look()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nlook()",
        "import torch\nlook()",
    ],
)
def test_a_program_ends_in_silence(program, gone, ending):
    text = HEAD + POOL + main(ending if "Exit" not in ending else "try: " + ending + "\nfinally: print(*pids)")
    process = program(text if "Exit" in ending else text + "\n" + main("print(*pids)"))
    code, out, err = finished(process)
    assert (code, err) == (0, "")
    assert gone(map(int, out.split()), seconds=0.5)


def test_what_a_worker_has_printed_is_not_lost(program):
    text = "pool.run('says', [['from the worker']], {})"
    assert finished(program(HEAD + POOL + main(text))) == (0, "from the worker\n", "")


def wait_for(paths, seconds=20):
    end = time.monotonic() + seconds
    while not all(path.exists() for path in paths):
        assert time.monotonic() < end, paths
        time.sleep(0.01)


def test_control_c(program, tmp_path):
    """It goes to every process of the terminal."""
    text = main(
        """
look()
try:
    pool.run("busy", [[0], [1], [2]], {"seconds": 60})
except KeyboardInterrupt:
    print("left:", worker_standins.children(os.getpid()))
    print(pool.run("double", [[1], [2], [3]], {}))
    before = set(pids)
    pids.clear()
    look()
    print("old ones:", len(pids & before))
"""
    )
    process = program(HEAD + POOL + text)
    wait_for([tmp_path / "busy 0", tmp_path / "busy 1"])
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert finished(process) == (0, "left: []\n[[2], [4], [6]]\nold ones: 0\n", "")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.1, 0.2, 0.4])
def test_control_c_while_workers_start(program, tmp_path, seconds):
    text = main(
        """
open("there", "w").close()
try:
    pool.run("busy", [[0], [1], [2]], {"seconds": 60})
except KeyboardInterrupt:
    print("left:", worker_standins.children(os.getpid()))
    print(pool.run("double", [[1], [2], [3]], {}))
"""
    )
    process = program(HEAD + POOL + text)
    wait_for([tmp_path / "there"])
    time.sleep(seconds + 0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert finished(process) == (0, "left: []\n[[2], [4], [6]]\n", "")


@pytest.mark.parametrize("forked", [False, True])
def test_workers_do_not_outlive_their_parent(program, gone, tmp_path, forked):
    """Whether they are busy or not, and though a process that was forked from it lives on."""
    text = f"""
look()
child = 0
if {forked}:
    child = os.fork()
    if child == 0:
        time.sleep(15)
        os._exit(0)
print(*pids, flush=True)
pool.run("busy", [[0]], {{"seconds": 60}})
"""
    process = program(HEAD + POOL + main(text))
    wait_for([tmp_path / "busy 0"])
    process.kill()
    process.wait()
    workers = list(map(int, process.stdout.readline().split()))
    assert len(workers) == 2
    assert gone(workers)


def test_a_forked_child_starts_workers_of_its_own(program):
    text = """
look()
mine = set(pids)
child = os.fork()
if child == 0:
    pids.clear()
    look()
    print("shared:", len(pids & mine), "own:", len(pids), flush=True)
    sys.exit(0)
print("child:", os.waitpid(child, 0)[1], flush=True)
pids.clear()
look()
print("still mine:", pids == mine)
"""
    out = "shared: 0 own: 2\nchild: 0\nstill mine: True\n"
    assert finished(program(HEAD + POOL + main(text))) == (0, out, "")


@pytest.mark.parametrize("ending", ["sys.exit(0)", "pool.close(); sys.exit(0)", "del pool; sys.exit(0)"])
def test_a_forked_child_does_not_end_the_workers_of_its_parent(program, ending):
    text = f"""
look()
mine = set(pids)
child = os.fork()
if child == 0:
    {ending}
os.waitpid(child, 0)
time.sleep(0.2)
pids.clear()
look()
print("still mine:", pids == mine)
"""
    assert finished(program(HEAD + POOL + main(text))) == (0, "still mine: True\n", "")


def test_forked_while_another_thread_is_in_a_call(program):
    text = """
look()
thread = threading.Thread(target=pool.run, args=("double", [[1], [2]], {"seconds": 1}))
thread.start()
time.sleep(0.3)
child = os.fork()
if child == 0:
    print(pool.run("double", [[5]], {}), flush=True)
    sys.exit(0)
print(os.waitpid(child, 0)[1], flush=True)
thread.join()
print(pool.run("double", [[6]], {}))
"""
    assert finished(program(HEAD + POOL + main(text))) == (0, "[[10]]\n0\n[[12]]\n", "")


def test_workers_have_no_workers(program):
    text = """
import multiprocessing

def work(queue):
    try:
        pool.run("double", [[1]], {})
    except RuntimeError as error:
        queue.put(str(error))

if __name__ == "__main__":
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=work, args=(queue,), daemon=True)
    process.start()
    print(queue.get())
    process.join()
"""
    code, out, err = finished(program(HEAD + POOL + text))
    assert (code, err) == (0, "")
    assert "itself a daemonic worker of multiprocessing" in out
