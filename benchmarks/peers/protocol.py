"""A worker's half of the conversation: JSON lines in, JSON lines out, one reply a command.

A peer's script defines a :class:`Peer` and calls :func:`serve`. Only ``seconds`` of the work itself count: reading the
texts and writing the vectors stay outside. Anything a library prints goes to standard error.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

import numpy as np

_DIE_WITH_PARENT = 1  # Linux: PR_SET_PDEATHSIG; the harness stops idle workers, and a stopped one reads no end of file
_QUERIES_BEFORE = 3  # not counted: they wake threads and fill caches


class Peer:
    """One library under test. ``model`` in :meth:`load` is the command of the harness (see ``harness/workers.py``)."""

    packages: tuple[str, ...] = ()

    def load(self, model: dict[str, Any]) -> None:
        """Load the model."""
        raise NotImplementedError

    def encode(self, texts: list[str], batch_size: int | None) -> Any:
        """Return one vector a text; None means the library's own batch size."""
        raise NotImplementedError

    def query(self, text: str) -> Any:
        """Return the vector of one text, given as a program would give it."""
        raise NotImplementedError

    def rerank(self, query: str, passages: list[str]) -> Any:
        """Return one score a passage, before any sigmoid."""
        raise NotImplementedError

    def handle(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out ``command`` and return the reply."""
        reply: dict[str, Any] = getattr(self, f"do_{command.pop('do')}")(**command)
        return reply

    def do_load(self, **model: Any) -> dict[str, Any]:
        """Load, and say how long it took."""
        start = time.perf_counter()
        self.load(model)
        return {"seconds": time.perf_counter() - start}

    def do_encode(
        self, texts: str, limit: int | None = None, batch_size: int | None = None, out: str | None = None
    ) -> Any:
        """Encode the texts of a file."""
        each = _read(texts)[:limit]
        start = time.perf_counter()
        vectors = self.encode(each, batch_size)
        return _done(time.perf_counter() - start, vectors, out)

    def do_queries(self, texts: str, limit: int | None = None, out: str | None = None) -> dict[str, Any]:
        """Encode the texts of a file one by one, as they come."""
        each = _read(texts)[:limit]
        for text in each[:_QUERIES_BEFORE]:
            self.query(text)
        seconds, vectors = [], []
        for text in each:
            start = time.perf_counter()
            vector = self.query(text)
            seconds.append(time.perf_counter() - start)
            vectors.append(np.asarray(vector, dtype=np.float32))
        return _done(seconds, vectors, out)

    def do_rerank(self, query: str, texts: str, limit: int | None = None, out: str | None = None) -> dict[str, Any]:
        """Score the passages of a file for one query."""
        passages = _read(texts)[:limit]
        start = time.perf_counter()
        scores = self.rerank(query, passages)
        return _done(time.perf_counter() - start, scores, out)

    def do_state(self) -> dict[str, Any]:
        """Return the peak of the resident set so far, the accelerator's if there is one, and the versions."""
        names = (*self.packages, "numpy")
        versions = {name: importlib.metadata.version(name) for name in names}
        return {"peak_bytes": peak_resident(), "peak_device_bytes": peak_device(), "versions": versions}


def serve(peer: Peer) -> None:
    """Answer commands until the harness closes the pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    with _replies() as replies:
        for line in sys.stdin:
            print(json.dumps(_answer(peer, json.loads(line))), file=replies, flush=True)


def peak_resident() -> int:
    """Return the greatest resident set of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_device() -> int | None:
    """Return the greatest memory that torch held on the accelerator, or None without torch or accelerator."""
    torch = sys.modules.get("torch")
    return torch.cuda.max_memory_allocated() if torch is not None and torch.cuda.is_available() else None


def _answer(peer: Peer, command: dict[str, Any]) -> dict[str, Any]:
    try:
        return peer.handle(command)
    except Exception as error:  # noqa: BLE001 - whatever a library raises is the harness's to report
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def _replies() -> TextIO:
    """Return the real standard output, and let everything else that is printed go to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _read(path: str) -> list[str]:
    texts: list[str] = json.loads(Path(path).read_text(encoding="utf-8"))
    return texts


def _done(seconds: Any, rows: Any, out: str | None) -> dict[str, Any]:
    if out:
        np.save(out, np.asarray(rows, dtype=np.float32))
    return {"seconds": seconds}
