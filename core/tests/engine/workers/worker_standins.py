"""What workers are sent in these tests: no models, and no torch, so that a worker starts in a fraction of a second."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

LOCKS = []


class Standin:
    """Stands in for a model; ``loading`` is called when it is unpickled, as a model loads its weights."""

    def __init__(self, device, loading=None, *arguments):
        self.device = device
        self.loading = loading
        self.arguments = arguments

    def __setstate__(self, state):
        vars(self).update(state)
        if self.loading is not None:
            self.loading(*self.arguments)

    def double(self, part, device, seconds=0.0):
        time.sleep(seconds)
        return [2 * item for item in part]

    def whereabouts(self, part, device, **options):
        time.sleep(options.pop("seconds", 0))
        return {"pid": os.getpid(), "own": self.device, "device": device, "options": options, "part": part}

    def sleep(self, part, device):
        time.sleep(part[0])
        return os.getpid(), part[0]

    def busy(self, part, device, seconds):
        Path(f"busy {part[0]}").touch()
        time.sleep(seconds)

    def variables(self, part, device):
        return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}

    def array(self, part, device):
        return np.arange(part[0], dtype=np.float32)

    def modules(self, part, device):
        return [name for name in part if name in sys.modules]

    def torch_threads(self, part, device):
        import torch  # noqa: PLC0415 - the other workers do without

        return torch.get_num_threads()

    def tensors(self, part, device):
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            return {"bf16": torch.arange(part[0], dtype=torch.bfloat16), "dense": torch.ones(3, 2)}

    def grumpy(self, part, device):
        return Grumpy()

    def unpicklable(self, part, device):
        return lambda: None

    def fails_with(self, part, device, wrong, where):
        if where in part:
            raise wrong
        return part

    def fails_unpicklably(self, part, device):
        raise DemandingError("one", "two")

    def fails_with_a_lock(self, part, device):
        error = ValueError("holds a lock")
        error.lock = threading.RLock()
        raise error

    def fails_or_waits(self, part, device, until):
        if isinstance(part[0], str):
            raise ValueError(part[0])  # noqa: TRY004 - as a model would
        while not Path(until).exists():
            time.sleep(0.01)

    def ends(self, part, device, how, folder=None):
        """End the process over a part that begins with a word; with ``folder``, once for each word."""
        if isinstance(part[0], str) and first_time(folder, part[0]):
            how()
        return part

    def wait_for_others(self, part, device, folder, number):
        meet(folder, number)
        return os.getpid()

    def half_a_message(self, part, device, folder, then=None):
        if part[0] and first_time(folder, "half"):
            then = killed if then is None else functools.partial(time.sleep, then)
            multiprocessing.connection.Connection._send = functools.partialmethod(_send_half, then)
        return np.zeros(4_000_000, dtype=np.uint8)

    def forks_and_dies(self, part, device, folder):
        if part[0] and first_time(folder, "fork"):
            if os.fork() == 0:
                time.sleep(4)  # with a copy of the worker's end of the pipe
                os._exit(0)
            killed()
        return part

    def keeps_a_lock(self, part, device):
        LOCKS.append(multiprocessing.get_context("spawn").Lock())

    def says(self, part, device):
        sys.stdout.write(f"{part[0]}\n")

    def logs(self, part, device, name, fails=False):
        logger = logging.getLogger(name)
        for level, argument in part:
            logger.log(level, "argument %s", argument)
        if fails:
            raise ValueError(part)

    def draws_a_bar(self, part, device):
        import tqdm  # noqa: PLC0415

        list(tqdm.tqdm(part, disable=True))
        killed()


class DemandingError(Exception):
    """Pickled by ``Exception``, unpickled with one argument instead of two."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Grumpy:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return grumble, ()


def grumble():
    raise LookupError("no such file: weights")


def first_time(folder, name):
    if folder is None:
        return True
    try:
        (Path(folder) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def meet(folder, number):
    """Come back when so many workers are in here at the same time."""
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < number:
        time.sleep(0.01)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def exited():
    os._exit(7)


def crashed():
    os.kill(os.getpid(), signal.SIGSEGV)


def killed_once(folder, name):
    if first_time(folder, name):
        killed()


def _send_half(self, then, buffer):
    size = len(buffer) if len(buffer) < 1000 else len(buffer) // 2
    while size:
        written = os.write(self._handle, buffer[:size])
        buffer, size = buffer[written:], size - written
    if len(buffer):
        then()


def children(pid):
    """Return the processes that ``pid`` has, Python's resource tracker aside, which lives as long as it does."""
    processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    mine = [entry for entry in processes if _stat(entry.name)[1] == pid]
    return [int(entry.name) for entry in mine if b"resource_tracker" not in _command(entry)]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def alive(pid):
    return _stat(pid)[0] not in ("", "Z")


def _stat(pid):
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return state, int(parent)


def _command(entry):
    try:
        return (entry / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
