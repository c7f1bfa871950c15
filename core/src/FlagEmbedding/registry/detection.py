"""Detection of embedders: from the files of a model that nobody registered to a configuration.

Reads ``config.json`` and the files that sentence-transformers writes beside it. What these say counts; what they leave
open falls back to the default of the architecture, said in one warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, ModelClass
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.backbone import read_backbone
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES
from FlagEmbedding.registry.files import ModelFiles, architectures
from FlagEmbedding.registry.modules import Layout, has_projections, read_layout
from FlagEmbedding.registry.poolings import read_pooling
from FlagEmbedding.registry.prompts import Usage, read_usage

logger = logging.getLogger(__name__)

# Beside "cosine", which need not be said. What is saved of models of other kinds compares no vectors.
_COMPARISONS = ("dot", "euclidean", "manhattan")


def detect_embedder(files: ModelFiles, wanted: Mapping[str, Any]) -> EmbedderConfig:
    """Return the configuration that the files of a model describe.

    Args:
        files: The model's files.
        wanted: What the caller decides whatever the files say: ``model_class`` (``"module:Class"``) and
            ``pooling_method`` count here.

    Raises:
        CheckpointError: There is no ``config.json``, the model is a reranker, or it has parts that would be left out.
    """
    layout = read_layout(files)
    config = files.config()
    _refuse_reranker(files.source, config)
    found = EMBEDDER_CLASSES.of_model_type(str(config.get("model_type"))) or EMBEDDER_CLASSES.own(
        EmbedderModelClass.ENCODER_ONLY_BASE
    )
    usage, backbone = read_usage(files), read_backbone(files)
    pooling = wanted.get("pooling_method") or _pooling(files, layout) or _fallback(files.source, found)
    _say_how_long_vectors_are(files.source, layout, usage)
    options = {
        "modules": layout.modules if layout else (),
        "lower_case": backbone.lower_case,
        "truncate_dim": usage.truncate_dim,
        "default_instruction": usage.default,
        "prompts": dict(usage.named),
        "similarity_fn_name": _similarity(usage),
    }
    return EmbedderConfig(
        model_class=wanted.get("model_class") or found.reference,
        pooling_method=pooling,
        query_instruction=usage.query,
        passage_instruction=usage.passage,
        max_length=backbone.max_length,
        source=f"detected from the files of {files.source}",
        options={name: value for name, value in options.items() if value},
    )


def add_own_modules(files: ModelFiles, config: EmbedderConfig) -> EmbedderConfig:
    """Return the configuration of a registered model for another of its name, with the layers that were added there.

    A fine-tune keeps the name, and what the card says of it; the catalogue cannot know that its author put a Dense
    after the pooling.
    """
    layout = read_layout(files) if has_projections(files) else None
    return config.replace(options={**config.options, "modules": layout.modules}) if layout else config


def _refuse_reranker(source: str, config: Mapping[str, Any]) -> None:
    for architecture in architectures(config):
        if architecture.endswith("ForSequenceClassification"):
            raise CheckpointError(
                f"{source!r} is a reranker ({architecture}), not an embedding model. It scores pairs and gives no "
                f"vectors: load it with FlagAutoReranker."
            )


def _pooling(files: ModelFiles, layout: Layout | None) -> str | None:
    return read_pooling(files, layout.pooling) if layout and layout.pooling is not None else None


def _similarity(usage: Usage) -> str | None:
    """Return how vectors are compared, where that is not by cosine; names that are not known mean that, too."""
    return usage.similarity if usage.similarity in _COMPARISONS else None


def _fallback(source: str, found: ModelClass) -> str:
    logger.warning(
        "%r is not registered and its files name no pooling: assuming %s with pooling %r. "
        "Set pooling_method= (and query_instruction_for_retrieval=) if its model card says otherwise.",
        source,
        found.path.partition(":")[2],
        str(found.pooling),
    )
    return found.pooling


def _say_how_long_vectors_are(source: str, layout: Layout | None, usage: Usage) -> None:
    """Say what the default of ``normalize_embeddings`` does to a model that was made without it."""
    if layout is None or layout.pooling is None or layout.normalized:
        return
    by_angle = usage.similarity in (None, "cosine")  # where the length of a vector changes no ranking
    logger.log(
        logging.INFO if by_angle else logging.WARNING,
        "the files of %r do not normalise its vectors, and compare them by %s: normalize_embeddings=True (the default) "
        "gives them length 1, normalize_embeddings=False leaves them as sentence-transformers gives them.",
        source,
        usage.similarity or "cosine",
    )
