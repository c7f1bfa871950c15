"""Reading, computing and writing at once, with little between them: three stages and two short queues."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import Empty, Full, Queue
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_S = 0.1  # how often one who waits looks whether the other has given up


class _GivenUpError(Exception):
    """Raised in a thread whose work nobody wants any more."""


class _End:
    """The last thing in a queue: the end, or what was raised there."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Generator[Item, None, None], room: int) -> Generator[Item, None, None]:
    """Yield ``items``, which a thread takes ``room`` of them ahead; what it meets is raised here."""
    queue: Queue[Item | _End] = Queue(room)
    unwanted = threading.Event()

    def take() -> None:
        end = _End()
        with contextlib.closing(items), contextlib.suppress(_GivenUpError):
            try:
                for item in items:
                    _put(queue, item, unwanted)
            except _GivenUpError:
                raise
            except BaseException as error:  # noqa: BLE001 - raised where they are wanted
                end = _End(error)
            _put(queue, end, unwanted)

    thread = threading.Thread(target=take, name="FlagEmbedding job reader", daemon=True)
    thread.start()
    try:
        yield from _taken(queue)
    finally:
        unwanted.set()
        thread.join()


class Behind(Generic[Item]):
    """A thread that consumes what is put here, at most ``room`` items behind; what it meets is raised here.

    Used in a ``with`` block: its end waits until all is consumed. Where the block raises, the thread's iterator raises
    too after what was put before, so that what is complete is kept and what is not is undone; on Ctrl-C at once.

    Args:
        consume: Called once, in the thread, with an iterator over the items.
        room: Items that wait for it.
    """

    def __init__(self, consume: Callable[[Iterator[Item]], object], room: int) -> None:
        self._queue: Queue[Item | _End] = Queue(room)
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._consume = consume
        self._thread = threading.Thread(target=self._run, name="FlagEmbedding job writer", daemon=True)

    def put(self, item: Item) -> None:
        """Give the thread an item, when there is room.

        Raises:
            Exception: What the thread met.
        """
        try:
            _put(self._queue, item, self._over)
        except _GivenUpError:
            self._check()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None and not isinstance(error, Exception):  # Ctrl-C: nobody wants to wait
            self._drain()
        with contextlib.suppress(_GivenUpError):
            _put(self._queue, _End(None if error is None else _GivenUpError()), self._over)
        self._thread.join()
        if error is None:
            self._check()

    def _run(self) -> None:
        try:
            self._consume(_taken(self._queue))
        except BaseException as error:  # noqa: BLE001 - raised where items are put
            self._error = error
        finally:
            self._over.set()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _drain(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._queue.get_nowait()


def mapped(work: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """Yield ``work(item)`` of each item, in order, ``at_once`` of them under way; here and one by one if that is 1."""
    if at_once == 1:
        yield from map(work, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(at_once, "FlagEmbedding job") as executor:
        running: deque[Future[Result]] = deque()
        try:
            while True:
                running.extend(executor.submit(work, item) for item in islice(remaining, at_once - len(running)))
                if not running:
                    return
                yield running.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _put(queue: Queue[Item | _End], item: Item | _End, unwanted: threading.Event) -> None:
    while not unwanted.is_set():
        with contextlib.suppress(Full):
            queue.put(item, timeout=_LOOK_S)
            return
    raise _GivenUpError


def _taken(queue: Queue[Item | _End]) -> Iterator[Item]:
    while True:
        item = queue.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item
