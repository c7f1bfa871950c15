"""What all cases share: the environments, the texts, the models, and the reference worker that prepares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cases import MAX_LENGTH, Case, Contender
from harness.environments import EnvironmentFailedError, python_of
from harness.texts import Texts
from harness.workers import PeerFailedError, Worker

_EXPORTED = frozenset({"fastembed", "onnxruntime"})


class Bench:
    """The workshop of a run.

    Args:
        cache: Where models, texts, vectors and logs are kept.
        texts: The texts.
        threads: What every process may use.
        given: Environments to take as they are, by peer.
        wanted: The peers that take part; others are left out.
    """

    def __init__(
        self, cache: Path, texts: Texts, threads: int, given: Mapping[str, Path], wanted: frozenset[str]
    ) -> None:
        self.cache, self.texts, self.threads, self.wanted = cache, texts, threads, wanted
        self._given = given
        (cache / "vectors").mkdir(parents=True, exist_ok=True)
        self._pythons: dict[str, Path | str] = {}
        self.reference = self.worker("reference", "reference")
        self.machine = self.reference.ask("machine")
        self.machine["versions"] = self.reference.ask("state")["versions"]

    def python(self, peer: str) -> Path:
        """Return the interpreter of ``peer``.

        Raises:
            PeerFailedError: Its environment cannot be made; it is tried once a run.
        """
        if peer not in self._pythons:
            try:
                self._pythons[peer] = python_of(peer, self._given)
            except EnvironmentFailedError as error:
                self._pythons[peer] = f"no environment: {error}"
        found = self._pythons[peer]
        if isinstance(found, str):
            raise PeerFailedError(found)
        return found

    def worker(self, peer: str, name: str) -> Worker:
        """Start a process of ``peer``, whose log is called ``name``."""
        log = self.cache / "logs" / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}.log"
        return Worker(peer, self.python(peer), self.threads, log)

    def facts(self, model: str) -> dict[str, Any]:
        """Build ``model`` unless it is there, and return what is known of it."""
        arguments = {"name": model, "folder": str(self._folder(model)), "texts": str(self.texts.corpus)}
        return self.reference.ask("build", **arguments)

    def load_command(self, case: Case, contender: Contender) -> dict[str, Any]:
        """Return the command that loads the model of ``case`` for ``contender``; export it first where that is needed.

        Raises:
            PeerFailedError: It cannot be exported.
        """
        facts, folder = self.facts(case.model), str(self._folder(case.model))
        if contender.peer in _EXPORTED:
            self.reference.ask("export", folder=folder)
        shared = {"folder": folder, "kind": facts["kind"], "width": facts["width"], "max_length": MAX_LENGTH}
        chosen = {"device": case.device, "dtype": contender.dtype, "engine": contender.engine}
        return {"do": "load", **shared, **chosen, "threads": self.threads}

    def lengths(self, case: Case, query: str | None) -> list[int]:
        """Return the tokens of each text of ``case``."""
        folder, texts = str(self._folder(case.model)), str(self.texts.of(case.kind))
        reply = self.reference.ask("lengths", folder=folder, texts=texts, max_length=MAX_LENGTH, query=query)
        found: list[int] = reply["lengths"]
        return found[: case.texts]

    def close(self) -> None:
        """End the reference worker."""
        self.reference.close()

    def _folder(self, model: str) -> Path:
        return self.cache / "models" / model
