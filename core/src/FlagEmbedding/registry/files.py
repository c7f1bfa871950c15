"""The small JSON files that describe a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FlagEmbedding.errors import CheckpointError


@dataclass(frozen=True)
class ModelFiles:
    """The files in ``folder``; messages call the model ``source``, as the caller gave it."""

    source: str
    folder: Path

    def json(self, name: str) -> Any | None:
        """Return the parsed content of the file ``name``, or None when the model has no such file.

        Raises:
            CheckpointError: The file is there and is no JSON.
        """
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{name} of {self.source!r} cannot be read as JSON: {error}") from error
