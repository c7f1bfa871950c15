"""The contract of a plugin, of each of its models: on tiny checkpoints, with no network and no real weights."""

from __future__ import annotations

from FlagEmbedding.testing import PluginContract


class TestJina(PluginContract):
    plugin = "jina"
