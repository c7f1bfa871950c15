"""Decoder-only embedders."""

from FlagEmbedding.inference.embedder.decoder_only.base import BaseLLMEmbedder, FlagLLMModel

__all__ = ["BaseLLMEmbedder", "FlagLLMModel"]
