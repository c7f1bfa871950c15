"""Lengths that a tokenizer's settings state, for models whose other files state none."""

from __future__ import annotations

from FlagEmbedding.registry.files import ModelFiles

# What is longer is left to the class, which goes that far only when it is asked to; 1e30 stands for no limit at all.
_LONGEST = 8192


def tokenizer_length(files: ModelFiles) -> int | None:
    """Return ``model_max_length`` of ``tokenizer_config.json``, or None where it says nothing, or more than 8192."""
    value = (files.mapping("tokenizer_config.json") or {}).get("model_max_length")
    return value if type(value) is int and 0 < value <= _LONGEST else None
