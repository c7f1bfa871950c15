"""Where in the program a registration stands: for listings and for errors about names that are taken."""

from __future__ import annotations

import inspect

from FlagEmbedding.claims import THIS_PROCESS

# A mapping's update() and setdefault() call back from here.
_BETWEEN = "collections.abc"


def here() -> str:
    """Return the line that called into this library: ``"this process (train.py:12)"``."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] != __package__.partition(".")[0] and module != _BETWEEN:
            return f"{THIS_PROCESS} ({frame.f_code.co_filename}:{frame.f_lineno})"
        frame = frame.f_back
    return THIS_PROCESS
