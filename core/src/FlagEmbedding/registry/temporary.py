"""Registration that ends: what is registered within a block is taken back at its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

# Per thread and per asynchronous task, so that no block takes back what another one registers meanwhile.
_block: ContextVar[contextlib.ExitStack | None] = ContextVar("FlagEmbedding.temporary_registration", default=None)


@contextlib.contextmanager
def temporary_registration() -> Iterator[None]:
    """Take back, at the end of the block, what it registers, assigns to a mapping or deletes from one; for tests.

    Afterwards every name stands for what it stood for before, in its former place, also after an exception. Blocks may
    be nested.

    What is registered counts in every thread at once. A block takes back what its own thread (or asynchronous task)
    registers: what another thread registers meanwhile stays, unless that has a block of its own. Two threads must not
    replace the same name for a time.
    """
    outer = _block.get()
    with contextlib.ExitStack() as undoing:
        _block.set(undoing)
        try:
            yield
        finally:
            _block.set(outer)


def undo_at_the_end(undo: Callable[[], None]) -> None:
    """Have ``undo`` called at the end of the block that this thread is in, if it is in one."""
    block = _block.get()
    if block is not None:
        block.callback(undo)
