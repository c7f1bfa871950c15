"""The contract of a plugin: this one registers an engine, and no models."""

from __future__ import annotations

from FlagEmbedding.testing import PluginContract


class TestOnnx(PluginContract):
    plugin = "onnx"
