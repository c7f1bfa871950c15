"""Progress: one bar for a run, on a terminal and for long work only, unless the caller decides."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any, Self

from tqdm import tqdm

# A bar that appears on its own waits this long, so that short calls never flash one.
_PATIENCE_SECONDS = 2.0


class NoBar:
    """A bar that nobody sees. tqdm's own takes a fiftieth of the time of one short query."""

    total: float | None = None

    def update(self, count: int) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def progress_bar(
    total: int, show: bool | None, doing: str = "encoding", unit: str = "texts", initial: int = 0
) -> tqdm[Any] | NoBar:
    """Return a bar over ``total`` texts or pairs, ``initial`` of which were done before.

    ``show``: True, False, or None for "on a terminal, if it takes long", but never in a worker: its caller has the bar.
    """
    automatic = show is None
    wanted = _on_a_terminal() if automatic else show
    if not wanted or sys.stderr is None:
        return NoBar()
    delay = _PATIENCE_SECONDS if automatic else 0
    return tqdm(total=total, desc=doing, unit=f" {unit}", file=sys.stderr, delay=delay, initial=initial)


def _on_a_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and multiprocessing.parent_process() is None
