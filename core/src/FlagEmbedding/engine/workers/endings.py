"""How a worker ended, and what to do about it, in words."""

from __future__ import annotations

import multiprocessing
import signal
import sys

from FlagEmbedding.engine.workers.handle import NAME, Stage, Worker
from FlagEmbedding.errors import WorkerError

# Of a worker that would have started workers itself while it imported the program's main module.
_UNGUARDED = 78


def end_if_unguarded() -> None:
    """End this process if it is a worker that is about to start workers while it imports the main module.

    That is a program without ``if __name__ == "__main__":``; multiprocessing would raise, and each worker would print
    its traceback. The exit code tells the parent, which says it once.

    Raises:
        SystemExit: It is such a process.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False) and process.name.startswith(NAME):
        raise SystemExit(_UNGUARDED)


def lost_at_start(worker: Worker, exitcode: int | None) -> WorkerError | None:
    """Return the error of a worker that died before it was ready; None if another one may fare better."""
    main = getattr(sys.modules["__main__"], "__file__", None) or "the program's main module"
    if worker.stage is Stage.STARTING and exitcode == _UNGUARDED:
        return WorkerError(
            f"{main} starts workers while it is imported, and each worker imports it. Put what the program does "
            'under `if __name__ == "__main__":`, or use one device.'
        )
    if not worker.last_resort:
        return None
    if worker.stage is Stage.STARTING and exitcode is not None and exitcode > 0:
        advice = f"It imports {main} first: what it wrote to stderr says what went wrong there."
    else:
        advice = _advice(exitcode)
    return WorkerError(f"a worker on {worker.device} {ending(exitcode)} before its model was loaded. {advice}")


def lost_twice(method: str, inputs: int, deaths: list[tuple[str, int | None]]) -> WorkerError:
    """Return the error of a part over which workers died.

    Args:
        method: What was called.
        inputs: How many inputs the part has.
        deaths: Device and exit code of each worker that died over it.
    """
    told = ", then ".join(f"the worker on {device} {ending(exitcode)}" for device, exitcode in deaths)
    return WorkerError(
        f"{method}() was given up: with the same {inputs} inputs, {told}. {_advice(deaths[-1][1])} "
        "The workers are started again by the next call."
    )


def ending(exitcode: int | None) -> str:
    """Return how a process ended: ``"was killed by SIGKILL"``."""
    if exitcode is None:
        return "ended"
    return f"ended with exit code {exitcode}" if exitcode >= 0 else f"was killed by {_signal_name(-exitcode)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _advice(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return "Code of the model, or of a library that it uses, ended the process; what it wrote to stderr says more."
    if _signal_name(-exitcode) == "SIGKILL":
        return (
            "If nobody else killed it, the system was out of memory (dmesg says so): "
            "a smaller batch_size, a smaller max_length or fewer devices need less."
        )
    return "If nobody else sent that, compiled code has crashed: with PYTHONFAULTHANDLER=1 set, stderr says where."
