"""The BCE embedding model and its reranker: what their cards say, as data.

The licence is that of the Hub page, no licence file was read: check it before you rely on it.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod, RerankerConfig

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

# The card shows scores after the sigmoid: normalize=True. Its own package cuts long passages into overlapping pieces.
RERANKERS: dict[str, RerankerConfig] = {
    "bce-reranker-base_v1": RerankerConfig(
        "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker",
        hub_id="maidalun1020/bce-reranker-base_v1",
        max_length=512,
        languages=("en", "zh", "ja", "ko"),
        licence="Apache-2.0",
        source="config.json on the Hub; README of netease-youdao/BCEmbedding; languages from memory of the card",
    )
}
