"""The contract of a plugin, of each of its models: on tiny checkpoints, with no network and no real weights."""

from __future__ import annotations

from typing import ClassVar

from FlagEmbedding.testing import PluginContract


class TestE5(PluginContract):
    plugin = "e5"
    architectures: ClassVar = {"multilingual-*": "xlm-roberta"}
