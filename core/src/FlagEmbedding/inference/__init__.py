"""Inference. Importing this imports no torch; each class is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from FlagEmbedding._lazy import lazy_exports
from FlagEmbedding.config import EmbedderModelClass, RerankerModelClass

if TYPE_CHECKING:
    from FlagEmbedding.inference.auto_embedder import FlagAutoModel
    from FlagEmbedding.inference.auto_reranker import FlagAutoReranker
    from FlagEmbedding.inference.embedder.decoder_only.base import FlagLLMModel
    from FlagEmbedding.inference.embedder.encoder_only.base import FlagModel
    from FlagEmbedding.inference.reranker.decoder_only.base import FlagLLMReranker
    from FlagEmbedding.inference.reranker.encoder_only.base import FlagReranker

__all__ = [
    "EmbedderModelClass",
    "FlagAutoModel",
    "FlagAutoReranker",
    "FlagLLMModel",
    "FlagLLMReranker",
    "FlagModel",
    "FlagReranker",
    "RerankerModelClass",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "FlagAutoModel": "FlagEmbedding.inference.auto_embedder",
        "FlagAutoReranker": "FlagEmbedding.inference.auto_reranker",
        "FlagLLMModel": "FlagEmbedding.inference.embedder.decoder_only.base",
        "FlagLLMReranker": "FlagEmbedding.inference.reranker.decoder_only.base",
        "FlagModel": "FlagEmbedding.inference.embedder.encoder_only.base",
        "FlagReranker": "FlagEmbedding.inference.reranker.encoder_only.base",
    },
    top="FlagEmbedding",
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
