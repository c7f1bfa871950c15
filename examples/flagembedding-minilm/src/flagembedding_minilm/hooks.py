"""What this plugin contributes."""

from __future__ import annotations

from pathlib import Path

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from flagembedding_minilm import catalog, weights


@hookimpl
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Register the model."""
    return catalog.EMBEDDERS


@hookimpl
def flagembedding_locate_model(model_name: str) -> Path | None:
    """Find the model in the packaged weights, so that it loads without a network."""
    return weights.packaged_folder() if model_name == catalog.HUB_ID else None
