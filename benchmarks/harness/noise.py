"""How quiet the machine was: what other processes computed while ours were measured."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # fields of the first line of /proc/stat: idle, iowait
_FIELDS = 8  # up to steal; guests are counted in user time already


class Noise:
    """A stopwatch for the others; 0.0 on systems without ``/proc``."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)
        self._before = time.perf_counter(), _busy(), self._own()

    def cores(self) -> float:
        """Return the cores' worth of time that other processes (and other guests of the host) took since."""
        elapsed, busy, own = time.perf_counter() - self._before[0], _busy(), self._own()
        return round(max(0.0, busy - self._before[1] - own + self._before[2]) / elapsed, 3)

    def _own(self) -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used) + sum(map(_of_process, self._pids))


def _busy() -> float:
    if not _STAT.exists():
        return 0.0
    fields = [int(field) for field in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]][:_FIELDS]
    return sum(value for index, value in enumerate(fields) if index not in _IDLE) / _TICKS


def _of_process(pid: int) -> float:
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS  # utime, stime
