"""The BCE embedding model: what its card says, as data.

The licence is that of the Hub page, no licence file was read: check it before you rely on it.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod

EMBEDDERS: dict[str, EmbedderConfig] = {
    "bce-embedding-base_v1": EmbedderConfig(
        "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
        PoolingMethod.CLS,
        hub_id="maidalun1020/bce-embedding-base_v1",
        max_length=512,
        dimension=768,
        languages=("en", "zh"),
        licence="Apache-2.0",
        source="README of netease-youdao/BCEmbedding (no instruction); FlagEmbedding model mapping",
    )
}
