"""Detection of rerankers: from the ``config.json`` of a model that nobody registered to a configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from FlagEmbedding.config import ModelClass, RerankerConfig, RerankerModelClass
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.classes import RERANKER_CLASSES
from FlagEmbedding.registry.files import ModelFiles, architectures
from FlagEmbedding.registry.lengths import tokenizer_length

logger = logging.getLogger(__name__)

_CLASSIFIER = "ForSequenceClassification"
_LANGUAGE_MODEL = "ForCausalLM"


def detect_reranker(files: ModelFiles, wanted: Mapping[str, Any]) -> RerankerConfig:
    """Return the configuration that the files of a model describe.

    A classifier with one label is a cross-encoder. A language model needs to be told its prompt: the layout of the
    class that claims its ``model_type`` is assumed, and a warning says so.

    Args:
        files: The model's files.
        wanted: What the caller decides; ``model_class`` (``"module:Class"``) replaces the architecture's.

    Raises:
        CheckpointError: There is no ``config.json``, or the model is no reranker.
    """
    config = files.config()
    reference = wanted.get("model_class") or _class_of(files.source, config).reference
    return RerankerConfig(
        model_class=reference,
        max_length=tokenizer_length(files),
        source=f"detected from the files of {files.source}",
    )


def _class_of(source: str, config: Mapping[str, Any]) -> ModelClass:
    model_type = str(config.get("model_type"))
    names = architectures(config)
    if any(name.endswith(_CLASSIFIER) for name in names):
        claimed = RERANKER_CLASSES.of_model_type(model_type, _CLASSIFIER)
        return claimed or RERANKER_CLASSES.own(RerankerModelClass.ENCODER_ONLY_BASE)
    found = RERANKER_CLASSES.of_model_type(model_type, _LANGUAGE_MODEL)
    if found is None or not any(name.endswith(_LANGUAGE_MODEL) for name in names):
        raise CheckpointError(_no_reranker(source, model_type, names))
    logger.warning(
        "%r is not registered: assuming the prompt and the layout of %s. Set model_class= if it was trained otherwise.",
        source,
        found.path.partition(":")[2],
    )
    return found


def _no_reranker(source: str, model_type: str, names: list[str]) -> str:
    said = ", ".join(names) if names else "no architecture"
    return (
        f"{source!r} is no reranker that is known here: its config.json names {said} of type {model_type!r}, and a "
        f"reranker is a {_CLASSIFIER[3:]} model or a language model of a known type. An embedding model is loaded "
        f"with FlagAutoModel; for anything else say model_class=."
    )
