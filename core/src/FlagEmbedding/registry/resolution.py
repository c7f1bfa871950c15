"""Resolution: from a name to what is loaded, and how. Four steps: name, detection, fallback, the caller's overrides."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from FlagEmbedding.config import EmbedderConfig, RerankerConfig
from FlagEmbedding.errors import CheckpointError, UnknownModelError, UnsupportedModelError
from FlagEmbedding.hub import fetch_settings
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES, ClassTable
from FlagEmbedding.registry.detection import add_own_modules, detect_embedder
from FlagEmbedding.registry.files import ModelFiles
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS, ModelMapping
from FlagEmbedding.registry.names import clean_name, find_entry
from FlagEmbedding.registry.reranker_detection import detect_reranker
from FlagEmbedding.registry.unknown import no_source, unknown_model
from FlagEmbedding.sources import is_file, is_folder, looks_like_path

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=ModelConfig)


@dataclass(frozen=True)
class Resolution(Generic[C]):
    """What a name leads to.

    Attributes:
        source: The local folder, or the hub id, that is loaded.
        config: How, with the caller's overrides in it.
        entry: The name in the mapping, or None when the model was detected from its files.
    """

    source: str
    config: C
    entry: str | None


@dataclass(frozen=True)
class Resolver(Generic[C]):
    """Finds out what to load for a name, and how; one for embedders, one for rerankers.

    Attributes:
        mapping: The registered models of this kind.
        classes: The model classes of this kind.
        detect: From the files of a model that nobody registered, and what the caller decides, to a configuration.
        other: The registered models of the other kind, and the factory that loads them.
        adapt: From other files than the official ones that have a registered name, and the entry, to what is loaded;
            None where an entry says all of them.
    """

    mapping: ModelMapping[C]
    classes: ClassTable
    detect: Callable[[ModelFiles, Mapping[str, Any]], C]
    other: tuple[ModelMapping[Any], str]
    adapt: Callable[[ModelFiles, C], C] | None = None

    def __call__(
        self,
        model_name_or_path: str | os.PathLike[str],
        model_class: str | Enum | None = None,
        overrides: Mapping[str, Any] | None = None,
        hub_options: Mapping[str, Any] | None = None,
    ) -> Resolution[C]:
        """Find out what to load for ``model_name_or_path``, and how.

        Args:
            model_name_or_path: A registered name, a hub id or a local folder.
            model_class: A key (``"encoder-only-base"``), a ``"module:Class"`` or an Enum member; replaces the class
                and nothing else.
            overrides: Other fields of the configuration that the caller decides; None means "not decided".
            hub_options: Some of :data:`FlagEmbedding.hub.HUB_OPTIONS`.

        Raises:
            UnknownModelError: The name leads nowhere, or to a model of the other kind.
            UnsupportedModelError: The model is known, and known not to run here.
            NameConflictError: Two plugins claim it.
            ModelClassError: There is no such model class.
            CheckpointError: The files do not describe a model of this kind.
        """
        text = clean_name(model_name_or_path)
        wanted = {name: value for name, value in (overrides or {}).items() if value is not None}
        if model_class is not None:
            wanted["model_class"] = self.classes.reference(model_class)
        entry = find_entry(text, self.mapping)
        if entry and model_class is None and self.mapping[entry].unsupported:
            raise UnsupportedModelError(f"{text!r} cannot be run here: {self.mapping[entry].unsupported}")
        source = self._source(text, entry, forced=model_class is not None)
        asked = hub_options or {}
        config = self._registered(text, entry, source, asked) if entry else self.detect(_files(source, asked), wanted)
        wanted.setdefault("trust_remote_code", self._trusted(config, text, entry, source))
        return Resolution(source, config.replace(**wanted), entry)

    def _source(self, text: str, entry: str | None, forced: bool) -> str:
        """Return where the files of ``text`` are: a local folder as given, a plugin's folder, or a hub id."""
        if is_folder(text):
            self._check_folder(text, entry)
            return text
        if looks_like_path(text) or is_file(Path(text)):
            raise UnknownModelError(f"there is no model folder {text!r}.")
        if entry is None and not forced:
            self._refuse_other_kind(text)
        name = self._official(text, entry) or text
        located = plugin_manager().locate(name)
        if located is not None:
            return located
        if "/" in name or forced:
            return name
        raise UnknownModelError(no_source(entry, self.mapping) if entry else unknown_model(text, self.mapping))

    def _refuse_other_kind(self, text: str) -> None:
        mapping, factory = self.other
        if find_entry(text, mapping) is not None:
            raise UnknownModelError(
                f"{text!r} names one of the {mapping.kind}s, and this loads {self.mapping.kind}s. "
                f"Load it with {factory}.from_finetuned({text!r})."
            )

    def _check_folder(self, folder: str, entry: str | None) -> None:
        if not any(is_file(Path(folder, name)) for name in ("config.json", "modules.json")):
            official = self.mapping[entry].hub_id if entry else None
            other = f" To load the registered model, give its hub id {official!r}." if official else ""
            raise CheckpointError(f"{folder!r} is a local folder without config.json, so it is no model folder.{other}")

    def _official(self, text: str, entry: str | None) -> str | None:
        """Return the hub id that a bare registered name stands for; an ``org/name`` stands for itself."""
        return self.mapping[entry].hub_id if entry and "/" not in text else None

    def _registered(self, text: str, entry: str, source: str, hub_options: Mapping[str, Any]) -> C:
        config = self.mapping[entry]
        own = {name.casefold() for name in (entry, config.hub_id) if name}
        if self.adapt is None or (text.casefold() in own and not is_folder(text)):
            return config
        return self.adapt(_files(source, hub_options), config)

    def _trusted(self, config: C, text: str, entry: str | None, source: str) -> bool:
        """Remote code runs only from the official repository (or a plugin's copy), never from a folder or a fork."""
        if not config.trust_remote_code:
            return False
        official = not is_folder(text) and (self._official(text, entry) or text) == config.hub_id
        if not official:
            logger.warning(
                "%r is not %r: its own code is not run. Say trust_remote_code=True to run it.", source, entry
            )
        return official


def _files(source: str, hub_options: Mapping[str, Any]) -> ModelFiles:
    return ModelFiles(source, Path(source) if is_folder(source) else fetch_settings(source, hub_options))


resolve_embedder: Resolver[EmbedderConfig] = Resolver(
    EMBEDDERS, EMBEDDER_CLASSES, detect_embedder, (RERANKERS, "FlagAutoReranker"), add_own_modules
)
resolve_reranker: Resolver[RerankerConfig] = Resolver(
    RERANKERS, RERANKER_CLASSES, detect_reranker, (EMBEDDERS, "FlagAutoModel")
)
