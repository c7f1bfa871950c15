"""The Jina rerankers that programs ask for by name, and why neither can be run safely on today's transformers.

Licences are from memory of the cards, no licence file was read: check them before you rely on one.
"""

from __future__ import annotations

from FlagEmbedding.plugins import RerankerConfig

_INSTEAD = (
    "Use bge-reranker-v2-m3 (multilingual) or gte-reranker-modernbert-base (English) instead; a conversion of the "
    "weights to a network of transformers loads from its folder with model_class='encoder-only-base'."
)

_JINA = RerankerConfig(
    "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker",
    source="config.json on the Hub; sentence-transformers test_pretrained (skipped on transformers 5)",
)

RERANKERS: dict[str, RerankerConfig] = {
    "jina-reranker-v2-base-multilingual": _JINA.replace(
        hub_id="jinaai/jina-reranker-v2-base-multilingual",
        max_length=1024,
        languages=("multilingual",),
        licence="CC-BY-NC-4.0",
        unsupported="it exists only as Python code of its repository, which imports functions that transformers 5 "
        f"no longer has. {_INSTEAD}",
    ),
    "jina-reranker-v1-turbo-en": _JINA.replace(
        hub_id="jinaai/jina-reranker-v1-turbo-en",
        max_length=8192,
        languages=("en",),
        licence="Apache-2.0",
        unsupported="its config.json says 'bert', but the network (ALiBi, gated MLP) is Python code of its repository "
        "that fails on transformers 5; transformers' own BERT would take random weights in the place of those it "
        f"does not find. {_INSTEAD}",
    ),
}
