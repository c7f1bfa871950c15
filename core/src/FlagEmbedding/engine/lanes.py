"""Lanes: several batches at once on a CPU, each on one thread.

torch shares each product out over its threads and waits for the last of them before the next. A batch on one thread
waits for nobody: nothing is lost between the products, and on cores that other programs use too, where those waits take
most of the time, it is several times as fast.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_lanes(work: Callable[[Item], Result], items: Iterable[Item], count: int) -> Iterator[tuple[Item, Result]]:
    """Yield each item with what ``work`` makes of it, as they are done, ``count`` of them at a time.

    ``items`` is asked again when it seemed to be at its end and something was still under way: what that led to may
    have put an item back. An exception of ``work`` passes, once the others that are under way are done.

    Args:
        work: Called in other threads, where torch has one thread and is in inference mode; here if ``count`` is 1.
        items: Each iteration goes on where the last one stopped.
        count: Lanes.
    """
    if count == 1:
        yield from ((item, work(item)) for item in items)
        return
    running: dict[Future[Result], Item] = {}
    try:
        while True:
            for item in islice(items, count - len(running)):
                running[_lanes(count).submit(_inferring, work, item)] = item
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        wait(running)


def _inferring(work: Callable[[Item], Result], item: Item) -> Result:
    with torch.inference_mode():  # of this thread
        return work(item)


def _lanes(count: int) -> ThreadPoolExecutor:
    with _setting_up:
        return _executor(count)


@functools.cache
def _executor(count: int) -> ThreadPoolExecutor:
    """Return ``count`` threads that give torch one thread each."""
    threads, together = torch.get_num_threads(), threading.Barrier(count + 1)

    def start() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread's first question settles its number: before the others' is set again
        together.wait()

    executor = ThreadPoolExecutor(count, "FlagEmbedding lane", initializer=start)
    try:
        for _ in range(count):
            executor.submit(int)
        together.wait()
    except BaseException:  # the system has no thread left: those that have started wait for the others
        together.abort()
        executor.shutdown(wait=False)
        raise
    finally:
        # What a thread sets is also what threads that come later begin with.
        torch.set_num_threads(threads)
    return executor


def threads() -> int:
    """Return how many threads torch has, here and now; lanes that are being set up are waited for."""
    with _setting_up:
        return torch.get_num_threads()


# While lanes are set up one thread is what torch gives to threads that ask for the first time, and they would keep it.
_setting_up = threading.Lock()


def _after_fork() -> None:
    """A child has none of its parent's threads."""
    global _setting_up  # noqa: PLW0603 - another thread of the parent may have held it
    _setting_up = threading.Lock()
    _executor.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
