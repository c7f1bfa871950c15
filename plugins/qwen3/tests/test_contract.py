"""The contract of a plugin, of each of its models: on tiny checkpoints, with no network and no real weights."""

from __future__ import annotations

from typing import ClassVar

from FlagEmbedding.testing import PluginContract
from FlagEmbedding.testing.checkpoints import build_language_model

CHAT = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "yes", "no")


class TestQwen3(PluginContract):
    plugin = "qwen3"
    architectures: ClassVar = {"*": "qwen3"}

    def build(self, folder, entry):
        """Give the rerankers the tokens of their chat."""
        if entry.is_embedder:
            super().build(folder, entry)
        else:
            build_language_model(folder, "qwen3", start=False, words=CHAT, max_position_embeddings=1024)

    def pair_texts(self, entry, model, query, passage):
        """They read query and passage as one text."""
        return ["\n".join(super().pair_texts(entry, model, query, passage))]
