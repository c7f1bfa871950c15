"""Rerankers. Importing this imports no torch; each class is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from FlagEmbedding._lazy import lazy_exports
from FlagEmbedding.config import RerankerModelClass

if TYPE_CHECKING:
    from FlagEmbedding.inference.reranker.decoder_only.base import FlagLLMReranker
    from FlagEmbedding.inference.reranker.encoder_only.base import FlagReranker

__all__ = ["FlagLLMReranker", "FlagReranker", "RerankerModelClass"]

__getattr__ = lazy_exports(
    __name__,
    {
        "FlagLLMReranker": "FlagEmbedding.inference.reranker.decoder_only.base",
        "FlagReranker": "FlagEmbedding.inference.reranker.encoder_only.base",
    },
    top="FlagEmbedding",
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
