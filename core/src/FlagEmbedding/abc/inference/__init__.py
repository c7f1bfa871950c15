"""The contracts of inference: what every embedder offers, and what an author implements."""

from FlagEmbedding.abc.inference.embedder import AbsEmbedder

__all__ = ["AbsEmbedder"]
