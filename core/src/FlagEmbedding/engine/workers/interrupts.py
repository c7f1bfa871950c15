"""Ctrl-C at a bad moment: kept until a process is written down, and kept from processes that start."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block.

    Blocking the signal would not do: another thread, one of OpenMP's say, would take it, and Python raises in the main
    thread all the same. Handlers run in the main thread only, so in another one there is nothing to defer.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pending: list[Any] = []
    signal.signal(signal.SIGINT, lambda *arguments: pending.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pending:
            handler(*pending[0])


@contextmanager
def hidden_from_children() -> Iterator[None]:
    """Let a process that is started in the block be born deaf to Ctrl-C: it would print a traceback while it starts."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where a mask is not inherited
        yield
        return
    resource_tracker.ensure_running()  # starting it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
