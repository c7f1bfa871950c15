"""Embedders. Importing this imports no torch; each class is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from FlagEmbedding._lazy import lazy_exports
from FlagEmbedding.config import EmbedderModelClass

if TYPE_CHECKING:
    from FlagEmbedding.inference.embedder.decoder_only.base import FlagLLMModel
    from FlagEmbedding.inference.embedder.encoder_only.base import FlagModel

__all__ = ["EmbedderModelClass", "FlagLLMModel", "FlagModel"]

__getattr__ = lazy_exports(
    __name__,
    {
        "FlagLLMModel": "FlagEmbedding.inference.embedder.decoder_only.base",
        "FlagModel": "FlagEmbedding.inference.embedder.encoder_only.base",
    },
    top="FlagEmbedding",
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
