"""The contracts of inference: what every embedder and reranker offers, and what an author implements."""

from FlagEmbedding.abc.inference.embedder import AbsEmbedder
from FlagEmbedding.abc.inference.reranker import AbsReranker

__all__ = ["AbsEmbedder", "AbsReranker"]
