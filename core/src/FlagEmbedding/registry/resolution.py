"""Resolution: from a name to what is loaded, and how. Four steps: name, detection, fallback, the caller's overrides."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.errors import CheckpointError, UnknownModelError
from FlagEmbedding.hub import fetch_settings
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import is_reference
from FlagEmbedding.registry.detection import detect_embedder
from FlagEmbedding.registry.extensions import model_class_reference
from FlagEmbedding.registry.files import ModelFiles
from FlagEmbedding.registry.mapping import EMBEDDERS
from FlagEmbedding.registry.names import clean_name, find_entry
from FlagEmbedding.registry.unknown import no_source, unknown_model
from FlagEmbedding.sources import is_folder, looks_like_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resolution:
    """What a name leads to.

    Attributes:
        source: The local folder, or the hub id, that is loaded.
        config: How, with the caller's overrides in it.
        entry: The name in the mapping, or None when the model was detected from its files.
    """

    source: str
    config: EmbedderConfig
    entry: str | None


def resolve_embedder(
    model_name_or_path: str | os.PathLike[str],
    model_class: str | Enum | None = None,
    overrides: Mapping[str, Any] | None = None,
    hub_options: Mapping[str, Any] | None = None,
) -> Resolution:
    """Find out what to load for ``model_name_or_path``, and how.

    Args:
        model_name_or_path: A registered name, a hub id or a local folder.
        model_class: A key (``"encoder-only-base"``), a ``"module:Class"`` or an Enum member; replaces the class and
            nothing else.
        overrides: Other fields of :class:`EmbedderConfig` that the caller decides; None means "not decided".
        hub_options: Some of :data:`FlagEmbedding.hub.HUB_OPTIONS`.

    Raises:
        UnknownModelError: The name leads nowhere.
        NameConflictError: Two plugins claim it.
        ModelClassError: There is no such model class.
        CheckpointError: The files do not describe an embedding model.
    """
    text = clean_name(model_name_or_path)
    wanted = {name: value for name, value in (overrides or {}).items() if value is not None}
    if model_class is not None:
        wanted["model_class"] = _class_reference(model_class)
    entry = find_entry(text, EMBEDDERS)
    source = _source(text, entry, forced=model_class is not None)
    config = EMBEDDERS[entry] if entry else _detect(source, wanted, hub_options or {})
    wanted.setdefault("trust_remote_code", _trusted(config, text, entry, source))
    return Resolution(source, config.replace(**wanted), entry)


def _class_reference(model_class: str | Enum) -> str:
    if isinstance(model_class, str) and is_reference(model_class):
        return model_class
    return model_class_reference(model_class)


def _source(text: str, entry: str | None, forced: bool) -> str:
    """Return where the files of ``text`` are: a local folder as given, a plugin's folder, or a hub id."""
    if is_folder(text):
        _check_folder(text, entry)
        return text
    if looks_like_path(text) or Path(text).exists():
        raise UnknownModelError(f"there is no model folder {text!r}.")
    name = _official(text, entry) or text
    located = plugin_manager().locate(name)
    if located is not None:
        return located
    if "/" in name or forced:
        return name
    raise UnknownModelError(no_source(entry) if entry else unknown_model(text))


def _check_folder(folder: str, entry: str | None) -> None:
    if not Path(folder, "config.json").is_file():
        official = EMBEDDERS[entry].hub_id if entry else None
        other = f" To load the registered model, give its hub id {official!r}." if official else ""
        raise CheckpointError(f"{folder!r} is a local folder without config.json, so it is no model folder.{other}")


def _official(text: str, entry: str | None) -> str | None:
    """Return the hub id that a bare registered name stands for; an ``org/name`` stands for itself."""
    return EMBEDDERS[entry].hub_id if entry and "/" not in text else None


def _detect(source: str, wanted: Mapping[str, Any], hub_options: Mapping[str, Any]) -> EmbedderConfig:
    folder = Path(source) if is_folder(source) else fetch_settings(source, hub_options)
    return detect_embedder(ModelFiles(source, folder), wanted.get("model_class"), wanted.get("pooling_method"))


def _trusted(config: EmbedderConfig, text: str, entry: str | None, source: str) -> bool:
    """Remote code runs only from the official repository (or a plugin's copy of it), never from a folder or a fork."""
    if not config.trust_remote_code:
        return False
    official = not is_folder(text) and (_official(text, entry) or text) == config.hub_id
    if not official:
        logger.warning("%r is not %r: its own code is not run. Say trust_remote_code=True to run it.", source, entry)
    return official
