"""The contract of a plugin, of each of its models: on tiny checkpoints, with no network and no real weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import ClassVar

from FlagEmbedding.testing import PluginContract, vocabularies


def neighbour(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Networks that transformers lacks, and heads beside one that it has.
OWN = {
    "bge-m3": lambda folder: neighbour("m3_checkpoints").write(folder),
    "bge-reranker-v2-minicpm-layerwise": lambda folder: neighbour("minicpm_tiny").build_with_tokenizer(
        folder, max_position_embeddings=512
    ),
    "bge-reranker-v2.5-gemma2-lightweight": lambda folder: neighbour("cost_wise_checkpoints").write_with_tokenizer(
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
