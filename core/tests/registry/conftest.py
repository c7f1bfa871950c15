"""Models that are nothing but their small files, plugins of this process, and no network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, which may have happened

from huggingface_hub import constants

from FlagEmbedding.plugins import EmbedderConfig, ModelClass, RerankerConfig, hookimpl
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.registry import hints


class Plugin:
    """A plugin of this process that contributes what it is given."""

    def __init__(
        self,
        embedders: Mapping[str, EmbedderConfig] | None = None,
        classes: Mapping[str, ModelClass] | None = None,
        poolings: Mapping[str, str] | None = None,
        folders: Mapping[str, Path] | None = None,
        rerankers: Mapping[str, RerankerConfig] | None = None,
        reranker_classes: Mapping[str, ModelClass] | None = None,
        engines: Mapping[str, str] | None = None,
    ) -> None:
        self.embedders, self.classes = embedders or {}, classes or {}
        self.rerankers, self.reranker_classes = rerankers or {}, reranker_classes or {}
        self.poolings, self.engines, self.folders = poolings or {}, engines or {}, folders or {}
        self.asked: list[str] = []

    @hookimpl
    def flagembedding_embedder_configs(self) -> Mapping[str, EmbedderConfig]:
        return self.embedders

    @hookimpl
    def flagembedding_reranker_configs(self) -> Mapping[str, RerankerConfig]:
        return self.rerankers

    @hookimpl
    def flagembedding_embedder_classes(self) -> Mapping[str, ModelClass]:
        return self.classes

    @hookimpl
    def flagembedding_reranker_classes(self) -> Mapping[str, ModelClass]:
        return self.reranker_classes

    @hookimpl
    def flagembedding_pooling_functions(self) -> Mapping[str, str]:
        return self.poolings

    @hookimpl
    def flagembedding_engines(self) -> Mapping[str, str]:
        return self.engines

    @hookimpl
    def flagembedding_locate_model(self, model_name: str) -> Path | None:
        self.asked.append(model_name)
        return self.folders.get(model_name)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def register() -> Iterator[Callable[..., Plugin]]:
    """Return a function that registers a plugin with the manager of the process until the test ends."""
    names: list[str] = []

    def registered(**contributions: Any) -> Plugin:
        plugin, name = Plugin(**contributions), f"test plugin {len(names)}"
        plugin_manager().register(plugin, name)
        names.append(name)
        return plugin

    yield registered
    for name in names:
        plugin_manager().unregister(name)


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a model's JSON files (text is written as it stands) into a folder."""

    def written(files: Mapping[str, Any], folder: str = "acme-folder") -> Path:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return tmp_path / folder

    return written


@pytest.fixture
def hint(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that replaces the table of install hints."""

    def replaced(**sections: dict[str, str]) -> None:
        table = {"models": {}, "model_classes": {}, "exports": {}, "engines": {}, **sections}
        monkeypatch.setattr(hints, "_table", lambda: table)

    return replaced
