"""One call of a pool: its parts given to whoever is free, and what becomes of them."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from FlagEmbedding.engine.workers.crew import Crew
from FlagEmbedding.engine.workers.endings import ending, lost_at_start, lost_twice
from FlagEmbedding.engine.workers.handle import Stage, Worker
from FlagEmbedding.engine.workers.lines import levels
from FlagEmbedding.engine.workers.messages import pack, unpack
from FlagEmbedding.errors import WorkerError

logger = logging.getLogger(__name__)

# A part over which so many workers died is given up.
_DEATHS = 2


class Dispatch:
    """The parts of one call.

    Args:
        crew: The workers. One that is still busy with an earlier call, which has failed, is waited for, and its result
            dropped.
        method: The method of the model.
        parts: Its first argument, part by part.
        options: Its other arguments.
        done: Called with the number of each part that is done.

    Raises:
        WorkerError: The options cannot be pickled.
    """

    def __init__(
        self,
        crew: Crew,
        method: str,
        parts: Sequence[Sequence[Any]],
        options: Mapping[str, Any],
        done: Callable[[int], object] | None = None,
    ) -> None:
        self._crew = crew
        self._done = done
        self._method = method
        self._parts = parts
        self._settings = pack((method, dict(options), levels()), f"the options of {method}()")
        self._waiting = deque(range(len(parts)))
        self._deaths: defaultdict[int, list[tuple[str, int | None]]] = defaultdict(list)
        self._results: dict[int, Any] = {}
        self._failure: BaseException | None = None
        for worker in crew.workers:
            worker.part = None

    def work(self) -> None:
        """See every part through, or the first failure; what is raised here did not happen in a worker."""
        self._crew.fill(len(self._parts))
        self._hand_out()
        while len(self._results) < len(self._parts):
            for worker in self._crew.wait():
                self._attend(worker)
                if self._failure is not None:
                    return
                self._hand_out()

    def results(self) -> list[Any]:
        """Return the results in the order of the parts, or raise the failure."""
        if self._failure is not None:
            try:
                raise self._failure
            finally:
                self._failure = None  # the traceback refers to this frame, so to the results
        return [self._results[part] for part in range(len(self._parts))]

    def _hand_out(self) -> None:
        for worker in self._crew.workers:
            if self._waiting and worker.stage is Stage.IDLE:
                # It stays in the queue until it has been packed: what cannot be packed is the caller's error.
                message = pack((self._settings, self._parts[self._waiting[0]]), f"the inputs of {self._method}()")
                worker.give(self._waiting.popleft(), message)

    def _attend(self, worker: Worker) -> None:
        message = worker.receive()
        if message is None:
            self._bury(worker)
        elif worker.stage is Stage.STARTING:
            worker.load()
        elif worker.stage is Stage.LOADING:
            self._welcome(worker, message)
        else:
            self._collect(worker, message)

    def _welcome(self, worker: Worker, message: bytes) -> None:
        _, self._failure = unpack(message)
        if self._failure is None:
            worker.stage = Stage.IDLE
        else:
            self._crew.remove(worker)  # it ends by itself

    def _collect(self, worker: Worker, message: bytes) -> None:
        part, worker.part, worker.stage = worker.part, None, Stage.IDLE
        if part is not None:
            self._results[part], self._failure = unpack(message)
            if self._done is not None and self._failure is None:
                self._done(part)

    def _bury(self, worker: Worker) -> None:
        exitcode = self._crew.remove(worker)
        self._failure = self._consequence(worker, exitcode)
        if self._failure is None:
            logger.warning("the worker on %s %s: what it had to do is done anew", worker.device, ending(exitcode))
            if not self._crew.workers:
                self._crew.start(worker.index, last_resort=True)

    def _consequence(self, worker: Worker, exitcode: int | None) -> WorkerError | None:
        """Put the part of a dead worker first in the queue, or return the error that ends the call."""
        if self._crew.closed:
            return WorkerError(f"{self._method}() was given up: its workers were closed while they were at work.")
        if worker.stage in (Stage.STARTING, Stage.LOADING):
            return lost_at_start(worker, exitcode)
        if worker.part is None:
            return None
        deaths = self._deaths[worker.part]
        deaths.append((worker.device, exitcode))
        if len(deaths) == _DEATHS:
            return lost_twice(self._method, len(self._parts[worker.part]), deaths)
        self._waiting.appendleft(worker.part)
        return None
