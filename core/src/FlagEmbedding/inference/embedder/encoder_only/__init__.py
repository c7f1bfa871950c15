"""Encoder-only embedders."""

from FlagEmbedding.inference.embedder.encoder_only.base import BaseEmbedder, FlagModel

__all__ = ["BaseEmbedder", "FlagModel"]
