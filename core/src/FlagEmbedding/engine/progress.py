"""Progress: one bar for a run, on a terminal and for long work only, unless the caller decides."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

# A bar that appears on its own waits this long, so that short calls never flash one.
_PATIENCE_SECONDS = 2.0


def progress_bar(total: int, show: bool | None, doing: str = "encoding", unit: str = "texts") -> tqdm[Any]:
    """Return a bar over ``total`` texts or pairs.

    ``show``: True, False, or None for "on a terminal, if it takes long".
    """
    automatic = show is None
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=doing,
        unit=f" {unit}",
        file=sys.stderr,
        disable=sys.stderr is None or (not terminal if automatic else not show),
        delay=_PATIENCE_SECONDS if automatic else 0,
    )
