"""fastembed's engine, on the same exported weights through its custom models."""

from __future__ import annotations

from typing import Any

import numpy as np
from protocol import Peer, serve

_NAME = "bench/model"


class FastEmbed(Peer):
    """TextEmbedding with a custom model of a local folder; it asks no hub for one."""

    packages = ("fastembed", "onnxruntime", "tokenizers")

    def load(self, model: dict[str, Any]) -> None:
        """Register the folder as a model, and open it."""
        from fastembed import TextEmbedding  # noqa: PLC0415 - part of what a cold start costs
        from fastembed.common.model_description import ModelSource, PoolingType  # noqa: PLC0415

        TextEmbedding.add_custom_model(
            model=_NAME,
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(hf=_NAME),
            dim=model["width"],
            model_file="model.onnx",
        )
        self.model = TextEmbedding(_NAME, specific_model_path=model["folder"], threads=model["threads"])

    def encode(self, texts: list[str], batch_size: int | None) -> Any:
        """Encode many."""
        return np.stack(list(self.model.embed(texts, **({} if batch_size is None else {"batch_size": batch_size}))))

    def query(self, text: str) -> Any:
        """Encode one."""
        return next(iter(self.model.embed(text)))


serve(FastEmbed())
