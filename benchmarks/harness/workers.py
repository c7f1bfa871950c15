"""A peer as a process that lives through all rounds of a case, and stands still while it is not its turn."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.environments import ROOT

PEERS = ROOT / "benchmarks/peers"
SCRIPTS = {
    "ours": "ours.py",
    "sentence-transformers": "sentence.py",
    "flagembedding-1.4.2": "upstream.py",
    "onnxruntime": "raw_onnx.py",
    "fastembed": "fast.py",
    "reference": "reference.py",
}

_PATIENCE = 3600.0  # seconds for one reply
_LAST_WORDS = 300  # characters of the log
_GRACE = 10.0


class PeerFailedError(RuntimeError):
    """A peer cannot do what it is asked, or died over it."""


def environment(threads: int) -> dict[str, str]:
    """Return the environment of every process under test: the same threads, no hub, no site packages of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMP_", "MKL_"))}
    count = str(threads)
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    return {**kept, **offline, "OMP_NUM_THREADS": count, "RAYON_NUM_THREADS": count, "PYTHONNOUSERSITE": "1"}


class Worker:
    """One process of a peer.

    Args:
        peer: A key of :data:`SCRIPTS`.
        python: The interpreter of its environment.
        threads: What it may use.
        log: Where its standard error goes.
    """

    def __init__(self, peer: str, python: Path, threads: int, log: Path) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [str(python), str(PEERS / SCRIPTS[peer])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(threads),
                cwd=log.parent,
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the reply to one command.

        Raises:
            PeerFailedError: It raised, died, or took longer than an hour.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerFailedError(self._death()) from error
        reply: dict[str, Any] = json.loads(self._line())
        if "error" in reply:
            raise PeerFailedError(f"{do}: {reply['error']}")
        return reply

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let the process run, and stop it again: not even its idle threads spin in the turn of another."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the process."""
        self._signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=_GRACE)
        self._process.kill()
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _line(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_PATIENCE):
                raise PeerFailedError(f"no answer for {_PATIENCE:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailedError(self._death())
        return line

    def _death(self) -> str:
        words = " ".join(self._log.read_text(encoding="utf-8", errors="replace").split())[-_LAST_WORDS:]
        return f"the process ended with {self._process.wait()}: {words}"
