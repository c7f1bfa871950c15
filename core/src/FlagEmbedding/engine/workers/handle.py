"""One worker process, as its parent sees it."""

from __future__ import annotations

import contextlib
import enum
import multiprocessing

from FlagEmbedding.engine.workers import worker
from FlagEmbedding.engine.workers.interrupts import hidden_from_children
from FlagEmbedding.engine.workers.lines import levels
from FlagEmbedding.errors import WorkerError

_SPAWN = multiprocessing.get_context("spawn")  # forked, a child could use neither CUDA nor OpenMP

NAME = "FlagEmbedding worker"
"""How the names of worker processes begin."""

# For a process that was told to end, or killed, to be gone.
_PATIENCE_S = 2.0


class Stage(enum.Enum):
    """What a worker does."""

    STARTING = "its interpreter starts, and imports the program's main module"
    LOADING = "it has been sent its model"
    IDLE = "it has nothing to do"
    BUSY = "it has been sent a call"


class Worker:
    """A process that is starting from now on.

    Args:
        index: Its place among the devices of its pool.
        device: Its device.
        replica: Its model, pickled.
        threads: See :func:`FlagEmbedding.engine.workers.worker.main`.
        last_resort: Whether it was started because there was no other one any more.

    Attributes:
        part: The number of the part that it is busy with; None when nobody waits for that any more.

    Raises:
        WorkerError: The system refuses another process.
    """

    def __init__(
        self, index: int, device: str, replica: bytes, threads: int | None, *, last_resort: bool = False
    ) -> None:
        self.index = index
        self.device = device
        self.last_resort = last_resort
        self.stage = Stage.STARTING
        self.part: int | None = None
        self._replica = replica
        self.connection, theirs = _SPAWN.Pipe()
        arguments = (theirs, device, threads, levels())
        self.process = _SPAWN.Process(target=worker.main, args=arguments, name=f"{NAME} {device}", daemon=True)
        # Once the only copy of its end is the worker's, a message that its death cuts short is an end of file.
        with theirs:
            self._start()

    def _start(self) -> None:
        try:
            with hidden_from_children():
                self.process.start()
        except OSError as error:
            self.connection.close()
            if isinstance(error, TimeoutError):  # of a handler, see receive()
                raise
            raise WorkerError(
                f"the system starts no worker for {self.device}: {error}. Fewer devices need fewer processes."
            ) from error

    def load(self) -> None:
        """Send the model to the worker, which has said that it listens."""
        self.stage = Stage.LOADING
        replica, self._replica = self._replica, b""
        self._send(replica)

    def give(self, part: int, message: bytes) -> None:
        """Send the call for ``part`` to the worker, which is idle."""
        self.stage, self.part = Stage.BUSY, part
        self._send(message)

    def _send(self, message: bytes) -> None:
        try:
            self.connection.send_bytes(message)
        except ConnectionError:
            self.kill()  # it is dead as a rule; whoever looks after it next will notice

    def receive(self) -> bytes | None:
        """Return what the worker has sent, or None when it has ended; called when there is one or the other."""
        try:
            return self.connection.recv_bytes() if self.connection.poll() else None
        except (EOFError, ConnectionError):
            return None
        except OSError as error:
            # A message that ends too early is an OSError and no more than that. A TimeoutError is one as well: it comes
            # from the program's handler of a signal, and is the program's.
            if type(error) is not OSError:
                raise
            return None

    def kill(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(ValueError):  # another thread has seen its end already
            self.process.kill()

    def let_go(self) -> None:
        """Let an idle worker end by itself, and kill any other one."""
        if self.stage is not Stage.IDLE:
            self.kill()
        self.connection.close()

    def end(self) -> int | None:
        """Return the exit code of a worker that has ended, or has been let go; None if there is none to be had."""
        self.connection.close()
        if self.process.exitcode is None:
            self.process.join(_PATIENCE_S)
        if self.process.exitcode is None:
            self.kill()
            self.process.join(_PATIENCE_S)
        exitcode = self.process.exitcode
        if exitcode is not None:
            self.process.close()
        return exitcode
