"""What a worker logs, said again by its parent: the handlers are the program's, which has set them up for itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Line: TypeAlias = dict[str, Any]
"""The attributes of a log record that are plain data."""

_LOGGERS = ("", "FlagEmbedding")
_SENT = (
    *("name", "levelno", "levelname", "pathname", "filename", "module", "lineno", "funcName"),
    *("created", "msecs", "thread", "threadName", "process", "processName"),
)


def levels() -> dict[str, int]:
    """Return from which level on this process wants to know, by the name of the logger."""
    return {name: logging.getLogger(name).level for name in _LOGGERS}


def say_again(lines: Iterable[Line]) -> None:
    """Hand lines to the handlers of this process; their ``processName`` says which worker they are from."""
    for line in lines:
        logger = logging.getLogger(line["name"])
        if logger.isEnabledFor(line["levelno"]):
            logger.handle(logging.makeLogRecord(line))


class Lines(logging.Handler):
    """Collects what is logged in a worker, in place of the handlers that the program's main module may have brought."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        logging.getLogger().handlers[:] = [self]

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line as text: its arguments may be anything."""
        line = {name: getattr(record, name) for name in _SENT}
        self._lines.append(line | {"msg": self.format(record)})

    def set_levels(self, wanted: Mapping[str, int]) -> None:
        """Log from these levels on, by the name of the logger."""
        for name, level in wanted.items():
            logging.getLogger(name).setLevel(level)

    def taken(self) -> list[Line]:
        """Return what has come since the last time."""
        lines, self._lines = self._lines, []
        return lines
