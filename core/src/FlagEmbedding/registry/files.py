"""The small JSON files of a model: from a local folder, or one by one from the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors as hub_errors

from FlagEmbedding.errors import CheckpointError, DownloadError, UnknownModelError


@dataclass(frozen=True)
class ModelFiles:
    """The files of ``source``, a local folder or a hub id.

    ``options`` go to ``huggingface_hub.hf_hub_download`` (``cache_dir``, ``revision``, ``token``,
    ``local_files_only``); it keeps to its own offline rules.
    """

    source: str
    options: dict[str, Any] = field(default_factory=dict)

    def json(self, name: str) -> Any | None:
        """Return the parsed content of ``name``, or None when the model has no such file.

        Raises:
            CheckpointError: The file is there and is no JSON.
            UnknownModelError: The hub has no such repository, or it is not for this caller.
            DownloadError: The hub could not be asked.
        """
        path = self._path(name)
        if path is None:
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error

    def _path(self, name: str) -> Path | None:
        if Path(self.source).is_dir():
            path = Path(self.source, name)
            return path if path.is_file() else None
        try:
            return Path(huggingface_hub.hf_hub_download(self.source, name, **self.options))
        except hub_errors.LocalEntryNotFoundError as error:
            raise DownloadError(_not_fetched(self.source, name, error)) from error
        except hub_errors.EntryNotFoundError:
            return None
        except (hub_errors.RepositoryNotFoundError, hub_errors.HFValidationError) as error:
            raise UnknownModelError(_not_on_hub(self.source)) from error
        except (OSError, hub_errors.HfHubHTTPError) as error:
            raise DownloadError(_not_fetched(self.source, name, error)) from error


def _not_on_hub(source: str) -> str:
    return (
        f"{source!r} is neither a registered name nor a local folder, and the hub has no such repository (or it is "
        f"private or gated: run `hf auth login`)."
    )


def _not_fetched(source: str, name: str, error: Exception) -> str:
    return (
        f"{name} of {source!r} is not in the local cache and could not be fetched from the hub: {error}. "
        f"Check the network (and HF_HUB_OFFLINE), or give a local folder."
    )
