"""A hub of tiny random models: every hub id that has no weights here leads to one, through the locator hook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager


@pytest.fixture
def tiny_hub(tiny: Any, tmp_path: Path) -> Iterator[Any]:
    """Whatever model is asked for is a tiny BERT; yields the reference for its vectors."""
    folder = tiny.build(tmp_path / "tiny-bert", "bert", max_position_embeddings=512)

    class Locator:
        @hookimpl(trylast=True)  # a plugin that has the real weights goes first
        def flagembedding_locate_model(self, model_name: str) -> Path | None:
            return folder if "unknown" not in model_name else None

    plugin_manager().register(Locator(), "tiny-hub")
    yield tiny.Reference(folder)
    plugin_manager().unregister("tiny-hub")
