"""What a plugin registers, one entry at a time, and which architecture an entry's checkpoint has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from transformers import CONFIG_MAPPING

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, ModelClass, PoolingMethod, RerankerConfig
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.plugins.records import Contribution, PluginRecord, Status
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES

_CLASSIFIER = "ForSequenceClassification"


@dataclass(frozen=True, repr=False)
class Entry:
    """One model that a plugin registers.

    Attributes:
        name: Its name in the mapping.
        config: What the plugin says of it.
    """

    name: str
    config: EmbedderConfig | RerankerConfig

    @property
    def is_embedder(self) -> bool:
        """Whether it is an embedder; otherwise it is a reranker."""
        return isinstance(self.config, EmbedderConfig)

    @property
    def located_as(self) -> str:
        """What a locator is asked for when the model is loaded by its name."""
        return self.config.hub_id or self.name

    @property
    def append_eos(self) -> bool | str:
        """The token that its texts must end in, as the configuration has it; False where it asks for none."""
        return self.config.append_eos if isinstance(self.config, EmbedderConfig) else False

    def __repr__(self) -> str:
        return f"the {'embedder' if self.is_embedder else 'reranker'} {self.name!r}"


def record_of(plugin: str) -> PluginRecord | None:
    """Return the record of the plugin of that name, the active one where there are several, or None."""
    found = [record for record in plugin_manager().records() if record.name == plugin]
    return next((record for record in found if record.status is Status.ACTIVE), found[0] if found else None)


def contribution_of(plugin: str) -> Contribution:
    """Return what a plugin registers; nothing where it is not active."""
    record = record_of(plugin)
    return Contribution() if record is None else record.contribution


def entries_of(plugin: str) -> list[Entry]:
    """Return every model that a plugin registers; none where it is not active."""
    offered = contribution_of(plugin)
    tables: Iterable[Mapping[str, EmbedderConfig | RerankerConfig]] = (offered.embedders, offered.rerankers)
    return [Entry(name, config) for table in tables for name, config in table.items()]


def runs(entries: Iterable[Entry]) -> list[Entry]:
    """Return those that are not marked as unsupported."""
    return [entry for entry in entries if entry.config.unsupported is None]


def one_of_each_class(entries: Iterable[Entry]) -> list[Entry]:
    """Return the first entry of each model class."""
    by_class: dict[str, Entry] = {}
    for entry in entries:
        by_class.setdefault(entry.config.model_class_reference, entry)
    return list(by_class.values())


def brings_its_class(plugin: str, entry: Entry) -> bool:
    """Say whether the entry's class comes with the plugin, and not with the core or with another plugin."""
    reference = entry.config.model_class_reference
    others = [record.contribution for record in plugin_manager().records() if record.name != plugin]
    tables = [table for other in others for table in (other.embedder_classes, other.reranker_classes)]
    elsewhere = {offered.path for table in tables for offered in table.values()}
    return not reference.startswith("FlagEmbedding.") and reference not in elsewhere


def architecture_of(entry: Entry, declared: Mapping[str, str]) -> str:
    """Return the ``model_type`` of an entry's checkpoint.

    Args:
        entry: The model.
        declared: What the author says: patterns of names (``"acme-*"``) to model types, the first that fits counts.

    Returns:
        What is declared; else the first of the ``model_types`` with which a plugin (or the core) registered the
        entry's class, transformers' own before others; else ``"mistral"`` for the pooling of the last token, and
        ``"bert"``.
    """
    for pattern, model_type in declared.items():
        if fnmatchcase(entry.name, pattern):
            return model_type
    types = [model_type for offered in _offers(entry) for model_type in offered.model_types]
    known = [model_type for model_type in types if model_type in CONFIG_MAPPING]
    if types:
        return (known or types)[0]
    last = isinstance(entry.config, EmbedderConfig) and entry.config.pooling_method == PoolingMethod.LAST_TOKEN
    return "mistral" if last else "bert"


def is_classifier(entry: Entry) -> bool:
    """Say whether a reranker's checkpoint has a classifier; otherwise it is a language model."""
    return all(offered.architecture == _CLASSIFIER for offered in _offers(entry))


def reads_one_way(model_type: str) -> bool:
    """Say whether checkpoints of that type are decoders, as the core's class of decoders lists them."""
    return model_type in EMBEDDER_CLASSES.own(EmbedderModelClass.DECODER_ONLY_BASE.value).model_types


def _offers(entry: Entry) -> list[ModelClass]:
    """Return under what the entry's class is registered."""
    table = EMBEDDER_CLASSES if entry.is_embedder else RERANKER_CLASSES
    return [claim.value for claim in table.claims() if claim.value.path == entry.config.model_class_reference]
