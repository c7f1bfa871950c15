"""The contract of a plugin, of each of its models: on tiny checkpoints, with no network and no real weights."""

from __future__ import annotations

from typing import ClassVar

import cost_wise_checkpoints
import m3_checkpoints
import minicpm_tiny

from FlagEmbedding.testing import PluginContract, vocabularies

# Networks that transformers lacks, and heads beside one that it has.
OWN = {
    "bge-m3": m3_checkpoints.write,
    "bge-reranker-v2-minicpm-layerwise": lambda folder: minicpm_tiny.build_with_tokenizer(
        folder, max_position_embeddings=512
    ),
    "bge-reranker-v2.5-gemma2-lightweight": lambda folder: cost_wise_checkpoints.write_with_tokenizer(
        folder, vocabularies
    ),
}


class TestBge(PluginContract):
    plugin = "bge"
    architectures: ClassVar = {
        "bge-multilingual-gemma2": "gemma2",
        "bge-code-v1": "qwen2",
        "bge-reasoner-*": "qwen3",
        "bge-reranker-v2-gemma": "gemma",
        "bge-reranker-*": "xlm-roberta",
    }

    def build(self, folder, entry):
        """Write what the kit cannot."""
        if entry.name in OWN:
            OWN[entry.name](folder)
        else:
            super().build(folder, entry)

    def query_text(self, entry, query):
        """Queries of the model for in-context learning end in a suffix, with or without examples."""
        suffix = "\n<response>" if entry.name == "bge-en-icl" else ""
        return super().query_text(entry, query) + suffix
