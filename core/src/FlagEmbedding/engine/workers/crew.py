"""The workers of a pool: who is there, who is missing."""

from __future__ import annotations

import logging
import multiprocessing.process
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import connection
from typing import Any

from FlagEmbedding.engine.workers.handle import Stage, Worker
from FlagEmbedding.engine.workers.interrupts import deferred_interrupt
from FlagEmbedding.engine.workers.messages import pack
from FlagEmbedding.errors import WorkerError

logger = logging.getLogger(__name__)

# How often workers are looked after that tell nothing: a process that one of them has forked may hold both the pipe and
# the sentinel, which is a pipe too, open after its death.
_LOOK_S = 0.5


class Crew:
    """At most one worker for each entry of ``devices``; the arguments are those of a pool.

    Attributes:
        workers: Those that were started and not seen to end.
        closed: No worker is wanted any more.
    """

    def __init__(self, replica: Callable[[str], Any], devices: Sequence[str]) -> None:
        self.devices = tuple(devices)
        self._replica = replica
        self.workers: list[Worker] = []
        self.closed = False

    def fill(self, wanted: int) -> None:
        """Start the missing workers, as long as there are fewer than ``wanted``.

        Raises:
            WorkerError: A model cannot be pickled, or the system refuses a process.
        """
        for worker in [worker for worker in self.workers if not worker.process.is_alive()]:
            logger.warning("the worker on %s has ended since the last call: starting another one", worker.device)
            self.remove(worker)
        present = {worker.index for worker in self.workers}
        missing = [index for index in range(len(self.devices)) if index not in present]
        missing = missing[: max(0, wanted - len(present))]
        if missing:
            logger.info("starting workers on %s", ", ".join(self.devices[index] for index in missing))
        for index in missing:
            self.start(index)

    def start(self, index: int, *, last_resort: bool = False) -> None:
        """Start the worker of the device at ``index``, which loads its model while this process goes on."""
        device = self.devices[index]
        if self.closed:
            raise WorkerError(f"the pool of workers was closed while it started one on {device}.")
        replica = pack(self._replica(device), f"the model for a worker on {device}")
        with deferred_interrupt():
            self.workers.append(Worker(index, device, replica, self._threads(device), last_resort=last_resort))

    def _threads(self, device: str) -> int | None:
        """Return the threads of a worker on ``device``: CPU workers share what this process would use alone."""
        if not _is_cpu(device):
            return None
        torch = sys.modules.get("torch")  # a model that needs it has been imported by now
        threads: int = torch.get_num_threads() if torch else os.cpu_count() or 1
        return max(1, threads // sum(map(_is_cpu, self.devices)))

    def wait(self) -> list[Worker]:
        """Wait for workers that have sent something or ended, for a moment at most, and return them."""
        ends = [end for worker in self.workers for end in (worker.connection, worker.process.sentinel)]
        ready = set(connection.wait(ends, timeout=_LOOK_S))
        return [
            worker
            for worker in self.workers
            if worker.connection in ready or worker.process.sentinel in ready or not worker.process.is_alive()
        ]

    def remove(self, worker: Worker) -> int | None:
        """Forget a worker that has ended, and return its exit code."""
        self.workers.remove(worker)
        return worker.end()

    def drop_unfinished(self) -> None:
        """Kill every worker that is not idle: its messages have lost their reader, perhaps in the middle of one."""
        with deferred_interrupt():
            unfinished = [worker for worker in self.workers if worker.stage is not Stage.IDLE]
            _end(unfinished)
            self.workers[:] = [worker for worker in self.workers if worker not in unfinished]

    def forget(self) -> None:
        """Let go of what a fork has copied into this process: the workers are the parent's."""
        # Python would terminate the daemons among them when this process ends.
        children: set[Any] = getattr(multiprocessing.process, "_children", set())
        for worker in self.workers:
            worker.connection.close()  # a copy that is left open would hide the parent's end from the worker
            children.discard(worker.process)
        self.workers.clear()


def dismiss(workers: list[Worker]) -> None:
    """End every worker: an idle one by itself, any other one by force."""
    with deferred_interrupt():
        _end(workers)
        workers.clear()


def _end(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.let_go()
    for worker in workers:
        worker.end()


def _is_cpu(device: str) -> bool:
    return device.partition(":")[0] == "cpu"
