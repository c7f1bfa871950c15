"""Quiet: what transformers would say and draw while it loads; what is wrong is said by the error that it raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import transformers


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' own report and progress bar off the terminal."""
    log: Any = transformers.utils.logging
    verbosity, bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    _set_progress_bar(False)
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        _set_progress_bar(bar)


def _set_progress_bar(on: bool) -> None:
    log: Any = transformers.utils.logging
    log.enable_progress_bar() if on else log.disable_progress_bar()
