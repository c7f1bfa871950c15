"""The small JSON files that describe a model."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.sources import is_file


@dataclass(frozen=True)
class ModelFiles:
    """The files in ``folder``; messages call the model ``source``, as the caller gave it."""

    source: str
    folder: Path

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """Return the JSON object in the file ``name``, or None when the model has no such file.

        Raises:
            CheckpointError: The file is there and holds no JSON object.
        """
        content = self._content(name)
        if content is None or isinstance(content, Mapping):
            return content
        raise self.wrong_shape(name, content, "an object")

    def config(self) -> Mapping[str, Any]:
        """Return ``config.json``.

        Raises:
            CheckpointError: The model has none, or it holds no JSON object.
        """
        config = self.mapping("config.json")
        if config is None:
            raise CheckpointError(f"{self.source!r} has no config.json, so it is no model folder.")
        return config

    def objects(self, name: str) -> list[Mapping[str, Any]] | None:
        """Return the list of JSON objects in the file ``name``, or None when the model has no such file.

        Raises:
            CheckpointError: The file is there and holds anything else.
        """
        content = self._content(name)
        if content is None or (isinstance(content, list) and all(isinstance(item, Mapping) for item in content)):
            return content
        raise self.wrong_shape(name, content, "a list of objects")

    def wrong_shape(self, name: str, found: object, wanted: str) -> CheckpointError:
        """Return the error for a file, or a part of one, that is JSON of another shape."""
        return CheckpointError(f"{name} of {self.source!r} should hold {wanted}, not {reprlib.repr(found)}.")

    def _content(self, name: str) -> Any | None:
        path = self.folder / name
        if not is_file(path):
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{name} of {self.source!r} cannot be read as JSON: {error}") from error
        if content is None:
            raise self.wrong_shape(name, content, "something")
        return content


def architectures(config: Mapping[str, Any]) -> list[str]:
    """Return the ``architectures`` of a ``config.json``; none where it is no list of names."""
    names = config.get("architectures")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
