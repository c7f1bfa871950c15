"""The pool of workers: the one place where work leaves this process."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from FlagEmbedding.engine.workers.crew import Crew, dismiss
from FlagEmbedding.engine.workers.dispatch import Dispatch
from FlagEmbedding.engine.workers.endings import end_if_unguarded
from FlagEmbedding.errors import DeviceError, WorkerError

# How often close() looks whether the call of another thread, whose workers it kills, is over.
_LOOK_S = 0.05


class WorkerPool:
    """Processes that each have a model on a device; started by the first call, and kept for the next ones.

    It may be called from several threads; their calls are done one after the other. In a process that was forked it
    starts workers of its own. What is not closed is closed when it is not referred to any more, or when Python ends.

    Args:
        replica: Called in this process when a worker is started. Returns the model for a device: an object that can be
            pickled, and that loads its weights when it is unpickled.
        devices: One worker for each entry, so ``["cpu", "cpu"]`` are two. Workers on the CPU share the threads that
            torch uses in this process.

    Raises:
        DeviceError: ``devices`` is empty.
    """

    def __init__(self, replica: Callable[[str], Any], devices: Sequence[str]) -> None:
        if not devices:
            raise DeviceError("a pool of workers needs at least one device.")
        self._crew = Crew(replica, devices)
        self._lock = threading.RLock()
        self._at_work = False
        # Not of the crew: its replica() may refer to this pool. The end of Python is for _close_all.
        weakref.finalize(self, dismiss, self._crew.workers).atexit = False
        _POOLS.add(self)

    def run(
        self,
        method: str,
        parts: Sequence[Sequence[Any]],
        options: Mapping[str, Any],
        done: Callable[[int], object] | None = None,
    ) -> list[Any]:
        """Call ``method(part, device=..., **options)`` of the workers' models, for each of ``parts``.

        A part goes to the next worker that is free, in the order given. If a worker dies, its part is done by another
        one, or by a new one when there is no other. After an exception in a worker they all live on: those that are
        busy finish their part, which nobody waits for. One that is raised here, Ctrl-C among them, kills the busy
        ones, and the next call starts others.

        Args:
            method: A method of the model.
            parts: What it is called with, part by part.
            options: Further arguments, the same for each part.
            done: Called with the number of each part that is done.

        Returns:
            One result for each part, in their order.

        Raises:
            WorkerError: Workers died before they were ready, or two of them over the same part; something cannot be
                pickled; the pool is closed; or this process may have no workers.
            Exception: What the method raised, or loading the model, as it was raised, with the worker's traceback as
                its cause.
        """
        end_if_unguarded()
        with self._lock:
            self._check_usable()
            dispatch = Dispatch(self._crew, method, parts, options, done)
            try:
                self._at_work = True
                dispatch.work()
            except BaseException:
                self._crew.drop_unfinished()
                raise
            finally:
                self._at_work = False
                if self._crew.closed:
                    dismiss(self._crew.workers)
            return dispatch.results()

    def _check_usable(self) -> None:
        if self._crew.closed:
            raise WorkerError("this pool of workers is closed: make another one.")
        if self._at_work:  # the lock lets the same thread pass: from a signal handler, say, or from replica()
            raise WorkerError("this pool of workers is called from within a call of its own.")
        if multiprocessing.current_process().daemon:
            raise WorkerError(
                "this process is itself a daemonic worker of multiprocessing, which may start no processes: "
                "use one device here."
            )

    def close(self) -> None:
        """End the workers; a call that another thread has under way ends with an error."""
        self._crew.closed = True
        while not self._lock.acquire(timeout=_LOOK_S):
            for worker in list(self._crew.workers):
                worker.kill()
        try:
            if not self._at_work:  # else run() does it, which this has interrupted
                dismiss(self._crew.workers)
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start_over(self) -> None:
        """After a fork, in the child: the lock may be held by a thread that is not here."""
        self._crew.forget()
        self._lock = threading.RLock()
        self._at_work = False


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _close_all() -> None:
    for pool in list(_POOLS):
        pool.close()


def _start_over_all() -> None:
    for pool in list(_POOLS):
        pool._start_over()  # noqa: SLF001 - of this module


# After the import of multiprocessing, so before its own exit function, which terminates whoever is left.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_all)
