"""Encoder-only rerankers."""

from FlagEmbedding.inference.reranker.encoder_only.base import BaseReranker, FlagReranker

__all__ = ["BaseReranker", "FlagReranker"]
