"""The model, as data. Values from its model card and the files of its repository."""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"

EMBEDDERS = {
    "all-MiniLM-L6-v2": EmbedderConfig(
        "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
        PoolingMethod.MEAN,
        hub_id=HUB_ID,
        max_length=256,
        dimension=384,
        languages=("en",),
        licence="Apache-2.0",
        source="model card; 1_Pooling/config.json, sentence_bert_config.json",
    )
}
