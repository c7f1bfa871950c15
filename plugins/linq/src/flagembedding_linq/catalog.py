"""The Linq embedding model: what its card says, as data.

The licence is that of the Hub page, no licence file was read: check it before you rely on it. CC-BY-NC-4.0 allows no
commercial use.
"""

from __future__ import annotations

from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod

EMBEDDERS: dict[str, EmbedderConfig] = {
    "Linq-Embed-Mistral": EmbedderConfig(
        "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder",
        PoolingMethod.LAST_TOKEN,
        query_instruction_format="Instruct: {}\nQuery: {}",
        hub_id="Linq-AI-Research/Linq-Embed-Mistral",
        # Our memory of the card's example, as is the length; the model takes 32768.
        query_instruction="Given a question, retrieve Wikipedia passages that answer the question",
        max_length=4096,
        dimension=4096,
        append_eos=True,  # descends from e5-mistral-7b-instruct, which needs it; its tokenizer files were not read
        languages=("en",),
        licence="CC-BY-NC-4.0",
        source="mteb linq_models; Hub page of the model; instruction and length from memory of the card",
    )
}
