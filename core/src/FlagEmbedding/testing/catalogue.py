"""Checks of an entry as data, and of one that is known not to run."""

from __future__ import annotations

from typing import Any

from FlagEmbedding.abc.inference import AbsEmbedder, AbsReranker
from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.engine.pooling import pooling_function
from FlagEmbedding.errors import UnsupportedModelError
from FlagEmbedding.inference.auto_embedder import FlagAutoModel
from FlagEmbedding.inference.auto_reranker import FlagAutoReranker
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS, ModelMapping
from FlagEmbedding.testing.breach import CONFIGS, HOOKS, Required, require
from FlagEmbedding.testing.entries import Entry

__tracebackhide__ = True  # see breach


def check_entry(entry: Entry) -> None:
    """What the plugin says of a model holds together."""
    _check_name(entry)
    _check_class(entry)
    if isinstance(entry.config, EmbedderConfig):
        _check_vectors(entry, entry.config)


def _check_name(entry: Entry) -> None:
    mapping: ModelMapping[Any] = EMBEDDERS if entry.is_embedder else RERANKERS
    owners = mapping.conflicts().get(entry.name, [])
    does = f"{entry} is claimed by {' and '.join(owners)}, so that asking for it is an error."
    require(not owners, does, "a name belongs to one plugin", HOOKS)
    hub_id = entry.config.hub_id
    if hub_id is not None:
        owner, _, name = hub_id.partition("/")
        wants = "hub_id is 'organisation/name', and the entry has that name: folders of fine-tunes are known by it"
        require(owner and name == entry.name, f"{entry} has the hub_id {hub_id!r}.", wants, CONFIGS)


def _check_class(entry: Entry) -> None:
    reference = entry.config.model_class_reference
    base = AbsEmbedder if entry.is_embedder else AbsReranker
    with Required(f"the class of {entry} cannot be imported", f"{reference!r} is there", CONFIGS):
        found: Any = entry.config.model_class
    good = isinstance(found, type) and issubclass(found, base)
    require(good, f"{entry} has the class {reference}.", f"it is a subclass of {base.__name__}", CONFIGS)


def _check_vectors(entry: Entry, config: EmbedderConfig) -> None:
    with Required(f"the pooling of {entry} is not known", "a registered name", CONFIGS):
        pooling_function(config.pooling_method)
    long = [size for size in config.matryoshka_dims if config.dimension is None or size >= config.dimension]
    does = f"{entry} has the matryoshka_dims {config.matryoshka_dims} and the dimension {config.dimension}."
    require(not long, does, "matryoshka_dims are shorter than dimension, which is stated too", CONFIGS)


def check_refused(entry: Entry) -> None:
    """A model that is known not to run is refused, by its name, with the reason."""
    reason = entry.config.unsupported or ""
    wants = "unsupported= says why the model cannot run here, and what to do instead"
    require(reason.strip(), f"{entry} is marked as unsupported, and no reason is given.", wants, CONFIGS)
    factory: Any = FlagAutoModel if entry.is_embedder else FlagAutoReranker
    try:
        factory.from_finetuned(entry.name)
    except UnsupportedModelError as error:
        require(reason in str(error), f"{entry} is refused with {str(error)!r}.", f"with {reason!r}", CONFIGS)
    else:
        require(False, f"{entry} is marked as unsupported, and loads.", wants, CONFIGS)
