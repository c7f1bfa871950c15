"""Decoder-only rerankers."""

from FlagEmbedding.inference.reranker.decoder_only.base import BaseLLMReranker, FlagLLMReranker

__all__ = ["BaseLLMReranker", "FlagLLMReranker"]
