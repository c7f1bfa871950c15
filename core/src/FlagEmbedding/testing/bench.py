"""The bench: loads a plugin's entries by their names, on tiny checkpoints in the place of the real ones."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import transformers

from FlagEmbedding.inference.auto_embedder import FlagAutoModel
from FlagEmbedding.inference.auto_reranker import FlagAutoReranker
from FlagEmbedding.plugins.hookspecs import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.testing import checkpoints
from FlagEmbedding.testing.breach import KIT
from FlagEmbedding.testing.entries import Entry, is_classifier, reads_one_way

__tracebackhide__ = True  # see breach

_LOCATOR = "FlagEmbedding.testing"
_POSITIONS = 514  # room for the instructions, which are longer than any text here
_NO_START = ("qwen2", "qwen3")  # decoders whose texts begin with no token of their own


class Bench:
    """Tiny checkpoints and models of one plugin, each made once.

    Args:
        build: Writes the checkpoint of an entry into a folder.
        root: Where checkpoints are written.
    """

    def __init__(self, build: Callable[[Path, Entry], object], root: Path) -> None:
        self._build = build
        self._root = root
        self._numbers = itertools.count()
        self._folders: dict[Entry, Path] = {}
        self._models: dict[Entry, Any] = {}

    def folder(self, entry: Entry) -> Path:
        """Return the checkpoint of an entry; nobody may change it."""
        if entry not in self._folders:
            folder = self._root / str(next(self._numbers)) / entry.name.replace("/", "--")
            folder.mkdir(parents=True)
            self._build(folder, entry)
            self._folders[entry] = folder
        return self._folders[entry]

    def load(self, entry: Entry, folder: Path | None = None, **options: Any) -> Any:
        """Load an entry by its name, from ``folder`` or its own checkpoint, on the CPU unless options say otherwise."""
        factory: Any = FlagAutoModel if entry.is_embedder else FlagAutoReranker
        with located({entry.located_as: folder or self.folder(entry)}):
            return factory.from_finetuned(entry.name, **{"devices": "cpu", **options})

    def loaded(self, entry: Entry) -> Any:
        """Return the model of an entry, loaded once; nobody may change it."""
        if entry not in self._models:
            self._models[entry] = self.load(entry)
        return self._models[entry]

    def model(self, entry: Entry) -> Any:
        """Return :meth:`loaded`, for the checks that have nothing to say of a model that does not load."""
        try:
            return self.loaded(entry)
        except Exception as error:  # noqa: BLE001 - whatever it is, test_loads fails with it
            pytest.skip(f"{entry} does not load, which test_loads reports: {type(error).__name__}: {error}")


@contextlib.contextmanager
def located(folders: Mapping[str, Path]) -> Iterator[None]:
    """Let these names lead to these folders, before whatever a plugin or the hub would give."""

    class Locator:
        @hookimpl(tryfirst=True)
        def flagembedding_locate_model(self, model_name: str) -> Path | None:
            return folders.get(model_name)

    plugin_manager().register(Locator(), _LOCATOR)
    try:
        yield
    finally:
        plugin_manager().unregister(_LOCATOR)


def build_checkpoint(folder: Path, entry: Entry, architecture: str) -> Path:
    """Write a tiny checkpoint of an architecture that transformers has, with what the entry's kind of model needs.

    Args:
        folder: Where to; returned.
        entry: An embedder gets the backbone, a reranker what its class was registered for: a classifier with one
            label, or a language model.
        architecture: Its ``model_type``.

    Returns:
        ``folder``, with ``config.json``, weights of some 100 kB and a real tokenizer.

    Raises:
        LookupError: transformers has no such architecture; the author builds it.
    """
    if architecture not in transformers.CONFIG_MAPPING:
        raise LookupError(
            f"transformers has no architecture {architecture!r}, so the kit cannot build a checkpoint for {entry}: "
            f"override build(), or name another in architectures. Look at: {KIT}"
        )
    if reads_one_way(architecture):
        return _build_decoder(folder, entry, architecture)
    kind = transformers.AutoModel if entry.is_embedder else transformers.AutoModelForSequenceClassification
    labels = {} if entry.is_embedder else {"num_labels": 1}
    return checkpoints.build(folder, architecture, kind=kind, max_position_embeddings=_POSITIONS, **labels)


def _build_decoder(folder: Path, entry: Entry, architecture: str) -> Path:
    start = architecture not in _NO_START
    if entry.is_embedder:
        end = entry.append_eos if isinstance(entry.append_eos, str) else ""
        return checkpoints.build_decoder(folder, architecture, start=start, end=end)
    if is_classifier(entry):
        kind = transformers.AutoModelForSequenceClassification
        return checkpoints.build_decoder(folder, architecture, start=start, kind=kind, num_labels=1)
    return checkpoints.build_language_model(folder, architecture, start=start)
