"""What goes through the pipe: plain pickles.

Not those of torch's ``ForkingPickler``, which put tensors into shared memory that dies with the worker.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from typing import Any

from FlagEmbedding.engine.workers.lines import Line, say_again
from FlagEmbedding.errors import WorkerError


class RemoteTraceback(Exception):  # noqa: N818 - what it is, as in concurrent.futures
    """The traceback of a worker's exception, as text: the exception's cause in the parent."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def pack(value: Any, name: str) -> bytes:
    """Return ``value`` as bytes.

    Args:
        value: A model, a task, a result.
        name: What it is, for the error.

    Raises:
        WorkerError: It cannot be pickled.
    """
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise WorkerError(
            f"{name} cannot be sent from process to process: {type(error).__name__}: {error}. Classes and functions "
            "are sent as the path they are imported from, so they must stand at the top level of a module; lambdas, "
            "local classes, locks and open files cannot be sent."
        ) from error


def pack_result(result: Any, lines: Sequence[Line] = ()) -> bytes:
    """Return the message of a call that succeeded, with what was logged meanwhile.

    Raises:
        WorkerError: The result cannot be pickled.
    """
    return pack((True, result, lines), "the result")


def pack_failure(error: BaseException, lines: Sequence[Line] = ()) -> bytes:
    """Return the message of a call that raised ``error``; what cannot be pickled becomes a :class:`WorkerError`."""
    text = "".join(traceback.format_exception(error))
    try:
        message = pickle.dumps((False, (error, text), lines), protocol=pickle.HIGHEST_PROTOCOL)
        # An exception whose constructor wants more than it hands to Exception fails only here.
        pickle.loads(message)  # noqa: S301 - written one line above
    except Exception:  # noqa: BLE001 - whatever its __reduce__ raises, the text is sent instead
        said = "".join(traceback.format_exception_only(error)).strip()
        substitute = WorkerError(f"a worker raised an exception that cannot be sent from process to process: {said}")
        return pickle.dumps((False, (substitute, text), lines), protocol=pickle.HIGHEST_PROTOCOL)
    return message


def unpack(message: bytes) -> tuple[Any, BaseException | None]:
    """Return the result that is in ``message``, or the exception; that is not raised here, where Ctrl-C may be.

    What the worker logged is logged here.
    """
    try:
        succeeded, content, lines = pickle.loads(message)  # noqa: S301 - from a process that this one has started
    except Exception as cause:  # noqa: BLE001 - whatever the result's class raises
        unreadable = WorkerError(f"the result of a worker cannot be read: {type(cause).__name__}: {cause}")
        unreadable.__cause__ = cause
        return None, unreadable
    say_again(lines)
    if succeeded:
        return content, None
    error, text = content
    error.__cause__ = RemoteTraceback(text)
    return None, error
