"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from flagembedding_linq.catalog import EMBEDDERS


# trylast: the tutorial lists Linq at the end, after SFR; plugins are otherwise asked in order of their names.
@hookimpl(trylast=True)
def flagembedding_embedder_configs() -> dict[str, EmbedderConfig]:
    """Return the Linq embedding models."""
    return EMBEDDERS
