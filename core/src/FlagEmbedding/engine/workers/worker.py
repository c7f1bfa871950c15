"""What runs in a worker process. It imports no torch: the model that it is sent does, if it needs it."""

from __future__ import annotations

import contextlib
import multiprocessing.util
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import tqdm

from FlagEmbedding.engine.workers.lines import Lines
from FlagEmbedding.engine.workers.messages import pack_failure, pack_result

_Messages = queue.SimpleQueue["bytes | None"]

# How long a worker that nobody listens to any more may take to end by itself.
_PATIENCE_S = 1.0

_LAST = -1000


def main(connection: Connection, device: str, threads: int | None, levels: Mapping[str, int]) -> None:
    """Load the model that ``connection`` sends, then answer one call after the other, until it is closed.

    Args:
        connection: The first message out is empty and says that this process listens. The first one in is the model,
            the others are calls; each has one answer.
        device: Handed to every call.
        threads: Threads that this process may compute with; None leaves them as they are.
        levels: From which level on the parent wants to know what is logged, by the name of the logger.
    """
    _ignore_the_terminal()
    lines = Lines()
    lines.set_levels(levels)
    messages: _Messages = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, messages), daemon=True).start()
    try:
        connection.send_bytes(b"")
        _serve(connection, messages, lines, device, threads)
    except ConnectionError:  # the parent is gone, or wants no answer any more; errors of a call are sent, not raised
        pass
    # The last of what multiprocessing does at the end of a process, after it has cleaned up.
    multiprocessing.util.Finalize(None, _leave, exitpriority=_LAST)


def _leave() -> None:
    """End at once, as a forked process of multiprocessing does: taking torch down takes Python a second."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or nobody reads it, or closed
            stream.flush()
    os._exit(0)


def _ignore_the_terminal() -> None:
    # Ctrl-C goes to every process of the terminal; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A handler that the program's main module has installed is not meant for this process.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # tqdm's own lock is a semaphore for many processes. A killed worker cannot give it back, and Python would warn of
    # a leak when the program ends.
    tqdm.tqdm.set_lock(threading.RLock())


def _listen(connection: Connection, messages: _Messages) -> None:
    """Take messages in while the main thread works, so that the parent's end is noticed then, too."""
    try:
        while True:
            messages.put(connection.recv_bytes())
    except (EOFError, OSError):
        messages.put(None)
    # An idle worker ends by itself now; a busy one has nobody to work for.
    time.sleep(_PATIENCE_S)
    os._exit(0)


def _serve(connection: Connection, messages: _Messages, lines: Lines, device: str, threads: int | None) -> None:
    message = messages.get()
    if message is None:
        return
    try:
        replica = _loaded(message, threads)
        answer = pack_result(None, lines.taken())
    except BaseException as error:  # noqa: BLE001 - all of them are the caller's
        connection.send_bytes(pack_failure(error, lines.taken()))
        return
    del message  # may be as large as the model
    connection.send_bytes(answer)
    while (message := messages.get()) is not None:
        connection.send_bytes(_answer(replica, device, lines, message))


def _loaded(message: bytes, threads: int | None) -> Any:
    _limit_threads(threads)
    replica = pickle.loads(message)  # noqa: S301 - from the parent
    _limit_threads(threads)  # if torch has come with the model
    return replica


def _limit_threads(threads: int | None) -> None:
    """Let torch and tokenizers use so many threads; they read the variables when they are first used."""
    if threads is None:
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _answer(replica: Any, device: str, lines: Lines, message: bytes) -> bytes:
    try:
        settings, part = pickle.loads(message)  # noqa: S301 - from the parent
        method, options, levels = pickle.loads(settings)  # noqa: S301 - likewise
        lines.set_levels(levels)
        result = getattr(replica, method)(part, device=device, **options)
        return pack_result(result, lines.taken())
    except BaseException as error:  # noqa: BLE001 - all of them are the caller's
        return pack_failure(error, lines.taken())
