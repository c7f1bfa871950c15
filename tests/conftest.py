"""A hub of tiny random models: every hub id that has no weights here leads to one, through the locator hook."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager


@pytest.fixture(scope="session")
def tiny() -> Any:
    """The core's builders of tiny checkpoints."""
    path = Path(__file__).resolve().parent.parent / "core/tests/tiny.py"
    spec = importlib.util.spec_from_file_location("tiny", path)
    sys.modules["tiny"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
