"""One contender in one case: its process, what it measured, and why it stopped if it did."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.bench import Bench
from harness.cases import Case, Contender
from harness.texts import RERANK_QUERY
from harness.workers import PeerFailedError, Worker, environment

_WARMING = 8  # texts before the first round

_LISTING = "from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING as m; assert list(m)"


class Participant:
    """A contender in a case. A figure is seconds, or bytes: less is better."""

    def __init__(self, case: Case, contender: Contender, bench: Bench) -> None:
        self.case, self.contender, self.bench = case, contender, bench
        self.worker: Worker | None = None
        self.figures: list[float] = []
        self.state: dict[str, Any] = {}
        self.failure: str | None = None

    @property
    def out(self) -> Path:
        """The file of its vectors."""
        name = re.sub("[^a-z0-9.]+", "-", f"{self.case.name} {self.contender.label}".lower())
        return self.bench.cache / "vectors" / f"{name}.npy"

    def attempt(self, step: Callable[[], None]) -> None:
        """Take a step unless an earlier one failed; note why this one does."""
        if self.failure is None:
            try:
                step()
            except PeerFailedError as error:
                self.failure = str(error)
                self.close()

    def prepare(self) -> None:
        """Start, load and warm up; a case of fresh processes has one that does not count, to warm the disk cache."""
        self.bench.python(self.contender.peer)
        if self.case.kind in _LIVING:
            self.worker = self._loaded()
            with self.worker.turn():
                self._work(self.worker, min(_WARMING, self.case.texts), None)
        elif self.case.kind != "memory":
            _FRESH[self.case.kind](self)

    def measure(self) -> None:
        """Take part in one round."""
        if self.worker is None:
            self.figures.append(_FRESH[self.case.kind](self))
            return
        out = None if self.figures else str(self.out)
        with self.worker.turn():
            self.figures.append(self._work(self.worker, self.case.texts, out))

    def finish(self) -> None:
        """Ask for peak memory and versions, and end."""
        if self.worker is not None:
            with self.worker.turn():
                self.state = self.worker.ask("state")
        self.close()

    def close(self) -> None:
        """End the process if there is one."""
        if self.worker is not None:
            self.worker.close()

    def _work(self, worker: Worker, limit: int, out: str | None) -> float:
        arguments = {"texts": str(self.bench.texts.of(self.case.kind)), "limit": limit, "out": out}
        if self.case.kind == "queries":
            return float(statistics.median(worker.ask("queries", **arguments)["seconds"]))
        if self.case.kind == "rerank":
            return float(worker.ask("rerank", query=RERANK_QUERY, **arguments)["seconds"])
        return float(worker.ask("encode", batch_size=self.contender.batch_size, **arguments)["seconds"])

    def _started(self) -> Worker:
        return self.bench.worker(self.contender.peer, f"{self.case.name} {self.contender.label}")

    def _loaded(self) -> Worker:
        command = self.bench.load_command(self.case, self.contender)
        worker = self._started()
        try:
            worker.ask(**command)
        except PeerFailedError:
            worker.close()
            raise
        return worker

    def cold(self) -> float:
        """Return the seconds from the start of a process to its first vector."""
        command = self.bench.load_command(self.case, self.contender)
        start = time.perf_counter()
        worker = self._started()
        try:
            worker.ask(**command)
            worker.ask("encode", texts=str(self.bench.texts.queries), limit=1)
            seconds = time.perf_counter() - start
            self.state = worker.ask("state")
        finally:
            worker.close()
        return seconds

    def memory(self) -> float:
        """Return the peak of the resident set of a fresh process that encodes many short texts."""
        worker = self._loaded()
        try:
            worker.ask("encode", texts=str(self.bench.texts.short), limit=self.case.texts)
            self.state = worker.ask("state")
        finally:
            worker.close()
        return float(self.state["peak_bytes"])

    def listing(self) -> float:
        """Return the seconds of a fresh process that imports FlagEmbedding and lists its models."""
        command = [str(self.bench.python(self.contender.peer)), "-c", _LISTING]
        start = time.perf_counter()
        settings = environment(self.bench.threads)
        done = subprocess.run(command, env=settings, cwd=self.bench.cache, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise PeerFailedError(done.stderr.strip()[-300:])
        return seconds


_LIVING = frozenset({"corpus", "queries", "rerank"})
_FRESH: dict[str, Callable[[Participant], float]] = {
    "cold": Participant.cold,
    "memory": Participant.memory,
    "listing": Participant.listing,
}
